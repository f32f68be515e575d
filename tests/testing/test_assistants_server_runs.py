"""The states of a run on `AssistantsServer`: the lock, what ends a run early, and the words of every refusal."""

from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from assistants_client import (
    answered,
    frames,
    get,
    http,
    leave,
    look,
    outputs,
    post,
    refused,
    run_path,
    short,
    start,
    stream,
    texts,
    units_left,
)

from agentkit.messages import AssistantMessage, Usage
from agentkit.testing import AssistantsServer, Reply

pytestmark = pytest.mark.anyio

OPENING = ["run.created", "run.queued", "run.in_progress"]
NEVER = Reply(message="Three left of A-1.", delay_until="never")


async def begin(client: httpx2.AsyncClient, looks: int = 2, **settings: Any) -> Any:
    """A run of a new thread, after so many looks at it."""
    path, assistant = await start(client, "Any A-1?")
    run = await post(client, f"{path}/runs", assistant_id=assistant, **settings)
    return await look(client, run_path(run), looks) if looks else run


@pytest.mark.parametrize("looks", [0, 1, 2])
async def test_a_run_has_its_thread_for_itself(looks: int) -> None:
    """Queued, in progress or waiting: nothing else is said on the thread, and the words of the refusal are OpenAI's."""
    async with AssistantsServer([[units_left("A-1")], "Hi."]) as server, http(server) as client:
        run = await begin(client, looks)
        path, id, assistant = f"/threads/{run['thread_id']}", run["id"], run["assistant_id"]
        assert run["status"] == ["queued", "in_progress", "requires_action"][looks]
        message = await refused(client, f"{path}/messages", role="user", content="x")
        assert message == f"Can't add messages to {run['thread_id']} while a run {id} is active."
        more = [{"role": "user", "content": "x"}]
        message = await refused(client, f"{path}/runs", assistant_id=assistant, additional_messages=more)
        assert message == f"Thread {run['thread_id']} already has an active run {id}."
        assert len(server.messages(run["thread_id"])) == 1
        await look(client, run_path(run))
        await answered(client, await get(client, run_path(run)))
        assert (await look(client, run_path(run)))["status"] == "completed"
        await post(client, f"{path}/messages", role="user", content="x")
        await post(client, f"{path}/runs", assistant_id=assistant)


@pytest.mark.parametrize("streamed", [False, True])
async def test_of_two_clients_one_gets_the_lock(streamed: bool) -> None:
    """Twenty runs are asked for at the same time, and one is made."""
    statuses: list[int] = []

    async def race(path: str, body: Mapping[str, Any]) -> None:
        async with http(server) as own:
            statuses.append((await own.post(f"{path}/runs", json=body)).status_code)

    async with AssistantsServer([[units_left("A-1")]]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(race, path, {"assistant_id": assistant, "stream": streamed})
        assert len(server.runs(path.removeprefix("/threads/"))) == 1
    assert sorted(statuses) == [200] + [400] * 19


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["call_units_left"], "['call_units_left']"),
        ([], "[]"),
        (["call_units_left", "call_units_left"], "['call_units_left', 'call_units_left']"),
        (["call_units_left", "call_units_left_2", "call_x"], "['call_units_left', 'call_units_left_2', 'call_x']"),
        (["call_units_left", "call_x"], "['call_units_left', 'call_x']"),
    ],
    ids=["partial", "none", "duplicate", "unknown too", "unknown"],
)
async def test_all_outputs_come_at_once_and_no_others(given: list[str], told: str) -> None:
    """OpenAI's words name what was expected and what came; the run still waits for the right ones."""
    async with AssistantsServer([[units_left("A-1"), units_left("B-2")], "Hi."]) as server, http(server) as client:
        run = await begin(client)
        sent = [{"tool_call_id": id, "output": "3"} for id in given]
        message = await refused(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=sent)
        assert message == f"Expected tool outputs for call_ids ['call_units_left', 'call_units_left_2'], got {told}"
        await answered(client, await get(client, run_path(run)))
        again = await refused(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run))
    assert again == 'Runs in status "queued" do not accept tool outputs.'


async def test_a_run_expires_ten_minutes_after_it_was_created() -> None:
    """One second before, its outputs are taken; at that second they are not, and the thread is free again."""
    async with AssistantsServer([[units_left("A-1")], [units_left("A-1")], "Hi."]) as server, http(server) as client:
        run = await begin(client)
        assert run["expires_at"] == run["created_at"] + 600
        server.clock.advance(599)
        await answered(client, run)
        waiting = await look(client, run_path(run))
        assert waiting["status"] == "requires_action"
        server.clock.advance(1)
        submit = f"{run_path(run)}/submit_tool_outputs"
        message = await refused(client, submit, tool_outputs=outputs(waiting))
        assert message == 'Runs in status "expired" do not accept tool outputs.'
        expired = await get(client, run_path(run))
        first, second = server.steps(run["id"])
        await post(client, f"/threads/{run['thread_id']}/messages", role="user", content="x")
        cancel = await refused(client, f"{run_path(run)}/cancel")
    assert cancel == "Cannot cancel run with status 'expired'."
    assert (expired["status"], expired["required_action"]) == ("expired", None)
    assert (second["status"], second["expired_at"]) == ("expired", run["expires_at"])
    assert expired["usage"]["total_tokens"] == first["usage"]["total_tokens"] + second["usage"]["total_tokens"]


async def test_a_stream_ends_when_its_run_expires() -> None:
    """The clock moves while the model thinks: the client is told at once, and what was said so far is kept."""
    hold = Reply(message="Three left of A-1.", delay_until="never", delay_after=8)
    async with AssistantsServer([hold]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        seen = []
        with anyio.fail_after(5):
            async for event in frames(client, f"{path}/runs", assistant_id=assistant):
                seen.append(event)
                if len(seen) == 8:
                    server.clock.advance(600)
    begun = ["run.step.created", "run.step.in_progress", "message.created", "message.in_progress", "message.delta"]
    ended = ["message.incomplete", "run.step.expired", "run.expired"]
    assert short(seen[:-1]) == [*OPENING, *begun, *ended]
    message, step, run = (event.data for event in seen[-4:-1])
    assert texts([message]) == ["Three le"]
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_expired"})
    assert (step["status"], step["usage"]) == ("expired", None)
    assert run["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize("looks", [0, 1, 2])
async def test_a_run_is_cancelled_in_two_looks(looks: int) -> None:
    """The answer says `cancelling`, and holds the lock; the next look finds it cancelled, with what it used."""
    async with AssistantsServer([[units_left("A-1")]]) as server, http(server) as client:
        run = await begin(client, looks)
        stopping = await post(client, f"{run_path(run)}/cancel")
        assert (stopping["status"], stopping["required_action"]) == ("cancelling", None)
        again = await refused(client, f"{run_path(run)}/cancel")
        assert again == "Cannot cancel run with status 'cancelling'."
        path = f"/threads/{run['thread_id']}"
        locked = await refused(client, f"{path}/runs", assistant_id=run["assistant_id"])
        assert locked == f"Thread {run['thread_id']} already has an active run {run['id']}."
        submit = await refused(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=[])
        assert submit == 'Runs in status "cancelling" do not accept tool outputs.'
        if looks == 1:
            assert (await get(client, f"{path}/runs"))["data"][0]["status"] == "cancelled"
        stopped = await get(client, run_path(run))
        again = await refused(client, f"{run_path(run)}/cancel")
        await post(client, f"{path}/runs", assistant_id=run["assistant_id"])
    assert again == "Cannot cancel run with status 'cancelled'."
    assert (stopped["status"], stopped["cancelled_at"]) == ("cancelled", 1_750_000_000)
    assert bool(stopped["usage"]["total_tokens"]) == (looks == 2)
    assert [step["status"] for step in server.steps(run["id"])] == ["cancelled"] * (looks == 2)


@pytest.mark.parametrize("status", ["completed", "failed", "incomplete"])
async def test_what_has_ended_cannot_be_cancelled_nor_answered(status: str) -> None:
    """OpenAI's words name the state; a client takes them for: read the run again."""
    reply = {"completed": Reply(), "failed": Reply(status=500), "incomplete": Reply(finish_reason="length")}[status]
    async with AssistantsServer([reply]) as server, http(server) as client:
        run = await begin(client)
        assert run["status"] == status
        cancel = await refused(client, f"{run_path(run)}/cancel")
        submit = await refused(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=[])
    assert cancel == f"Cannot cancel run with status '{status}'."
    assert submit == f'Runs in status "{status}" do not accept tool outputs.'


@pytest.mark.parametrize("after", [0, 3, 8])
async def test_a_stream_ends_when_its_run_is_cancelled(after: int) -> None:
    """Before and within the message: the stream brings the ends of all that was begun, and is done."""
    hold = Reply(message="Three left of A-1.", delay_until="never", delay_after=after)
    async with AssistantsServer([hold]) as server, http(server) as client, http(server) as other:
        path, assistant = await start(client, "Any A-1?")
        seen = []
        with anyio.fail_after(5):
            async for event in frames(client, f"{path}/runs", assistant_id=assistant):
                seen.append(event)
                if len(seen) == max(3, after):
                    run = event.data if after < 8 else seen[0].data
                    stopping = await post(other, f"{run_path(run)}/cancel")
                    assert stopping["status"] == "cancelling"
    assert seen[-1].name == "done"
    ended = ["message.incomplete", "run.step.cancelled"] if after == 8 else []
    assert short(seen[max(3, after) : -1]) == ["run.cancelling", *ended, "run.cancelled"]
    if after == 8:
        assert texts(server.messages(run["thread_id"])) == ["Any A-1?", "Three le"]
        assert server.messages(run["thread_id"])[1]["incomplete_details"] == {"reason": "run_cancelled"}


async def test_a_cancelled_script_is_not_left_waiting() -> None:
    """An async script that waits while its run is cancelled is cancelled too; one look sees the run."""
    asked, cancelled = anyio.Event(), anyio.Event()

    async def script(body: Mapping[str, Any]) -> str:
        asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return "never"

    seen: list[Any] = []

    async def watch(run: Any) -> None:
        async with http(server) as own:
            seen.append(await look(own, run_path(run), 2))

    with anyio.fail_after(5):
        async with AssistantsServer(script) as server, http(server) as client, anyio.create_task_group() as tasks:
            run = await begin(client, looks=0)
            tasks.start_soon(watch, run)
            await asked.wait()
            await post(client, f"{run_path(run)}/cancel")
            await cancelled.wait()
    assert seen[0]["status"] in {"cancelling", "cancelled"}


async def test_nothing_of_a_broken_turn_is_told_to_the_model_but_its_words() -> None:
    """Calls that nobody answered are left out of the next request: no chat model would take them."""
    asked: list[Any] = []
    both = AssistantMessage(text="Let me see.", tool_calls=(units_left("A-1"),))

    def script(body: Mapping[str, Any]) -> Any:
        asked.append(body["messages"])
        return both if len(asked) == 1 else "Hi."

    async with AssistantsServer(script) as server, http(server) as client:
        run = await begin(client)
        await post(client, f"{run_path(run)}/cancel")
        await get(client, run_path(run))
        again = await post(client, f"/threads/{run['thread_id']}/runs", assistant_id=run["assistant_id"])
        await look(client, run_path(again))
    assert asked[1] == [*asked[0], {"role": "assistant", "content": "Let me see."}]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_failed_run_says_why(streamed: bool) -> None:
    """An error of the model is the run's last error, with the code that goes with its status."""
    script = [
        Reply(status=429, error="Out of credit."),
        Reply(status=400, error="No.", error_code="invalid_prompt"),
        Reply(status=503),
    ]
    errors = []
    async with AssistantsServer(script) as server, http(server) as client:
        for _ in range(4):
            path, assistant = await start(client, "Any A-1?")
            if streamed:
                events = await stream(client, f"{path}/runs", assistant_id=assistant)
                assert short(events) == [*OPENING, "run.failed"]
                run = events[-1].data
            else:
                run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
            assert (run["status"], run["failed_at"]) == ("failed", 1_750_000_000)
            errors.append(run["last_error"])
    assert errors == [
        {"code": "rate_limit_exceeded", "message": "Out of credit."},
        {"code": "invalid_prompt", "message": "No."},
        {"code": "server_error", "message": "The script answers with status 503."},
        {"code": "server_error", "message": "The script has 3 replies, and this is turn 4: add a reply to it."},
    ]


@pytest.mark.parametrize(
    ("reply", "reason", "of_message"),
    [
        (Reply(message="Three", finish_reason="length"), "max_completion_tokens", "max_tokens"),
        (Reply(message="Three", finish_reason="content_filter"), "content_filter", "content_filter"),
        (Reply(message="Three", usage=Usage(input_tokens=1, output_tokens=257)), "max_completion_tokens", "max_tokens"),
        (Reply(message="Three", usage=Usage(input_tokens=513, output_tokens=1)), "max_prompt_tokens", "max_tokens"),
    ],
    ids=["length", "filter", "completion budget", "prompt budget"],
)
async def test_a_run_may_end_incomplete(reply: Reply, reason: str, of_message: str) -> None:
    """The message says so too; what was said is kept, and what it cost is counted."""
    budgets = {"max_completion_tokens": 256, "max_prompt_tokens": 512}
    async with AssistantsServer([reply]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        events = await stream(client, f"{path}/runs", assistant_id=assistant, **budgets)
    assert short(events)[-4:] == ["message.delta", "message.incomplete", "run.step.completed", "run.incomplete"]
    run = events[-1].data
    assert (run["status"], run["incomplete_details"]) == ("incomplete", {"reason": reason})
    message = server.messages(run["thread_id"])[1]
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": of_message})
    assert texts([message]) == ["Three"]
    assert run["usage"]["total_tokens"] > 0


async def test_the_token_budget_is_the_whole_runs() -> None:
    """Two turns fit one by one and not together: the second one's calls are not asked for."""
    calls = Reply(message=[units_left("A-1")], usage=Usage(input_tokens=10, output_tokens=150))
    async with AssistantsServer([calls, calls]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        events = await stream(client, f"{path}/runs", assistant_id=assistant, max_completion_tokens=256)
        run = events[-1].data
        events = await stream(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run))
        ended = events[-1].data
    assert short(events)[-3:] == ["run.step.delta", "run.step.failed", "run.incomplete"]
    assert (ended["status"], ended["required_action"]) == ("incomplete", None)
    assert ended["usage"] == {"prompt_tokens": 20, "completion_tokens": 300, "total_tokens": 320}


async def test_a_run_waits_for_an_event_of_the_test() -> None:
    """However often it is read, it is in progress until then."""
    event = anyio.Event()
    async with AssistantsServer([Reply(message="Hi.", delay_until=event)]) as server, http(server) as client:
        run = await begin(client, looks=5)
        assert run["status"] == "in_progress"
        event.set()
        assert (await get(client, run_path(run)))["status"] == "completed"


async def test_a_stream_can_stop_and_go_on() -> None:
    """The first events are there while the rest is held back: what a test of a live display needs."""
    event = anyio.Event()
    reply = Reply(message="Three left of A-1.", delay_until=event, delay_after=8)
    async with AssistantsServer([reply]) as server, http(server) as client, http(server) as other:
        path, assistant = await start(client, "Any A-1?")
        seen = []
        with anyio.fail_after(5):
            async for sent in frames(client, f"{path}/runs", assistant_id=assistant):
                seen.append(sent.name)
                if len(seen) == 8:
                    run = (await get(other, f"{path}/runs"))["data"][0]
                    partial = (await get(other, f"{path}/messages"))["data"][0]
                    assert (await look(other, run_path(run), 3))["status"] == "in_progress"
                    event.set()
    assert (partial["status"], texts([partial])) == ("in_progress", ["Three le"])
    assert seen[-1] == "done"


async def test_a_stream_can_drip() -> None:
    """Three bytes at a time, through the middle of characters, it is the same stream."""
    async with AssistantsServer([Reply(message="Grüße 🎉", drip=3)]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        body = {"assistant_id": assistant, "stream": True}
        async with client.stream("POST", f"{path}/runs", json=body) as response:
            pieces = [piece async for piece in response.aiter_raw()]
    assert sum(len(piece) <= 3 for piece in pieces) > 100
    assert "Grüße 🎉" in b"".join(pieces).decode("utf-8")


@pytest.mark.parametrize("after", [2, 5, 8])
async def test_a_run_goes_on_without_its_listener(after: int) -> None:
    """Whoever hangs up in mid-stream finds the run where it would have been."""
    async with AssistantsServer([[units_left("A-1")], "Three left of A-1."]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        events = await stream(client, f"{path}/runs", assistant_id=assistant)
        run = events[-1].data
        with anyio.fail_after(5):
            await leave(server, f"{run_path(run)}/submit_tool_outputs", after, tool_outputs=outputs(run))
            while (now := await get(client, run_path(run)))["status"] != "completed":
                pass
        assert texts(server.messages(run["thread_id"])) == ["Any A-1?", "Three left of A-1."]
    assert now["usage"] is not None


async def test_an_async_script_answers_though_nobody_listens_any_more() -> None:
    """The model is not stopped by a client that hangs up, and its answer takes effect when it is there."""
    asked, answer = anyio.Event(), anyio.Event()

    async def script(body: Mapping[str, Any]) -> str:
        asked.set()
        await answer.wait()
        return "Three left."

    async with AssistantsServer(script) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        with anyio.fail_after(5):
            await leave(server, f"{path}/runs", 3, assistant_id=assistant)
            await asked.wait()
            await server.requests[2].hung_up.wait()
            assert server.runs(path.removeprefix("/threads/"))[0]["status"] == "in_progress"
            answer.set()
            while server.runs(path.removeprefix("/threads/"))[0]["status"] != "completed":
                await anyio.lowlevel.checkpoint()
        assert texts(server.messages(path.removeprefix("/threads/"))) == ["Any A-1?", "Three left."]


async def test_what_holds_a_run_holds_it_without_its_listener_too() -> None:
    """A client that hung up does not make the model answer sooner."""
    event = anyio.Event()
    reply = Reply(message="Three left of A-1.", delay_until=event, delay_after=8)
    async with AssistantsServer([reply]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        with anyio.fail_after(5):
            await leave(server, f"{path}/runs", 8, assistant_id=assistant)
            await server.requests[2].hung_up.wait()
            run = (await get(client, f"{path}/runs"))["data"][0]
            assert (await look(client, run_path(run), 3))["status"] == "in_progress"
            event.set()
            assert (await get(client, f"{path}/messages"))["data"][0]["status"] == "completed"


async def test_a_client_may_answer_before_the_stream_has_said_that_it_is_done() -> None:
    """Whoever submits on `requires_action` gets two streams that do not mix."""
    async with (
        AssistantsServer([[units_left("A-1")], "Three."]) as server,
        http(server) as client,
        http(server) as other,
    ):
        path, assistant = await start(client, "Any A-1?")
        first, second = [], []
        async for event in frames(client, f"{path}/runs", assistant_id=assistant):
            first.append(event)
            if event.name == "thread.run.requires_action":
                submit = f"{run_path(event.data)}/submit_tool_outputs"
                second = await stream(other, submit, tool_outputs=outputs(event.data))
    assert [event.name for event in first[-2:]] == ["thread.run.requires_action", "done"]
    assert short(second)[:3] == ["run.step.completed", "run.queued", "run.in_progress"]
    assert short(second)[-1] == "run.completed"


async def test_runs_of_other_threads_are_none_of_this_one() -> None:
    """A run, a step or a message is found on its own thread only."""
    async with AssistantsServer(["Hi."]) as server, http(server) as client:
        run = await begin(client)
        other = await post(client, "/threads")
        stranger = await refused(client, f"/threads/{other['id']}/runs/{run['id']}", "GET")
        step = await refused(client, f"{run_path(run)}/steps/step_x", "GET")
        message = await refused(client, f"/threads/{other['id']}/messages/msg_x", "GET")
        thread = await refused(client, "/threads/thread_x/runs", assistant_id=run["assistant_id"])
        assistant = await refused(client, f"/threads/{other['id']}/runs", assistant_id="asst_x")
    assert stranger == f"No run found with id '{run['id']}'."
    assert step == "No run step found with id 'step_x'."
    assert message == "No message found with id 'msg_x'."
    assert thread == "No thread found with id 'thread_x'."
    assert assistant == "No assistant found with id 'asst_x'."

"""What other servers do on the Assistants wire: each quirk of `AssistantsServer`, as its bytes show it."""

from typing import Any

import httpx2
import pytest
from assistants_client import (
    FUNCTION,
    Sent,
    frames,
    get,
    http,
    look,
    outputs,
    post,
    run_path,
    start,
    stream,
    texts,
    units_left,
)

from agentkit.errors import ConfigError
from agentkit.testing import QUIRKS, AssistantsRequest, AssistantsServer, Fault, Reply
from agentkit.testing.assistants.quirks import KNOWN

pytestmark = pytest.mark.anyio

SCRIPT: Any = [[units_left("A-1")], [units_left("B-2")], "Three left."]


def server_with(*quirks: str, script: Any = SCRIPT, **options: Any) -> AssistantsServer:
    return AssistantsServer(script, quirks=quirks, **options)


async def talk(client: httpx2.AsyncClient) -> tuple[list[list[Sent]], dict[str, Any]]:
    """The three streams of the script's run, whatever they look like, and the run as it is read afterwards."""
    path, assistant = await start(client, "Any A-1?")
    streams = [[event async for event in frames(client, f"{path}/runs", assistant_id=assistant)]]
    run = next(event.data for event in streams[0] if event.name == "thread.run.created")
    for _ in range(2):
        body = {"tool_outputs": outputs(await get(client, run_path(run)))}
        streams.append([event async for event in frames(client, f"{run_path(run)}/submit_tool_outputs", **body)])
    return streams, await get(client, run_path(run))


def data(streams: list[list[Sent]], name: str) -> list[Any]:
    return [event.data for events in streams for event in events if event.name == f"thread.{name}"]


async def test_float_times() -> None:
    """Times are floats in answers and in events; what is no time stays whole."""
    async with server_with("float_times") as server, http(server) as client:
        streams, run = await talk(client)
    times = [run["created_at"], data(streams, "message.created")[0]["created_at"], run["completed_at"]]
    assert [type(time) for time in times] == [float] * 3
    assert type(run["usage"]["total_tokens"]) is int
    assert type(server.runs(run["thread_id"])[0]["created_at"]) is int


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_shuffled_ties(order: str) -> None:
    """Of the same second, the user's message is the newest; a later one is sorted right."""
    async with server_with("shuffled_ties") as server, http(server) as client:
        _, run = await talk(client)
        server.clock.advance(1)
        path = f"/threads/{run['thread_id']}/messages"
        await post(client, path, role="user", content="Later")
        listed = texts((await get(client, path, order=order))["data"])
    assert listed == (["Three left.", "Any A-1?", "Later"] if order == "asc" else ["Later", "Any A-1?", "Three left."])


async def test_ignores_after() -> None:
    """The same page again, and always more: a client that trusts it goes round for ever."""
    async with server_with("ignores_after") as server, http(server) as client:
        path, _ = await start(client, "One", "Two", "Three")
        first = await get(client, f"{path}/messages", limit=2)
        again = await get(client, f"{path}/messages", limit=2, after=first["last_id"])
        whole = await get(client, f"{path}/messages", after=first["last_id"])
    assert texts(first["data"]) == texts(again["data"]) == ["Three", "Two"]
    assert (len(whole["data"]), whole["has_more"]) == (3, True)


async def test_ignores_run_id() -> None:
    """A run's messages come with everybody else's."""
    async with server_with("ignores_run_id") as server, http(server) as client:
        _, run = await talk(client)
        listed = await get(client, f"/threads/{run['thread_id']}/messages", run_id=run["id"])
    assert texts(listed["data"]) == ["Three left.", "Any A-1?"]


async def test_doubled_deltas() -> None:
    """Name and arguments come twice in the stream, and once in what is read."""
    async with server_with("doubled_deltas") as server, http(server) as client:
        streams, run = await talk(client)
    [call] = data(streams, "run.step.created")[0]["step_details"]["tool_calls"]
    assert call["function"] == {"name": "units_left", "arguments": '{"sku": "A-1"}', "output": None}
    assert (
        data(streams, "run.step.delta")[0]["delta"]["step_details"]["tool_calls"][0]["function"]["name"] == "units_left"
    )
    assert server.steps(run["id"])[0]["step_details"]["tool_calls"][0]["function"]["arguments"] == '{"sku": "A-1"}'


async def test_foreign_ids() -> None:
    """No id has a prefix, and they are the same in each run of a test."""
    ids = []
    for _ in range(2):
        async with server_with("foreign_ids") as server, http(server) as client:
            _, run = await talk(client)
        ids.append(
            [run["id"], run["thread_id"], run["assistant_id"], *(step["id"] for step in server.steps(run["id"]))]
        )
    assert ids[0] == ids[1]
    assert {len(id) for id in ids[0]} == {24, 32}
    assert len(set(ids[0])) == 6
    assert all(set(id) <= set("0123456789abcdef") for id in ids[0])


async def test_null_lists() -> None:
    """Null where nothing is listed; what is there is a list."""
    async with server_with("null_lists") as server, http(server) as client:
        streams, _ = await talk(client)
        bare = await post(client, "/assistants", model="m")
        thread = await post(client, "/threads")
        page = await get(client, f"/threads/{thread['id']}/messages")
    created, completed = data(streams, "message.created")[0], data(streams, "message.completed")[0]
    assert [created[name] for name in ("content", "attachments", "metadata")] == [None] * 3
    assert completed["content"][0]["text"]["annotations"] is None
    assert (bare["tools"], bare["tool_resources"], thread["tool_resources"]) == (None, None, None)
    assert page["data"] == []


async def test_bare_errors() -> None:
    """A failed run's stream has an error that the SDK would not see, and refusals have no envelope."""
    failing = Reply(status=500, error="Out of memory.")
    faults = iter([None, Fault("error", events=3)])

    def fault(request: AssistantsRequest) -> Fault | None:
        return next(faults) if request.path.endswith("/runs") else None

    async with server_with("bare_errors", script=[failing, "Hi."], on_request=fault) as server, http(server) as client:
        path, assistant = await start(client, "Hello?")
        failed = await stream(client, f"{path}/runs", assistant_id=assistant)
        broken = [event async for event in frames(client, f"{path}/runs", assistant_id=assistant)]
        missing = (await client.get("/threads/thread_x")).json()
    assert [event.name for event in failed[-2:]] == ["error", "thread.run.failed"]
    bare = {"type": "server_error", "code": "server_error", "param": None}
    assert failed[-2].data == {**bare, "message": "Out of memory."}
    assert broken[-1] == ("error", {**bare, "message": "The server had an error while processing your request."})
    assert missing == {"detail": "No thread found with id 'thread_x'."}


async def test_repeated_call_ids() -> None:
    """Each round's calls are numbered from 0, and outputs find theirs."""
    script: Any = [[units_left("A"), units_left("B")], [units_left("C")], "Done."]
    async with server_with("repeated_call_ids", script=script) as server, http(server) as client:
        _, run = await talk(client)
    steps = server.steps(run["id"])[:2]
    assert [[call["id"] for call in step["step_details"]["tool_calls"]] for step in steps] == [
        ["call_0", "call_1"],
        ["call_0"],
    ]


async def test_no_done() -> None:
    """The stream just ends."""
    async with server_with("no_done") as server, http(server) as client:
        streams, _ = await talk(client)
    assert [events[-1].name for events in streams] == ["thread.run.requires_action"] * 2 + ["thread.run.completed"]


async def test_no_streaming() -> None:
    """A run object comes back, and goes on as it is read."""
    async with server_with("no_streaming") as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        run = await post(client, f"{path}/runs", assistant_id=assistant, stream=True)
        waiting = await look(client, run_path(run))
        submit = f"{run_path(run)}/submit_tool_outputs"
        queued = await post(client, submit, tool_outputs=outputs(waiting), stream=True)
    assert [run["status"], waiting["status"], queued["status"]] == ["queued", "requires_action", "queued"]


async def test_no_step_events() -> None:
    """Runs and messages only; the calls are in the run."""
    async with server_with("no_step_events") as server, http(server) as client:
        streams, _ = await talk(client)
    assert not [event.name for events in streams for event in events if ".step." in event.name]
    assert data(streams, "run.requires_action")[0]["required_action"] is not None


async def test_no_step_usage() -> None:
    """Neither an event nor a look at the step tells; the ended run does."""
    async with server_with("no_step_usage") as server, http(server) as client:
        streams, run = await talk(client)
        steps = await get(client, f"{run_path(run)}/steps")
    assert [step["usage"] for step in steps["data"] + data(streams, "run.step.completed")] == [None] * 6
    assert run["usage"]["total_tokens"] > 0


async def test_unknown_events() -> None:
    """Between all events there is one that nobody knows, and a comment."""
    async with server_with("unknown_events") as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        async with client.stream("POST", f"{path}/runs", json={"assistant_id": assistant, "stream": True}) as response:
            text = (await response.aread()).decode()
    assert text.count(": ping\n\n") == text.count("event: thread.vendor.trace\n") == text.count("event: thread.run") > 5


async def test_empty_completed() -> None:
    """The last event of a message has no content, and what is read has."""
    async with server_with("empty_completed") as server, http(server) as client:
        streams, run = await talk(client)
    assert data(streams, "message.completed")[0]["content"] == []
    assert texts(server.messages(run["thread_id"])) == ["Any A-1?", "Three left."]


async def test_thin_runs() -> None:
    """The stream says that something is to be done, and not what; reading the run does."""
    async with server_with("thin_runs") as server, http(server) as client:
        streams, run = await talk(client)
    waiting, ended = data(streams, "run.requires_action")[0], data(streams, "run.completed")[0]
    assert (waiting["status"], waiting["required_action"]) == ("requires_action", None)
    assert (ended["status"], ended["usage"]) == ("completed", None)
    assert run["usage"] is not None


@pytest.mark.parametrize("quirks", [(), ("no_poll_header",)])
async def test_no_poll_header(quirks: tuple[str, ...]) -> None:
    """Other servers say after how many milliseconds a run is worth another look, and this one does not."""
    async with server_with(*quirks) as server, http(server) as client:
        _, run = await talk(client)
        answer = await client.get(run_path(run))
    assert answer.headers.get("openai-poll-after-ms") == (None if quirks else "1")


async def test_shadowed_create_and_run() -> None:
    """The path is taken for a thread's."""
    async with server_with("shadowed_create_and_run") as server, http(server) as client:
        _, assistant = await start(client)
        answer = await client.post("/threads/runs", json={"assistant_id": assistant})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "No thread found with id 'runs'."


async def test_no_cancel_in_action() -> None:
    """A run that waits for outputs cannot be cancelled; one in progress can."""
    async with server_with("no_cancel_in_action") as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        run = await post(client, f"{path}/runs", assistant_id=assistant)
        await look(client, run_path(run))
        answer = await client.post(f"{run_path(run)}/cancel")
        other, assistant = await start(client, "Any A-1?")
        run = await look(client, run_path(await post(client, f"{other}/runs", assistant_id=assistant)), 1)
        await post(client, f"{run_path(run)}/cancel")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Cannot cancel run with status 'requires_action'."


async def test_extra_fields() -> None:
    """Fields that nobody knows are in objects, parts, calls, events and errors, and not in what is the user's own."""
    async with server_with("extra_fields") as server, http(server) as client:
        streams, run = await talk(client)
        missing = (await client.get("/threads/thread_x")).json()
    call = data(streams, "run.requires_action")[0]["required_action"]["submit_tool_outputs"]["tool_calls"][0]
    part = data(streams, "message.delta")[0]["delta"]["content"][0]
    assert all("x_vendor" in value for value in (run, call, part, missing))
    assert run["tools"][0]["function"]["parameters"] == FUNCTION["function"]["parameters"]  # type: ignore[index]


async def test_all_quirks_that_go_together_make_one_odd_server() -> None:
    """A client that reads the run, and not the stream, comes through; the conversation is what it would have been."""
    async with server_with(*QUIRKS) as server, http(server) as client:
        _, run = await talk(client)
    assert run["status"] == "completed"
    assert texts(server.messages(run["thread_id"])) == ["Any A-1?", "Three left."]
    assert set(KNOWN) == {*QUIRKS, "no_streaming"}


@pytest.mark.parametrize("quirks", [("no_dnoe",), "no_done "])
def test_a_quirk_that_is_none_is_refused_at_once(quirks: Any) -> None:
    """A switch that is misspelt would test nothing."""
    with pytest.raises(ConfigError, match="there is no quirk"):
        AssistantsServer([], quirks=quirks)


async def test_a_lenient_server_takes_anybody() -> None:
    """Without `strict`, no header is needed and no field is looked at; states and locks are what they are."""
    async with (
        AssistantsServer(["Hi."], strict=False) as server,
        httpx2.AsyncClient(base_url=server.base_url) as client,
    ):
        assistant = await post(client, "/assistants", nonsense=True)
        run = await post(client, "/threads/runs", assistant_id=assistant["id"], max_completion_tokens=1)
        locked = await client.post(f"/threads/{run['thread_id']}/runs", json={"assistant_id": assistant["id"]})
    assert locked.json()["error"]["message"].startswith("Thread ")

"""How runs end before their time: cancelled, expired, failed, cut; and who may have a thread meanwhile."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest
from run_case import Case, WaitingModel, case, function
from serving import Clock, serving

from agentkit import AssistantMessage, Usage
from agentkit.errors import AuthFailed, ContextTooLong, RateLimited, Refused
from agentkit.models.base import ModelRequest, ModelResponse, OnDelta
from agentkit.testing import ScriptedModel, call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]
COUNT = function("count", "sku")
CALLS = [call("count", sku="A-1")]


async def test_a_run_is_cancelled_in_the_middle(tmp_path: Path) -> None:
    """What it has said stays, marked as incomplete; the thread is free."""
    model = WaitingModel()
    async with serving(tmp_path, models={"*": model}) as served, case(served) as about:
        run = await about.speaking()
        assert (await about.runs.cancel(run.id, thread_id=about.thread)).status == "cancelling"
        run = await about.until(run, "cancelled")
        assert run.cancelled_at is not None
        assert (run.required_action, run.usage.total_tokens) == (None, 0)
        [step] = await about.steps(run)
        assert (step.status, step.cancelled_at is not None) == ("cancelled", True)
        messages = (await about.client.beta.threads.messages.list(about.thread)).data
        assert messages[0].incomplete_details.reason == "run_cancelled"
        assert await about.said() == [("user", "How many A-1 are left?"), ("assistant", "One ")]
        await about.client.beta.threads.messages.create(about.thread, role="user", content="Go on.")


async def test_a_run_that_waits_is_cancelled(tmp_path: Path) -> None:
    """Its calls come to nothing, and the next run does not know of them."""
    model = ScriptedModel([CALLS, "Never mind."])
    async with serving(tmp_path, models={"*": model}) as served, case(served, tools=[COUNT]) as about:
        run = await about.run()
        await about.runs.cancel(run.id, thread_id=about.thread)
        run = await about.until(run, "cancelled")
        assert (run.required_action, run.usage.total_tokens) == (None, 15)
        assert [step.status for step in await about.steps(run)] == ["cancelled"]
        with pytest.raises(openai.BadRequestError, match='status "cancelled" do not accept tool outputs'):
            await about.answer(run, [{"tool_call_id": "call_count", "output": "3"}])
        assert (await about.run()).status == "completed"
        assert [message.role for message in model.requests[-1].messages] == ["user"]


async def test_a_model_that_fails_as_it_is_cancelled(tmp_path: Path) -> None:
    """The run is cancelled all the same: it does not stay between the states."""

    class Failing(WaitingModel):
        async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
            try:
                return await super().generate(request, on_delta)
            finally:
                raise RateLimited("slow down")

    async with serving(tmp_path, models={"*": Failing()}) as served, case(served) as about:
        run = await about.speaking()
        await about.runs.cancel(run.id, thread_id=about.thread)
        assert (await about.until(run, "cancelled", "failed")).status == "cancelled"


async def test_what_is_over_cannot_be_cancelled(tmp_path: Path) -> None:
    """In the words that clients look for."""
    async with serving(tmp_path, ["Three."]) as served, case(served) as about:
        run = await about.run()
        with pytest.raises(openai.BadRequestError, match="Cannot cancel run with status 'completed'") as caught:
            await about.runs.cancel(run.id, thread_id=about.thread)
        assert caught.value.response.headers["x-should-retry"] == "false"


async def test_a_watcher_is_told_that_a_run_is_cancelled(tmp_path: Path) -> None:
    """To the end, in the order of the wire."""
    model = WaitingModel()
    async with serving(tmp_path, models={"*": model}) as served, case(served) as about:
        names = []
        async for event in await about.start(stream=True):
            names.append(event.event)
            if event.event == "thread.message.delta":
                runs = (await about.runs.list(about.thread)).data
                await about.runs.cancel(runs[0].id, thread_id=about.thread)
        assert names[-4:] == [
            "thread.run.cancelling",
            "thread.message.incomplete",
            "thread.run.step.cancelled",
            "thread.run.cancelled",
        ]


async def test_a_run_has_its_time_and_no_second_more(tmp_path: Path) -> None:
    """A run that waits may be answered until a second before it expires; from then on it has expired."""
    clock = Clock()
    async with serving(tmp_path, [CALLS, CALLS], clock=clock) as served, case(served, tools=[COUNT]) as about:
        run = await about.run()
        clock.now += 599
        run = await about.answer(run)
        assert run.status == "requires_action"
        outputs = await about.outputs(run)
        clock.now += 1
        with pytest.raises(openai.BadRequestError, match='status "expired" do not accept tool outputs'):
            await about.answer(run, outputs)
        run = await about.runs.retrieve(run.id, thread_id=about.thread)
        assert (run.status, run.expires_at, run.usage.total_tokens) == ("expired", 1_750_000_600, 30)
        assert [step.status for step in await about.steps(run)] == ["completed", "expired"]


async def test_a_run_expires_though_nobody_looks(tmp_path: Path) -> None:
    """The thread is free, and whoever watches is told."""
    clock, model = Clock(), WaitingModel()
    async with serving(tmp_path, models={"*": model}, clock=clock) as served, case(served) as about:
        names = []
        async for event in await about.start(stream=True):
            names.append(event.event)
            if event.event == "thread.message.delta":
                clock.now += 600
        assert names[-3:] == ["thread.message.incomplete", "thread.run.step.expired", "thread.run.expired"]


async def test_a_run_that_goes_on_expires_when_it_is_looked_at(tmp_path: Path) -> None:
    """And ends at once."""
    clock, model = Clock(), WaitingModel()
    async with serving(tmp_path, models={"*": model}, clock=clock) as served, case(served) as about:
        run = await about.speaking()
        clock.now += 600
        assert (await about.runs.retrieve(run.id, thread_id=about.thread)).status == "expired"
        messages = (await about.client.beta.threads.messages.list(about.thread)).data
        assert messages[0].incomplete_details.reason == "run_expired"


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (RateLimited("slow down"), "rate_limit_exceeded", "slow down"),
        (ContextTooLong("too long"), "invalid_prompt", "too long"),
        (AuthFailed("no key"), "server_error", "no key"),
        (ZeroDivisionError("a secret"), "server_error", "The server had an error while processing your request."),
    ],
    ids=["rate", "prompt", "model", "bug"],
)
async def test_a_run_fails_and_says_why(tmp_path: Path, error: Exception, code: str, told: str) -> None:
    """Without what is none of the client's business."""
    async with serving(tmp_path, [error, error, error]) as served, case(served) as about:
        run = await about.run()
        assert (run.status, run.last_error.code, run.failed_at is not None) == ("failed", code, True)
        assert told in run.last_error.message
        assert "secret" not in run.last_error.message
        assert [event.event for event in await about.stream()][-1] == "thread.run.failed"


async def test_a_refusal_is_an_answer(tmp_path: Path) -> None:
    """The run is done; its message says that the model has declined, and how."""
    async with serving(tmp_path, [Refused("No."), Refused("No.")]) as served, case(served) as about:
        run = await about.run()
        assert run.status == "completed"
        [message] = (await about.client.beta.threads.messages.list(about.thread, run_id=run.id)).data
        assert [part.to_dict() for part in message.content] == [{"type": "refusal", "refusal": "No."}]
        deltas = [event.data.delta for event in await about.stream() if event.event == "thread.message.delta"]
        assert [delta.content[0].refusal for delta in deltas] == ["No."]


async def test_a_run_that_is_cut_is_incomplete(tmp_path: Path) -> None:
    """By the limit on one answer: what is there stays."""
    cut = ModelResponse(
        message=AssistantMessage(text="Three and"), finish_reason="length", usage=Usage(output_tokens=9)
    )
    async with serving(tmp_path, [cut, cut]) as served, case(served) as about:
        run = await about.run()
        assert (run.status, run.incomplete_details.reason) == ("incomplete", "max_completion_tokens")
        message = (await about.client.beta.threads.messages.list(about.thread)).data[0]
        assert (message.status, message.incomplete_details.reason) == ("incomplete", "max_tokens")
        assert [event.event for event in await about.stream()][-3:] == [
            "thread.message.incomplete",
            "thread.run.step.completed",
            "thread.run.incomplete",
        ]


@pytest.mark.parametrize("limit", ["max_completion_tokens", "max_prompt_tokens"])
async def test_tokens_are_counted_over_the_whole_run(tmp_path: Path, limit: str) -> None:
    """A round of calls that spends all of them ends it: nobody is asked for what could not be told to the model."""
    spent = Usage(input_tokens=300, output_tokens=300)
    calls = ModelResponse(message=AssistantMessage(tool_calls=(CALLS[0],)), finish_reason="tool_calls", usage=spent)
    async with serving(tmp_path, [calls, "Three."]) as served, case(served, tools=[COUNT]) as about:
        run = await about.run(**{limit: 256})
        assert (run.status, run.incomplete_details.reason) == ("incomplete", limit)
        assert (run.usage.total_tokens, run.required_action) == (600, None)
        [step] = await about.steps(run)
        assert (step.status, [each.id for each in step.step_details.tool_calls]) == ("failed", ["call_count"])


async def test_a_client_that_leaves_does_not_end_the_run(tmp_path: Path) -> None:
    """It polls for the rest."""
    model = WaitingModel()
    async with serving(tmp_path, models={"*": model}) as served, case(served) as about:
        async with httpx.AsyncClient(base_url=served.base_url) as http:
            body = {"assistant_id": about.assistant, "stream": True}
            async with http.stream("POST", f"/threads/{about.thread}/runs", json=body) as answer:
                async for line in answer.aiter_lines():
                    if "thread.message.delta" in line:
                        break
        model.go_on.set()
        [run] = (await about.runs.list(about.thread)).data
        assert (await about.until(run, "completed")).status == "completed"
        assert (await about.said())[-1] == ("assistant", "One two.")


async def test_a_thread_has_one_run_at_a_time(tmp_path: Path) -> None:
    """Of many who want it at once one gets it; the others are told whose it is, and not to try again."""
    model = WaitingModel()
    async with serving(tmp_path, models={"*": model}) as served, case(served) as about:
        made: list[Any] = []
        refused: list[openai.BadRequestError] = []

        async def start(about: Case) -> None:
            try:
                made.append(await about.start())
            except openai.BadRequestError as error:
                refused.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(start, about)
        assert (len(made), len(refused)) == (1, 9)
        for error in refused:
            assert error.body["message"] == f"Thread {about.thread} already has an active run {made[0].id}."
            assert error.response.headers["x-should-retry"] == "false"
        with pytest.raises(openai.BadRequestError) as caught:
            await about.client.beta.threads.messages.create(about.thread, role="user", content="Hello?")
        assert caught.value.body["message"] == (
            f"Can't add messages to {about.thread} while a run {made[0].id} is active."
        )
        model.go_on.set()
        await about.until(made[0], "completed")
        assert (await about.run()).status == "completed"


async def test_outputs_are_taken_once(tmp_path: Path) -> None:
    """Of many who send them at once."""
    async with serving(tmp_path, [CALLS, "Three."]) as served, case(served, tools=[COUNT]) as about:
        run = await about.run()
        outputs, taken, refused = await about.outputs(run), [], []

        async def submit() -> None:
            try:
                taken.append(
                    await about.runs.submit_tool_outputs(run_id=run.id, thread_id=about.thread, tool_outputs=outputs)
                )
            except openai.BadRequestError as error:
                refused.append(error.message)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(submit)
        assert (len(taken), len(refused)) == (1, 9)
        assert all("do not accept tool outputs" in message for message in refused)
        assert (await about.until(run, "completed")).status == "completed"


async def test_a_run_waits_through_a_restart(tmp_path: Path) -> None:
    """Its outputs are taken by the next server."""
    async with serving(tmp_path, [CALLS]) as served, case(served, tools=[COUNT]) as about:
        run, thread = await about.run(), about.thread
    async with serving(tmp_path, ["Three."]) as served, served.client() as client:
        found = await client.beta.threads.runs.retrieve(run.id, thread_id=thread)
        assert found == run
        again = Case(client=client, assistant=run.assistant_id, thread=thread)
        done = await again.answer(found)
        assert (done.status, done.usage.total_tokens) == ("completed", 30)
        assert (await again.said())[-1] == ("assistant", "Three.")


async def test_a_server_that_stops_ends_its_runs(tmp_path: Path) -> None:
    """After the time it grants them; the next server shows what they had said."""
    model = WaitingModel()
    async with serving(tmp_path, models={"*": model}, drain_seconds=0.01) as served, case(served) as about:
        run, thread = await about.speaking(), about.thread
    async with serving(tmp_path) as served, served.client() as client:
        found = await client.beta.threads.runs.retrieve(run.id, thread_id=thread)
        assert found.status == "failed"
        assert found.last_error.to_dict() == {"code": "server_error", "message": "The server was restarted."}
        again = Case(client=client, assistant=run.assistant_id, thread=thread)
        assert (await again.said())[-1] == ("assistant", "One ")


async def test_a_deleted_thread_takes_its_run_with_it(tmp_path: Path) -> None:
    """The run finds nothing to write on, and nobody minds."""
    model = WaitingModel()
    async with serving(tmp_path, models={"*": model}) as served, case(served) as about:
        run = await about.speaking()
        await about.client.beta.threads.delete(about.thread)
        model.go_on.set()
        with pytest.raises(openai.NotFoundError):
            await about.runs.retrieve(run.id, thread_id=about.thread)

"""Runs of assistants: from the queue to their end, polled and streamed, by the official SDK and on the wire."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncAssistantEventHandler
from run_case import Case, case, function
from serving import Clock, Served, serving

from agentkit import AssistantMessage, ToolResult, UserMessage
from agentkit.testing import ScriptedModel, call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]
COUNT, WEIGH = function("count", "sku"), function("weigh", "sku")


async def test_a_polled_run_answers_on_its_thread(tmp_path: Path) -> None:
    """The first program of every guide."""
    async with serving(tmp_path, ["Three."]) as served, case(served, instructions="Be brief.") as about:
        run = await about.run()
        assert (run.status, run.usage.to_dict()) == (
            "completed",
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        )
        assert await about.said() == [("user", "How many A-1 are left?"), ("assistant", "Three.")]
        [step] = await about.steps(run)
        assert (step.type, step.status, step.usage.total_tokens) == ("message_creation", "completed", 15)
        message = await about.client.beta.threads.messages.retrieve(
            step.step_details.message_creation.message_id, thread_id=about.thread
        )
        assert (message.run_id, message.assistant_id, message.status) == (run.id, about.assistant, "completed")


async def test_a_run_in_the_queue_is_shown_with_all_fields(tmp_path: Path) -> None:
    """What the assistant has, what the request says over it, and nothing that is left out."""
    assistant = {"instructions": "Be brief.", "tools": [COUNT], "metadata": {"of": "the assistant"}, "top_p": 0.5}
    async with serving(tmp_path, ["Three."], clock=Clock()) as served, case(served, **assistant) as about:
        async with httpx.AsyncClient(base_url=served.base_url) as http:
            body = {"assistant_id": about.assistant, "additional_instructions": "Count twice.", "temperature": 0.5}
            answer = await http.post(f"/threads/{about.thread}/runs", json={**body, "tool_choice": None})
        assert answer.headers["openai-poll-after-ms"] == "100"
        run = answer.json()
        assert run.pop("id").startswith("run_")
        tools = run.pop("tools")
        assert [tool["function"]["name"] for tool in tools] == ["count"]
        assert run == {
            "object": "thread.run",
            "created_at": 1_750_000_000,
            "thread_id": about.thread,
            "assistant_id": about.assistant,
            "status": "queued",
            "required_action": None,
            "last_error": None,
            "expires_at": 1_750_000_600,
            "started_at": None,
            "cancelled_at": None,
            "failed_at": None,
            "completed_at": None,
            "incomplete_details": None,
            "model": "gpt-4o",
            "instructions": "Be brief.\nCount twice.",
            "temperature": 0.5,
            "top_p": 0.5,
            "response_format": "auto",
            "reasoning_effort": None,
            "metadata": {},
            "usage": None,
            "max_prompt_tokens": None,
            "max_completion_tokens": None,
            "truncation_strategy": {"type": "auto", "last_messages": None},
            "tool_choice": "auto",
            "parallel_tool_calls": True,
        }


TEXT = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
    "done",
]
CALLS = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.run.step.delta",
    "thread.run.step.delta",
    "thread.run.requires_action",
    "done",
]


async def events(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> list[tuple[str, Any]]:
    """The events of an answer, as they are on the wire."""
    answer = await http.post(path, json={**body, "stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n")[:-1]:
        name, _, data = block.removeprefix("event: ").partition("\ndata: ")
        found.append((name, None if data == "[DONE]" else json.loads(data)))
    return found


async def test_the_events_of_a_text(tmp_path: Path) -> None:
    """Their order, what grows from one to the next, and what is stored in the end: all the same."""
    async with serving(tmp_path, ["Three left."]) as served, case(served) as about:
        async with httpx.AsyncClient(base_url=served.base_url) as http:
            body = {"assistant_id": about.assistant}
            told = await events(http, f"/threads/{about.thread}/runs", body)
            assert [name for name, _ in told] == TEXT
            by_name = dict(told)
            assert [data["status"] for name, data in told if name.startswith("thread.run.") and "step" not in name] == [
                "queued",
                "queued",
                "in_progress",
                "completed",
            ]
            assert by_name["thread.message.created"]["content"] == []
            deltas = [data["delta"]["content"][0] for name, data in told if name == "thread.message.delta"]
            assert deltas == [
                {"index": 0, "type": "text", "text": {"value": "Three ", "annotations": []}},
                {"index": 0, "type": "text", "text": {"value": "left."}},
            ]
            run, message = by_name["thread.run.completed"], by_name["thread.message.completed"]
            step = by_name["thread.run.step.completed"]
            path = f"/threads/{about.thread}"
            assert (await http.get(f"{path}/runs/{run['id']}")).json() == run
            assert (await http.get(f"{path}/messages/{message['id']}")).json() == message
            assert (await http.get(f"{path}/runs/{run['id']}/steps/{step['id']}")).json() == step


async def test_the_events_of_calls_and_of_what_follows(tmp_path: Path) -> None:
    """The stream closes where the run waits; the next one begins with the step that is done."""
    script = [[call("count", sku="A-1")], "Three left."]
    async with serving(tmp_path, script) as served, case(served, tools=[COUNT]) as about:
        async with httpx.AsyncClient(base_url=served.base_url) as http:
            path = f"/threads/{about.thread}/runs"
            told = await events(http, path, {"assistant_id": about.assistant})
            assert [name for name, _ in told] == CALLS
            assert told[3][1]["step_details"] == {"type": "tool_calls", "tool_calls": []}
            begun, argued = (told[n][1]["delta"]["step_details"]["tool_calls"][0] for n in (5, 6))
            named = {"name": "count", "arguments": "", "output": None}
            assert begun == {"index": 0, "id": "call_count", "type": "function", "function": named}
            assert argued == {"index": 0, "type": "function", "function": {"arguments": '{"sku":"A-1"}'}}
            run = told[-2][1]
            assert run["required_action"] == {
                "type": "submit_tool_outputs",
                "submit_tool_outputs": {
                    "tool_calls": [
                        {
                            "id": "call_count",
                            "type": "function",
                            "function": {"name": "count", "arguments": '{"sku":"A-1"}'},
                        }
                    ]
                },
            }
            outputs = [{"tool_call_id": "call_count", "output": "3"}]
            then = await events(http, f"{path}/{run['id']}/submit_tool_outputs", {"tool_outputs": outputs})
            assert [name for name, _ in then] == ["thread.run.step.completed", *TEXT[1:]]
            [answered] = then[0][1]["step_details"]["tool_calls"]
            assert answered["function"] == {"name": "count", "arguments": '{"sku":"A-1"}', "output": "3"}
            assert then[0][1]["usage"]["total_tokens"] == 15
            assert then[-2][1]["usage"]["total_tokens"] == 30


async def test_a_thread_is_made_with_its_run(tmp_path: Path) -> None:
    """In one request; `/threads/runs` is no thread."""
    async with serving(tmp_path, ["Three left.", "Two."]) as served, case(served) as about:
        async with httpx.AsyncClient(base_url=served.base_url) as http:
            thread = {"messages": [{"role": "user", "content": "And B-2?"}], "metadata": {"a": "b"}}
            told = await events(http, "/threads/runs", {"assistant_id": about.assistant, "thread": thread})
            assert [name for name, _ in told] == ["thread.created", *TEXT]
            assert told[0][1]["metadata"] == {"a": "b"}
        run = await about.client.beta.threads.create_and_run_poll(assistant_id=about.assistant, thread=thread)
        assert run.status == "completed"


class Handler(AsyncAssistantEventHandler):
    """Notes what the SDK makes of the events."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.arguments: dict[str, str] = {}
        self.is_ended = False

    async def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value
        assert snapshot.value == self.text

    async def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        self.arguments[snapshot.function.name] = snapshot.function.arguments

    async def on_end(self) -> None:
        self.is_ended = True


async def test_parallel_calls_by_the_sdks_own_helpers(tmp_path: Path) -> None:
    """Two calls of one answer are one step, and both are answered at once."""
    script = [[call("count", sku="A-1"), call("weigh", sku="A-1")], "Three, 2 kg."]
    async with serving(tmp_path, script) as served, case(served, tools=[COUNT, WEIGH]) as about:
        first, second = Handler(), Handler()
        asked = {"thread_id": about.thread, "assistant_id": about.assistant}
        async with about.runs.stream(**asked, event_handler=first) as stream:
            await stream.until_done()
        run = first.current_run
        assert run.status == "requires_action"
        assert first.arguments == {"count": '{"sku":"A-1"}', "weigh": '{"sku":"A-1"}'}
        given = {"thread_id": about.thread, "run_id": run.id, "tool_outputs": await about.outputs(run)}
        async with about.runs.submit_tool_outputs_stream(**given, event_handler=second) as stream:
            await stream.until_done()
        assert (second.text, second.is_ended) == ("Three, 2 kg.", True)
        calls, words = await about.steps(run)
        assert [each.function.output for each in calls.step_details.tool_calls] == ["count is done", "weigh is done"]
        assert (calls.status, words.type) == ("completed", "message_creation")


async def test_three_rounds_of_calls(tmp_path: Path) -> None:
    """Each round is a step; the model knows all of them, and so does the next run."""
    model = ScriptedModel([*[[call("count", sku=sku)] for sku in "abc"], "Six.", "Six, I said."])
    async with serving(tmp_path, models={"*": model}) as served, case(served, tools=[COUNT]) as about:
        run = await about.run()
        for _ in range(3):
            assert run.status == "requires_action"
            run = await about.answer(run)
        assert (run.status, run.usage.total_tokens) == ("completed", 60)
        assert [step.type for step in await about.steps(run)] == ["tool_calls"] * 3 + ["message_creation"]
        await about.client.beta.threads.messages.create(about.thread, role="user", content="Sorry?")
        assert (await about.run()).status == "completed"
        told = [type(message) for message in model.requests[-1].messages]
        assert told == [UserMessage, *[AssistantMessage, ToolResult] * 3, AssistantMessage, UserMessage]


async def test_words_before_calls_are_a_step_of_their_own(tmp_path: Path) -> None:
    """The message is done before the calls are told of; to the model they stay one answer."""
    both = AssistantMessage(text="Let me look.", tool_calls=(call("count", sku="A-1"),))
    model = ScriptedModel([both, "Three.", "Bye."])
    async with serving(tmp_path, models={"*": model}) as served, case(served, tools=[COUNT]) as about:
        run = await about.run()
        words, calls = await about.steps(run)
        assert (words.status, words.usage.total_tokens, calls.status) == ("completed", 0, "in_progress")
        await about.answer(run)
        assert [text for _, text in await about.said()][1:] == ["Let me look.", "Three."]
        await about.run()
        spoken = model.requests[-1].messages[1]
        assert isinstance(spoken, AssistantMessage)
        assert (spoken.text, spoken.tool_calls) == (both.text, both.tool_calls)


async def asked_with(served: Served, about: Case, model: ScriptedModel, **settings: Any) -> Any:
    """What the model is asked in a run with these settings."""
    assert (await about.run(**settings)).status == "completed"
    return model.requests[-1]


async def test_what_a_run_is_told_reaches_the_model(tmp_path: Path) -> None:
    """Settings of the assistant, and those of the run over them."""
    model = ScriptedModel(['{"left": 3}'] * 8)
    assistant: dict[str, Any] = {"instructions": "Be brief.", "temperature": 0.5, "tools": [COUNT]}
    async with serving(tmp_path, models={"*": model}) as served, case(served, **assistant) as about:
        plain = await asked_with(served, about, model)
        assert (plain.instructions, plain.settings.temperature, plain.settings.top_p) == ("Be brief.", 0.5, None)
        assert (plain.settings.tool_choice, plain.settings.parallel_tool_calls) == (None, None)
        told = await asked_with(
            served,
            about,
            model,
            instructions="Be long.",
            additional_instructions="And kind.",
            additional_messages=[{"role": "user", "content": "Please."}],
            temperature=1,
            top_p=0.1,
            reasoning_effort="low",
            tool_choice="none",
            parallel_tool_calls=False,
            tools=[WEIGH],
            truncation_strategy={"type": "last_messages", "last_messages": 1},
        )
        assert told.instructions == "Be long.\nAnd kind."
        assert [message.text for message in told.messages] == ["Please."]
        assert [tool.name for tool in told.tools] == ["weigh"]
        sampled = told.settings
        assert (sampled.temperature, sampled.top_p, sampled.reasoning_effort) == (None, 0.1, "low")
        assert (sampled.tool_choice, sampled.parallel_tool_calls) == ("none", False)
        chosen = await asked_with(served, about, model, tool_choice={"type": "function", "function": {"name": "count"}})
        assert chosen.settings.tool_choice == "count"
        schema = {"type": "object", "properties": {"left": {"type": "integer"}}, "required": ["left"]}
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        formed = await asked_with(served, about, model, response_format=form)
        assert formed.output.schema["properties"] == schema["properties"]
        loose = await asked_with(served, about, model, response_format={"type": "json_object"})
        assert loose.settings.extra == {"response_format": {"type": "json_object"}}


async def test_a_model_that_must_call_may_answer_once_it_has(tmp_path: Path) -> None:
    """Else it would call for ever."""
    model = ScriptedModel([[call("count", sku="A-1")], "Three."])
    async with serving(tmp_path, models={"*": model}) as served, case(served, tools=[COUNT]) as about:
        run = await about.run(tool_choice="required")
        await about.answer(run)
        assert [each.settings.tool_choice for each in model.requests] == ["required", None]


async def test_only_the_metadata_of_a_run_changes(tmp_path: Path) -> None:
    """Also while it goes on: what happens then does not take it back."""
    async with (
        serving(tmp_path, [[call("count", sku="A-1")], "Three."]) as served,
        case(served, tools=[COUNT]) as about,
    ):
        run = await about.run()
        changed = await about.runs.update(run.id, thread_id=about.thread, metadata={"a": "b"})
        assert changed.to_dict() == {**run.to_dict(), "metadata": {"a": "b"}}
        done = await about.answer(run)
        assert (done.status, done.metadata) == ("completed", {"a": "b"})


async def test_outputs_must_be_those_of_all_calls(tmp_path: Path) -> None:
    """Some, unknown ones, one twice: refused in the words that clients look for, and the run waits on."""
    script = [[call("count", sku="A-1"), call("weigh", sku="A-1")], "Three."]
    async with serving(tmp_path, script) as served, case(served, tools=[COUNT, WEIGH]) as about:
        run = await about.run()
        one, two = await about.outputs(run)
        other = {"tool_call_id": "call_x", "output": "3"}
        for given in ([one], [one, other], [one, one], [one, two, other], [one, two, two], []):
            with pytest.raises(openai.BadRequestError) as caught:
                await about.runs.submit_tool_outputs(run.id, thread_id=about.thread, tool_outputs=given)
            got = [each["tool_call_id"] for each in given]
            assert caught.value.body == {
                "message": f"Expected tool outputs for call_ids ['call_count', 'call_weigh'], got {got}",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        done = await about.answer(run, [two, one])
        assert done.status == "completed"
        with pytest.raises(openai.BadRequestError, match='status "completed" do not accept tool outputs'):
            await about.runs.submit_tool_outputs(run.id, thread_id=about.thread, tool_outputs=[one, two])


async def test_runs_and_steps_are_found_where_they_are_only(tmp_path: Path) -> None:
    """No id opens another thread's run, and a list has all of its own."""
    async with serving(tmp_path, ["One.", "Two."]) as served, case(served) as about, case(served) as other:
        runs = [await about.run(), await about.run()]
        assert [run.id async for run in about.runs.list(about.thread, limit=1)] == [run.id for run in runs[::-1]]
        assert (await other.runs.list(other.thread)).data == []
        [step] = await about.steps(runs[0])
        for asked in (
            other.runs.retrieve(runs[0].id, thread_id=other.thread),
            other.runs.cancel(runs[0].id, thread_id=other.thread),
            other.runs.update(runs[0].id, thread_id=other.thread, metadata={}),
            other.runs.steps.list(runs[0].id, thread_id=other.thread),
            other.runs.submit_tool_outputs(runs[0].id, thread_id=other.thread, tool_outputs=[]),
        ):
            with pytest.raises(openai.NotFoundError, match=f"No run found with id '{runs[0].id}'."):
                await asked
        with pytest.raises(openai.NotFoundError, match=f"No run step found with id '{step.id}'."):
            await about.runs.steps.retrieve(step.id, thread_id=about.thread, run_id=runs[1].id)
        with pytest.raises(openai.NotFoundError, match="No thread found with id 'thread_x'"):
            await about.runs.list("thread_x")
        with pytest.raises(openai.NotFoundError, match="No assistant found with id 'asst_x'"):
            await about.runs.create(about.thread, assistant_id="asst_x")

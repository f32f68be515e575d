"""`AssistantsServer`: a scripted model behind the Assistants wire, seen by clients that know nothing of us."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import anyio
import httpx2
import openai
import pytest
from assistants_client import (
    FUNCTION,
    HEADERS,
    answered,
    get,
    http,
    look,
    outputs,
    post,
    run_path,
    short,
    start,
    stream,
    texts,
    units_left,
)

from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage, Citation, HostedCall, SearchHit, ToolCall, Usage
from agentkit.testing import AssistantsServer, ChatServer, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:deprecated|The Assistants API:DeprecationWarning")]

TEXT_RUN = ["run.created", "run.queued", "run.in_progress"]
MESSAGE = ["message.created", "message.in_progress", "message.delta", "message.completed"]
MESSAGE_STEP = ["run.step.created", "run.step.in_progress", *MESSAGE, "run.step.completed"]
CALLS_STEP = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.requires_action"]
AGAIN = ["run.step.completed", "run.queued", "run.in_progress"]
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # on trio the SDK leaves generators to the collector


def sdk(server: AssistantsServer) -> openai.AsyncOpenAI:
    """The SDK, which looks at every field of every answer."""
    return openai.AsyncOpenAI(base_url=server.base_url, api_key="test", _strict_response_validation=True)


async def test_a_run_goes_from_the_queue_to_the_text() -> None:
    """A run that is not streamed is queued, then seen in progress, then done; its text is a message of the thread."""
    async with AssistantsServer(["Three left."]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        run = await post(client, f"{path}/runs", assistant_id=assistant)
        seen = [run, await get(client, run_path(run)), await get(client, run_path(run))]
        messages = await get(client, f"{path}/messages", run_id=run["id"])
    assert [run["status"] for run in seen] == ["queued", "in_progress", "completed"]
    assert [run["usage"] is None for run in seen] == [True, True, False]
    assert texts(messages["data"]) == ["Three left."]
    assert server.messages(run["thread_id"])[1] == messages["data"][0]


async def test_a_stream_of_text_has_the_events_of_the_specification() -> None:
    """Each event is there, in its place; deltas add up to the message, and the usage comes with the ends."""
    async with AssistantsServer(["Grüße 🎉: three left of A-1."]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        events = await stream(client, f"{path}/runs", assistant_id=assistant)
    assert short(events) == [*TEXT_RUN, *MESSAGE_STEP, "run.completed"]
    assert [event.data["status"] for event in events[:3]] == ["queued", "queued", "in_progress"]
    data = {event.name: event.data for event in events}
    assert data["thread.message.created"]["content"] == []
    deltas = [event.data["delta"]["content"][0] for event in events if event.name == "thread.message.delta"]
    assert len(deltas) > 2
    said = "".join(delta["text"]["value"] for delta in deltas)
    assert data["thread.message.completed"]["content"] == [{"type": "text", "text": {"value": said, "annotations": []}}]
    assert said == "Grüße 🎉: three left of A-1."
    assert data["thread.run.step.completed"]["usage"] == data["thread.run.completed"]["usage"]
    assert data["thread.run.step.created"]["usage"] is None
    assert data["thread.run.step.completed"]["step_details"]["message_creation"] == {
        "message_id": data["thread.message.created"]["id"]
    }


async def test_a_stream_of_calls_closes_where_they_are_to_be_answered() -> None:
    """All calls of a turn are one step: empty first, then name by name and piece by piece; the outputs fill it."""
    script = [[units_left("A-1"), units_left("B-2")], [units_left("C-3")], "Done."]
    async with AssistantsServer(script) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        first = await stream(client, f"{path}/runs", assistant_id=assistant)
        run = first[-1].data
        second = await stream(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run))
        run = second[-1].data
        third = await stream(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run))
    assert short(first) == [*TEXT_RUN, *CALLS_STEP]
    assert short(second) == [*AGAIN, *CALLS_STEP]
    assert short(third) == [*AGAIN, *MESSAGE_STEP, "run.completed"]
    created = next(event.data for event in first if event.name == "thread.run.step.created")
    assert created["step_details"] == {"type": "tool_calls", "tool_calls": []}
    deltas = [event.data["delta"]["step_details"]["tool_calls"][0] for event in first if event.name.endswith("delta")]
    function = {"name": "units_left", "arguments": "", "output": None}
    assert deltas[0] == {"index": 0, "id": "call_units_left", "type": "function", "function": function}
    assert "".join(delta["function"]["arguments"] for delta in deltas if delta["index"] == 1) == '{"sku": "B-2"}'
    action = first[-1].data["required_action"]
    assert action["type"] == "submit_tool_outputs"
    assert [call["id"] for call in action["submit_tool_outputs"]["tool_calls"]] == [
        "call_units_left",
        "call_units_left_2",
    ]
    step = second[0].data
    assert [call["function"]["output"] for call in step["step_details"]["tool_calls"]] == ["3", "3"]
    usages = [step["usage"] for step in server.steps(run["id"])]
    assert len(usages) == 3
    assert third[-1].data["usage"]["total_tokens"] == sum(usage["total_tokens"] for usage in usages)
    assert first[-1].data["usage"] is None


async def test_calls_are_answered_by_polling_too() -> None:
    """The same run without a stream; what a call's output was can be read from its step."""
    async with AssistantsServer([[units_left("A-1")], "Done."]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
        assert run["status"] == "requires_action"
        queued = await answered(client, run, "7")
        assert (queued["status"], queued["required_action"]) == ("queued", None)
        done = await look(client, run_path(run))
        steps = await get(client, f"{run_path(run)}/steps", order="asc")
        step = await get(client, f"{run_path(run)}/steps/{steps['first_id']}")
    assert done["status"] == "completed"
    assert step["step_details"]["tool_calls"][0]["function"]["output"] == "7"
    assert [step["type"] for step in steps["data"]] == ["tool_calls", "message_creation"]


async def test_text_and_calls_of_one_turn_are_two_steps() -> None:
    """The words are a message that is completed first; the turn's usage is charged to the last step."""
    message = AssistantMessage(
        text="Let me see.", tool_calls=(ToolCall(id="call_9", name="units_left", arguments="{}"),)
    )
    async with AssistantsServer([message, "Three."]) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        events = await stream(client, f"{path}/runs", assistant_id=assistant)
        run = events[-1].data
        await stream(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run))
    assert short(events) == [*TEXT_RUN, *MESSAGE_STEP, *CALLS_STEP]
    assert run["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"] == "call_9"
    first, second, third = server.steps(run["id"])
    assert first["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert second["usage"]["completion_tokens"] > 0
    assert third["type"] == "message_creation"


async def test_a_thread_can_be_created_together_with_its_run() -> None:
    """POST /threads/runs is not a thread called 'runs', and its stream begins with the thread."""
    async with AssistantsServer(["Hi.", "Hi."]) as server, http(server) as client:
        assistant = await post(client, "/assistants", model="m")
        thread = {"messages": [{"role": "user", "content": "Hello?"}], "metadata": {"a": "b"}}
        events = await stream(client, "/threads/runs", assistant_id=assistant["id"], thread=thread)
        run = await post(client, "/threads/runs", assistant_id=assistant["id"], thread=thread)
    assert short(events) == ["created", *TEXT_RUN, *MESSAGE_STEP, "run.completed"]
    assert events[0].data["object"] == "thread"
    assert events[0].data["metadata"] == {"a": "b"}
    assert run["status"] == "queued"
    assert [message["role"] for message in server.messages(run["thread_id"])] == ["user"]


async def test_the_model_is_asked_as_a_chat_model_would_be() -> None:
    """One function serves both servers: earlier runs' calls and outputs are in the conversation, in the chat form."""
    asked: list[dict[str, Any]] = []
    replies = iter([[units_left("A-1"), units_left("B-2")], "Three.", "None."])

    def script(body: dict[str, Any]) -> Any:
        asked.append(body)
        return next(replies)

    async with AssistantsServer(script) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?", instructions="Be brief.", temperature=0.5)
        run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
        await post(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run)[::-1])
        await look(client, run_path(run))
        image = [{"type": "text", "text": "And this?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
        more = [{"role": "assistant", "content": "Hm."}, {"role": "user", "content": image}]
        override = {"instructions": "Be kind.", "additional_instructions": "Be quick.", "model": "n", "tools": []}
        body = {"assistant_id": assistant, "additional_messages": more, **override}
        await look(client, run_path(await post(client, f"{path}/runs", **body)))
    calls = [
        {"id": id, "type": "function", "function": {"name": "units_left", "arguments": json.dumps({"sku": sku})}}
        for id, sku in (("call_units_left", "A-1"), ("call_units_left_2", "B-2"))
    ]
    said: list[Any] = [
        {"role": "user", "content": "Any A-1?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_units_left", "content": "3"},
        {"role": "tool", "tool_call_id": "call_units_left_2", "content": "3"},
    ]
    assert asked[0]["messages"] == [{"role": "system", "content": "Be brief."}, said[0]]
    assert asked[0]["tools"] == [FUNCTION]
    assert (asked[0]["model"], asked[0]["temperature"]) == ("m", 0.5)
    assert (asked[0]["thread_id"], asked[0]["assistant_id"]) == (run["thread_id"], assistant)
    assert asked[1]["messages"][1:] == said
    assert asked[2]["messages"] == [
        {"role": "system", "content": "Be kind.\nBe quick."},
        *said,
        {"role": "assistant", "content": "Three."},
        *({"role": message["role"], "content": message["content"]} for message in more),
    ]
    assert asked[2]["model"] == "n"
    assert "tools" not in asked[2]


async def test_usage_is_counted_as_by_the_chat_server() -> None:
    """The same script and the same words cost the same on either wire, turn by turn."""
    script = [[units_left("A-1"), units_left("B-2")], AssistantMessage(text="Three.", reasoning="Hm, hm.")]
    async with AssistantsServer(script) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?", instructions="Be brief.")
        run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
        await answered(client, run)
        await look(client, run_path(run))
    usages = []
    async with ChatServer(script) as chat, httpx2.AsyncClient(base_url=chat.base_url, headers=HEADERS) as client:
        said: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Any A-1?"}]
        for _ in range(2):
            answer = await post(client, "/chat/completions", model="m", messages=said, tools=[FUNCTION])
            usages.append(
                {name: answer["usage"][name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
            )
            calls = answer["choices"][0]["message"].get("tool_calls", [])
            said.append({"role": "assistant", "content": None, "tool_calls": calls})
            said += [{"role": "tool", "tool_call_id": call["id"], "content": "3"} for call in calls]
    assert [step["usage"] for step in server.steps(run["id"])] == usages


async def test_a_reply_may_say_what_it_used() -> None:
    """The usage of a reply is its step's; the run's is their sum, as far as it is known."""
    known, unknown = Usage(input_tokens=100, output_tokens=7), Usage()
    script = [Reply(message=[units_left("A")], usage=known), Reply(message="A", usage=unknown), Reply(usage=unknown)]
    async with AssistantsServer(script) as server, http(server) as client:
        path, assistant = await start(client, "Any A-1?")
        run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
        await answered(client, run)
        done = await look(client, run_path(run))
        empty = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
    assert [step["usage"] for step in server.steps(run["id"])] == [done["usage"], None]
    assert done["usage"] == {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
    assert (empty["status"], empty["usage"]) == ("completed", None)


@ON_ASYNCIO
@pytest.mark.parametrize(
    "message",
    [
        AssistantMessage(text="Three left of A-1, and none of B-2. 🎉"),
        AssistantMessage(refusal="I will not say that."),
        AssistantMessage(),
        AssistantMessage(text="A plot.", files=("file-1", "file-2")),
    ],
    ids=["text", "refusal", "empty", "pictures"],
)
async def test_the_sdks_stream_helper_sees_the_whole_message(message: AssistantMessage) -> None:
    """The SDK's accumulator comes to the message that the server keeps, and raises at nothing on its way."""
    async with AssistantsServer([message]) as server, sdk(server) as client:
        assistant = await client.beta.assistants.create(model="m")
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "Hello?"}])
        async with client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as events:
            heard = "".join([text async for text in events.text_deltas])
        final, run = await events.get_final_messages(), await events.get_final_run()
        kept = await client.beta.threads.messages.retrieve(final[0].id, thread_id=thread.id)
    assert heard == message.text
    assert run.status == "completed"
    assert [part.model_dump(exclude_none=True) for part in final[0].content] == server.messages(thread.id)[1]["content"]
    assert kept.content == final[0].content


@ON_ASYNCIO
async def test_the_sdk_runs_tools_with_and_without_its_helpers() -> None:
    """The old guide's program works: create, poll, submit, list; every object passes the SDK's strict validation."""
    script = [[units_left("A-1")], "Three.", [units_left("B-2")], "None."]
    async with AssistantsServer(script) as server, sdk(server) as client:
        assistant = await client.beta.assistants.create(model="m", tools=[FUNCTION], name="clerk")  # type: ignore[list-item]
        thread = await client.beta.threads.create()
        await client.beta.threads.messages.create(thread.id, role="user", content="Any A-1?")
        runs = client.beta.threads.runs
        run = await runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id)
        assert run.required_action is not None
        calls = run.required_action.submit_tool_outputs.tool_calls
        given: Any = [{"tool_call_id": call.id, "output": "3"} for call in calls]
        run = await runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=thread.id, tool_outputs=given)
        assert run.status == "completed"
        async with runs.stream(thread_id=thread.id, assistant_id=assistant.id) as events:
            waiting = await events.get_final_run()
            [step] = await events.get_final_run_steps()
        assert step.step_details.type == "tool_calls"
        [call] = step.step_details.tool_calls
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("units_left", '{"sku": "B-2"}')
        given = [{"tool_call_id": call.id, "output": "0"}]
        async with runs.submit_tool_outputs_stream(
            run_id=waiting.id, thread_id=thread.id, tool_outputs=given
        ) as events:
            await events.until_done()
        said = [message async for message in client.beta.threads.messages.list(thread.id, order="asc", limit=1)]
        steps = [step async for step in runs.steps.list(waiting.id, thread_id=thread.id)]
        listed = [run.id async for run in runs.list(thread.id)]
        assert await client.beta.assistants.retrieve(assistant.id) == assistant
    assert [part.text.value for message in said for part in message.content if part.type == "text"] == [
        "Any A-1?",
        "Three.",
        "None.",
    ]
    assert [step.type for step in steps] == ["message_creation", "tool_calls"]
    assert listed == [waiting.id, run.id]


async def test_hosted_tools_and_citations_are_on_the_wire() -> None:
    """Steps of the server's own tools come before the message, whose annotations point at the right characters."""
    text = "🎉 Three【4:0†source】, see sandbox:/mnt/data/a.csv."
    start_, file_start = text.index("【"), text.index("sandbox")
    message = AssistantMessage(
        text=text,
        citations=(
            Citation(file_id="file-1", start=start_, end=text.index("】") + 1),
            Citation(file_id="file-2", start=file_start, end=len(text) - 1, marker="sandbox:/mnt/data/a.csv"),
        ),
        hosted_calls=(
            HostedCall(id="call_c", tool="code_interpreter", input="print(1 + 2)", output="3\n", files=("file-3",)),
            HostedCall(
                id="call_s", tool="file_search", hits=(SearchHit(file_id="file-1", filename="a", score=0.5, text="T"),)
            ),
        ),
    )
    include = "include[]=step_details.tool_calls[*].file_search.results[*].content"
    async with AssistantsServer([message]) as server, http(server) as client:
        path, assistant = await start(client, "Any?", tools=[{"type": "code_interpreter"}, {"type": "file_search"}])
        events = await stream(client, f"{path}/runs", assistant_id=assistant)
        run = events[-1].data
        plain = await get(client, f"{run_path(run)}/steps", order="asc")
        whole = (await client.get(f"{run_path(run)}/steps?order=asc&{include}")).json()
    hosted = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.step.completed"]
    assert short(events) == [*TEXT_RUN, *hosted, *hosted, *MESSAGE_STEP, "run.completed"]
    [part] = next(event.data["content"] for event in events if event.name == "thread.message.completed")
    assert part["text"]["value"] == text
    assert [(a["type"], text[a["start_index"] : a["end_index"]], a["text"]) for a in part["text"]["annotations"]] == [
        ("file_citation", "【4:0†source】", "【4:0†source】"),
        ("file_path", "sandbox:/mnt/data/a.csv", "sandbox:/mnt/data/a.csv"),
    ]
    code, search = (step["step_details"]["tool_calls"][0] for step in plain["data"][:2])
    assert code["code_interpreter"]["input"] == "print(1 + 2)"
    assert [output["type"] for output in code["code_interpreter"]["outputs"]] == ["logs", "image"]
    assert search["file_search"]["results"] == [{"file_id": "file-1", "file_name": "a", "score": 0.5}]
    shown = whole["data"][1]["step_details"]["tool_calls"][0]["file_search"]["results"][0]
    assert shown["content"] == [{"type": "text", "text": "T"}]


async def test_assistants_are_kept_changed_and_deleted() -> None:
    """What is not named in a change stays; metadata is replaced as a whole."""
    async with AssistantsServer([]) as server, http(server) as client:
        made = await post(client, "/assistants", model="m", name="clerk", metadata={"a": "1"}, tools=[FUNCTION])
        changed = await post(
            client, f"/assistants/{made['id']}", instructions="Be brief.", metadata={"b": "2"}, tools=[]
        )
        assert server.assistants == [changed]
        gone = (await client.delete(f"/assistants/{made['id']}")).json()
        missing = await client.get(f"/assistants/{made['id']}")
    assert changed == {**made, "instructions": "Be brief.", "metadata": {"b": "2"}, "tools": []}
    assert gone == {"id": made["id"], "object": "assistant.deleted", "deleted": True}
    assert missing.status_code == 404
    assert missing.json()["error"]["message"] == f"No assistant found with id '{made['id']}'."


async def test_threads_and_messages_are_kept_changed_and_deleted() -> None:
    """A message that was taken back is not told to the model; a deleted thread is nowhere."""
    asked: list[Any] = []

    def script(body: Mapping[str, Any]) -> Any:
        asked.append(body["messages"])
        return [units_left("A")] if len(asked) == 2 else AssistantMessage(text="Hi.")

    async with AssistantsServer(script) as server, http(server) as client:
        path, assistant = await start(client, "One", "Two")
        thread = await post(client, path, metadata={"a": "1"})
        assert thread["metadata"] == {"a": "1"}
        assert thread == await get(client, path) == server.threads[0]
        first, second = server.messages(thread["id"])
        marked = await post(client, f"{path}/messages/{second['id']}", metadata={"b": "2"})
        assert marked == {**second, "metadata": {"b": "2"}}
        gone = (await client.delete(f"{path}/messages/{first['id']}")).json()
        assert gone == {"id": first["id"], "object": "thread.message.deleted", "deleted": True}
        run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
        noted = await post(client, run_path(run), metadata={"c": "3"})
        assert noted == {**run, "metadata": {"c": "3"}}
        gone = (await client.delete(path)).json()
        assert gone == {"id": thread["id"], "object": "thread.deleted", "deleted": True}
        left = [await client.get(f"{path}{end}") for end in ("", "/messages", "/runs")]
    assert asked == [[{"role": "user", "content": "Two"}]]
    assert [response.status_code for response in left] == [404, 404, 404]
    assert left[0].json()["error"]["message"] == f"No thread found with id '{thread['id']}'."


async def test_words_that_were_taken_back_leave_their_calls() -> None:
    """The outputs of calls stay in the conversation, and so the calls must, without the words said with them."""
    asked: list[Any] = []
    both = AssistantMessage(text="Let me see.", tool_calls=(units_left("A"),))

    def script(body: Mapping[str, Any]) -> Any:
        asked.append(body["messages"])
        return both if len(asked) == 1 else "Hi."

    async with AssistantsServer(script) as server, http(server) as client:
        path, assistant = await start(client, "One")
        run = await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
        await answered(client, run)
        await look(client, run_path(run))
        words = server.messages(run["thread_id"])[1]
        await client.delete(f"{path}/messages/{words['id']}")
        await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
    assert [message["content"] for message in asked[1]] == ["One", "Let me see.", "3"]
    assert [message["content"] for message in asked[2]] == ["One", None, "3", "Hi."]


async def upload(client: httpx2.AsyncClient, text: str) -> str:
    form: Any = {"file": ("a.txt", text.encode())}
    response = await client.post("/files", files=form, data={"purpose": "assistants"})
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


async def test_files_of_messages_go_to_the_tools_of_their_thread() -> None:
    """The first one to be searched makes the thread a vector store, which the next one goes to as well."""
    async with AssistantsServer(["Hi."]) as server, http(server) as client:
        one, two, code = [await upload(client, text) for text in ("One", "Two", "x = 1")]
        search, run_it = {"type": "file_search"}, {"type": "code_interpreter"}
        first = {"role": "user", "content": "Look.", "attachments": [{"file_id": one, "tools": [search]}]}
        thread = await post(client, "/threads", messages=[first])
        path = f"/threads/{thread['id']}"
        both = [{"file_id": two, "tools": [search]}, {"file_id": code, "tools": [run_it]}]
        message = await post(client, f"{path}/messages", role="user", content="And these.", attachments=both)
        resources = (await get(client, path))["tool_resources"]
        [store] = resources["file_search"]["vector_store_ids"]
        made = await get(client, f"/vector_stores/{store}")
    assert message["attachments"] == both
    assert thread["tool_resources"] == {"file_search": {"vector_store_ids": [store]}}
    assert resources["code_interpreter"] == {"file_ids": [code]}
    assert made["expires_after"] == {"anchor": "last_active_at", "days": 7}
    assert made["file_counts"]["total"] == 2


async def test_an_assistants_vector_store_is_made_with_it_or_must_be_there() -> None:
    """The answer has its id; files and stores that nobody knows are refused, and nothing is made."""
    async with AssistantsServer([]) as server, http(server) as client:
        wanted = {"file_search": {"vector_stores": [{"file_ids": [await upload(client, "One")]}]}}
        made = await post(client, "/assistants", model="m", tool_resources=wanted)
        changed = await post(client, f"/assistants/{made['id']}", tool_resources=made["tool_resources"])
        answers = [
            await client.post("/assistants", json={"model": "m", "tool_resources": resources})
            for resources in (
                {"file_search": {"vector_store_ids": ["vs_x"]}},
                {"code_interpreter": {"file_ids": ["file-x"]}},
                {"file_search": {"vector_stores": [{"file_ids": ["file-x"]}]}},
            )
        ]
        picture = [{"type": "image_file", "image_file": {"file_id": "file-x"}}]
        answers.append(await client.post("/threads", json={"messages": [{"role": "user", "content": picture}]}))
        attached = {
            "role": "user",
            "content": "x",
            "attachments": [{"file_id": "file-x", "tools": [{"type": "file_search"}]}],
        }
        answers.append(await client.post("/threads", json={"messages": [attached]}))
    assert list(made["tool_resources"]["file_search"]) == ["vector_store_ids"]
    assert changed["tool_resources"] == made["tool_resources"]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert answers[0].json()["error"]["message"] == "No vector store found with id 'vs_x'."
    assert answers[1].json()["error"]["message"] == "No such File object: file-x"
    assert (len(server.assistants), server.threads) == (1, [])


async def test_a_test_may_put_a_file_on_the_server() -> None:
    """As if the code interpreter had written it: the client finds it under the id that the answer names."""
    async with AssistantsServer([]) as server, http(server) as client:
        plot = server.files.add_file("plot.png", b"\x89PNG")
        assert (await client.get(f"/files/{plot['id']}/content")).content == b"\x89PNG"


async def test_an_async_script_may_wait_for_other_threads() -> None:
    """Fifty runs are with the model at the same time, and each gets its own answer."""
    asked: list[Any] = []
    all_here = anyio.Event()
    said: dict[int, list[str]] = {}

    async def script(body: Mapping[str, Any]) -> str:
        asked.append(body)
        if len(asked) == 50:
            all_here.set()
        await all_here.wait()
        return f"You said {body['messages'][0]['content']}"

    async def talk(n: int) -> None:
        async with http(server, timeout=30) as client:
            path, assistant = await start(client, f"I am {n}")
            if n % 2:
                await stream(client, f"{path}/runs", assistant_id=assistant)
            else:
                await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant)))
            said[n] = texts((await get(client, f"{path}/messages", order="asc"))["data"])

    with anyio.fail_after(30):
        async with AssistantsServer(script) as server, anyio.create_task_group() as tasks:
            for n in range(50):
                tasks.start_soon(talk, n)
    assert said == {n: [f"I am {n}", f"You said I am {n}"] for n in range(50)}


async def test_a_script_that_raises_fails_the_run_and_the_test() -> None:
    """An assertion in a script is not lost in the failure that the client sees: leaving the block raises it."""
    runs = []

    def script(body: Mapping[str, Any]) -> str:
        raise AssertionError("the model was asked for 'm'")

    async def async_script(body: Mapping[str, Any]) -> str:
        return script(body)

    async def use(chosen: Any) -> None:
        async with AssistantsServer(chosen) as server, http(server) as client:
            path, assistant = await start(client, "Hello?")
            runs.append(await look(client, run_path(await post(client, f"{path}/runs", assistant_id=assistant))))

    for chosen in (script, async_script):
        with pytest.raises(AssertionError, match="asked for 'm'"):
            await use(chosen)
    with pytest.raises(ConfigError, match="cannot say"):
        await use(lambda body: 3)
    assert [run["status"] for run in runs] == ["failed"] * 3
    assert "asked for 'm'" in runs[0]["last_error"]["message"]


async def test_the_models_are_listed_and_other_paths_are_unknown() -> None:
    """What every client of OpenAI may ask first, and what nobody should ask."""
    async with AssistantsServer([]) as server, http(server) as client:
        assert (await get(client, "/models"))["data"][0]["id"] == "scripted"
        assert (await get(client, "/models/m"))["id"] == "m"
        unknown, method = await client.get("/threads"), await client.put("/threads")
        elsewhere = await client.get(f"{server.url}/v2/threads")
    assert (unknown.status_code, method.status_code, elsewhere.status_code) == (405, 405, 404)
    assert elsewhere.json()["error"]["code"] == "unknown_url"
    assert [request.number for request in server.requests] == [1, 2, 3, 4, 5]
    assert server.requests[3].method == "PUT"


async def test_all_requests_are_kept_for_the_test_to_look_at() -> None:
    """Path, query, body and headers, in the order in which they came."""
    async with AssistantsServer([]) as server, http(server) as client:
        path, _ = await start(client)
        await get(client, f"{path}/messages", limit=3, order="asc")
    created, listed = server.requests[1:]
    assert (created.method, created.path, created.body) == ("POST", "/threads", {"messages": []})
    assert (listed.path, listed.query, listed.body) == (f"{path}/messages", {"limit": "3", "order": "asc"}, None)
    assert listed.headers["openai-beta"] == "assistants=v2"


def test_a_test_that_is_not_async_has_the_server_in_a_thread() -> None:
    """The synchronous SDK and another process talk to it; its clock moves from here."""
    program = "import openai; print(openai.OpenAI().beta.threads.create().id)"
    with AssistantsServer.in_thread(["One."]) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="test") as client:
            assistant = client.beta.assistants.create(model="m")
            run = client.beta.threads.create_and_run_poll(assistant_id=assistant.id)
            server.clock.advance(5)
            assert client.beta.threads.create().created_at == run.created_at + 5
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "test"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout.startswith("thread_"), done.stderr
    assert run.status == "completed"
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.base_url)


@pytest.mark.parametrize("script", ["Hello.", 3, None, [3], [["a"]], [Reply(fault="close")], [Reply(body=b"{}")]])
def test_a_script_that_is_none_is_refused_at_once(script: Any) -> None:
    """The mistake is named where it was made; what only an HTTP answer has is not a turn's."""
    with pytest.raises(ConfigError):
        AssistantsServer(script)

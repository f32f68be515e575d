"""Programs written for OpenAI's API, with the helpers of the official SDK, which checks each answer against its types.

A clerk stands in the model's place (shop.py). Each program is plain and blocking, as most old ones are, unless it says
otherwise.
"""

import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import openai
import pytest
from documented import checks_answers
from openai import AssistantEventHandler, AsyncAssistantEventHandler, OpenAI
from pydantic import BaseModel
from serving import serving
from shop import ANSWER, MODEL, OUTPUTS, QUESTION, clerks

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

Program = Callable[[OpenAI], None]
T = TypeVar("T")

SOON: Any = {"poll_interval_ms": 10}
IN_RESULTS: Any = ["step_details.tool_calls[*].file_search.results[*].content"]


def program(told: Program) -> Callable[[Path], Awaitable[None]]:
    """The program as a test: in a thread, against a server of its own, whose answers are as its document says."""

    async def test(tmp_path: Path) -> None:
        async with serving(tmp_path, models={MODEL: clerks()}) as served:
            options: Any = {"max_retries": 0, "timeout": 30, "_strict_response_validation": True}
            options["http_client"] = openai.DefaultHttpxClient(event_hooks={"response": [checks_answers()]})
            with OpenAI(base_url=served.base_url, api_key="any-key", **options) as client:
                await anyio.to_thread.run_sync(told, client)

    test.__name__, test.__doc__ = told.__name__, told.__doc__
    return test


def function(name: str, **fields: str) -> dict[str, Any]:
    """A function tool, as Assistants and Chat spell it."""
    properties = {field: {"type": kind} for field, kind in fields.items()}
    parameters = {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": "Do it.", "parameters": parameters}}


TOOLS: Any = [function("add", a="integer", b="integer"), function("units_left", sku="string")]
FLAT: Any = [{"type": "function", **tool["function"], "strict": True} for tool in TOOLS]


def outputs(run: Any) -> Any:
    """What the calls that a run waits for come to."""
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": call.id, "output": OUTPUTS[call.function.name]} for call in calls]


def said(message: Any) -> str:
    """The text of a message."""
    return "".join(part.text.value for part in message.content if part.type == "text")


class Handler(AssistantEventHandler):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.text = ""
        self.calls: list[str] = []
        self.arguments: dict[str, str] = {}
        self.message: Any = None
        self.ended = False

    def on_event(self, event: Any) -> None:
        self.events.append(event.event)

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value or ""
        assert snapshot.value == self.text

    def on_tool_call_created(self, tool_call: Any) -> None:
        self.calls.append(tool_call.type)

    def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        if snapshot.type == "function":
            self.arguments[snapshot.function.name] = snapshot.function.arguments

    def on_message_done(self, message: Any) -> None:
        self.message = message

    def on_end(self) -> None:
        self.ended = True


class AsyncHandler(AsyncAssistantEventHandler):
    """Keeps what it is told, without blocking."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.arguments: dict[str, str] = {}
        self.ended = False

    async def on_event(self, event: Any) -> None:
        self.events.append(event.event)

    async def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        self.arguments[snapshot.function.name] = snapshot.function.arguments

    async def on_end(self) -> None:
        self.ended = True


def check_streams(first: Any, second: Any) -> None:
    """A run that asked for two functions at once, and went on with what they came to."""
    assert (first.events[0], first.events[-1]) == ("thread.run.created", "thread.run.requires_action")
    assert set(first.arguments) == set(OUTPUTS)
    assert "A-1" in first.arguments["units_left"]
    assert (second.events[0], second.events[-1]) == ("thread.run.step.completed", "thread.run.completed")
    assert second.events.count("thread.message.completed") == 1
    assert "thread.message.delta" in second.events
    assert first.ended
    assert second.ended


@program
def test_the_guide_program_finds_the_lamp_and_cites_where(client: OpenAI) -> None:
    """The Assistants guide's program: a vector store, an assistant with file_search, a thread, a streamed run."""
    store = client.vector_stores.create(name="Household")
    house = ("house.txt", io.BytesIO(b"The lamp is in the attic. The key is under the mat."))
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=[house], **SOON)
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", 1, 1)
    assistant = client.beta.assistants.create(
        name="Helper", instructions="Use the files.", model=MODEL, tools=[{"type": "file_search"}]
    )
    client.beta.assistants.update(assistant.id, tool_resources={"file_search": {"vector_store_ids": [store.id]}})
    spare = client.files.create(file=("more.txt", b"The spare lamp is in the garage."), purpose="assistants")
    attached: Any = [{"file_id": spare.id, "tools": [{"type": "file_search"}]}]
    thread = client.beta.threads.create(
        messages=[{"role": "user", "content": "Where is the lamp?", "attachments": attached}]
    )
    assert thread.tool_resources is not None
    assert thread.tool_resources.file_search is not None
    assert len(thread.tool_resources.file_search.vector_store_ids or ()) == 1, "made for the attachment"

    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, instructions="Be brief.", event_handler=Handler()
    ) as stream:
        stream.until_done()
    assert stream.calls == ["file_search"]
    assert "lamp" in stream.text
    assert (stream.message.status, said(stream.message)) == ("completed", stream.text)
    cited = stream.message.content[0].text.annotations
    assert cited
    for each in cited:
        assert stream.text[each.start_index : each.end_index] == each.text
        assert client.files.retrieve(each.file_citation.file_id).filename in {"house.txt", "more.txt"}

    run = stream.current_run
    assert run is not None
    assert [said(message) for message in client.beta.threads.messages.list(thread.id, run_id=run.id)] == [stream.text]
    found: Any = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc", include=IN_RESULTS).data
    assert [step.type for step in found] == ["tool_calls", "message_creation"]
    assert found[0].step_details.tool_calls[0].file_search.results[0].content[0].text
    assert client.beta.threads.delete(thread.id).deleted
    assert client.beta.assistants.delete(assistant.id).deleted
    assert client.vector_stores.delete(store.id).deleted


@program
def test_a_polled_run_asks_for_two_functions_at_once(client: OpenAI) -> None:
    """create_and_poll, submit_tool_outputs_and_poll, create_and_run_poll; both calls are one step."""
    beta = client.beta
    assistant = beta.assistants.create(model=MODEL, instructions="You work in a shop.", tools=TOOLS)
    thread = beta.threads.create()
    beta.threads.messages.create(thread.id, role="user", content=QUESTION)
    run = beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, **SOON)
    assert (run.status, run.usage) == ("requires_action", None)
    run = beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=thread.id, tool_outputs=outputs(run), **SOON
    )
    assert (run.status, run.required_action) == ("completed", None)
    assert run.usage is not None
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens > 0
    asked, answered = beta.threads.messages.list(thread.id, order="asc").data
    assert (asked.role, answered.role, said(answered)) == ("user", "assistant", ANSWER)
    assert (answered.run_id, answered.assistant_id) == (run.id, assistant.id)
    steps: Any = beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc").data
    assert [step.type for step in steps] == ["tool_calls", "message_creation"]
    assert {call.function.name: call.function.output for call in steps[0].step_details.tool_calls} == OUTPUTS
    assert steps[1].step_details.message_creation.message_id == answered.id

    hello: Any = {"messages": [{"role": "user", "content": "Hello"}]}
    other = beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=hello, **SOON)
    assert other.status == "completed"
    assert other.thread_id != thread.id


@program
def test_event_handlers_follow_a_run_through_its_tools(client: OpenAI) -> None:
    """runs.stream, submit_tool_outputs_stream, create_and_run_stream and stream=True, with a handler and without."""
    assistant = client.beta.assistants.create(model=MODEL, tools=TOOLS)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": QUESTION}])
    runs = client.beta.threads.runs
    with runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=Handler()) as first:
        first.until_done()
    run = first.current_run
    assert run is not None
    with runs.submit_tool_outputs_stream(
        thread_id=thread.id, run_id=run.id, tool_outputs=outputs(run), event_handler=Handler()
    ) as second:
        second.until_done()
    check_streams(first, second)
    assert second.get_final_run().status == "completed"
    assert [said(message) for message in second.get_final_messages()] == [ANSWER]

    hello: Any = {"messages": [{"role": "user", "content": "Hello"}]}
    with client.beta.threads.create_and_run_stream(assistant_id=assistant.id, thread=hello) as stream:
        told = "".join(stream.text_deltas)
        assert told
        assert told == said(stream.get_final_messages()[0])

    events = runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True, tool_choice="none")
    names = [event.event for event in events]
    assert (names[0], names[-1]) == ("thread.run.created", "thread.run.completed")


async def test_async_event_handlers_follow_a_run_through_its_tools(tmp_path: Path) -> None:
    """The same helpers of the asynchronous client."""
    async with serving(tmp_path, models={MODEL: clerks()}) as served, served.client() as client:
        assistant = await client.beta.assistants.create(model=MODEL, tools=TOOLS)
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": QUESTION}])
        runs = client.beta.threads.runs
        async with runs.stream(thread_id=thread.id, assistant_id=assistant.id, event_handler=AsyncHandler()) as first:
            await first.until_done()
        run = first.current_run
        assert run is not None
        async with runs.submit_tool_outputs_stream(
            thread_id=thread.id, run_id=run.id, tool_outputs=outputs(run), event_handler=AsyncHandler()
        ) as second:
            await second.until_done()
        check_streams(first, second)


@program
def test_files_are_put_into_a_vector_store_by_every_helper(client: OpenAI) -> None:
    """create_and_poll, upload_and_poll, upload and poll, and both of batches; then paged through, changed, searched."""
    stores = client.vector_stores
    store = stores.create(name="Notes", expires_after={"anchor": "last_active_at", "days": 1})
    apples = client.files.create(file=("a.md", b"# Apples\n\nApples are red."), purpose="assistants")
    one = stores.files.create_and_poll(apples.id, vector_store_id=store.id, attributes={"fruit": "apple"}, **SOON)
    assert (one.status, one.id, one.attributes) == ("completed", apples.id, {"fruit": "apple"})
    bananas = ("b.txt", io.BytesIO(b"Bananas are yellow."))
    two = stores.files.upload_and_poll(vector_store_id=store.id, file=bananas, **SOON)
    three = stores.files.upload(vector_store_id=store.id, file=("c.html", b"<h1>Cherries</h1><p>They are dark.</p>"))
    assert stores.files.poll(three.id, vector_store_id=store.id, **SOON).status == "completed"
    dates = [(f"d{n}.txt", io.BytesIO(f"Date number {n}.".encode())) for n in range(7)]
    batch = stores.file_batches.upload_and_poll(store.id, files=dates, **SOON)
    assert (batch.status, batch.file_counts.completed) == ("completed", 7)
    assert len(list(stores.file_batches.list_files(batch.id, vector_store_id=store.id, limit=3))) == 7
    odd = client.files.create(file=("x.bin", bytes(range(256))), purpose="assistants")
    last = stores.file_batches.create_and_poll(store.id, file_ids=[odd.id], **SOON)
    assert (last.file_counts.completed, last.file_counts.failed) == (0, 1)

    ids = [file.id for file in stores.files.list(store.id, limit=4, order="asc")]
    assert len(set(ids)) == len(ids) == 11
    assert ids[:3] == [one.id, two.id, three.id]
    assert [file.id for file in stores.files.list(store.id, limit=3)] == ids[::-1]
    attributes: Any = {"fruit": "banana", "weight": 2.5, "ripe": True}
    assert stores.files.update(two.id, vector_store_id=store.id, attributes=attributes).attributes == attributes
    filters: Any = {"type": "eq", "key": "fruit", "value": "banana"}
    assert [hit.filename for hit in stores.search(store.id, query="What is yellow?", filters=filters)] == ["b.txt"]
    content = stores.files.content(one.id, vector_store_id=store.id).data
    assert "Apples are red." in "".join(part.text or "" for part in content)
    assert stores.files.delete(one.id, vector_store_id=store.id).deleted
    assert client.files.content(one.id).read() == b"# Apples\n\nApples are red.", "taken out, but not deleted"


class Sum(BaseModel):
    """What a program has a model answer with."""

    answer: int


@program
def test_responses_go_on_from_one_another(client: OpenAI) -> None:
    """create with functions, previous_response_id, and what happens to calls that nobody answers."""
    asked = client.responses.create(model=MODEL, input=QUESTION, tools=FLAT)
    calls = [item for item in asked.output if item.type == "function_call"]
    assert sorted(call.name for call in calls) == sorted(OUTPUTS)
    results: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": OUTPUTS[call.name]} for call in calls
    ]
    told = client.responses.create(model=MODEL, previous_response_id=asked.id, tools=FLAT, input=results)
    assert (told.output_text, told.previous_response_id) == (ANSWER, asked.id)
    with pytest.raises(openai.BadRequestError, match="No tool output found for function call"):
        client.responses.create(model=MODEL, previous_response_id=asked.id, input="And?", tools=FLAT)
    kept = client.responses.retrieve(told.id)
    assert kept.output_text == ANSWER
    assert client.responses.input_tokens.count(model=MODEL, input="Hello").input_tokens > 0


@program
def test_responses_are_streamed_and_parsed(client: OpenAI) -> None:
    """responses.stream and responses.parse: what was told in pieces is the whole."""
    with client.responses.stream(model=MODEL, input=QUESTION, tools=FLAT) as stream:
        events: list[Any] = list(stream)
        final = stream.get_final_response()
    names = [event.type for event in events]
    assert names[:2] == ["response.created", "response.in_progress"]
    assert names[-1] == "response.completed"
    assert names.count("response.function_call_arguments.done") == 2
    assert sorted(item.name for item in final.output if item.type == "function_call") == sorted(OUTPUTS)
    with client.responses.stream(model=MODEL, input="Hello") as stream:
        told = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert told
        assert told == stream.get_final_response().output_text
    assert client.responses.parse(model=MODEL, input="1+2?", text_format=Sum).output_parsed == Sum(answer=3)
    with client.responses.stream(model=MODEL, input="1+2?", text_format=Sum) as parsing:
        parsing.until_done()
        assert parsing.get_final_response().output_parsed == Sum(answer=3)


@program
def test_a_conversation_keeps_what_responses_say(client: OpenAI) -> None:
    """conversations and their items, beside responses that use them."""
    ada: Any = {"type": "message", "role": "user", "content": "My name is Ada."}
    talk = client.conversations.create(metadata={"topic": "x"}, items=[ada])
    answer = client.responses.create(model=MODEL, conversation=talk.id, input="Hello")
    assert answer.conversation is not None
    assert answer.conversation.id == talk.id
    items: list[Any] = client.conversations.items.list(talk.id, order="asc").data
    assert [item.role for item in items] == ["user", "user", "assistant"]
    added = client.conversations.items.create(talk.id, items=[ada]).data
    assert client.conversations.items.delete(added[0].id or "", conversation_id=talk.id).id == talk.id
    assert client.conversations.update(talk.id, metadata={"topic": "y"}).metadata == {"topic": "y"}
    assert client.conversations.delete(talk.id).deleted


@program
def test_a_response_in_the_background_is_taken_up_again(client: OpenAI) -> None:
    """background=True: polled, cancelled too late, streamed, and the stream taken up again from an event."""
    far = client.responses.create(model=MODEL, input="Hello", background=True)
    assert far.background is True
    while far.status in {"queued", "in_progress"}:
        far = client.responses.retrieve(far.id)
    assert (far.status, client.responses.cancel(far.id).status) == ("completed", "completed")
    events: list[Any] = list(client.responses.create(model=MODEL, input="Hello", background=True, stream=True))
    id, after = events[0].response.id, events[2].sequence_number
    again = client.responses.retrieve(id, stream=True, starting_after=after)
    assert [event.sequence_number for event in again] == [event.sequence_number for event in events[3:]]
    client.responses.delete(id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(id)


@program
def test_chat_completions_are_made_streamed_and_parsed(client: OpenAI) -> None:
    """create with functions, the stream helper, parse, and the list of models."""
    assert MODEL in [model.id for model in client.models.list()]
    asking: Any = [{"role": "user", "content": QUESTION}]
    asked = client.chat.completions.create(model=MODEL, messages=asking, tools=TOOLS).choices[0]
    calls: Any = asked.message.tool_calls
    assert asked.finish_reason == "tool_calls"
    asking.append(asked.message.model_dump(exclude_none=True))
    asking += [{"role": "tool", "tool_call_id": call.id, "content": OUTPUTS[call.function.name]} for call in calls]
    told = client.chat.completions.create(model=MODEL, messages=asking, tools=TOOLS)
    assert told.choices[0].message.content == ANSWER
    hello: Any = [{"role": "user", "content": "Hello"}]
    with client.chat.completions.stream(model=MODEL, messages=hello) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        assert text
        assert text == stream.get_final_completion().choices[0].message.content
    parsed = client.chat.completions.parse(model=MODEL, messages=hello, response_format=Sum)
    assert parsed.choices[0].message.parsed == Sum(answer=3)


@program
def test_refusals_are_worded_as_clients_know_them(client: OpenAI) -> None:
    """A thread that is held by a run, a run that is over, outputs that lack, and what is not there."""
    threads, runs = client.beta.threads, client.beta.threads.runs
    assistant = client.beta.assistants.create(model=MODEL, tools=TOOLS)
    thread = threads.create(messages=[{"role": "user", "content": QUESTION}])
    run = runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, **SOON)

    def refused(call: Callable[..., T], *given: Any, **named: Any) -> str:
        with pytest.raises(openai.APIStatusError) as raised:
            call(*given, **named)
        assert raised.value.type == "invalid_request_error"
        told: Any = raised.value.body
        return f"{raised.value.status_code} {told['message']}"

    message: Any = {"role": "user", "content": "More."}
    held = f"400 Can't add messages to {thread.id} while a run {run.id} is active."
    assert refused(threads.messages.create, thread.id, **message) == held
    twice = f"400 Thread {thread.id} already has an active run {run.id}."
    assert refused(runs.create, thread.id, assistant_id=assistant.id) == twice
    some, ids = outputs(run)[:1], [each["tool_call_id"] for each in outputs(run)]
    lacking = f"400 Expected tool outputs for call_ids {ids}, got {ids[:1]}"
    assert refused(runs.submit_tool_outputs, run.id, thread_id=thread.id, tool_outputs=some) == lacking
    assert runs.cancel(run.id, thread_id=thread.id).status in {"cancelling", "cancelled"}
    while runs.retrieve(run.id, thread_id=thread.id).status == "cancelling":
        pass
    over = "400 Cannot cancel run with status 'cancelled'."
    assert refused(runs.cancel, run.id, thread_id=thread.id) == over
    late = '400 Runs in status "cancelled" do not accept tool outputs.'
    assert refused(runs.submit_tool_outputs, run.id, thread_id=thread.id, tool_outputs=some) == late
    assert threads.messages.create(thread.id, **message).thread_id == thread.id
    assert refused(client.beta.assistants.retrieve, "asst_0") == "404 No assistant found with id 'asst_0'."
    assert refused(threads.retrieve, "thread_0") == "404 No thread found with id 'thread_0'."

"""Responses on any backend, by the official SDK."""

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import openai
import pytest
from pydantic import BaseModel
from serving import Clock, Served, serving

from agentkit import ImagePart, ModelResponse, TextPart, ToolResult, Usage
from agentkit.errors import ContentFiltered, ContextTooLong, RateLimited, Refused, ServerFailed
from agentkit.messages import AssistantMessage, UserMessage
from agentkit.models.base import ModelRequest, OnDelta, ReasoningDelta, TextDelta
from agentkit.testing import ScriptedModel, call

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

TOOLS: list[Any] = [
    {
        "type": "function",
        "name": name,
        "description": f"Does {name}.",
        "parameters": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
        "strict": False,
    }
    for name in ("units_left", "price")
]
ASKED = [call("units_left", sku="A-1"), call("price", sku="A-1")]


def raw(served: Served) -> httpx.AsyncClient:
    """A client that knows nothing of the API."""
    return httpx.AsyncClient(base_url=served.base_url)


def outputs(response: Any, output: str = "3") -> list[Any]:
    """What the client's functions came to, for the next request."""
    calls = [item for item in response.output if item.type == "function_call"]
    return [{"type": "function_call_output", "call_id": each.call_id, "output": output} for each in calls]


async def test_a_model_responds(tmp_path: Path) -> None:
    """A newcomer's first request; the response is kept, with what it was given."""
    model = ScriptedModel(["Hello there."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        told = await client.responses.create(
            model="gpt-4o",
            input="Hello",
            instructions="Be brief.",
            temperature=0.5,
            top_p=0.25,
            max_output_tokens=100,
            reasoning={"effort": "low"},
            metadata={"a": "b"},
        )
        assert (told.status, told.output_text, told.model) == ("completed", "Hello there.", "gpt-4o")
        assert told.usage is not None
        assert (told.usage.input_tokens, told.usage.output_tokens, told.usage.total_tokens) == (10, 5, 15)
        assert await client.responses.retrieve(told.id) == told
        [item] = (await client.responses.input_items.list(told.id)).data
        assert item.type == "message"
        await client.responses.delete(told.id)
        with pytest.raises(openai.NotFoundError, match=f"Response with id '{told.id}' not found"):
            await client.responses.retrieve(told.id)
    [request] = model.requests
    assert (request.instructions, request.messages) == ("Be brief.", [UserMessage(content="Hello")])
    settings = request.settings
    assert (settings.temperature, settings.top_p, settings.max_tokens) == (0.5, 0.25, 100)
    assert settings.reasoning_effort == "low"


async def test_a_response_repeats_what_it_was_asked_for(tmp_path: Path) -> None:
    """Clients look there for the model's set-up."""
    asked: dict[str, Any] = {
        "model": "m",
        "instructions": "Be brief.",
        "tools": TOOLS,
        "tool_choice": {"type": "function", "name": "price"},
        "parallel_tool_calls": False,
        "temperature": 0.5,
        "top_p": 0.25,
        "max_output_tokens": 100,
        "truncation": "auto",
        "metadata": {"a": "b"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "store": False,
    }
    async with serving(tmp_path, ["{}"], clock=Clock()) as served, raw(served) as http:
        told = (await http.post("/responses", json={"input": "Hi", **asked})).json()
    assert {name: told[name] for name in asked} == asked
    assert (told["created_at"], told["completed_at"], told["background"]) == (1_750_000_000, 1_750_000_000, False)
    assert told["previous_response_id"] is None
    assert told["conversation"] is None


async def test_a_streamed_text_has_its_events_in_order(tmp_path: Path) -> None:
    """As other servers and clients have it, each numbered, and `[DONE]` at the end."""
    async with serving(tmp_path, ["Hello there."]) as served, raw(served) as http:
        answer = await http.post("/responses", json={"model": "m", "input": "Hi", "stream": True})
        told = answer.text.removesuffix("\n\n").split("\n\n")
    assert told[-1] == "data: [DONE]"
    lines = [each.split("\n") for each in told[:-1]]
    events = [json.loads(data.removeprefix("data: ")) for _, data in lines]
    assert [name.removeprefix("event: ") for name, _ in lines] == [each["type"] for each in events]
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    assert [each["type"].removeprefix("response.") for each in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0]["response"]["status"] == events[1]["response"]["status"] == "in_progress"
    assert events[2]["item"]["content"] == []
    assert events[8]["item"] == events[9]["response"]["output"][0]


async def test_a_streamed_response_is_the_same(tmp_path: Path) -> None:
    """The SDK's helper puts it together, and it is kept."""
    async with serving(tmp_path, ["Hello there."]) as served, served.client() as client:
        async with client.responses.stream(model="m", input="Hello") as stream:
            said = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
        assert said == ["Hello ", "there."]
        assert final.output_text == "Hello there."
        assert (await client.responses.retrieve(final.id)).output_text == "Hello there."


async def test_calls_of_the_clients_functions_come_back(tmp_path: Path) -> None:
    """Whole and streamed; their outputs in the next request are what the model is told."""
    model = ScriptedModel([ASKED, "Three left.", ASKED])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        asked = await client.responses.create(model="m", input="How many?", tools=TOOLS)
        assert asked.status == "completed"
        told = await client.responses.create(
            model="m", previous_response_id=asked.id, input=outputs(asked), tools=TOOLS
        )
        assert (told.output_text, told.previous_response_id) == ("Three left.", asked.id)
        async with client.responses.stream(model="m", input="How many?", tools=TOOLS) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()
    assert model.requests[1].messages == [
        UserMessage(content="How many?"),
        AssistantMessage(tool_calls=tuple(ASKED)),
        ToolResult(call_id="call_units_left", name="units_left", content="3"),
        ToolResult(call_id="call_price", name="price", content="3"),
    ]
    calls: Any = final.output
    assert [(each.type, each.call_id, each.name, each.arguments) for each in calls] == [
        ("function_call", each.id, each.name, each.arguments) for each in ASKED
    ]
    names = [event.type.removeprefix("response.") for event in events]
    assert names == [
        "created",
        "in_progress",
        *["output_item.added", "function_call_arguments.delta"] * 2,
        *["function_call_arguments.done", "output_item.done"] * 2,
        "completed",
    ]


async def test_what_was_said_before_is_told_again_but_for_the_instructions(tmp_path: Path) -> None:
    """By `previous_response_id`, over several turns, and in two directions from one response."""
    model = ScriptedModel(["One.", "Two.", "Three.", "Other."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        one = await client.responses.create(model="m", input="1", instructions="Be brief.")
        two = await client.responses.create(model="m", input="2", previous_response_id=one.id)
        await client.responses.create(model="m", input="3", previous_response_id=two.id)
        await client.responses.create(model="m", input="4", previous_response_id=one.id)
    said = [UserMessage(content="1"), AssistantMessage(text="One."), UserMessage(content="2")]
    assert model.requests[2].messages == [*said, AssistantMessage(text="Two."), UserMessage(content="3")]
    assert model.requests[2].instructions == ""
    assert model.requests[3].messages == [*said[:2], UserMessage(content="4")]


class Thinking(ScriptedModel):
    """A model that thinks aloud before each answer."""

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """See `ModelBackend`."""
        assert on_delta is not None
        await on_delta(ReasoningDelta(text="Hm."))
        return await super().generate(request, on_delta)


async def test_a_client_may_keep_the_conversation_itself(tmp_path: Path) -> None:
    """Nothing is stored, and the whole output goes back in, reasoning and calls included."""
    model = Thinking([AssistantMessage(text="Let me see.", tool_calls=tuple(ASKED)), "Three left."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        items: list[Any] = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "How many?"}]
        asked = await client.responses.create(model="m", input=items, tools=TOOLS, store=False)
        assert [item.type for item in asked.output] == ["reasoning", "message", "function_call", "function_call"]
        items += [item.model_dump(exclude_none=True) for item in asked.output]
        told = await client.responses.create(model="m", input=items + outputs(asked), tools=TOOLS, store=False)
        assert told.output_text == "Three left."
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(asked.id)
    assert model.requests[1].instructions == "Be kind."
    assert model.requests[1].messages == [
        UserMessage(content="How many?"),
        AssistantMessage(text="Let me see.", tool_calls=tuple(ASKED)),
        ToolResult(call_id="call_units_left", name="units_left", content="3"),
        ToolResult(call_id="call_price", name="price", content="3"),
    ]


async def test_an_item_can_be_named_by_its_id(tmp_path: Path) -> None:
    """As some clients do, instead of sending it again; what was said before is not said twice."""
    model = ScriptedModel(["One.", "Two.", "Three."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        one = await client.responses.create(model="m", input="1")
        named: list[Any] = [{"type": "item_reference", "id": one.output[0].id}, {"role": "user", "content": "2"}]
        await client.responses.create(model="m", input=named)
        await client.responses.create(model="m", input=named, previous_response_id=one.id)
        await client.responses.delete(one.id)
        with pytest.raises(openai.NotFoundError, match="Items are not persisted when `store` is set to false"):
            await client.responses.create(model="m", input=named)
    assert model.requests[1].messages == [AssistantMessage(text="One."), UserMessage(content="2")]
    assert model.requests[2].messages == [UserMessage(content="1"), *model.requests[1].messages]


class Price(BaseModel):
    euros: int


async def test_an_answer_in_a_form_is_asked_for_and_parsed(tmp_path: Path) -> None:
    """`parse` and the streaming helper of the SDK."""
    model = ScriptedModel(['{"euros": 3}'] * 2)
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        told = await client.responses.parse(model="m", input="How much?", text_format=Price)
        assert told.output_parsed == Price(euros=3)
        async with client.responses.stream(model="m", input="How much?", text_format=Price) as stream:
            assert (await stream.get_final_response()).output_parsed == Price(euros=3)
    form = model.requests[0].output
    assert form is not None
    assert form.schema["properties"]["euros"]["type"] == "integer"


async def test_the_model_sees_pictures(tmp_path: Path) -> None:
    """On the web, in the request, uploaded, and in what a function came to."""
    picture = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8
    model = ScriptedModel(["A cat.", [call("price", sku="A")], "Fine."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        file = await client.files.create(file=("cat.png", picture), purpose="vision")
        content: list[Any] = [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": "https://example.org/cat.png", "detail": "low"},
            {"type": "input_image", "file_id": file.id, "detail": "auto"},
        ]
        await client.responses.create(model="m", input=[{"role": "user", "content": content}])
        asked = await client.responses.create(model="m", input="Look", tools=TOOLS)
        seen: Any = [{**outputs(asked)[0], "output": content}]
        await client.responses.create(model="m", input=seen, previous_response_id=asked.id, tools=TOOLS)
    said: Any = model.requests[0].messages[0].content
    assert said[:2] == (TextPart(text="What is this?"), ImagePart(url="https://example.org/cat.png"))
    assert said[2].url.startswith("data:image/png;base64,")
    result: Any = model.requests[2].messages[-1]
    assert (result.content, result.parts[0].url) == ("What is this?", "https://example.org/cat.png")


async def test_an_answer_that_is_none_says_why(tmp_path: Path) -> None:
    """A refusal is a part of the message; what was cut or withheld is incomplete."""
    cut = ModelResponse(message=AssistantMessage(text="And so"), finish_reason="length", usage=Usage(output_tokens=2))
    script = [Refused("I would rather not."), ContentFiltered("no"), cut]
    async with serving(tmp_path, [*script, *script]) as served, served.client() as client:
        for _ in range(2):
            told = [await client.responses.create(model="m", input="Hi") for _ in range(3)]
            refused: Any = told[0].output[0]
            assert refused.content[0].refusal == "I would rather not."
            assert [each.status for each in told] == ["completed", "incomplete", "incomplete"]
            why = [each.incomplete_details.reason for each in told if each.incomplete_details]
            assert why == ["content_filter", "max_output_tokens"]
            assert told[2].output_text == "And so"
            break
        final = []
        for _ in range(3):
            events = await client.responses.create(model="m", input="Hi", stream=True)
            final.append([event.type async for event in events][-1])
        assert final == ["response.completed", "response.incomplete", "response.incomplete"]


async def test_what_goes_wrong_has_its_status_and_in_a_stream_its_event(tmp_path: Path) -> None:
    """`response.failed` is the last event then, and nothing of it is kept."""
    errors = [RateLimited("slow down", retry_after=7.0), ContextTooLong("too long"), ServerFailed("broken")]
    async with serving(tmp_path, [*errors, *errors]) as served, served.client() as client:
        for kind in (openai.RateLimitError, openai.BadRequestError, openai.InternalServerError):
            with pytest.raises(kind):
                await client.responses.create(model="m", input="Hi")
        codes = []
        for _ in errors:
            events = [event async for event in await client.responses.create(model="m", input="Hi", stream=True)]
            assert events[-1].type == "response.failed"
            assert events[-1].response.error is not None
            codes.append(events[-1].response.error.code)
        assert codes == ["rate_limit_exceeded", "invalid_prompt", "server_error"]


class Waiting(ScriptedModel):
    """A model that says a word, and the rest when it may; it notes when it is cancelled."""

    def __init__(self) -> None:
        super().__init__([])
        self.begun, self.may, self.cancelled = anyio.Event(), anyio.Event(), anyio.Event()

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """See `ModelBackend`."""
        self.requests.append(request)
        assert on_delta is not None
        await on_delta(TextDelta(text="And "))
        self.begun.set()
        try:
            await self.may.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise
        await on_delta(TextDelta(text="so."))
        return ModelResponse(message=AssistantMessage(text="And so."))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_its_response(tmp_path: Path, stream: bool) -> None:
    """Nobody pays for what nobody reads, and the conversation is free again."""
    model = Waiting()
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        talk = await client.conversations.create()
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                told: Any = await client.responses.create(model="m", input="Hi", conversation=talk.id, stream=stream)
                async for _ in told:
                    pass

            group.start_soon(ask)
            await model.begun.wait()
            with pytest.raises(openai.BadRequestError) as caught:
                await client.responses.create(model="m", input="Hi", conversation=talk.id)
            assert (caught.value.code, caught.value.param) == ("conversation_locked", "conversation")
            assert "Another process is currently operating on this conversation." in caught.value.message
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await model.cancelled.wait()
            model.may.set()
            while True:
                try:
                    told = await client.responses.create(model="m", input="Again", conversation=talk.id)
                    break
                except openai.BadRequestError:
                    await anyio.lowlevel.checkpoint()
        assert told.output_text == "And so."
        said = [item async for item in client.conversations.items.list(talk.id)]
        assert len(said) == 2


async def test_a_response_in_the_background_is_watched_from_anywhere(tmp_path: Path) -> None:
    """Polled, streamed, and taken up again in the middle, while it goes on and after."""
    model = Waiting()
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        made = await client.responses.create(model="m", input="Hi", background=True)
        assert (made.status, made.background) == ("queued", True)
        await model.begun.wait()
        assert (await client.responses.retrieve(made.id)).status == "in_progress"
        with pytest.raises(openai.BadRequestError, match="still going on"):
            await client.responses.create(model="m", input="Hi", previous_response_id=made.id)
        watched = await client.responses.retrieve(made.id, stream=True, starting_after=1)
        first = await anext(aiter(watched))
        assert (first.type, first.sequence_number) == ("response.in_progress", 2)
        model.may.set()
        rest = [event async for event in watched]
        assert rest[-1].type == "response.completed"
        assert (await client.responses.retrieve(made.id)).output_text == "And so."
        later = [event async for event in await client.responses.retrieve(made.id, stream=True, starting_after=2)]
        assert later == rest
        assert (await client.responses.cancel(made.id)).status == "completed"
        streamed = await client.responses.create(model="m", input="Hi", background=True, stream=True)
        kinds = [event.type async for event in streamed]
        assert kinds[:3] == ["response.created", "response.queued", "response.in_progress"]
        assert kinds[-1] == "response.completed"


async def test_a_response_in_the_background_can_be_cancelled(tmp_path: Path) -> None:
    """The model is stopped, and those who watch are let go; one that a client waits for cannot be."""
    model = Waiting()
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        made = await client.responses.create(model="m", input="Hi", background=True)
        await model.begun.wait()
        watched = await client.responses.retrieve(made.id, stream=True)
        assert (await client.responses.cancel(made.id)).status == "cancelled"
        with anyio.fail_after(5):
            await model.cancelled.wait()
            assert "response.completed" not in [event.type async for event in watched]
        assert (await client.responses.retrieve(made.id)).status == "cancelled"
        assert (await client.responses.cancel(made.id)).status == "cancelled"
        model.may.set()
        plain = await client.responses.create(model="m", input="Hi")
        with pytest.raises(openai.BadRequestError, match="in the background can be streamed again"):
            await client.responses.retrieve(plain.id, stream=True)
        with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
            await client.responses.cancel(plain.id)


async def test_a_response_whose_server_was_killed_has_failed(tmp_path: Path) -> None:
    """The next server says so, instead of letting clients poll for ever."""
    model = Waiting()
    async with serving(tmp_path, models={"*": model}, drain_seconds=0) as served, served.client() as client:
        made = await client.responses.create(model="m", input="Hi", background=True)
        await model.begun.wait()
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        found = await client.responses.retrieve(made.id)
        assert found.status == "failed"
        assert found.error is not None
        assert found.error.code == "server_error"


async def test_calls_and_outputs_belong_together(tmp_path: Path) -> None:
    """In OpenAI's words, which clients look for."""
    async with serving(tmp_path, [ASKED]) as served, served.client() as client:
        asked = await client.responses.create(model="m", input="How many?", tools=TOOLS)
        for given, words in (
            ("And?", "No tool output found for function call call_units_left."),
            (outputs(asked)[:1], "No tool output found for function call call_price."),
        ):
            with pytest.raises(openai.BadRequestError, match=words):
                await client.responses.create(model="m", previous_response_id=asked.id, input=given, tools=TOOLS)
        called: Any = {"type": "function_call", "call_id": "call_a", "name": "price", "arguments": "{}"}
        output: Any = {"type": "function_call_output", "call_id": "call_a", "output": "5"}
        with pytest.raises(openai.BadRequestError, match="No tool output found for function call call_a"):
            await client.responses.create(model="m", input=[called, output, called], tools=TOOLS)
        with pytest.raises(openai.BadRequestError, match="No tool call found for function call output with call_id"):
            await client.responses.create(model="m", input=outputs(asked), tools=TOOLS)


DEEP: dict[str, Any] = {}
for _ in range(300):
    DEEP = {"type": "object", "properties": {"a": DEEP}}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("input", {"input": None}),
    ("input", {"input": []}),
    ("input", {"input": [{"role": "user"}]}),
    ("input", {"input": [{"type": "computer_call_output", "output": {}}]}),
    ("input[0].id", {"input": [{"type": "function_call", "id": "x", "call_id": "c", "name": "f", "arguments": ""}]}),
    ("input", {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
    ("input", {"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]}),
    ("tools", {"tools": [{"type": "web_search"}]}),
    ("tools", {"tools": [TOOLS[0], TOOLS[0]]}),
    ("tools", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    ("tool_choice", {"tool_choice": {"type": "function", "name": "f"}}),
    ("temperature", {"temperature": 3}),
    ("text", {"text": {"format": {"type": "json_schema"}}}),
    ("tools", {"tools": [{**TOOLS[0], "parameters": DEEP}], "stream": True}),
    ("text.format", {"text": {"format": {"type": "json_schema", "name": "a", "schema": DEEP}}, "stream": True}),
    ("input", {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}] * 2}),
    ("metadata", {"metadata": {"a": 1}}),
    ("background", {"background": True, "store": False}),
    ("prompt", {"prompt": {"id": "p"}}),
    ("", {"conversation": "conv_1", "previous_response_id": "resp_1"}),
]


async def test_what_cannot_be_asked_is_refused_by_name(tmp_path: Path) -> None:
    """The model is not even asked."""
    async with serving(tmp_path) as served, raw(served) as http:
        for param, wrong in WRONG:
            answer = await http.post("/responses", json={"model": "m", "input": "Hi", **wrong})
            assert answer.status_code == 400, wrong
            assert (answer.json()["error"]["param"] or "").startswith(param), answer.text


async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Models, responses, conversations, pictures and items."""
    picture = [{"role": "user", "content": [{"type": "input_image", "file_id": "file-x"}]}]
    missing: list[dict[str, Any]] = [
        {"previous_response_id": "resp_x"},
        {"conversation": "conv_x"},
        {"conversation": {"id": "conv_x"}},
        {"model": "gpt-9"},
        {"input": picture},
        {"input": [{"type": "item_reference", "id": "rs_x"}]},
    ]
    async with serving(tmp_path, models={"m": ScriptedModel([])}) as served, raw(served) as http:
        for each in missing:
            assert (await http.post("/responses", json={"model": "m", "input": "Hi", **each})).status_code == 404, each
        for path in ("/responses/resp_x", "/responses/resp_x/input_items", "/conversations/conv_x"):
            assert (await http.get(path)).status_code == 404


async def test_how_long_a_request_is_can_be_asked(tmp_path: Path) -> None:
    """Roughly, and without a model."""
    async with serving(tmp_path) as served, served.client() as client:
        short = await client.responses.input_tokens.count(model="m", input="Hi")
        long = await client.responses.input_tokens.count(model="m", input="Hi " * 100, tools=TOOLS)
        assert 0 < short.input_tokens < long.input_tokens


async def test_a_conversation_can_be_made_short(tmp_path: Path) -> None:
    """The model sums up; what stands in its place is told the model, and what it was told to do stays."""
    model = ScriptedModel(["One.", "They count.", "Two."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        items: list[Any] = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "1"}]
        one = await client.responses.create(model="m", input=items)
        short = await client.responses.compact(model="m", previous_response_id=one.id)
        assert [item.type for item in short.output] == ["compaction"]
        again: list[Any] = [item.model_dump(exclude_none=True) for item in short.output]
        told = await client.responses.create(model="m", input=[*again, {"role": "user", "content": "2"}])
        assert told.output_text == "Two."
        wrong: list[Any] = [{"type": "compaction", "encrypted_content": "bm90IG1pbmU="}]
        with pytest.raises(openai.BadRequestError, match="cannot be read"):
            await client.responses.create(model="m", input=wrong)
    assert model.requests[2].instructions == "Be kind."
    said = [message.text for message in model.requests[2].messages if isinstance(message, UserMessage)]
    assert said == ["What was said before, in short:\nThey count.", "2"]


async def test_a_search_in_files_is_an_item_of_its_own(tmp_path: Path) -> None:
    """What it has found is told to those who ask for it, and what the answer takes from it is cited."""
    model = ScriptedModel([[call("file_search", query="lamp")], "In the attic 【1†house.txt】."] * 2)
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        file = await client.files.create(file=("house.txt", b"The lamp is in the attic."), purpose="assistants")
        store = await client.vector_stores.create(file_ids=[file.id])
        while (await client.vector_stores.retrieve(store.id)).status != "completed":
            await anyio.lowlevel.checkpoint()
        tools: list[Any] = [{"type": "file_search", "vector_store_ids": [store.id], "max_num_results": 3}]
        async with client.responses.stream(model="m", input="Where is it?", tools=tools) as stream:
            kinds = [event.type.removeprefix("response.") async for event in stream]
            told = await stream.get_final_response()
        search, message = told.output
        assert search.type == "file_search_call"
        assert (search.queries, search.results, search.status) == (["lamp"], None, "completed")
        assert message.type == "message"
        part: Any = message.content[0]
        assert [(each.file_id, each.filename, each.index) for each in part.annotations] == [(file.id, "house.txt", 13)]
        assert kinds[2:7] == [
            "output_item.added",
            "file_search_call.in_progress",
            "file_search_call.searching",
            "file_search_call.completed",
            "output_item.done",
        ]
        assert "output_text.annotation.added" in kinds
        seen = await client.responses.retrieve(told.id, include=["file_search_call.results"])
        found: Any = seen.output[0]
        assert [(each.file_id, each.text) for each in found.results] == [(file.id, "The lamp is in the attic.")]
        await client.responses.create(model="m", input="Sure?", previous_response_id=told.id, tools=tools)
    first = list(model.requests[1].messages)
    assert list(model.requests[2].messages) == [
        *first,
        AssistantMessage(text="In the attic 【1†house.txt】."),
        UserMessage(content="Sure?"),
    ]

"""Chat Completions on any backend, by the official SDK."""

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest
from pydantic import BaseModel
from serving import serving

from agentkit import ImagePart, ModelResponse, TextPart, ToolCall, ToolResult, Usage
from agentkit.errors import ContentFiltered, ContextTooLong, ModelTimeout, RateLimited, Refused, ServerFailed
from agentkit.messages import AssistantMessage, UserMessage
from agentkit.models.base import ModelInfo, ModelRequest, OnDelta, TextDelta
from agentkit.testing import ScriptedModel, call

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

USER: list[Any] = [{"role": "user", "content": "Hello"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Does {name}.",
            "parameters": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
        },
    }
    for name in ("units_left", "price")
]


async def test_a_model_answers(tmp_path: Path) -> None:
    """A newcomer's first request; what was said before, and how to sample, reaches the model."""
    model = ScriptedModel(["Hello there."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        told = await client.chat.completions.create(
            model="gpt-4o",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Yes?"},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
                {"role": "user", "content": "Hello"},
            ],
            temperature=0.5,
            top_p=0.25,
            max_completion_tokens=100,
            stop=["."],
            seed=7,
            reasoning_effort="low",
            frequency_penalty=0.5,
        )
    assert told.choices[0].message.content == "Hello there."
    assert (told.choices[0].finish_reason, told.model, told.object) == ("stop", "gpt-4o", "chat.completion")
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens, told.usage.total_tokens) == (10, 5, 15)
    [request] = model.requests
    assert request.instructions == "Be brief.\n\nBe kind."
    assert request.messages == [
        UserMessage(content="Hi"),
        AssistantMessage(text="Yes?"),
        UserMessage(content="Hello"),
    ]
    settings = request.settings
    assert (settings.temperature, settings.top_p, settings.max_tokens) == (0.5, 0.25, 100)
    assert (settings.stop, settings.seed, settings.reasoning_effort) == ((".",), 7, "low")
    assert settings.extra == {"frequency_penalty": 0.5}


async def test_a_streamed_answer_is_the_same(tmp_path: Path) -> None:
    """Piece by piece, with usage at its end for those who ask for it."""
    async with serving(tmp_path, ["Hello there, you."] * 2) as served, served.client() as client:
        options: Any = {"include_usage": True}
        async with client.chat.completions.stream(model="m", messages=USER, stream_options=options) as stream:
            pieces = [event.delta async for event in stream if event.type == "content.delta"]
            final = await stream.get_final_completion()
        assert pieces == ["", "Hello ", "there, ", "you."]
        assert final.choices[0].message.content == "Hello there, you."
        assert final.choices[0].finish_reason == "stop"
        assert final.usage is not None
        assert final.usage.total_tokens == 15
        chunks = [chunk async for chunk in await client.chat.completions.create(model="m", messages=USER, stream=True)]
        assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
        assert len({chunk.id for chunk in chunks}) == 1
        assert chunks[0].choices[0].delta.role == "assistant"


async def test_a_stream_is_spelled_as_the_wire_has_it(tmp_path: Path) -> None:
    """For clients that are not the SDK: `data:` lines, and `[DONE]` at the end."""
    async with serving(tmp_path, ["Hi."]) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        answer = await http.post("/chat/completions", json={"model": "m", "messages": USER, "stream": True})
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = answer.text.removesuffix("\n\n").split("\n\n")
        assert events[-1] == "data: [DONE]"
        deltas = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events[:-1]]
        assert [each["delta"] for each in deltas] == [
            {"role": "assistant", "content": "", "refusal": None},
            {"content": "Hi."},
            {},
        ]
        assert [each["finish_reason"] for each in deltas] == [None, None, "stop"]


async def test_calls_of_the_clients_functions_come_back(tmp_path: Path) -> None:
    """Whole and streamed; their results, in the next request, are what the model is told."""
    asked = [call("units_left", sku="A-1"), call("price", sku="A-1")]
    model = ScriptedModel([asked, "Three left.", asked])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        told = await client.chat.completions.create(model="m", messages=USER, tools=TOOLS)
        choice = told.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        calls: Any = choice.message.tool_calls
        assert [(each.id, each.function.name) for each in calls] == [
            ("call_units_left", "units_left"),
            ("call_price", "price"),
        ]
        assert [json.loads(each.function.arguments) for each in calls] == [{"sku": "A-1"}] * 2
        results: list[Any] = [{"role": "tool", "tool_call_id": each.id, "content": "3"} for each in calls]
        history: list[Any] = [*USER, choice.message.model_dump(exclude_none=True), *results]
        told = await client.chat.completions.create(model="m", messages=history, tools=TOOLS)
        assert told.choices[0].message.content == "Three left."
        async with client.chat.completions.stream(model="m", messages=USER, tools=TOOLS) as stream:
            await stream.until_done()
            final = await stream.get_final_completion()
    assert model.requests[1].messages[1:] == [
        AssistantMessage(tool_calls=tuple(asked)),
        ToolResult(call_id="call_units_left", name="units_left", content="3"),
        ToolResult(call_id="call_price", name="price", content="3"),
    ]
    assert [tool.name for tool in model.requests[0].tools] == ["units_left", "price"]
    assert final.choices[0].finish_reason == "tool_calls"
    streamed: Any = final.choices[0].message.tool_calls
    assert [(each.id, each.function.name, each.function.arguments) for each in streamed] == [
        (each.id, each.function.name, each.function.arguments) for each in calls
    ]


@pytest.mark.parametrize(
    ("choice", "meant", "names"),
    [
        ("none", "none", ["units_left", "price"]),
        ("required", "required", ["units_left", "price"]),
        ({"type": "function", "function": {"name": "price"}}, "price", ["units_left", "price"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "price"}}]},
            },
            "auto",
            ["price"],
        ),
    ],
    ids=["none", "required", "function", "allowed"],
)
async def test_which_tool_is_to_be_called_reaches_the_model(
    tmp_path: Path, choice: Any, meant: str, names: list[str]
) -> None:
    """All the ways to say it."""
    model = ScriptedModel(["Fine."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        await client.chat.completions.create(
            model="m", messages=USER, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False
        )
    [request] = model.requests
    assert (request.settings.tool_choice, request.settings.parallel_tool_calls) == (meant, False)
    assert [tool.name for tool in request.tools] == names


class Price(BaseModel):
    euros: int


async def test_an_answer_in_a_form_is_asked_for_and_parsed(tmp_path: Path) -> None:
    """`parse` of the SDK, and JSON of any form."""
    model = ScriptedModel(['{"euros": 3}', '{"a": 1}'])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        told = await client.chat.completions.parse(model="m", messages=USER, response_format=Price)
        assert told.choices[0].message.parsed == Price(euros=3)
        await client.chat.completions.create(model="m", messages=USER, response_format={"type": "json_object"})
    form = model.requests[0].output
    assert form is not None
    assert form.schema["properties"]["euros"]["type"] == "integer"
    assert model.requests[1].output is not None


class Wordless(ScriptedModel):
    """A model that answers in a form only by calling a tool."""

    def __init__(self, script: Any) -> None:
        super().__init__(script)
        self.info = ModelInfo(provider="scripted", model="scripted", output_modes=("tool",))


async def test_a_model_without_json_answers_still_answers_in_the_form(tmp_path: Path) -> None:
    """By a tool it must call, of which the client sees nothing."""
    model = Wordless([[call("final_answer", euros=3)]] * 2)
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        told = await client.chat.completions.parse(model="m", messages=USER, response_format=Price)
        assert told.choices[0].message.parsed == Price(euros=3)
        assert told.choices[0].finish_reason == "stop"
        assert not told.choices[0].message.tool_calls
        async with client.chat.completions.stream(model="m", messages=USER, response_format=Price) as stream:
            assert (await stream.get_final_completion()).choices[0].message.parsed == Price(euros=3)


async def test_the_model_sees_pictures(tmp_path: Path) -> None:
    """On the web, and in the request itself."""
    model = ScriptedModel(["A cat."])
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        content: Any = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.org/cat.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ]
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": content}])
    assert model.requests[0].messages == [
        UserMessage(
            content=(
                TextPart(text="What is this?"),
                ImagePart(url="https://example.org/cat.png"),
                ImagePart(url="data:image/png;base64,AA=="),
            )
        )
    ]


async def test_a_refusal_is_one(tmp_path: Path) -> None:
    """Whole and streamed; and so is what a filter withholds, and what is cut at the limit."""
    cut = ModelResponse(message=AssistantMessage(text="And so"), finish_reason="length", usage=Usage(output_tokens=2))
    script = [Refused("I would rather not."), ContentFiltered("no"), cut]
    async with serving(tmp_path, [*script, *script]) as served, served.client() as client:
        told = [(await client.chat.completions.create(model="m", messages=USER)).choices[0] for _ in range(3)]
        assert told[0].message.refusal == "I would rather not."
        assert told[0].message.content is None
        assert [each.finish_reason for each in told] == ["stop", "content_filter", "length"]
        finals = []
        for _ in range(3):
            chunks = await client.chat.completions.create(model="m", messages=USER, stream=True)
            finals.append([chunk.choices[0] async for chunk in chunks])
        assert [each.delta.refusal for each in finals[0]] == [None, "I would rather not.", None]
        assert [each[-1].finish_reason for each in finals] == ["stop", "content_filter", "length"]


FAILURES: list[tuple[Exception, int, str | None]] = [
    (RateLimited("slow down", retry_after=7.0), 429, "rate_limit_exceeded"),
    (ModelTimeout("too late"), 504, "timeout"),
    (ContextTooLong("too long"), 400, "context_length_exceeded"),
    (ServerFailed("broken"), 502, None),
    (RuntimeError("a secret"), 500, None),
]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_goes_wrong_has_the_status_that_it_has_at_openai(tmp_path: Path, stream: bool) -> None:
    """Also of a stream, where nothing was said yet; and when to come again."""
    script = [error for error, _, _ in FAILURES]
    async with serving(tmp_path, script) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        for error, status, code in FAILURES:
            answer = await http.post("/chat/completions", json={"model": "m", "messages": USER, "stream": stream})
            told = answer.json()["error"]
            assert (answer.status_code, told["code"]) == (status, code)
            assert answer.headers.get("retry-after") == ("7" if isinstance(error, RateLimited) else None)
            assert "a secret" not in answer.text


class Breaking(ScriptedModel):
    """A model that fails in the middle of its answer."""

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """See `ModelBackend`."""
        if on_delta is not None:
            await on_delta(TextDelta(text="And"))
        raise ServerFailed("broken")


async def test_what_goes_wrong_in_the_middle_of_a_stream_is_told_there(tmp_path: Path) -> None:
    """The SDK raises it; nobody takes half an answer for a whole one."""
    async with serving(tmp_path, models={"*": Breaking([])}) as served, served.client() as client:
        said = []
        with pytest.raises(openai.APIError, match="broken"):
            chunks = await client.chat.completions.create(model="m", messages=USER, stream=True)
            async for chunk in chunks:
                said.append(chunk.choices[0].delta.content)  # noqa: PERF401 (what came before the error counts)
        assert said == ["", "And"]


class Endless(ScriptedModel):
    """A model that never comes to an end, and notes when it is cancelled."""

    def __init__(self) -> None:
        super().__init__([])
        self.begun, self.cancelled = anyio.Event(), anyio.Event()

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """See `ModelBackend`."""
        if on_delta is not None:
            await on_delta(TextDelta(text="And"))
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
        raise AssertionError


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_cancels_the_call(tmp_path: Path, stream: bool) -> None:
    """Nobody pays for an answer that nobody reads."""
    model = Endless()
    async with serving(tmp_path, models={"*": model}) as served, served.client() as client:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                told: Any = await client.chat.completions.create(model="m", messages=USER, stream=stream)
                async for _ in told:
                    pass

            group.start_soon(ask)
            await model.begun.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await model.cancelled.wait()


DEEP: dict[str, Any] = {}
for _ in range(300):
    DEEP = {"type": "object", "properties": {"a": DEEP}}
TWINS = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}] * 2
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("n", {"n": 2}),
    ("messages", {"messages": []}),
    ("messages", {"messages": [{"role": "user"}]}),
    ("messages", {"messages": [{"role": "judge", "content": "x"}]}),
    ("messages", {"messages": [*USER, {"role": "tool", "tool_call_id": "call_a", "content": "x"}]}),
    ("temperature", {"temperature": 3}),
    ("tool_choice", {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ("tools", {"tools": [{"type": "web_search"}]}),
    ("tools", {"tools": [TOOLS[0], TOOLS[0]]}),
    ("functions", {"functions": [{"name": "f"}]}),
    ("modalities", {"modalities": ["audio"]}),
    ("response_format", {"response_format": {"type": "json_schema"}}),
    ("stop", {"stop": 4}),
    ("tools", {"tools": [{"type": "function", "function": {"name": "f", "parameters": DEEP}}]}),
    ("response_format", {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": DEEP}}}),
    ("messages", {"messages": [{"role": "assistant", "tool_calls": TWINS}]}),
]


async def test_what_cannot_be_asked_is_refused_by_name(tmp_path: Path) -> None:
    """The model is not even asked."""
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        for param, wrong in WRONG:
            answer = await http.post("/chat/completions", json={"model": "m", "messages": USER, **wrong})
            assert answer.status_code == 400, wrong
            assert (answer.json()["error"]["param"] or "").startswith(param), answer.text


async def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """A model that hangs holds no client up for ever."""
    async with serving(tmp_path, models={"*": Endless()}, run_seconds=0) as served, served.client() as client:
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="m", messages=USER)
        assert caught.value.status_code == 504


async def test_calls_without_results_are_refused(tmp_path: Path) -> None:
    """In OpenAI's words, which clients look for."""
    calls: Any = [{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    messages: list[Any] = [*USER, {"role": "assistant", "tool_calls": calls}, *USER]
    async with serving(tmp_path) as served, served.client() as client:
        for told in (messages, messages[:-1]):
            with pytest.raises(openai.BadRequestError, match="did not have response messages: call_a"):
                await client.chat.completions.create(model="m", messages=told)


async def test_what_the_api_has_and_the_server_has_not_is_passed_over(tmp_path: Path) -> None:
    """Null is "not given"; fields nobody knows, and those that matter elsewhere only, do no harm."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi", "name": "Ada"}],
        **dict.fromkeys(("n", "tools", "tool_choice", "stop", "response_format", "stream", "seed"), None),
        "store": True,
        "user": "u",
        "shoe_size": 44,
        "max_tokens": 5.0,
    }
    async with serving(tmp_path, ["Hi."]) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        assert (await http.post("/chat/completions", json=body)).status_code == 200


async def test_models_are_listed_and_found(tmp_path: Path) -> None:
    """Those that have a name; one that is not there is told so, as at OpenAI."""
    models = {"gpt-4o": ScriptedModel([]), "org/small": ScriptedModel([])}
    async with serving(tmp_path, models=models) as served, served.client() as client:
        assert [model.id async for model in client.models.list()] == ["gpt-4o", "org/small"]
        assert (await client.models.retrieve("org/small")).id == "org/small"
        for asked in (
            client.models.retrieve("gpt-9"),
            client.chat.completions.create(model="gpt-9", messages=USER),
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                await asked
            assert caught.value.code == "model_not_found"


async def test_a_model_that_gives_ids_twice_is_understood(tmp_path: Path) -> None:
    """Some count from `call_0` in each answer; a client tells calls apart by their ids."""
    again = AssistantMessage(tool_calls=(ToolCall(id="call_0", name="price", arguments='{"sku":"B"}'),))
    calls: Any = [{"id": "call_0", "type": "function", "function": {"name": "price", "arguments": "{}"}}]
    history: list[Any] = [
        *USER,
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_0", "content": "3"},
    ]
    async with serving(tmp_path, [again]) as served, served.client() as client:
        async with client.chat.completions.stream(model="m", messages=history, tools=TOOLS) as stream:
            final = await stream.get_final_completion()
        told: Any = final.choices[0].message.tool_calls
        assert [(each.function.name, each.function.arguments) for each in told] == [("price", '{"sku":"B"}')]

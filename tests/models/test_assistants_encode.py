"""What is sent to an Assistants server, against the types of the openai SDK: an opinion that is not ours."""

from collections.abc import Iterable
from typing import Any

import pytest
from openai.types.beta.assistant_create_params import AssistantCreateParams
from openai.types.beta.thread_create_params import ThreadCreateParams
from openai.types.beta.threads.message_create_params import MessageCreateParams
from openai.types.beta.threads.run_create_params import RunCreateParamsStreaming
from openai.types.beta.threads.run_submit_tool_outputs_params import RunSubmitToolOutputsParamsStreaming
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from agentkit import Agent, ConfigError, ImagePart, ModelSettings, TextPart, UserMessage
from agentkit.hosted import CodeInterpreter, FileSearch
from agentkit.messages import AssistantMessage, FilePart, Message, ToolCall, ToolResult
from agentkit.models.assistants.encode import (
    as_json,
    check_metadata,
    encode_assistant,
    encode_messages,
    encode_outputs,
    encode_overrides,
    encode_resources,
    encode_run,
    encode_thread,
)
from agentkit.models.base import ModelRequest, OutputFormat
from agentkit.registry import ToolRegistry


def units_left(sku: str, shelf: int = 1) -> int:
    """Count the units of a product."""
    return 3


TOOLS = ToolRegistry(
    [units_left, FileSearch(stores=("vs_1",), max_results=5), CodeInterpreter(files=("file-1",), keep="thread")]
)
REQUEST = ModelRequest(
    messages=(),
    instructions="Be brief.",
    tools=TOOLS,
    output=OutputFormat(name="Answer", schema={"type": "object", "properties": {}}),
    settings=ModelSettings(
        temperature=0.5,
        top_p=0.9,
        max_tokens=500,
        reasoning_effort="low",
        tool_choice="units_left",
        parallel_tool_calls=False,
        extra={"truncation_strategy": {"type": "last_messages", "last_messages": 3}, "metadata": {"own": "1"}},
    ),
)
HISTORY: list[Message] = [
    UserMessage(content="Any A?"),
    AssistantMessage(text="I look.", tool_calls=(ToolCall(id="c1", name="units_left", arguments='{"sku":"A"}'),)),
    ToolResult(call_id="c1", name="units_left", content="3"),
    AssistantMessage(text="Three."),
    UserMessage(
        content=(
            TextPart(text="What is this?"),
            ImagePart(url="https://example.com/a.png"),
            FilePart(id="file-2", use="image"),
            FilePart(id="file-3", use="file_search"),
            FilePart(id="file-4", use="code_interpreter"),
        )
    ),
]


def fits(kind: Any, body: bytes, **in_the_path: str) -> dict[str, Any]:
    """The body as JSON, which the SDK's type takes, and all of whose fields that type knows."""
    value: dict[str, Any] = from_json(body)
    adapter = TypeAdapter(kind)
    consume(adapter.validate_python(value | in_the_path, extra="forbid"))
    return value


def consume(value: Any) -> None:
    """Iterables are validated when they are iterated over."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str):
        for item in value:
            consume(item)


def test_bodies_are_what_the_sdk_would_send() -> None:
    """An assistant, a thread, messages, a run and outputs have the fields and types that OpenAI's SDK gives them."""
    messages = encode_messages(HISTORY)
    fits(AssistantCreateParams, as_json(encode_assistant(REQUEST, "gpt-4o")))
    fits(ThreadCreateParams, encode_thread(encode_resources(TOOLS, "thread"), {"own": "1"}))
    for message in messages:
        fits(MessageCreateParams, as_json(message))
    body = {**encode_overrides(REQUEST, "gpt-4o"), **encode_run(REQUEST, "asst_1", messages, {"op": "1"})}
    run = fits(RunCreateParamsStreaming, as_json(body))
    fits(RunSubmitToolOutputsParamsStreaming, encode_outputs([("c1", "3"), ("c2", "")]), thread_id="t")
    assert run["metadata"] == {"own": "1", "op": "1"}
    assert run["max_completion_tokens"] == 500
    assert run["tool_choice"] == {"type": "function", "function": {"name": "units_left"}}


def test_a_history_becomes_texts_in_order() -> None:
    """What tools were called for, and gave, is told in words; nothing is left out, and files are attached."""
    told = encode_messages(HISTORY)
    assert [message["role"] for message in told] == ["user", "assistant", "user", "assistant", "user"]
    assert told[2]["content"] == 'Meanwhile, tools were called:\n\nunits_left({"sku":"A"}) gave: 3'
    assert [part["type"] for part in told[4]["content"]] == ["text", "image_url", "image_file"]
    assert told[4]["attachments"] == [
        {"file_id": "file-3", "tools": [{"type": "file_search"}]},
        {"file_id": "file-4", "tools": [{"type": "code_interpreter"}]},
    ]


@pytest.mark.parametrize(
    "message",
    [UserMessage(content=""), UserMessage(content=(TextPart(text=" "),)), AssistantMessage(), UserMessage(content=())],
)
def test_empty_messages_are_left_out(message: Message) -> None:
    """The wire refuses a message with nothing in it."""
    assert encode_messages([message]) == []


def test_a_file_alone_gets_a_few_words() -> None:
    """The wire wants content; a file without words is still a question about it."""
    [told] = encode_messages([UserMessage(content=(FilePart(id="file-1"),))])
    assert told["content"]
    assert told["attachments"]


def test_the_fingerprint_is_that_of_the_content() -> None:
    """The same agent in another process finds its assistant; a changed one, in whatever, gets its own."""

    def mark(request: ModelRequest, model: str = "m") -> str:
        return str(encode_assistant(request, model)["metadata"]["agentkit"])

    assert mark(REQUEST) == mark(ModelRequest(**{f: getattr(REQUEST, f) for f in REQUEST.__dataclass_fields__}))
    others = [
        ModelRequest(messages=(), instructions="Be brief!"),
        ModelRequest(messages=(), instructions="Be brief.", tools=ToolRegistry([units_left])),
        ModelRequest(messages=(), instructions="Be brief.", tools=ToolRegistry([units_left, FileSearch()])),
        ModelRequest(messages=(), instructions="Be brief.", settings=ModelSettings(temperature=0.1)),
        ModelRequest(messages=(), instructions="Be brief.", output=OutputFormat(name="A", schema={})),
    ]
    marks = [mark(REQUEST), mark(REQUEST, "n"), *map(mark, others)]
    assert len(set(marks)) == len(marks)


def test_what_changes_from_run_to_run_makes_no_new_assistant() -> None:
    """Limits, tool choice and further fields go with the run."""
    plain = encode_assistant(ModelRequest(messages=()), "m")
    busy = ModelSettings(max_tokens=9, tool_choice="required", parallel_tool_calls=True, timeout=3, extra={"a": 1})
    assert encode_assistant(ModelRequest(messages=HISTORY, settings=busy, tokens_left=4), "m") == plain


@pytest.mark.parametrize(
    ("settings", "left", "sent"),
    [(None, None, None), (1000, None, 1000), (None, 900, 900), (1000, 900, 900), (5, None, 256), (None, 0, 256)],
)
def test_a_runs_token_limit_follows_the_budget(settings: int | None, left: int | None, sent: int | None) -> None:
    """The smaller of what one answer and what the whole run may use; the wire knows no limit below 256."""
    request = ModelRequest(messages=(), settings=ModelSettings(max_tokens=settings), tokens_left=left)
    assert encode_run(request, "a", [], {})["max_completion_tokens"] == sent


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (lambda: Agent("x:y", settings=ModelSettings(stop=("END",))), "stop"),
        (lambda: Agent("x:y", settings=ModelSettings(seed=0)), "seed"),
        (lambda: Agent("x:y", instructions="a" * 256_001), "256001 characters"),
        (lambda: Agent("x:y", tools=[_named(n) for n in range(129)]), "129 tools"),
    ],
)
def test_what_the_wire_has_no_room_for_is_refused(agent: Any, words: str) -> None:
    """Before anything is sent, by name."""
    made = agent()
    request = ModelRequest(
        messages=(), instructions=made.instructions, tools=made.registry, settings=made.settings, output=None
    )
    with pytest.raises(ConfigError, match=words):
        encode_assistant(request, "m")


@pytest.mark.parametrize("metadata", [{str(n): "" for n in range(15)}, {"a" * 65: "b"}, {"a": "b" * 513}])
def test_metadata_that_does_not_fit_is_refused(metadata: dict[str, str]) -> None:
    """Two pairs are agentkit's own."""
    with pytest.raises(ConfigError, match="metadata"):
        check_metadata(metadata)


def test_a_hosted_tool_is_given_once() -> None:
    """The server has one of each kind."""
    with pytest.raises(ConfigError, match="'file_search' is given twice"):
        Agent("x:y", tools=[FileSearch(stores=("a",)), FileSearch(stores=("b",))])


def _named(n: int) -> Any:
    def tool() -> int:
        """A tool."""
        return n

    tool.__name__ = f"tool_{n}"
    return tool


@pytest.mark.parametrize(
    "body", [{"assistant_id": "a", "asistant": 1}, {"assistant_id": "a", "additional_messages": [{"role": "x"}]}]
)
def test_the_check_can_fail(body: dict[str, Any]) -> None:
    """A misspelt field and a wrong one deep inside are seen."""
    with pytest.raises(ValidationError):
        fits(RunCreateParamsStreaming, as_json(body | {"stream": True}))

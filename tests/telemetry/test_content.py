"""What is said in a run is on spans and events where somebody asks for it: as the conventions have it, in its size."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from exports import Attributes, Exports, Log, Scope, Span, on
from hypothesis import given, settings
from hypothesis import strategies as st
from norm import NORM, Facts
from norm_signals import check_logs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from agentkit import AssistantMessage, ImagePart, Message, Secret, ToolCall, ToolResult, UserMessage
from agentkit.errors import ConfigError
from agentkit.hosted import CodeInterpreter, FileSearch
from agentkit.messages import FilePart, HostedCall, SearchHit, TextPart
from agentkit.models.base import ModelRequest, ModelResponse
from agentkit.registry import ToolRegistry
from agentkit.telemetry.content import CAPTURE, EMIT, Content
from agentkit.telemetry.content_size import bytes_of
from agentkit.tool import Tool

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
IN, OUT, SYSTEM, TOOLS = (
    f"gen_ai.{name}" for name in ("input.messages", "output.messages", "system_instructions", "tool.definitions")
)
SCOPE = Scope(version="1", schema_url=NORM["scope"]["schema_url"])
ARGUMENTS, RESULT = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"


@Tool.of
def look_up(sku: str, deep: Any = None) -> Any:
    """Look a product up."""


@Tool.of
def log_in(user: str, pin: Annotated[str, Secret]) -> str:
    """Log in."""
    return user


REGISTRY = ToolRegistry([look_up, log_in])


@dataclass
class Shown:
    """What a span and an event hold."""

    span: Attributes
    event: Attributes

    def __getitem__(self, name: str) -> Any:
        """A value of the span's, read as JSON."""
        return json.loads(self.span[name])

    def checked(self, operation: str = "chat", status: str = "UNSET") -> "Shown":
        """Held against the norm."""
        named = {"gen_ai.operation.name": operation}
        exports = Exports(
            spans=(Span(name=operation, attributes={**named, **self.span}, status=status),),
            logs=(Log(name="content", attributes=self.event, scope=SCOPE),) if self.event else (),
        )
        found = [text for _, text in check_logs(exports, Facts(content_on_spans=True, content_on_events=True))]
        assert [text for text in found if "gen_ai.client" not in text and "is none of the norm" not in text] == []
        return self


def asked(
    *messages: Message, answer: AssistantMessage | None = None, content: Content | None = None, **given: Any
) -> Shown:
    """A model call, shown."""
    request = ModelRequest(messages=messages, tools=given.pop("tools", REGISTRY), **given)
    response = answer and ModelResponse(message=answer, finish_reason="tool_calls" if answer.tool_calls else "stop")
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    event = (content or Content(events=True)).model_call(span, request, response, event=True)
    return Shown(span=dict(on(span)), event=event).checked()


def called(
    call: ToolCall, tool: Tool | None, result: ToolResult | None = None, content: Content | None = None
) -> Shown:
    """A tool call, shown."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("execute_tool")
    (content or Content()).tool_call(span, call, tool, result)
    assert ARGUMENTS in on(span)
    shown = Shown(span=dict(on(span)), event={})
    return shown.checked("execute_tool", "UNSET" if _is_object(call.arguments) else "ERROR")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def parts(shown: Shown, message: int = 0) -> list[Any]:
    """The parts of one message that was sent."""
    found: list[Any] = shown[IN][message]["parts"]
    return found


def call(arguments: str, name: str = "look_up") -> ToolCall:
    """A call of a tool."""
    return ToolCall(id="call_1", name=name, arguments=arguments)


MODES = {
    "no_content": (False, False, False),
    "Span_Only": (True, False, False),
    "EVENT_ONLY": (False, True, True),
    " span_and_event ": (True, True, True),
    False: (False, False, False),
    True: (True, False, False),
}


@pytest.mark.parametrize("given", MODES, ids=str)
def test_one_word_says_where_content_goes(given: str | bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words of the conventions, or with True and False; the environment is not asked."""
    monkeypatch.setenv(CAPTURE, "EVENT_ONLY")
    monkeypatch.setenv(EMIT, "true")
    content = Content.of(given)
    assert (content.spans, content.events, content.emits) == MODES[given]


@pytest.mark.parametrize("given", ["true", "spans", "", 1, b"span_only", ["span_only"]])
def test_a_word_that_means_nothing_is_refused_with_those_that_do(given: Any) -> None:
    """Nobody finds out in production that nothing is captured, or everything."""
    with pytest.raises(ConfigError, match="span_and_event"):
        Content.of(given)


@pytest.mark.parametrize("wrong", [{"text_chars": 3}, {"total_bytes": 999}, {"total_bytes": "1 MB"}, {"redact": "no"}])
def test_a_size_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """With the smallest that can."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Content(**wrong)


async def _later(text: str) -> str:
    return text


def test_an_async_redact_is_refused() -> None:
    """It would give a coroutine for each text, and nothing would be captured."""
    with pytest.raises(ConfigError, match="async"):
        Content(redact=_later)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "emit", "wanted"),
    [
        ("", "", (False, False, False)),
        ("span_and_event", "", (True, True, True)),
        ("EVENT_ONLY", "False", (False, True, False)),
        ("SPAN_ONLY", "TRUE", (True, False, True)),
        ("NO_CONTENT", "true", (False, False, True)),
    ],
)
def test_the_environment_decides_where_nothing_is_given(
    mode: str, emit: str, wanted: Sequence[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variables that all instrumentations share."""
    monkeypatch.setenv(CAPTURE, mode)
    monkeypatch.setenv(EMIT, emit)
    content = Content.of(None)
    assert (content.spans, content.events, content.emits) == wanted


def test_what_the_environment_says_wrong_is_told_once_and_captures_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The old word `true` too. What was said is not repeated: it may be a secret in the wrong variable."""
    monkeypatch.setenv(CAPTURE, "true")
    monkeypatch.setenv(EMIT, "perhaps")
    _forgotten()
    with caplog.at_level(logging.WARNING):
        contents = [Content.of(None) for _ in range(3)]
    assert not any(content.spans or content.events or content.emits for content in contents)
    assert [CAPTURE in caplog.messages[0], EMIT in caplog.messages[1]] == [True, True]
    assert len(caplog.messages) == 2


def _forgotten() -> None:
    """What was logged in other tests is logged again."""
    from agentkit.telemetry import quiet

    quiet.warn.cache_clear()


def test_a_conversation_is_shown_in_the_conventions_words() -> None:
    """Roles, parts and the reason for the end, on the span as JSON text and on the event as values."""
    shown = asked(
        UserMessage(content=(TextPart(text="What is it?"), ImagePart(url="https://shop.test/a.png"))),
        AssistantMessage(text="I look.", reasoning="hm", tool_calls=(call('{"sku": "A-1"}'),)),
        ToolResult(call_id="call_1", name="look_up", content='{"units": 3}'),
        answer=AssistantMessage(text="Three."),
        instructions="Be kind.",
    )
    assert shown[SYSTEM] == [{"type": "text", "content": "Be kind."}]
    assert shown[IN] == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "What is it?"},
                {"type": "uri", "modality": "image", "uri": "https://shop.test/a.png"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "I look."},
                {"type": "tool_call", "id": "call_1", "name": "look_up", "arguments": {"sku": "A-1"}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": {"units": 3}}]},
    ]
    assert shown[OUT] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Three."}], "finish_reason": "stop"}
    ]
    assert {name: json.dumps(value, separators=(",", ":")) for name, value in shown.event.items()} == shown.span


def test_tools_are_shown_flat() -> None:
    """Functions with their parameters, those that the server runs by their type; a secret's default is in neither."""
    shown = asked(UserMessage(content="?"), tools=ToolRegistry([look_up, FileSearch(), CodeInterpreter()]))
    assert [{name: each[name] for name in ("type", "name")} for each in shown[TOOLS]] == [
        {"type": "file_search", "name": "file_search"},
        {"type": "code_interpreter", "name": "code_interpreter"},
        {"type": "function", "name": "look_up"},
    ]
    assert shown[TOOLS][2]["description"] == "Look a product up."
    assert set(shown[TOOLS][2]["parameters"]["properties"]) == {"sku", "deep"}


def test_what_is_not_there_has_no_attribute() -> None:
    """No instructions, no tools, no answer."""
    assert set(asked(UserMessage(content="?"), tools=ToolRegistry()).span) == {IN}


REASONS = {
    "stop": "stop",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "error": "error",
    "eos_42": None,
    "": None,
}


@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_the_end_is_in_the_conventions_words(reason: str) -> None:
    """A provider's own word that means none of them is left out."""
    response = ModelResponse(message=AssistantMessage(text="x"), finish_reason=reason)
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    [message] = Content(events=True).model_call(span, ModelRequest(messages=()), response, event=True)[OUT]
    assert message.get("finish_reason") == REASONS[reason]


def test_pictures_are_named_and_their_bytes_left_out() -> None:
    """Kind and size are there; a file of the server's goes by its id, a picture of the web's by its address."""
    picture = ImagePart.of(PICTURE)
    shown = asked(
        UserMessage(content=(picture, ImagePart(url=" DATA:image/svg+xml,%3Csvg/%3E"))),
        ToolResult(call_id="c", name="look_up", content="see", parts=(picture, FilePart(id="file-7", use="image"))),
        UserMessage(content=(FilePart(id="file-8"),)),
        answer=AssistantMessage(files=("file-9",)),
    )
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": ""}
    gone = {"type": "text", "content": f"… {len(PICTURE)} bytes omitted …"}
    svg = {**blob, "mime_type": "image/svg+xml"}
    assert parts(shown) == [blob, gone, svg, {"type": "text", "content": "… 6 bytes omitted …"}]
    response = {"type": "tool_call_response", "id": "c", "response": "see"}
    assert parts(shown, 1) == [response, blob, gone, {"type": "file", "modality": "image", "file_id": "file-7"}]
    assert parts(shown, 2) == [{"type": "file", "modality": "document", "file_id": "file-8"}]
    assert shown[OUT][0]["parts"] == [{"type": "file", "modality": "image", "file_id": "file-9"}]


def test_a_file_inside_of_a_text_is_named_and_its_bytes_left_out() -> None:
    """A tool that gives HTML with pictures in it, for example."""
    url = ImagePart.of(PICTURE).url
    shown = asked(UserMessage(content=f'<img src="{url}"> and <img src="{url}">'))
    said = f"data:image/png;base64,… {len(PICTURE)} bytes omitted …"
    assert parts(shown)[0]["content"] == f'<img src="{said}"> and <img src="{said}">'


def test_what_the_servers_own_tools_did_is_shown() -> None:
    """The code and what it logged, the search and what it found."""
    ran = HostedCall(id="h1", tool="code_interpreter", input="print(1)", output="1", files=("file-1",))
    found = HostedCall(
        id="h2", tool="file_search", hits=(SearchHit(file_id="f", filename="a.md", score=0.5, text="otters"),)
    )
    shown = asked(UserMessage(content="?"), answer=AssistantMessage(text="1", hosted_calls=(ran, found)))
    assert shown[OUT][0]["parts"][:4] == [
        {
            "type": "server_tool_call",
            "id": "h1",
            "name": "code_interpreter",
            "server_tool_call": {"type": "code_interpreter", "input": "print(1)"},
        },
        {
            "type": "server_tool_call_response",
            "id": "h1",
            "server_tool_call_response": {"type": "code_interpreter", "output": "1", "files": ["file-1"]},
        },
        {
            "type": "server_tool_call",
            "id": "h2",
            "name": "file_search",
            "server_tool_call": {"type": "file_search"},
        },
        {
            "type": "server_tool_call_response",
            "id": "h2",
            "server_tool_call_response": {
                "type": "file_search",
                "hits": [{"file": "a.md", "id": "f", "score": 0.5, "text": "otters"}],
            },
        },
    ]


def test_a_refusal_is_shown_as_text() -> None:
    """The conventions have no word for it."""
    shown = asked(UserMessage(content="?"), answer=AssistantMessage(refusal="I will not."))
    assert shown[OUT][0]["parts"] == [{"type": "text", "content": "I will not."}]


def test_a_tool_call_shows_its_arguments_and_result() -> None:
    """Objects as objects, words as words; both are JSON."""
    shown = called(call('{"sku": "A-1"}'), look_up, ToolResult(call_id="c", name="look_up", content="three"))
    assert shown.span == {ARGUMENTS: '{"sku":"A-1"}', RESULT: '"three"'}
    shown = called(call("{}"), look_up, ToolResult(call_id="c", name="look_up", content='[1, {"a": null}]'))
    assert shown.span == {ARGUMENTS: "{}", RESULT: '[1,{"a":null}]'}
    assert called(call("{}"), look_up).span == {ARGUMENTS: "{}"}


def test_a_result_with_pictures_is_shown_as_parts() -> None:
    """Without their bytes."""
    result = ToolResult(call_id="c", name="look_up", content="see", parts=(ImagePart.of(PICTURE),))
    found = called(call("{}"), look_up, result)[RESULT]
    assert [part["type"] for part in found] == ["text", "blob", "text"]


DEEP = "[" * 40 + "]" * 40
STRANGE = {
    "broken": '{"sku": "A-1"',
    "no object": '["A-1"]',
    "nothing": "",
    "twice": '{"sku": 1, "sku": 2}',
    "not a number": '{"sku": NaN}',
    "half a character": '{"sku": "\\ud83d"}',
    "half a character, bare": '{"sku": "\ud83d"}',
    "a huge number": '{"sku": 1' + "0" * 400 + "}",
    "more digits than Python reads": '{"sku": 1' + "0" * 5000 + "}",
    "deep": f'{{"sku": {DEEP}}}',
    "deeper than can be read": '{"sku": ' + "[" * 100_000 + "}",
    "long": json.dumps({"sku": "x" * 3_000_000}),
    "many": json.dumps({"sku": list(range(200_000))}),
    "many names": json.dumps({f"n{number}": number for number in range(50_000)}),
    "a long name": json.dumps({"n" * 500_000: 1}),
    "controls": json.dumps({"sku": "\x00\x01\x1f" * 50_000}),
    "null bytes": "\x00" * 1000,
}


@pytest.mark.parametrize("strange", STRANGE)
def test_whatever_a_model_writes_as_arguments_is_shown_as_json(strange: str) -> None:
    """As an object where it is one, and else as the text that it is; never larger than it may be."""
    content = Content(total_bytes=20_000, text_chars=500)
    for shown in (
        called(call(STRANGE[strange]), look_up, content=content),
        asked(AssistantMessage(tool_calls=(call(STRANGE[strange]),)), content=content),
    ):
        for text in shown.span.values():
            assert len(text.encode()) <= 20_000
            json.loads(text, parse_constant=_refused)


def _refused(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def test_numbers_that_no_exporter_takes_are_shown_as_text() -> None:
    """A protobuf's integers have 64 bits."""
    shown = called(call('{"sku": [9223372036854775807, 9223372036854775808]}'), look_up)
    assert shown[ARGUMENTS] == {"sku": [9223372036854775807, "9223372036854775808"]}


def test_what_is_too_deep_for_exporters_is_cut_there() -> None:
    """Protobuf readers give up at a depth, and a whole batch would be lost."""
    found, depth = called(call(f'{{"sku": {DEEP}}}'), look_up)[ARGUMENTS]["sku"], 0
    while isinstance(found, list):
        [found], depth = found, depth + 1
    assert found == "… too deep …"
    assert depth == 15


def test_a_long_text_keeps_both_ends_and_says_what_is_missing() -> None:
    """Inside of the part: what is around it stays as it is."""
    content = Content(text_chars=100)
    shown = asked(UserMessage(content="a" * 5000 + "b" * 5000), UserMessage(content="short"), content=content)
    assert parts(shown)[0]["content"] == "a" * 50 + "\n… 9900 characters omitted …\n" + "b" * 50
    assert parts(shown, 1) == [{"type": "text", "content": "short"}]


def test_a_text_of_ten_megabytes_is_cut_too() -> None:
    """Only what may be shown of it is looked at."""
    shown = asked(UserMessage(content="a" * 5_000_000 + "b" * 5_000_000), instructions="c" * 10_000_000)
    text = parts(shown)[0]["content"]
    assert text == "a" * 5000 + "\n… 9990000 characters omitted …\n" + "b" * 5000
    assert len(shown[SYSTEM][0]["content"]) < 10_100


def test_a_long_conversation_keeps_its_first_and_last_messages() -> None:
    """What is missing between them is said where it was."""
    messages = [UserMessage(content=f"{number}: " + "x" * 90) for number in range(1000)]
    shown = asked(*messages, content=Content(total_bytes=10_000))
    said = [part["content"] for message in shown[IN] for part in message["parts"]]
    gap = next(at for at, text in enumerate(said) if "omitted" in text)
    numbers = [int(text.partition(":")[0]) for at, text in enumerate(said) if at != gap]
    missing = 1000 - len(numbers)
    assert said[gap] == f"… {missing} parts of {missing} messages omitted …"
    assert numbers == [*range(gap), *range(1000 - (len(numbers) - gap), 1000)]
    assert numbers[-1] == 999
    assert len(shown.span[IN].encode()) > 8_000


def test_a_message_of_very_many_parts_keeps_its_first_and_last() -> None:
    """A model asks for a thousand things at once."""
    calls = tuple(ToolCall(id=f"c{number}", name="look_up", arguments="{}") for number in range(1000))
    [message] = asked(AssistantMessage(tool_calls=calls), content=Content(total_bytes=5_000))[IN]
    ids = [part["id"] for part in message["parts"] if part["type"] == "tool_call"]
    assert (ids[0], ids[-1]) == ("c0", "c999")
    [gap] = [part["content"] for part in message["parts"] if part["type"] == "text"]
    assert gap == f"… {1000 - len(ids)} parts of 1 messages omitted …"


def test_of_very_many_tools_the_first_are_shown() -> None:
    """Without their parameters where there is no room for these, and it is said how many are missing."""
    tools = ToolRegistry(
        Tool.elsewhere(f"tool_{number}", "Does it. " * 20, {"type": "object", "properties": {}})
        for number in range(500)
    )
    content = Content(total_bytes=10_000)
    shown = asked(UserMessage(content="?"), tools=tools, content=content)[TOOLS]
    assert "parameters" in shown[0]
    assert shown[-1] == {
        "type": "function",
        "name": "…",
        "description": f"{500 - len(shown) + 1} more tools omitted",
    }


@pytest.mark.parametrize("limit", ["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"])
def test_what_the_sdk_would_cut_in_the_middle_is_made_shorter_before(
    limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is JSON still; where there is no room for any, it is left out, and that is logged once."""
    messages = [UserMessage(content="otters " * 100) for _ in range(100)]
    monkeypatch.setenv(limit, "3000")
    assert len(asked(*messages).span[IN]) <= 3000
    monkeypatch.setenv(limit, "128")
    _forgotten()
    with caplog.at_level(logging.WARNING):
        shown = [asked(*messages) for _ in range(2)]
    assert [each.span for each in shown] == [{}, {}]
    assert shown[0].event[IN]
    [said] = caplog.messages
    assert limit in said


class Counting(str):
    """A text that notes when it is looked at."""

    seen = 0

    def lstrip(self, *given: Any) -> str:
        """Note it."""
        Counting.seen += 1
        return super().lstrip(*given)


def test_nothing_is_built_for_a_span_that_is_not_sampled() -> None:
    """Nor if content is off."""
    result = ToolResult(call_id="c", name="look_up", content=Counting("{}"))
    dropped = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("test").start_span("chat")
    kept = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    request = ModelRequest(messages=(result,))
    assert Content().model_call(dropped, request, event=True) == {}
    Content(spans=False).tool_call(kept, call("{}"), look_up, result)
    assert Content(spans=False).model_call(kept, request, event=True) == {}
    assert Counting.seen == 0
    Content(events=True).model_call(dropped, request, event=True)
    assert Counting.seen == 1


def test_an_event_without_content_holds_none() -> None:
    """Also where the span has it."""
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    content = Content(details=True)
    assert content.emits
    assert content.model_call(span, ModelRequest(messages=(UserMessage(content="otters"),)), event=True) == {}


def test_a_part_that_cannot_be_made_small_enough_is_named_only() -> None:
    """Where ids and names are not what they should be."""
    odd = "\x01" * 5000
    hosted = HostedCall(id=odd, tool=odd, input=odd, output=odd, files=(odd,))
    shown = asked(AssistantMessage(hosted_calls=(hosted,)), content=Content(total_bytes=1000))
    texts = [part["content"] for part in parts(shown)]
    assert [text.startswith("… a part of ") for text in texts] == [True, True]
    assert len(shown.span[IN].encode()) <= 1000
    many = ToolResult(call_id="c", name="look_up", content="see", parts=(ImagePart.of(PICTURE),) * 500)
    text = called(call("{}"), look_up, many, Content(total_bytes=1000))[RESULT]
    assert "bytes omitted" in text


@pytest.mark.parametrize("total", [1000, 1500])
def test_conversations_of_any_length_fit(total: int) -> None:
    """With what is said of the messages that are missing."""
    content = Content(total_bytes=total)
    for length in range(0, total // 3, 3):
        messages = [AssistantMessage(text="x" * length) for _ in range(60)]
        span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
        content.model_call(span, ModelRequest(messages=messages))
        assert len(on(span)[IN].encode()) <= total


TEXTS = st.text(st.characters(codec=None), max_size=200) | st.sampled_from(
    ["\ud800", "\x00" * 99, "😀" * 200, '"\\' * 99, "a" * 70_000, "{", '{"a":1}', "[" * 70, "data:a/b;base64,AAAA" * 30]
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=20,
)
WRITTEN = TEXTS | JSONS.map(json.dumps)
CALLS = st.builds(ToolCall, id=TEXTS, name=st.sampled_from(["look_up", "log_in", "nobody"]) | TEXTS, arguments=WRITTEN)
PARTS = st.one_of(
    st.builds(TextPart, text=TEXTS),
    st.builds(ImagePart, url=TEXTS | TEXTS.map("data:image/png;base64,".__add__)),
    st.builds(FilePart, id=TEXTS, use=st.sampled_from(["image", "file_search"])),
)
HITS = st.builds(SearchHit, file_id=TEXTS, filename=TEXTS, score=st.floats(), text=TEXTS)
HOSTED = st.builds(
    HostedCall,
    id=TEXTS,
    tool=TEXTS,
    input=TEXTS,
    output=TEXTS,
    files=st.lists(TEXTS, max_size=3).map(tuple),
    hits=st.lists(HITS, max_size=3).map(tuple),
)
ANSWERS = st.builds(
    AssistantMessage,
    text=TEXTS,
    tool_calls=st.lists(CALLS, max_size=4).map(tuple),
    reasoning=TEXTS,
    refusal=st.none() | TEXTS,
    files=st.lists(TEXTS, max_size=2).map(tuple),
    hosted_calls=st.lists(HOSTED, max_size=2).map(tuple),
)
MESSAGES = st.one_of(
    st.builds(UserMessage, content=TEXTS | st.lists(PARTS, max_size=4).map(tuple)),
    ANSWERS,
    st.builds(
        ToolResult,
        call_id=TEXTS,
        name=TEXTS,
        content=WRITTEN,
        secret=st.booleans(),
        parts=st.lists(PARTS.filter(lambda part: not isinstance(part, TextPart)), max_size=2).map(tuple),
    ),
)
CONTENTS = st.builds(
    Content,
    events=st.just(True),
    text_chars=st.integers(16, 300) | st.just(100_000),
    total_bytes=st.integers(1000, 3000) | st.just(40_000),
)


@settings(max_examples=100, deadline=None)
@given(messages=st.lists(MESSAGES, max_size=12), answer=ANSWERS, instructions=TEXTS, content=CONTENTS)
def test_any_conversation_is_json_of_the_norms_form_and_not_too_large(
    messages: list[Message], answer: AssistantMessage, instructions: str, content: Content
) -> None:
    """Whatever was said, whatever the sizes: nothing has to be repaired, and no collector refuses it."""
    shown = asked(*messages, answer=answer, instructions=instructions, content=content)
    for name, text in shown.span.items():
        assert len(text.encode()) <= content.total_bytes
        assert json.loads(text, parse_constant=_refused) == shown.event[name]
    assert shown.span.keys() >= {OUT, TOOLS} | ({IN} if messages else set())


@settings(max_examples=100, deadline=None)
@given(arguments=WRITTEN, result=WRITTEN, content=CONTENTS)
def test_any_tool_call_is_json_and_not_too_large(arguments: str, result: str, content: Content) -> None:
    """Whatever a model writes, and whatever a tool gives."""
    for text in called(
        call(arguments), look_up, ToolResult(call_id="c", name="look_up", content=result), content
    ).span.values():
        assert len(text.encode()) <= content.total_bytes
        json.loads(text, parse_constant=_refused)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, each in value.items():
                yield from _texts(name)
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)


@given(text=st.text(alphabet=st.sampled_from('ab"\\/ä…\n\x7f')) | st.text(st.characters(exclude_categories=["Cs"])))
def test_a_texts_size_is_that_of_its_json(text: str) -> None:
    """Also where it is told without writing it down."""
    assert bytes_of(text) == len(json.dumps(text, ensure_ascii=False).encode())

"""A response of the Chat Completions wire, whole and streamed -> what the model said."""

import json
from typing import Any

import pytest

from agentkit import AssistantMessage, ModelError, ModelRequest, ModelResponse, TextDelta, ToolCall, Usage
from agentkit.errors import (
    AuthFailed,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerFailed,
    StreamBroken,
    Truncated,
)
from agentkit.models.base import Delta, ReasoningDelta, ToolCallDelta
from agentkit.models.chat.decode import StreamDecoder, decode

REQUEST = ModelRequest(messages=())


def body(message: Any, finish_reason: str | None = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"id": "r1", "model": "m-1", "choices": [choice], **more}).encode()


def chunk(delta: Any = None, finish_reason: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return json.dumps({"id": "r1", "model": "m-1", "choices": choices, **more}).encode()


def streamed(*events: bytes, request: ModelRequest = REQUEST) -> tuple[list[Delta], ModelResponse]:
    decoder = StreamDecoder(request)
    deltas = [delta for event in events for delta in decoder.feed(event)]
    return deltas, decoder.response()


def function(name: str, arguments: Any, **more: Any) -> Any:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_text_and_usage() -> None:
    """Details of the usage are kept; what the provider does not say stays unknown."""
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}
    assert decode(body({"role": "assistant", "content": "Hi."}, usage=usage), REQUEST) == ModelResponse(
        message=AssistantMessage(text="Hi."),
        finish_reason="stop",
        usage=Usage(input_tokens=9, output_tokens=4, cache_read_tokens=8),
        model="m-1",
        id="r1",
    )
    assert decode(body({"content": "Hi."}), REQUEST).usage == Usage()


def test_a_stream_comes_to_what_the_whole_body_would() -> None:
    """Text, reasoning and two calls in pieces; usage in a last chunk without choices."""
    deltas, response = streamed(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "Hm."}),
        chunk({"content": "Let "}),
        chunk({"content": "me look."}),
        chunk({"tool_calls": [function("look", "", index=0, id="a")]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]}),
        chunk({"tool_calls": [function("see", "{}", index=1, id="b")]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        chunk({}, "tool_calls"),
        chunk(usage={"prompt_tokens": 1, "completion_tokens": 2}),
        b"[DONE]",
    )
    assert response == ModelResponse(
        message=AssistantMessage(
            text="Let me look.",
            reasoning="Hm.",
            tool_calls=(
                ToolCall(id="a", name="look", arguments='{"x":1}'),
                ToolCall(id="b", name="see", arguments="{}"),
            ),
        ),
        finish_reason="tool_calls",
        usage=Usage(input_tokens=1, output_tokens=2),
        model="m-1",
        id="r1",
    )
    assert deltas[:3] == [ReasoningDelta(text="Hm."), TextDelta(text="Let "), TextDelta(text="me look.")]
    assert deltas[3:5] == [
        ToolCallDelta(index=0, name="look", arguments=""),
        ToolCallDelta(index=0, name="look", arguments='{"x"'),
    ]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("insufficient_quota", QuotaExceeded),
        ("rate_limit_exceeded", RateLimited),
        ("invalid_api_key", AuthFailed),
        (500, ServerFailed),
        (None, ServerFailed),
    ],
)
def test_an_error_that_came_with_status_200_is_the_error_it_is(code: Any, kind: type[ModelError]) -> None:
    """Some servers and proxies answer 200 and put the error in the body, or in the stream."""
    error = json.dumps({"error": {"message": "told so", "code": code}}).encode()
    with pytest.raises(kind, match="told so"):
        decode(error, REQUEST)
    with pytest.raises(kind, match="told so"):
        streamed(chunk({"content": "Hi"}), error)


def test_a_conversation_that_is_too_long_is_named_so() -> None:
    """Whoever gets this can shorten the history."""
    error = {"error": {"message": "This model's maximum context length is 8192 tokens", "code": 400}}
    with pytest.raises(ContextTooLong):
        decode(json.dumps(error).encode(), REQUEST)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": "x"}]}',
        b'{"id": "r1"}',
        b'{"choices": [{"message": {"content": "x"',
    ],
)
def test_an_answer_that_is_none_is_a_bad_response(answer: bytes) -> None:
    """Never a KeyError or a JSONDecodeError; the start of what came is shown."""
    with pytest.raises(BadResponse, match="cannot be understood") as caught:
        decode(answer, REQUEST)
    assert len(str(caught.value)) < 400


def test_a_stream_that_breaks_off_is_broken_and_keeps_what_came() -> None:
    """Neither a finish reason nor [DONE]: nobody knows what is missing."""
    with pytest.raises(StreamBroken) as caught:
        streamed(chunk({"content": "Hel"}), chunk({"content": "lo"}))
    assert caught.value.partial == "Hello"
    with pytest.raises(BadResponse):
        streamed(chunk({"content": "x"}), b'{"choices": [{"del')


@pytest.mark.parametrize("end", [[chunk({}, "stop")], [b"[DONE]"]])
def test_either_end_of_a_stream_is_enough(end: list[bytes]) -> None:
    """Some servers send no [DONE], some no finish reason."""
    assert streamed(chunk({"content": "Hi"}), *end)[1].message.text == "Hi"


def test_refusal_filter_and_cut_are_errors_of_their_own() -> None:
    """A caller can tell them apart."""
    with pytest.raises(Refused, match="I can't") as caught:
        decode(body({"content": None, "refusal": "I can't."}), REQUEST)
    assert caught.value.text == "I can't."
    with pytest.raises(ContentFiltered):
        decode(body({"content": "x"}, "content_filter"), REQUEST)
    with pytest.raises(Truncated, match="tool call"):
        decode(body({"content": None, "tool_calls": [function("f", '{"a', id="1")]}, "length"), REQUEST)


def test_a_text_that_was_cut_is_still_an_answer() -> None:
    """The finish reason says so."""
    response = decode(body({"content": "Once upon"}, "length"), REQUEST)
    assert (response.message.text, response.finish_reason) == ("Once upon", "length")


def test_missing_and_repeated_ids_are_replaced() -> None:
    """A result must find its call: every id is there once, the same ones again for the same request."""
    calls = [function("f", "{}"), function("f", "{}", id="x"), function("f", "{}", id="x"), function("f", "{}", id="")]
    got = [decode(body({"tool_calls": calls}, "tool_calls"), REQUEST).message.tool_calls for _ in range(2)]
    ids = [call.id for call in got[0]]
    assert len(set(ids)) == 4
    assert ids[1] == "x"
    assert all(ids)
    assert got[0] == got[1]


def test_an_id_that_an_earlier_call_had_is_replaced() -> None:
    """Some servers begin again with `call_0` in every answer; strict ones refuse such a history."""
    earlier = AssistantMessage(tool_calls=(ToolCall(id="call_0", name="f", arguments="{}"),))
    request = ModelRequest(messages=(earlier,))
    [call] = decode(body({"tool_calls": [function("f", "{}", id="call_0")]}), request).message.tool_calls
    assert call.id not in ("", "call_0")


def test_a_new_id_on_a_used_index_opens_a_new_call() -> None:
    """Some servers number every call 0."""
    _, response = streamed(
        chunk({"tool_calls": [function("f", "{}", index=0, id="a")]}),
        chunk({"tool_calls": [function("g", "{}", index=0, id="b")]}),
        chunk({}, "tool_calls"),
    )
    assert [(c.id, c.name) for c in response.message.tool_calls] == [("a", "f"), ("b", "g")]


def test_what_is_unknown_is_passed_over() -> None:
    """New fields, other finish reasons, an object where a string of arguments is meant, null lists, parts of text."""
    message = {"content": [{"type": "text", "text": "a"}, {"type": "x"}, {"type": "text", "text": "b"}], "new": 1}
    assert decode(body(message, "banana"), REQUEST).message.text == "ab"
    calls = [function("f", {"a": 1}, id="1"), None, {"id": "2"}]
    got = decode(body({"content": None, "tool_calls": calls}), REQUEST)
    assert [c.arguments for c in got.message.tool_calls] == ['{"a":1}', ""]
    assert decode(body({"content": "x", "tool_calls": None}, None), REQUEST).finish_reason == "stop"


def test_text_that_no_store_takes_is_cleaned() -> None:
    """A lone surrogate or NUL in an answer does not reach the history."""
    assert decode(b'{"choices":[{"message":{"content":"a\\u0000b"}}]}', REQUEST).message.text == "a\u2400b"

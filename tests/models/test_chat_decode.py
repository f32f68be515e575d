"""A response of the Chat Completions wire, whole and streamed -> what the model said."""

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from agentkit.models.base import Delta, OutputFormat, ReasoningDelta, ToolCallDelta
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
        ToolCallDelta(index=0, name="look", arguments="", id="a"),
        ToolCallDelta(index=0, name="look", arguments='{"x"', id="a"),
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
        b'{"choices": [{"message": {"content": "x", "tool_calls": 5}}]}',
        b'{"choices": [{"message": {"content": "x", "tool_calls": {"0": {}}}}]}',
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
    with pytest.raises(Truncated, match="token limit"):
        decode(body({"content": '{"a'}, "length"), replace(REQUEST, output=OutputFormat(name="a", schema={})))


def test_a_call_that_was_cut_is_told_as_it_is() -> None:
    """The finish reason says so, and the loop runs none of them."""
    response = decode(body({"content": None, "tool_calls": [function("f", '{"a', id="1")]}, "length"), REQUEST)
    assert response.finish_reason == "length"
    assert [call.arguments for call in response.message.tool_calls] == ['{"a']


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


@pytest.mark.parametrize("given", ["call_1_0", "call_1_1", "call_1_2"])
def test_an_id_that_was_made_up_meets_no_other(given: str) -> None:
    """Neither one that this answer gives, before or after it, nor one in a history that was trimmed to this length."""
    earlier = AssistantMessage(tool_calls=(ToolCall(id="call_1_0", name="f", arguments="{}"),))
    calls = [function("f", "{}"), function("f", "{}", id=given), function("f", "{}"), function("f", "{}")]
    got = decode(body({"tool_calls": calls}), ModelRequest(messages=(earlier,))).message.tool_calls
    ids = [call.id for call in (*earlier.tool_calls, *got)]
    assert len(set(ids)) == 5
    assert (given in ids[1:]) is (given != "call_1_0")


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


def called(*deltas: Any) -> list[tuple[str, str]]:
    """Names and arguments of the calls that came in these deltas, each a list of pieces."""
    _, response = streamed(*(chunk({"tool_calls": delta}) for delta in deltas), chunk({}, "tool_calls"))
    return [(call.name, call.arguments) for call in response.message.tool_calls]


@pytest.mark.parametrize("number", [{}, {"index": None}, {"index": "0"}, {"index": []}, {"index": {}}, {"index": True}])
def test_calls_without_numbers_are_told_apart(number: Any) -> None:
    """By their places in one delta, by a new name in the next, by a name after whole arguments: two calls, not one."""
    f, g, more = function("f", "{}", **number), function("g", "{}", **number), function("f", '{"a":1}', **number)
    assert called([f, g]) == called([f], [g]) == [("f", "{}"), ("g", "{}")]
    assert called([f], [more]) == [("f", "{}"), ("f", '{"a":1}')]
    pieces = ['{"a', '":', "1}"]
    assert called(*([function("f" if n == 0 else None, p, **number)] for n, p in enumerate(pieces))) == [
        ("f", '{"a":1}')
    ]
    assert called(*([function("f", p, **number)] for p in pieces), [function("f", "", **number)]) == [("f", '{"a":1}')]


def test_calls_that_have_one_number_and_no_ids_are_told_apart() -> None:
    """Some servers number every call 0."""
    assert called([function("f", '{"a":', index=0)], [function("", "1}", index=0)], [function("f", "{}", index=0)]) == [
        ("f", '{"a":1}'),
        ("f", "{}"),
    ]


def test_a_name_is_put_together_however_it_comes() -> None:
    """At once, in pieces, whole again in every piece, or after the first arguments."""
    whole = [("get_it", "{}")]
    for names in (["get_it", None], ["get", "_it"], ["get_it", "get_it"]):
        first, second = (function(name, "", index=0, id="a") for name in names)
        assert called([first], [second], [function(None, "{}", index=0)]) == whole
    assert called(*([function("get_it", piece, index=0, id="a")] for piece in ("", "{", "}", ""))) == whole
    assert called([function(None, "{", index=0, id="a")], [function("get_it", "}", index=0)]) == whole


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
    call = {"id": "a\0b", "function": {"name": "a\0b", "arguments": "a\0b"}}
    message = decode(body({"content": "a\0b", "reasoning": "a\0b", "tool_calls": [call]}), REQUEST).message
    cleaned = "a\u2400b"
    assert message == AssistantMessage(
        text=cleaned, reasoning=cleaned, tool_calls=(ToolCall(id=cleaned, name=cleaned, arguments=cleaned),)
    )


@pytest.mark.parametrize("odd", ["3", -1, 1.5, True, [1], {"a": 1}])
def test_usage_that_is_no_number_is_unknown(odd: Any) -> None:
    """Whoever adds up tokens meets numbers only."""
    details = {"prompt_tokens_details": odd, "completion_tokens_details": {"reasoning_tokens": odd}}
    usage = {"prompt_tokens": odd, "completion_tokens": odd, **details}
    assert decode(body({"content": "x"}, usage=usage), REQUEST).usage == Usage()


CALL = function("f", "{}", id="a", index=0)
MESSAGE = {"role": "assistant", "content": "hi", "reasoning": "r", "refusal": None, "tool_calls": [CALL]}
WHOLE = {
    "id": "r1",
    "model": "m-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE, "delta": MESSAGE}],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
    "error": None,
}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values in a JSON value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


def put(value: Any, at: tuple[Any, ...], odd: Any) -> bytes:
    """The value as JSON, with something odd in one place."""
    whole = {"": copy.deepcopy(value)}
    *way, last = ("", *at)
    inner: Any = whole
    for key in way:
        inner = inner[key]
    inner[last] = odd
    return json.dumps(whole[""]).encode()


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "function", "text", "message", "code"]) | st.text(), inner)
    ),
    max_leaves=5,
)
BODIES = st.builds(put, st.just(WHOLE), st.sampled_from(list(places(WHOLE))), ODD)


def assert_sound(response: ModelResponse) -> None:
    """All in it has the type it says."""
    message, usage = response.message, response.usage
    numbers = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.reasoning_tokens)
    assert all(number is None or (type(number) is int and number >= 0) for number in numbers)
    words = [response.finish_reason, response.model, response.id, message.text, message.reasoning]
    words += [word for call in message.tool_calls for word in (call.id, call.name, call.arguments)]
    assert all(type(word) is str for word in words)
    ids = [call.id for call in message.tool_calls]
    assert len({*ids, ""}) == len(ids) + 1


@settings(max_examples=400, deadline=None)
@given(BODIES)
def test_anything_anywhere_is_an_answer_or_an_error_of_ours(answer: bytes) -> None:
    """Servers differ in everything: whatever stands wherever in a body, no stranger's exception comes out."""
    with suppress(ModelError):
        assert_sound(decode(answer, REQUEST))


@settings(max_examples=400, deadline=None)
@given(st.lists(BODIES, max_size=4), st.sampled_from([[], [b"[DONE]"], [chunk({}, "stop")]]))
def test_anything_anywhere_in_a_stream_is_an_answer_or_an_error_of_ours(events: list[bytes], end: list[bytes]) -> None:
    """As in a whole body, and what is passed on meanwhile is sound too."""
    with suppress(ModelError):
        deltas, response = streamed(*events, *end)
        assert_sound(response)
        for delta in deltas:
            words = (delta.name, delta.arguments) if isinstance(delta, ToolCallDelta) else (delta.text,)
            assert all(type(word) is str for word in words)


def test_what_has_no_name_here_is_kept() -> None:
    """Of the answer, its choice and its message; null says nothing. A provider's news can be used before we know it."""
    message = {"role": "assistant", "content": "Hi.", "annotations": [{"url": "u"}], "audio": None}
    data = json.loads(body(message, x_groq={"id": "q"}))
    data["choices"][0]["logprobs"] = {"content": []}
    raw = {"x_groq": {"id": "q"}, "logprobs": {"content": []}, "annotations": [{"url": "u"}]}
    assert decode(json.dumps(data).encode(), REQUEST).raw == raw
    assert decode(body({"content": "Hi."}), REQUEST).raw is None


def test_of_a_stream_what_came_last_is_kept() -> None:
    """Each field as it was told last; what came earlier under other names too."""
    _, response = streamed(
        chunk({"content": "H"}, x_first=1), chunk({"content": "i", "mood": "a"}), chunk({"mood": "b"}, "stop")
    )
    assert response.raw == {"x_first": 1, "mood": "b"}

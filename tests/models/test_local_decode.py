"""What is understood of the embedded model's answers, and the answer composed from tools' results."""

import json
from typing import Any

import pytest

from agentkit.errors import BadResponse
from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, UserMessage
from agentkit.models.local.decode import composed, decode, new_calls, with_ids
from agentkit.models.local.encode import last_turn


def answer(*calls: dict[str, Any], confidence: object = 0.9) -> str:
    return json.dumps({"type": "call" if calls else "respond", "function_calls": calls, "confidence": confidence})


IN_POUNDS = {"ticker": "AAPL", "currency": "GBP"}
APPLE = {"name": "get_stock_price", "arguments": IN_POUNDS}


def called(arguments: str, name: str = "get_stock_price", id: str = "call_1") -> AssistantMessage:
    return AssistantMessage(tool_calls=(ToolCall(id=id, name=name, arguments=arguments),))


def result(content: str, *, id: str = "call_1", name: str = "get_stock_price", is_error: bool = False) -> ToolResult:
    return ToolResult(call_id=id, name=name, content=content, is_error=is_error)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (answer(APPLE), (("get_stock_price", IN_POUNDS),)),
        (answer(APPLE, {"name": "now", "arguments": {}}), (("get_stock_price", IN_POUNDS), ("now", {}))),
        (answer(APPLE, confidence=0.2), (("get_stock_price", IN_POUNDS),)),
        (answer(APPLE, confidence=0.19), ()),
        (answer(APPLE, confidence=float("nan")), ()),
        (answer(), ()),
    ],
)
def test_confident_calls_are_taken_and_guesses_are_not(text: str, calls: object) -> None:
    """Below a confidence of 0.2 most calls are wrong, and a wrong call is worse than none."""
    assert decode(text) == calls


def test_suppressed_calls_are_not_made() -> None:
    """What the engine itself holds back is not a call."""
    text = json.dumps({"type": "call", "function_calls": [], "suppressed_calls": [APPLE], "confidence": 0.9})
    assert decode(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "None",
        "[]",
        '"call"',
        "{}",
        '{"confidence": 0.9}',
        '{"function_calls": []}',
        '{"function_calls": null, "confidence": 0.9}',
        '{"function_calls": [], "confidence": null}',
        '{"function_calls": [], "confidence": "sure"}',
        '{"function_calls": ["f"], "confidence": 0.9}',
        '{"function_calls": [{"name": "f"}], "confidence": 0.9}',
        '{"function_calls": [{"name": "f", "arguments": "{}"}], "confidence": 0.9}',
        '{"function_calls": [{"name": null, "arguments": {}}], "confidence": 0.9}',
        "[" * 100_000,
    ],
)
def test_an_answer_that_makes_no_sense_is_a_bad_response(text: str) -> None:
    """Never a KeyError or the like: the caller catches ModelError, and finds the answer in its body."""
    with pytest.raises(BadResponse) as caught:
        decode(text)
    assert caught.value.body == text[:2000]


def test_a_call_made_already_is_not_made_again() -> None:
    """The model would ask for the same thing for ever; the order of arguments makes no difference."""
    turn = last_turn([UserMessage(content="?"), called('{"currency": "GBP", "ticker": "AAPL"}'), result("1")])
    in_euros = ("get_stock_price", {"ticker": "AAPL", "currency": "EUR"})
    assert new_calls([("get_stock_price", IN_POUNDS), in_euros], turn) == (in_euros,)


def test_a_call_made_twice_in_one_answer_is_made_once() -> None:
    """The same call gives the same result."""
    turn = last_turn([UserMessage(content="?")])
    assert new_calls([("f", {"a": 1, "b": 2}), ("f", {"b": 2, "a": 1})], turn) == (("f", {"a": 1, "b": 2}),)


def test_a_call_of_an_earlier_turn_may_be_made_again() -> None:
    """Who asks for the time twice wants to know it twice."""
    turn = last_turn([UserMessage(content="Time?"), called("{}", "now"), result("1"), UserMessage(content="Time?")])
    assert new_calls([("now", {})], turn) == (("now", {}),)


def test_calls_that_another_model_garbled_do_not_matter() -> None:
    """A conversation may have begun elsewhere, with arguments that are no JSON."""
    turn = last_turn([UserMessage(content="?"), called("{not json"), result("1")])
    assert new_calls([("f", {})], turn) == (("f", {}),)


@pytest.mark.parametrize(
    ("before", "ids"),
    [
        ([], ["call_1", "call_2"]),
        ([called("{}", id="call_1")], ["call_2", "call_3"]),
        ([called("{}", id="call_abc")], ["call_2", "call_3"]),
        ([called("{}", id="call_3")], ["call_2", "call_4"]),
    ],
)
def test_ids_follow_from_the_conversation_and_are_unique_in_it(before: list[Message], ids: list[str]) -> None:
    """The same conversation gives the same ids, so a run can be replayed; a result never finds two calls."""
    calls = with_ids([("f", {"city": "Köln"}), ("g", {})], before)
    assert [call.id for call in calls] == ids
    assert [call.arguments for call in calls] == ['{"city": "Köln"}', "{}"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"price": 182.34, "currency": "GBP"}', "price: 182.34, currency: GBP"),
        ('{"open": true, "until": null, "days": ["Mo", "Tu"]}', 'open: true, until: null, days: ["Mo", "Tu"]'),
        ("182.34 GBP", "182.34 GBP"),
        ("[1, 2]", "[1, 2]"),
        ("{}", "{}"),
        ("", ""),
        ("x" * 9000, "x" * 9000),
    ],
)
def test_the_answer_shows_what_was_asked_and_the_whole_result(content: str, line: str) -> None:
    """Every word of the answer comes from the tools; nothing is invented, nothing is cut."""
    turn = last_turn([UserMessage(content="?"), called('{"ticker": "AAPL", "currency": "GBP"}'), result(content)])
    assert composed(turn) == f"get_stock_price(ticker=AAPL, currency=GBP) -> {line}"


def test_each_result_has_its_line_and_an_error_is_shown() -> None:
    """The user sees what worked and what did not."""
    turn = last_turn(
        [
            UserMessage(content="?"),
            AssistantMessage(
                tool_calls=(
                    ToolCall(id="call_1", name="now", arguments="{}"),
                    ToolCall(id="call_2", name="convert", arguments='{"value": 10.0, "to_unit": "parsec/h"}'),
                )
            ),
            result("noon", id="call_1", name="now"),
            result("no such unit", id="call_2", name="convert", is_error=True),
        ]
    )
    assert turn.failed
    assert composed(turn) == "now() -> noon\nconvert(value=10.0, to_unit=parsec/h) -> error: no such unit"


@pytest.mark.parametrize(("arguments", "shown"), [("{not json", "{not json"), ("[1]", "[1]"), ("", "")])
def test_odd_arguments_are_shown_as_they_are(arguments: str, shown: str) -> None:
    """Another model may have written them."""
    turn = last_turn([UserMessage(content="?"), called(arguments), result("1")])
    assert composed(turn) == f"get_stock_price({shown}) -> 1"


def test_a_result_without_its_call_is_still_shown() -> None:
    """Old messages may have been cut off a conversation."""
    assert composed(last_turn([UserMessage(content="?"), result("1")])) == "get_stock_price() -> 1"

"""Messages: exact JSON, clean text, and the calls that wait for an answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import AssistantMessage, ImagePart, Message, TextPart, ToolCall, ToolResult, Usage, UserMessage
from agentkit.messages import clean, dump_messages, load_messages, unanswered

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CALLS = st.builds(ToolCall, id=TEXT, name=TEXT, arguments=TEXT)
PARTS = st.one_of(st.builds(TextPart, text=TEXT), st.builds(ImagePart, url=TEXT))
STATE = st.none() | st.dictionaries(TEXT, st.integers() | TEXT | st.lists(TEXT, max_size=2), max_size=3)
MESSAGES = st.one_of(
    st.builds(UserMessage, content=TEXT | st.lists(PARTS, max_size=3).map(tuple)),
    st.builds(
        AssistantMessage,
        text=TEXT,
        tool_calls=st.lists(CALLS, max_size=3).map(tuple),
        reasoning=TEXT,
        refusal=st.none() | TEXT,
        state=STATE,
    ),
    st.builds(ToolResult, call_id=TEXT, name=TEXT, content=TEXT, is_error=st.booleans()),
)


@given(st.lists(MESSAGES, max_size=5))
def test_a_conversation_survives_json_exactly(messages: list[Message]) -> None:
    """What is stored is what was said, whatever it was; sending a message before changes nothing."""
    for message in messages:
        message.encoded("test", lambda m: b"...")
    assert load_messages(dump_messages(messages)) == messages


@given(st.text())
def test_clean_text_is_what_json_and_databases_take(text: str) -> None:
    """Lone surrogates and NUL never reach a store or a provider; all other text stays as it is."""
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned
    assert json.loads(json.dumps(cleaned)) == cleaned
    assert len(cleaned) == len(text)


def test_a_message_is_encoded_once_per_wire() -> None:
    """A long history is not encoded again on every round."""
    times = []

    def encode(message: UserMessage) -> bytes:
        times.append(message)
        return message.text.encode()

    message = UserMessage(content="hi")
    assert [message.encoded("a", encode), message.encoded("a", encode), message.encoded("b", encode)] == [b"hi"] * 3
    assert len(times) == 2


def test_unanswered_calls_are_those_after_the_last_answer_without_a_result() -> None:
    """A paused run knows which calls still wait, in the order they were asked."""
    calls = tuple(ToolCall(id=i, name="f", arguments="{}") for i in "abc")
    asked = AssistantMessage(tool_calls=calls)
    done = ToolResult(call_id="b", name="f", content="1")
    assert unanswered([UserMessage(content="go"), asked, done]) == (calls[0], calls[2])
    assert unanswered([asked, done, UserMessage(content="and?")]) == ()
    assert unanswered([]) == ()


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        (Usage(), Usage(), None),
        (Usage(input_tokens=3), Usage(), 3),
        (Usage(input_tokens=3, output_tokens=4), Usage(input_tokens=1), 8),
        (Usage(output_tokens=0), Usage(), 0),
    ],
)
def test_unknown_usage_is_not_zero(a: Usage, b: Usage, total: int | None) -> None:
    """A provider that says nothing adds nothing, and is not taken for one that used nothing."""
    assert (a + b).total_tokens == (b + a).total_tokens == total

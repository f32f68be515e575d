"""What a run begins with: the history that a caller gives."""

import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from agentkit import Agent, AssistantMessage, ConfigError, Message, ToolResult, UserMessage
from agentkit.messages import ToolCall
from agentkit.models.base import ModelRequest
from agentkit.models.chat.encode import encode
from agentkit.prompt import mended
from agentkit.testing import ScriptedModel
from agentkit.testing.strict import check

ASK = UserMessage(content="?")
TEXT = AssistantMessage(text="So.")


def calls(*ids: str) -> AssistantMessage:
    return AssistantMessage(tool_calls=tuple(ToolCall(id=id, name="look", arguments="{}") for id in ids))


def result(id: str, content: str = "3") -> ToolResult:
    return ToolResult(call_id=id, name="look", content=content)


MENDED: dict[str, tuple[list[Message], list[Message], str]] = {
    "whole": ([ASK, calls("a"), result("a"), TEXT], [ASK, calls("a"), result("a"), TEXT], ""),
    "waiting at the end": ([ASK, calls("a", "b"), result("b")], [ASK, calls("a", "b"), result("b")], ""),
    "the result of no call": ([ASK, result("x"), TEXT], [ASK, TEXT], "of no call"),
    "two results of one call": (
        [ASK, calls("a"), result("a"), result("a", "4"), TEXT],
        [ASK, calls("a"), result("a"), TEXT],
        "of no call",
    ),
    "a result after the next question": (
        [ASK, calls("a"), ASK, result("a"), TEXT],
        [ASK, calls("a"), result("a"), ASK, TEXT],
        "other ids or places",
    ),
    "ids that are used again": (
        [ASK, calls("a"), result("a"), calls("a"), result("a", "4"), TEXT],
        [ASK, calls("a"), result("a"), calls("a_2"), result("a_2", "4"), TEXT],
        "other ids",
    ),
}


@pytest.mark.parametrize("case", MENDED)
def test_a_history_is_mended_where_it_can_be(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """A caller's history may have been cut anywhere; what a provider would refuse is put right, with a warning."""
    given, wanted, said = MENDED[case]
    with caplog.at_level(logging.WARNING, "agentkit"):
        assert mended(given) == wanted
    assert said in caplog.text
    assert bool(caplog.records) == bool(said)


def test_a_call_without_a_result_says_that_nobody_knows() -> None:
    """The model is not told that nothing happened."""
    told = mended([ASK, calls("a", "b"), result("b"), ASK])
    assert [type(message).__name__ for message in told] == [
        "UserMessage",
        "AssistantMessage",
        "ToolResult",
        "ToolResult",
        "UserMessage",
    ]
    last = told[3]
    assert isinstance(last, ToolResult)
    assert last.call_id == "a"
    assert "may or may not" in last.content


@pytest.mark.parametrize("ids", [("a", "a"), ("",)])
@pytest.mark.anyio
async def test_calls_that_cannot_be_told_apart_are_refused(ids: Sequence[str]) -> None:
    """There is no telling which result is whose."""
    with pytest.raises(ConfigError, match="ids"):
        await Agent(ScriptedModel([])).run("go", history=[ASK, calls(*ids), ASK])


MESSAGES = st.one_of(
    st.just(ASK),
    st.just(TEXT),
    st.lists(st.sampled_from("abc"), unique=True, min_size=1).map(lambda ids: calls(*ids)),
    st.sampled_from("abcd").map(result),
)


@given(st.lists(MESSAGES, max_size=12))
def test_whatever_is_given_the_strictest_provider_accepts_it(history: list[Message]) -> None:
    """Once mended, it stays as it is, loses no words, and is taken by a server that checks every rule."""
    told = mended([ASK, *history, ASK])
    assert mended(told) == told
    assert [type(m) for m in told if not isinstance(m, ToolResult)] == [
        type(m) for m in [ASK, *history, ASK] if not isinstance(m, ToolResult)
    ]
    check(from_json(encode(ModelRequest(messages=told), "m", stream=False)))

"""What the embedded model is fed: the tools, and the conversation since the user last spoke."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agentkit.errors import ConfigError, ContextTooLong
from agentkit.messages import AssistantMessage, ImagePart, Message, TextPart, ToolCall, ToolResult, UserMessage
from agentkit.models.base import ModelRequest, ModelSettings, OutputFormat
from agentkit.models.local.encode import (
    MESSAGE_CHARS,
    RESULTS_CHARS,
    Turn,
    encode_output,
    encode_tools,
    encode_turn,
    last_turn,
    offered,
)
from agentkit.registry import ToolRegistry
from agentkit.tool import Tool


def print_it() -> None:
    """Stands for any function."""


def a_tool(name: str) -> Tool:
    return replace(
        Tool.of(print_it),
        name=name,
        description=f"Does {name}.\n",
        parameters={"type": "object", "properties": {"x": {"type": "integer"}}},
    )


def tools(count: int) -> ToolRegistry:
    return ToolRegistry([a_tool(f"tool_{n}") for n in range(count)])


def called(*ids: str) -> AssistantMessage:
    return AssistantMessage(tool_calls=tuple(ToolCall(id=id, name="f", arguments="{}") for id in ids))


def result(content: str, id: str = "call_1") -> ToolResult:
    return ToolResult(call_id=id, name="f", content=content)


def texts(*messages: Message) -> tuple[str, ...]:
    return encode_turn(last_turn(messages))


def test_the_users_words_and_each_round_of_results_are_fed_in_order() -> None:
    """The model works out its own calls again, so only what it did not say itself is fed."""
    assert texts(
        UserMessage(content="Apple and Tesla?"),
        called("call_1", "call_2"),
        result('{"price": 1}', "call_1"),
        result('{"price": 2}', "call_2"),
        called("call_3"),
        result('{"price": 3}', "call_3"),
    ) == ("Apple and Tesla?", '[{"price": 1}, {"price": 2}]', '[{"price": 3}]')


def test_an_older_turn_is_not_fed() -> None:
    """Measured: after a few questions the model repeats the last tool whatever is asked, so each stands alone."""
    assert texts(
        UserMessage(content="Apple?"),
        called("call_1"),
        result('{"price": 1}'),
        AssistantMessage(text="f() -> price: 1"),
        UserMessage(content="What time is it?"),
    ) == ("What time is it?",)


def test_messages_of_the_user_in_a_row_are_one() -> None:
    """A correction sent right after a question belongs to it."""
    assert texts(UserMessage(content="Convert 5 km"), UserMessage(content="to miles")) == ("Convert 5 km\nto miles",)


def test_of_a_message_in_parts_the_words_are_read() -> None:
    """The model cannot see pictures; the words around them may still be a question."""
    picture = UserMessage(content=(TextPart(text="What time is it?"), ImagePart(url="https://example.com/a.png")))
    assert texts(picture) == ("What time is it?",)


@pytest.mark.parametrize(
    ("content", "fed"),
    [
        ('{"price": 182.34}', {"price": 182.34}),
        ("182.34 GBP", {"result": "182.34 GBP"}),
        ("182.34", {"result": 182.34}),
        ("", {"result": ""}),
        ("[1, 2]", {"result": [1, 2]}),
        ("null", {"result": None}),
        ('{"price": NaN}', {"price": "NaN"}),
        ("[" * 1000, {"result": "[" * 1000}),
        ("x" * 10_000, {"result": "x" * RESULTS_CHARS}),
        (json.dumps({"rows": ["y" * 5000]}), {"result": json.dumps({"rows": ["y" * 5000]})[:RESULTS_CHARS]}),
        ("a\x00b\ud800", {"result": "a\u2400b\ufffd"}),
    ],
)
def test_a_result_is_fed_as_one_short_object(content: str, fed: dict[str, Any]) -> None:
    """Anything else the model takes for a new question; long ones take it minutes; NUL would end the text."""
    text = texts(UserMessage(content="?"), called("call_1"), result(content))[1]
    assert json.loads(text) == [fed]


def test_the_results_of_a_round_share_the_room() -> None:
    """Ten long results are not ten times as slow as one."""
    ids = [f"call_{n}" for n in range(10)]
    text = texts(UserMessage(content="?"), called(*ids), *(result("x" * 5000, id) for id in ids))[1]
    assert len(json.loads(text)) == 10
    assert len(text) <= RESULTS_CHARS + 10 * len('{"result": ""}, ')


def test_a_message_that_is_too_long_is_refused_not_cut() -> None:
    """A cut question is another question. The caller learns the limit and the length."""
    with pytest.raises(ContextTooLong, match=f"up to {MESSAGE_CHARS} characters at a time, and here are 5000"):
        texts(UserMessage(content="x" * 5000))


@pytest.mark.parametrize("messages", [(), (called("call_1"),), (result("1"),), (AssistantMessage(text="Hi"),)])
def test_a_conversation_without_a_user_has_nothing_said(messages: tuple[Message, ...]) -> None:
    """Such a history is odd but allowed: it is no reason to crash."""
    assert last_turn(messages).said == ""


def test_a_result_keeps_the_call_it_answers() -> None:
    """The answer shows what was asked of a tool next to what it said."""
    call = ToolCall(id="call_1", name="f", arguments='{"x": 1}')
    turn = last_turn([UserMessage(content="?"), AssistantMessage(tool_calls=(call,)), result("2")])
    assert turn == Turn(said="?", rounds=((result("2"),),), calls={"call_1": call})


def test_tools_are_declared_by_name_description_and_schema() -> None:
    """The schema reaches the model whole: its engine holds the arguments to it."""
    assert json.loads(encode_tools([a_tool("f")])) == [
        {
            "name": "f",
            "description": "Does f.",
            "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
        }
    ]


def test_the_form_of_the_answer_is_declared_as_a_tool() -> None:
    """To fill in a form is all the model can do with a text, and a tool's arguments are such a form."""
    declared = json.loads(encode_output(OutputFormat(name="Price", schema={"type": "object"})))
    assert declared == [{"name": "Price", "description": "", "parameters": {"type": "object"}}]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (None, ["tool_0", "tool_1"]),
        ("auto", ["tool_0", "tool_1"]),
        ("required", ["tool_0", "tool_1"]),
        ("tool_1", ["tool_1"]),
        ("none", []),
    ],
)
def test_tool_choice_decides_what_is_offered(choice: str | None, names: list[str]) -> None:
    """A tool that must be called is the only one there is; with "none" there is none."""
    request = ModelRequest(messages=[], tools=tools(2), settings=ModelSettings(tool_choice=choice))
    assert [tool.name for tool in offered(request)] == names


def test_more_tools_than_the_model_can_choose_among_are_refused() -> None:
    """Measured: with 30 tools it is always wrong. The message names the limit and the way out."""
    with pytest.raises(ConfigError, match=r"at most 5 tools, and here are 6: \['tool_0', .* give the agent fewer"):
        offered(ModelRequest(messages=[], tools=tools(6)))


@pytest.mark.parametrize("choice", ["none", "tool_5"])
def test_many_tools_do_not_matter_where_at_most_one_may_be_called(choice: str) -> None:
    """The limit is the model's, on a choice; here is nothing to choose."""
    offered(ModelRequest(messages=[], tools=tools(6), settings=ModelSettings(tool_choice=choice)))


def test_a_choice_that_is_no_tool_is_the_callers_mistake() -> None:
    """The caller is told what there is."""
    request = ModelRequest(messages=[], tools=tools(2), settings=ModelSettings(tool_choice="tool_9"))
    with pytest.raises(ConfigError, match=r"tool_choice='tool_9': there is no such tool; there are \['tool_0'"):
        offered(request)

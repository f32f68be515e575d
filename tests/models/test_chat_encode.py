"""A request -> the body of a Chat Completions request."""

import json
from typing import Any

import pytest

from agentkit import (
    AssistantMessage,
    ImagePart,
    ModelRequest,
    ModelSettings,
    TextPart,
    ToolCall,
    ToolRegistry,
    ToolResult,
    UserMessage,
    tool,
)
from agentkit.models.base import OutputFormat
from agentkit.models.chat.encode import encode


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    return 0


def sent(request: ModelRequest, *, stream: bool = False) -> Any:
    return json.loads(encode(request, "m", stream=stream))


CALL = ToolCall(id="c1", name="units_left", arguments='{"sku": "A-1"}')


def test_the_whole_body() -> None:
    """Instructions first, then the conversation; a result follows its call."""
    request = ModelRequest(
        instructions="Be brief.",
        messages=(
            UserMessage(content="Any A-1?"),
            AssistantMessage(text="Let me look.", tool_calls=(CALL,)),
            ToolResult(call_id="c1", name="units_left", content="3"),
        ),
        tools=ToolRegistry([units_left]),
    )
    assert sent(request) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Any A-1?"},
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "units_left", "arguments": '{"sku": "A-1"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "units_left",
                    "description": "Count the units of a product in stock.",
                    "parameters": {
                        "type": "object",
                        "properties": {"sku": {"type": "string"}},
                        "required": ["sku"],
                        "additionalProperties": False,
                    },
                    "strict": True,
                },
            }
        ],
    }


def test_streaming_asks_for_the_usage_too() -> None:
    """Without `include_usage` a streamed answer would not say what it cost."""
    body = sent(ModelRequest(messages=()), stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in sent(ModelRequest(messages=()))


def test_only_what_is_set_is_sent() -> None:
    """Defaults are the provider's; zero is not nothing; extra fields go as they are."""
    settings = ModelSettings(
        temperature=0, top_p=0.5, max_tokens=9, stop=("END",), seed=0, reasoning_effort="low", extra={"user": "u1"}
    )
    body = sent(ModelRequest(messages=(), settings=settings))
    assert body == {
        "model": "m",
        "messages": [],
        "temperature": 0,
        "top_p": 0.5,
        "max_completion_tokens": 9,
        "stop": ["END"],
        "seed": 0,
        "reasoning_effort": "low",
        "user": "u1",
    }


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("required", "required"),
        ("none", "none"),
        ("units_left", {"type": "function", "function": {"name": "units_left"}}),
    ],
)
def test_the_tool_choice(choice: str, wire: Any) -> None:
    """A word of the wire, or one tool by its name."""
    settings = ModelSettings(tool_choice=choice, parallel_tool_calls=False)
    body = sent(ModelRequest(messages=(), tools=ToolRegistry([units_left]), settings=settings))
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (wire, False)
    assert "tool_choice" not in sent(ModelRequest(messages=(), settings=settings))


def test_pictures_stand_among_the_text() -> None:
    """In the order the user gave them."""
    message = UserMessage(content=(TextPart(text="What is"), ImagePart(url="https://x/y.png"), TextPart(text="this?")))
    assert sent(ModelRequest(messages=(message,)))["messages"][0]["content"] == [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "text", "text": "this?"},
    ]


def test_the_form_of_the_answer_is_asked_for() -> None:
    """Structured output is the wire's own JSON-schema response format."""
    request = ModelRequest(messages=(), output=OutputFormat(name="Price", schema={"type": "object"}))
    assert sent(request)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Price", "schema": {"type": "object"}},
    }


@pytest.mark.parametrize("arguments", ["", "null", "[1]", '{"a":', '"x"', "{'a': 1}"])
def test_what_the_model_wrote_wrong_does_not_break_the_next_request(arguments: str) -> None:
    """Strict servers refuse a history whose arguments are not a JSON object, or whose names are not names."""
    message = AssistantMessage(tool_calls=(ToolCall(id="c", name="functions.Get weather!", arguments=arguments),))
    [call] = sent(ModelRequest(messages=(message,)))["messages"][0]["tool_calls"]
    assert call["function"] == {"name": "functions_Get_weather_", "arguments": "{}"}


def test_an_answer_with_calls_only_has_null_content() -> None:
    """And one without calls always has text."""
    calls, silent = AssistantMessage(tool_calls=(CALL,)), AssistantMessage(refusal="No.")
    first, second = sent(ModelRequest(messages=(calls, silent)))["messages"]
    assert first["content"] is None
    assert second == {"role": "assistant", "content": "No."}


def test_tools_are_sent_as_they_are_exported() -> None:
    """What `export("chat")` shows is what is sent: strict where possible, plain where not."""

    def set_prices(prices: dict[str, float]) -> None: ...

    registry = ToolRegistry([units_left, set_prices])
    tools = sent(ModelRequest(messages=(UserMessage(content="?"),), tools=registry))["tools"]
    assert tools == registry.export("chat")
    assert [tool["function"].get("strict") for tool in tools] == [True, None]

"""Tools as each provider and protocol spells them."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from agentkit import Tool, tool
from agentkit.dialects import DIALECTS, export_tool, notes_on
from agentkit.errors import ToolDefinitionError


@dataclass
class Item:
    """Something to order."""

    sku: str
    tags: set[str] | None = None


@tool(effects="write", idempotent=True)
def order(item: Item, city: Literal["north", "south"] = "north", days: int = 1) -> None:
    """Order an item.

    Args:
        item: What to order
        city: Where to.
    """


def free(prices: dict[str, float]) -> None:
    """Set prices."""


PLAIN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "item": {"$ref": "#/$defs/Item", "description": "What to order"},
        "city": {"type": "string", "enum": ["north", "south"], "default": "north", "description": "Where to."},
        "days": {"type": "integer", "default": 1},
    },
    "required": ["item"],
    "additionalProperties": False,
    "$defs": {
        "Item": {
            "type": "object",
            "description": "Something to order.",
            "properties": {
                "sku": {"type": "string"},
                "tags": {
                    "anyOf": [{"type": "array", "items": {"type": "string"}, "uniqueItems": True}, {"type": "null"}],
                    "default": None,
                },
            },
            "required": ["sku"],
        }
    },
}
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "item": {"anyOf": [{"$ref": "#/$defs/Item"}], "description": "What to order"},
        "city": {
            "anyOf": [{"type": "string", "enum": ["north", "south"]}, {"type": "null"}],
            "description": 'Where to. Null means the default, "north".',
        },
        "days": {"type": ["integer", "null"], "description": "Null means the default, 1."},
    },
    "required": ["item", "city", "days"],
    "additionalProperties": False,
    "$defs": {
        "Item": {
            "type": "object",
            "description": "Something to order.",
            "properties": {
                "sku": {"type": "string"},
                "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
            },
            "required": ["sku", "tags"],
            "additionalProperties": False,
        }
    },
}
TEXTS = {"name": "order", "description": "Order an item."}


def test_chat_and_assistants_have_a_function_inside_a_tool() -> None:
    """What is left out is null there, and says what null means."""
    spec = {"type": "function", "function": {**TEXTS, "parameters": STRICT, "strict": True}}
    assert export_tool(Tool.of(order), "chat") == spec
    assert export_tool(Tool.of(order), "assistants") == spec
    assert "strict" not in export_tool(Tool.of(free), "chat")["function"]


def test_responses_are_flat_and_always_say_whether_they_are_strict() -> None:
    """The wire is strict where nothing is said."""
    assert export_tool(Tool.of(order), "responses") == {
        "type": "function", **TEXTS, "parameters": STRICT, "strict": True,
    }  # fmt: skip
    spec = export_tool(Tool.of(free), "responses")
    assert spec["strict"] is False
    assert spec["parameters"] == Tool.of(free).parameters


def test_anthropic_is_strict_only_where_the_author_asks_for_it() -> None:
    """Strict tools are few there, so nobody gets them by accident."""
    assert export_tool(Tool.of(order), "anthropic") == {**TEXTS, "input_schema": PLAIN}

    @tool(strict=True)
    def move(steps: Annotated[int, Field(ge=1)], to: Literal["north"] | None = None) -> None:
        """Move."""

    spec = export_tool(Tool.of(move), "anthropic")
    assert spec["strict"] is True
    assert spec["input_schema"] == {
        "type": "object",
        "properties": {
            "steps": {"type": "integer"},
            "to": {"anyOf": [{"type": "string", "const": "north"}, {"type": "null"}]},
        },
        "required": ["steps"],
        "additionalProperties": False,
    }
    assert notes_on(Tool.of(move), "anthropic") == (
        "strict: yes, but the server does not enforce steps: minimum",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "hints"),
    [
        ({}, None),
        ({"idempotent": True}, {"idempotentHint": True}),
        ({"effects": "read"}, {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True}),
        (
            {"effects": "write"},
            {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False, "idempotentHint": False},
        ),
        (
            {"effects": "external", "idempotent": True},
            {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": True, "idempotentHint": True},
        ),
        ({"effects": "destructive"}, {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False}),
    ],
)
def test_mcp_is_hinted_at_what_a_call_does(policy: dict[str, Any], hints: dict[str, bool] | None) -> None:
    """Only what the declared policy says; a client assumes the worst of the rest."""
    spec = export_tool(Tool.of(tool(**policy)(lambda_named("look"))), "mcp")
    assert spec.get("annotations") == hints
    assert spec["inputSchema"] == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def lambda_named(name: str) -> Callable[[], None]:
    def function() -> None: ...

    function.__name__ = name
    return function


def test_gemini_is_told_in_the_keywords_that_it_knows() -> None:
    """A keyword that Gemini does not know makes it refuse the whole request."""
    assert export_tool(Tool.of(order), "gemini") == {
        **TEXTS,
        "parametersJsonSchema": {
            "type": "object",
            "properties": {
                "item": {"anyOf": [{"$ref": "#/$defs/Item"}], "description": "What to order"},
                "city": {
                    "type": "string",
                    "enum": ["north", "south"],
                    "description": 'Where to. The default is "north".',
                },
                "days": {"type": "integer", "description": "The default is 1."},
            },
            "required": ["item"],
            "additionalProperties": False,
            "$defs": {
                "Item": {
                    "type": "object",
                    "description": "Something to order.",
                    "properties": {
                        "sku": {"type": "string"},
                        "tags": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
                    },
                    "required": ["sku"],
                }
            },
        },
    }
    [note] = notes_on(Tool.of(order), "gemini")
    assert note == "Item.tags: Gemini does not know 'uniqueItems', so only agentkit enforces it"


@dataclass
class Pair:
    """Holds two of itself."""

    left: "Pair | int"
    right: "Pair | int"


def test_what_gemini_cannot_say_is_told() -> None:
    """Names, missing descriptions, keywords, and recursion that never ends."""

    @tool(name="2fast")
    def function(
        even: Annotated[int, Field(multiple_of=2, gt=0, lt=9)],
        pair: Pair,
        one: Literal["a"],
        ratio: Annotated[float, Field(gt=0)] = 1.0,
    ) -> None: ...

    spec = export_tool(Tool.of(function), "gemini")
    properties = spec["parametersJsonSchema"]["properties"]
    assert properties["even"] == {"type": "integer", "minimum": 1, "maximum": 8}
    assert properties["one"] == {"type": "string", "enum": ["a"]}
    assert notes_on(Tool.of(function), "gemini") == (
        "Gemini needs a description; write a docstring",
        "Gemini takes names that begin with a letter or _, and '2fast' does not; choose another",
        "even: Gemini does not know 'multipleOf', so only agentkit enforces it",
        "ratio: Gemini does not know 'exclusiveMinimum', so only agentkit enforces it",
        "Pair: Gemini knows recursion only in what may be left out; give that a default",
    )


def test_anthropic_is_told_of_names_that_it_refuses() -> None:
    """Its names of parameters are ASCII."""

    def function(été: int) -> None: ...

    [note] = notes_on(Tool.of(function), "anthropic")
    assert note.startswith("été: Anthropic takes names of parameters of 1 to 64 letters")


@pytest.mark.parametrize("dialect", ["chat", "responses", "assistants"])
def test_openai_is_told_so_many_words_and_the_author_is_warned(dialect: str) -> None:
    """OpenAI refuses a request whose tool has a longer description; nobody else does."""
    just = Tool.of(tool(description="x" * 1024)(lambda_named("just")))
    long = Tool.of(tool(description="x" * 1025)(lambda_named("long")))
    assert export_tool(just, dialect).get("function", export_tool(just, dialect))["description"] == "x" * 1024
    with pytest.warns(UserWarning, match="tool 'long': the description has 1,025 characters, and OpenAI takes 1,024"):
        spec = export_tool(long, dialect)
    assert spec.get("function", spec)["description"] == "x" * 1023 + "…"
    assert "its end is cut off" in notes_on(long, dialect)[0]
    for other in ("anthropic", "mcp", "gemini"):
        assert export_tool(long, other)["description"] == "x" * 1025


def test_the_report_says_whether_and_why_not() -> None:
    """For each tool, in a sentence: what a lint or a person reads."""

    @tool(strict=False)
    def plain(a: int) -> None: ...

    assert notes_on(Tool.of(order), "chat") == (
        "strict: yes, but the server does not enforce item.tags: uniqueItems",
    )  # fmt: skip
    assert notes_on(Tool.of(plain), "chat") == ("strict: no, because @tool(strict=False) says so",)
    assert notes_on(Tool.of(free), "chat") == (
        "strict: no, because prices: its keys are not known beforehand; "
        "name its keys in a model, a dataclass or a TypedDict, or take a list of pairs",
    )
    assert export_tool(Tool.of(plain), "responses")["strict"] is False


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_exported_is_the_callers_own(dialect: str) -> None:
    """Whoever changes an export changes no tool; each export is the same."""
    for function in (order, free):
        made = Tool.of(function)
        before = deepcopy(made.parameters)
        first = json.dumps(export_tool(made, dialect), allow_nan=False)
        spoil(export_tool(made, dialect))
        assert made.parameters == before
        assert json.dumps(export_tool(made, dialect)) == first


def spoil(value: Any) -> None:
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            spoil(inner)
    value.clear()


def test_an_unknown_dialect_is_an_error_that_lists_them() -> None:
    """A word mistyped is found at once."""
    with pytest.raises(ToolDefinitionError, match="no dialect 'openai'; there are chat, responses, assistants, "):
        export_tool(Tool.of(order), "openai")

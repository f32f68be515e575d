"""The tools of an agent, by name."""

import functools
from typing import Any

import pytest

from agentkit import Agent, Tool, ToolDefinitionError, ToolRegistry, tool
from agentkit.errors import UnknownTool
from agentkit.testing import ScriptedModel


@tool
def first(a: int) -> int:
    """Do the first thing."""
    return a


def second() -> None:
    """Do the second thing."""


def test_a_registry_keeps_the_order_given_and_takes_plain_functions() -> None:
    """Decorated or not, a function is a tool."""
    registry = ToolRegistry([first, second])
    assert registry.names == ["first", "second"]
    assert [t.description for t in registry] == ["Do the first thing.", "Do the second thing."]
    assert "first" in registry
    assert len(registry) == 2


def test_two_tools_of_one_name_are_refused_with_both_origins() -> None:
    """At construction, not when the model is confused by it."""

    def first() -> None: ...

    with pytest.raises(
        ToolDefinitionError, match=r"two tools are called 'first'.*test_registry\.first.*<locals>\.first"
    ):
        Agent(ScriptedModel([]), tools=[globals()["first"], first])


def test_an_unknown_name_is_told_with_what_there_is() -> None:
    """The words are meant for the model."""
    with pytest.raises(UnknownTool, match=r"Did you mean: \['first'\]"):
        ToolRegistry([first])["First"]
    with pytest.raises(UnknownTool, match="no tools are available"):
        ToolRegistry()["first"]


def test_the_encoded_tools_are_worked_out_once() -> None:
    """A registry does not change, so neither do its bytes."""
    times: list[Any] = []

    def encode(registry: ToolRegistry) -> bytes:
        times.append(registry)
        return b"[]"

    registry = ToolRegistry([first])
    assert registry.encoded("w", encode) == registry.encoded("w", encode) == b"[]"
    assert len(times) == 1


def test_a_partial_is_named_after_its_function() -> None:
    """Where a tool is from can always be said."""
    with pytest.raises(ToolDefinitionError, match=r"test_registry\.first"):
        ToolRegistry([first, functools.partial(first)])


def test_a_tool_is_its_own_tool() -> None:
    """`Tool.of` may be called on what is one already."""
    made = Tool.of(first)
    assert Tool.of(made) is made

"""What `@tool(...)` may declare, and what is refused before the first call."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agentkit import Context, Tool, ToolDefinitionError, tool
from agentkit.policy import Policy, parse_rate


def new() -> Any:
    """A function that nobody has marked yet."""

    def look(sku: str) -> int:
        """Count units."""
        return 3

    return look


WRONG: dict[str, list[Any]] = {
    "timeout": [0, -1, float("nan"), float("inf"), "3", True, False, [1]],
    "cache": [0, -0.5, float("nan"), "60", True],
    "retries": [-1, 1.5, 0.0, True, False, None, "3"],
    "concurrency": [0, -3, 2.5, True, "1"],
    "breaker": [0, -1, 0.5, True, "5"],
    "rate": [0, 10, "", "10", "/second", "10/", "0/second", "-1/second", "1.5/second", "10/fortnight", "10/ second"],
    "effects": ["reads", "", True, 0, [], "READ"],
    "isolation": ["thread", True, ""],
    "approval": [None, 1, 0, "yes", []],
    "enabled": [True, False, "always", 1],
    "idempotent": [None, 1, "no"],
    "sequential": [None, 1, "yes"],
    "repair": [None, 0, "fences"],
    "strict": [1, 0, "auto"],
}


@pytest.mark.parametrize(("option", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_where_it_is_written(option: str, value: Any) -> None:
    """By the mark, before there is a function; the words name the option, the value and what may stand there."""
    effects = {} if option == "effects" else {"effects": "read"}
    with pytest.raises(ToolDefinitionError, match=r"must be|write") as caught:
        tool(**{option: value}, **effects)(new())
    assert f"{option}={value!r}" in str(caught.value)


RIGHT: dict[str, list[Any]] = {
    "timeout": [0.001, 5, None],
    "cache": [1, 0.5, None],
    "retries": [0, 1, 1000],
    "concurrency": [1, 1000, None],
    "breaker": [1, None],
    "rate": ["1/second", "100/minute", "1000/hour", "1/day", None],
    "effects": ["read"],
    "approval": [True, False, lambda ctx, arguments: True],
    "enabled": [None, lambda ctx: True],
    "idempotent": [True, False],
    "sequential": [True, False],
    "repair": [True, False],
    "strict": [True, False, None],
}


@pytest.mark.parametrize(("option", "value"), [(name, value) for name, values in RIGHT.items() for value in values])
def test_what_is_declared_stands_at_the_tool(option: str, value: Any) -> None:
    """As it was written, and nothing else is said to be declared."""
    declared = {"effects": "read", option: value}
    policy = Tool.of(tool(**declared)(new())).policy
    assert getattr(policy, option) is value
    defaults = Policy()
    assert policy.declared == {name: v for name, v in declared.items() if v != getattr(defaults, name)}


def test_an_option_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """A typing error is not a policy that silently does not hold."""
    with pytest.raises(ToolDefinitionError, match=r"no 'timout'; did you mean 'timeout'\?"):
        tool(timout=3)  # type: ignore[call-overload]
    with pytest.raises(ToolDefinitionError, match=r"no 'patience'; it takes name, description, timeout, .*repair"):
        tool(patience=3)  # type: ignore[call-overload]


def test_a_mark_on_a_mark_adds_to_it() -> None:
    """An approval that somebody has asked for is not lost when somebody else asks for retries."""
    made = Tool.of(tool(effects="read", retries=2)(tool(approval=True, timeout=3, name="see")(new())))
    assert made.policy.declared == {"approval": True, "timeout": 3, "effects": "read", "retries": 2}
    assert made.name == "see"
    assert Tool.of(tool(approval=False)(tool(approval=True)(new()))).policy.approval is False


@pytest.mark.parametrize("effects", [None, "write", "external", "destructive"])
def test_retries_need_a_tool_that_may_be_called_twice(effects: Any) -> None:
    """A call that failed may have taken effect all the same."""
    words = r"retries=2.*idempotent=True or effects='read', or leave retries out"
    with pytest.raises(ToolDefinitionError, match=words):
        tool(retries=2, effects=effects)(new())
    assert Tool.of(tool(retries=2, effects=effects, idempotent=True)(new())).policy.retries == 2


@pytest.mark.parametrize("effects", [None, "write", "external", "destructive"])
def test_a_cache_needs_a_tool_that_only_looks(effects: Any) -> None:
    """Idempotent is not enough: a second call has to be made, even if it changes no more than the first."""
    with pytest.raises(ToolDefinitionError, match=r"cache=60.*say effects='read', or leave cache out"):
        tool(cache=60, effects=effects, idempotent=True)(new())


def test_a_cache_and_a_context_do_not_go_together() -> None:
    """What one caller's context has led to is not for another; the words name the tool and the way out."""
    with pytest.raises(ToolDefinitionError, match=r"tool 'mine': cache=.*context of another.*inside the tool"):

        @tool(cache=60, effects="read")
        def mine(ctx: Context[str]) -> str:
            return ctx.deps


async def looks() -> int:
    return 1


def counts() -> Iterator[int]:
    yield 1


async def streams() -> AsyncIterator[int]:
    yield 1


def asks(ctx: Context[None]) -> None: ...


class Shelf:
    def look(self) -> int:
        return 1

    def __call__(self) -> int:
        return 1

    @staticmethod
    def count() -> int:
        return 1


def _nested() -> Any:
    def inner() -> int:
        return 1

    return inner


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (looks, "'looks'.*for sync functions.*leave isolation out"),
        (counts, "'counts'.*not for generators"),
        (streams, "'streams'.*for sync functions"),
        (asks, "'asks'.*takes no Context"),
        (_nested(), "'inner'.*top of a module.*move it"),
        (Shelf().look, "'look'.*top of a module"),
        (Shelf.count, "'count'.*top of a module"),
        (lambda: 1, "'f'.*top of a module"),
    ],
)
def test_isolation_is_for_what_another_process_can_find(function: Any, words: str) -> None:
    """Sync functions at the top of a module; the others are refused with the reason and the way out."""
    name = "f" if getattr(function, "__name__", "") == "<lambda>" else None
    with pytest.raises(ToolDefinitionError, match=words):
        if hasattr(function, "__self__"):
            Tool.of(_marked(function))
        else:
            tool(isolation="process", name=name)(function)


def _marked(method: Any) -> Any:
    """The method, bound again after the mark in its class body."""
    tool(isolation="process")(method.__func__)
    return method


def test_isolation_of_code_that_is_in_no_file_is_refused() -> None:
    """What was typed in, or made by `exec`, cannot be imported by another process."""
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec("def f() -> int: return 1", space)
    with pytest.raises(ToolDefinitionError, match=r"'f'.*stands in a file"):
        tool(isolation="process")(space["f"])


@pytest.mark.parametrize(
    ("rate", "parsed"),
    [("10/second", (10, 1)), ("1/minute", (1, 60)), ("007/hour", (7, 3600)), ("1000/day", (1000, 86400))],
)
def test_rates_are_calls_in_a_span_of_seconds(rate: str, parsed: tuple[int, int]) -> None:
    """As they are spoken."""
    assert parse_rate(rate) == parsed


@pytest.mark.parametrize("rate", ["٣/second", "1_0/second", "+1/second", " 1/second", "1/Second", "1/second/second"])
def test_rates_that_only_look_like_some_are_refused(rate: str) -> None:
    """One way to write it."""
    with pytest.raises(ToolDefinitionError, match="such as '10/minute'"):
        parse_rate(rate)

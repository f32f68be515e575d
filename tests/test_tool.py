"""`@tool`: a mark that changes nothing about the function."""

import functools
import pickle
from typing import Any

import anyio
import pytest

from agentkit import Agent, Context, Tool, ToolDefinitionError, tool
from agentkit.testing import ScriptedModel, call


def context() -> Context[None]:
    return Context(deps=None, run_id="r", call_id="c", tool="t")


@tool
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


def test_the_function_stays_what_it_was() -> None:
    """It is called, pickled and inspected as if it had not been marked."""
    assert double(4) == 8
    assert double.__name__ == "double"
    assert pickle.loads(pickle.dumps(double)) is double


def test_the_mark_takes_a_name_a_description_and_a_timeout() -> None:
    """What is declared is what the model and the executor see."""

    @tool(name="twice", description="Says it twice.", timeout=3)
    def f(text: str) -> str:
        return text * 2

    made = Tool.of(f)
    assert (made.name, made.description, made.policy.timeout) == ("twice", "Says it twice.", 3)
    assert f("a") == "aa"


@pytest.mark.parametrize("bad", [0, -1, float("nan")])
def test_a_bad_timeout_is_refused(bad: float) -> None:
    """When it is declared."""
    with pytest.raises(ToolDefinitionError, match="timeout"):
        tool(timeout=bad)(lambda: None)


@pytest.mark.parametrize("bad", ["name", 3, None, object()])
def test_what_is_no_function_is_refused(bad: Any) -> None:
    """With what a tool is."""
    with pytest.raises(ToolDefinitionError, match=r"not a function|marks functions"):
        (tool if bad else Tool.of)(bad)


class Shop:
    """A shop."""

    def __init__(self, stock: int) -> None:
        self.stock = stock

    @tool(timeout=2)
    def count(self, sku: str) -> int:
        """Count the units of a product."""
        return self.stock

    @tool
    @staticmethod
    def closed() -> bool:
        """Say whether the shop is closed."""
        return False

    @staticmethod
    @tool
    def opened() -> bool:
        """Say whether the shop is open."""
        return True

    @classmethod
    @tool
    def kind(cls) -> str:
        """Name the kind of shop."""
        return cls.__name__

    async def __call__(self, n: int) -> int:
        """Sell some."""
        return self.stock - n


@pytest.mark.anyio
async def test_methods_are_tools_once_they_are_bound() -> None:
    """The mark in the class body keeps its declaration for every object of the class."""
    shop = Shop(5)
    made = Tool.of(shop.count)
    assert (made.name, made.policy.timeout, list(made.parameters["properties"])) == ("count", 2, ["sku"])
    assert await made.invoke('{"sku": "A-1"}', context()) == 5
    assert await Tool.of(Shop(7).count).invoke('{"sku": "A-1"}', context()) == 7
    assert shop.count("A-1") == 5
    for function, value in [(shop.closed, False), (Shop.opened, True), (Shop.kind, "Shop")]:
        assert await Tool.of(function).invoke("", context()) == value
    with pytest.raises(ToolDefinitionError, match="self"):
        Tool.of(Shop.count)


def test_a_bad_parameter_of_a_method_is_refused_in_the_class_body() -> None:
    """Not when the first object is made."""
    with pytest.raises(ToolDefinitionError, match="'when'"):

        class _Bad:
            @tool
            def f(self, when: type[int]) -> None: ...


@pytest.mark.anyio
async def test_every_kind_of_callable_is_called_right() -> None:
    """Async objects, partials and wrappers: called through their outermost layer."""

    @functools.wraps(double)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return double(*args, **kwargs) + 1

    assert await Tool.of(Shop(5)).invoke('{"n": 2}', context()) == 3
    assert await Tool.of(functools.partial(double, n=4)).invoke("{}", context()) == 8
    assert await Tool.of(wrapped).invoke('{"n": 2}', context()) == 5
    assert await Tool.of(functools.lru_cache(double)).invoke('{"n": 2}', context()) == 4


@pytest.mark.anyio
async def test_stop_iteration_in_a_thread_is_an_ordinary_error() -> None:
    """It would otherwise be lost in the thread's future, and the run would hang."""

    @tool
    def stop() -> None:
        raise StopIteration("done")

    with anyio.fail_after(5), pytest.raises(RuntimeError, match="StopIteration"):
        await Tool.of(stop).invoke("", context())


@tool(approval=True, effects="destructive", concurrency=1, name="rm")
def remove(root: str, name: str) -> str:
    """Remove."""
    return f"{root}/{name}"


class Marked:
    @tool(approval=True, concurrency=1)
    def __call__(self, name: str) -> str:
        """Remove."""
        return name


def test_a_partial_of_a_marked_function_keeps_what_the_mark_says() -> None:
    """Nobody gets around an approval, or a limit, by binding an argument; nor by a mark on `__call__`."""
    made = Tool.of(functools.partial(functools.partial(remove, "/x")))
    assert (made.name, list(made.parameters["properties"])) == ("rm", ["name"])
    assert made.policy == Tool.of(remove).policy
    assert made.guard is Tool.of(remove).guard
    assert Tool.of(functools.wraps(remove)(lambda root, name: "")).policy.approval is True
    assert Tool.of(Marked()).policy.declared == {"approval": True, "concurrency": 1}


@tool(effects="read", cache=60)
def read(root: str, name: str) -> str:
    """Read."""
    return f"{root}/{name}"


def test_partials_of_a_function_that_keeps_results_keep_their_own() -> None:
    """What a partial binds is not in the arguments: one tenant would read what another has."""
    guards = [Tool.of(each).guard for each in (read, functools.partial(read, "/x"), functools.partial(read, "/y"))]
    assert len({id(guard) for guard in guards}) == 3
    asked = [[call("read", name="a")], "ok"]
    for root in ("/x", "/y"):
        result = Agent(ScriptedModel(asked), tools=[functools.partial(read, root)]).run_sync("?")
        assert result.messages[2].content == f"{root}/a"


def test_an_object_that_can_be_called_has_one_guard() -> None:
    """Its rate and its places are those of all agents that have it."""
    marked = Marked()
    first, second = Tool.of(marked), Tool.of(marked)
    assert first.guard is second.guard is not Tool.of(Marked()).guard

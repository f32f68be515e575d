"""Tools whose annotations name what is defined further below: they are built when somebody first asks for them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, create_model
from pydantic_core import core_schema

from agentkit import Agent, Context, Tool, ToolDefinitionError, tool
from agentkit.testing import ScriptedModel, call

if TYPE_CHECKING:
    from decimal import Decimal


@tool(concurrency=1)
def place(order: Order, note: Note | None = None) -> Receipt:
    """Place an order."""
    return Receipt(total=sum(line.amount for line in order.lines))


@tool
def cancel(receipts: list[Receipt], ctx: Context[Shop]) -> int:
    return len(receipts)


@tool
def price(of: Decimal) -> int:
    return 0


class Desk:
    @tool
    def list(self, names: list[Mode]) -> Any:
        """List them."""
        return names

    @tool
    @staticmethod
    def show(mode: Mode) -> Any:
        return mode

    class Mode(BaseModel):
        fast: bool


class Order(BaseModel):
    lines: list[Line]


class Line(BaseModel):
    amount: int


class Note(BaseModel):
    text: str


class Receipt(BaseModel):
    total: int


class Shop:
    pass


class Folder(BaseModel):
    files: list[File]  # type: ignore[name-defined]  # noqa: F821


@tool
def count(folder: Folder) -> int:
    return len(folder.files)


async def called(function: Callable[..., Any], arguments: str) -> object:
    context: Context[None] = Context(deps=None, run_id="r", call_id="c", tool="t")
    return await Tool.of(function).invoke(arguments, context)


@pytest.mark.anyio
async def test_a_class_may_be_defined_below_the_tool_that_takes_it() -> None:
    """In one file, in any order, as in all Python."""
    assert await called(place, '{"order": {"lines": [{"amount": 2}, {"amount": 3}]}}') == Receipt(total=5)
    assert await called(cancel, '{"receipts": [{"total": 2}]}') == 1
    assert list(Tool.of(cancel).parameters["properties"]) == ["receipts"]
    assert Tool.of(place).description == "Place an order."


@pytest.mark.anyio
async def test_a_method_may_name_what_its_class_defines() -> None:
    """The class is not there yet when its methods are marked."""
    assert await called(Desk().list, '{"names": [{"fast": true}]}') == [Desk.Mode(fast=True)]
    with pytest.raises(ToolDefinitionError, match="parameter 'mode': its annotation 'Mode' needs 'Mode'"):
        Tool.of(Desk.show)  # a static method does not know its class


@pytest.mark.anyio
async def test_an_agent_builds_its_tools() -> None:
    """And whoever asks for a tool again gets the same: what its calls share is shared."""
    model = ScriptedModel([[call("place", order={"lines": [{"amount": 4}]})], "Done."])
    agent = Agent(model, tools=[place])
    result = await agent.run("Order four.")
    assert result.messages[2].content == '{"total":4}'
    assert Tool.of(place) is Tool.of(place)
    assert Tool.of(place).guard is not None


def test_threads_that_ask_at_once_get_the_same_tool() -> None:
    """What a limit counts, it counts for all who have asked."""
    both = Barrier(2, timeout=5)

    @tool(concurrency=1)
    def weigh(box: Box) -> int:
        return len(str(Box))

    class Box:
        @classmethod
        def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
            both.wait()  # so both are in the middle of building it
            return core_schema.int_schema()

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(Tool.of, [weigh, weigh])
    assert one is other


def test_a_name_that_never_comes_is_refused_when_the_tool_is_used() -> None:
    """Imported for type checkers only: the error says which parameter, which name, and where it belongs."""
    for build in (Tool.of, lambda function: Agent(ScriptedModel([]), tools=[function])):
        with pytest.raises(ToolDefinitionError) as caught:
            build(price)
        assert str(caught.value) == (
            "tool 'price', parameter 'of': its annotation 'Decimal' needs 'Decimal', which the function's module does "
            "not have; import or define it there (TYPE_CHECKING is not enough), or write a function around it"
        )


class Fault(BaseModel):
    then: list[Callable[[], int]]


def never(order: Nowhere, also: list[Callable[[], int]]) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def starred(order: Nowhere, **rest: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def broken(order: Nowhere, also: int | "x y") -> None: ...  # type: ignore  # noqa: F722, F821
def météo(order: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def half(order: list[Nowhere] | Callable[[], int], other: Fault) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (never, "tool 'never', parameter 'also': "),
        (starred, "tool 'starred', parameter 'rest': "),
        (broken, "tool 'broken', parameter 'also': its annotation .* is not a type"),
        (half, "tool 'half', parameter 'other': .*Callable"),
        (météo, "tool 'météo': a tool's name has"),
    ],
)
def test_what_is_wrong_whatever_the_name_means_is_refused_at_once(function: Any, words: str) -> None:
    """Only the missing name waits."""
    with pytest.raises(ToolDefinitionError, match=words):
        tool(function)


def test_one_fault_of_a_method_does_not_wait_for_another() -> None:
    """As with functions, while the class is being made."""
    with pytest.raises(ToolDefinitionError, match="parameter 'then': "):

        class Wrong:
            @tool
            def both(self, order: Nowhere, then: Callable[[], int]) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_a_model_may_name_what_is_defined_below_it() -> None:
    """Here the annotation is there, and what it is made of is not."""
    with pytest.raises(ToolDefinitionError, match=r"parameter 'folder': .*Folder needs 'File'.*; define it there"):
        Tool.of(count)
    globals()["File"] = create_model("File", name=(str, ...))
    try:
        _, sent = Tool.of(count).arguments.bind('{"folder": {"files": [{"name": "x"}]}}', None)
        assert count(**sent) == 1
    finally:
        del globals()["File"]


def test_a_local_class_is_found_if_the_function_uses_it() -> None:
    """What a function does not use, it cannot reach: Python keeps only what the body names."""

    @tool
    def opened(drawer: Drawer) -> bool:
        return isinstance(drawer, Drawer)

    class Drawer(BaseModel):
        depth: int

    assert Tool.of(opened).parameters["properties"]["drawer"] == {"$ref": "#/$defs/Drawer"}


def test_what_wraps_such_a_function_is_a_tool_of_its_own() -> None:
    """`functools.wraps` copies the mark; the wrapper is not the function it was put on."""

    @tool(description="Marked.")
    def inner(shelf: Shelf) -> int:
        return 1

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs), Shelf

    class Shelf(BaseModel):
        width: int

    globals()["Shelf"] = Shelf
    try:
        assert Tool.of(outer).function is outer
        assert Tool.of(inner).function is inner
        assert Tool.of(outer).function is outer
        assert Tool.of(outer).description == "Marked."
    finally:
        del globals()["Shelf"]


def test_generators_wait_for_names_as_well() -> None:
    """However a function gives its result."""

    @tool
    def follow(parcel: Parcel) -> Iterator[str]:
        yield parcel.name

    with pytest.raises(ToolDefinitionError, match="parameter 'parcel': its annotation 'Parcel' needs 'Parcel'"):
        Tool.of(follow)

    class Parcel(BaseModel):
        name: str

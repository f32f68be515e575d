"""A model in strict mode can leave nothing out: it writes null, and the function gets its default."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from agentkit import Agent, Tool, ToolResult
from agentkit.errors import InvalidArguments
from agentkit.testing import ScriptedModel, call

NOTHING = object()


class Item(BaseModel):
    sku: str
    count: int = 1
    note: str | None = "as ever"


@dataclass
class Node:
    name: str
    weight: float = 0.5
    below: "list[Node]" = field(default_factory=list)
    above: "Node | None" = None


class Size(TypedDict, total=False):
    width: int
    height: int


class Cat(BaseModel):
    kind: Literal["cat"]
    age: int = 3


class Dog(BaseModel):
    kind: Literal["dog"]
    age: int | None = 5


class Circle(BaseModel):
    radius: float
    label: str = "circle"


class Square(BaseModel):
    side: float
    label: str | None = "square"


class Point(BaseModel):
    x: int
    y: int | None = 0


def received(function: Any, text: str) -> Any:
    args, kwargs = Tool.of(function).arguments.bind(text, None)
    return function(*args, **kwargs)


def test_null_is_the_default_where_a_parameter_does_not_take_null() -> None:
    """Also a default of which JSON knows nothing, and one that is made anew for each call."""

    def function(a: int = 1, b: Any = 2, c: list[int] = [], d: str = NOTHING, e: int | None = 3) -> Any:  # type: ignore[assignment] # noqa: B006
        return a, b, c, d, e

    assert received(function, '{"a": null, "b": null, "c": null, "d": null, "e": null}') == (1, None, [], NOTHING, None)
    assert received(function, '{"a": 5, "c": null, "d": "null"}') == (5, 2, [], "null", 3)


def test_null_is_refused_where_nothing_may_be_left_out() -> None:
    """The model is told, and by the name."""

    def function(a: int, b: int = 1) -> None: ...

    with pytest.raises(InvalidArguments, match="- a: Input should be a valid integer, got null"):
        received(function, '{"a": null, "b": null}')


def test_null_is_a_default_however_the_parameter_is_passed() -> None:
    """By position, by name, after a star, and with a default of pydantic's."""

    def function(a: int = 1, /, b: int = 2, *rest: int, c: int = 3, d: Annotated[int, Field(default=4)]) -> Any:
        return a, b, rest, c, d

    assert received(function, '{"a": null, "b": null, "c": null, "d": null, "rest": null}') == (1, 2, (), 3, 4)


def test_null_is_a_default_at_any_depth() -> None:
    """In models, lists of models, dataclasses that hold themselves, typed dicts, dicts and tuples."""

    def function(
        item: Item, items: list[Item], node: Node, size: Size, by_name: dict[str, Item], pair: tuple[Item, int]
    ) -> Any:
        return item, items, node, size, by_name, pair

    nulls = '{"sku": "a", "count": null, "note": null}'
    item = Item(sku="a", note=None)
    leaf = '{"name": "b", "weight": null, "below": null, "above": null}'
    node = f'{{"name": "a", "weight": null, "below": [{leaf}], "above": {leaf}}}'
    assert received(
        function,
        f'{{"item": {nulls}, "items": [{nulls}, {nulls}], "node": {node}, "size": {{"width": null, "height": 3}}, '
        f'"by_name": {{"x": {nulls}}}, "pair": [{nulls}, 3]}}',
    ) == (item, [item, item], Node("a", below=[Node("b")], above=Node("b")), {"height": 3}, {"x": item}, (item, 3))


def test_null_stays_a_value_in_lists_and_dicts() -> None:
    """Only what has a name in a model may be left out."""

    def function(a: list[int | None], b: dict[str, int | None], c: dict[str, Any], d: dict[str, int] = {}) -> Any:  # noqa: B006
        return a, b, c, d

    sent = '{"a": [1, null], "b": {"x": null}, "c": {"x": null, "y": [null]}, "d": null}'
    assert received(function, sent) == ([1, None], {"x": None}, {"x": None, "y": [None]}, {})
    with pytest.raises(InvalidArguments, match=r"- d\.x: Input should be a valid integer, got null"):
        received(function, '{"a": [], "b": {}, "c": {}, "d": {"x": null}}')


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('{"kind": "cat", "age": null}', Cat(kind="cat")),
        ('{"kind": "dog", "age": null}', Dog(kind="dog", age=None)),
        ('{"radius": 1, "label": null}', Circle(radius=1)),
        ('{"side": 1, "label": null}', Square(side=1, label=None)),
        ('{"x": 1, "y": null}', Point(x=1, y=None)),
        ("[null]", [None]),
    ],
)
def test_in_a_union_the_choice_that_fits_says_what_null_means(sent: str, expected: Any) -> None:
    """A null that one choice takes as a value is left out in another."""

    def function(one: Cat | Dog | Circle | Square | Point | list[int | None]) -> Any:
        return one

    assert received(function, f'{{"one": {sent}}}') == expected


def test_a_tag_says_which_choice_fits() -> None:
    """As pydantic reads it: by the discriminator alone."""

    def function(pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat(kind="cat", age=8)) -> Any:  # noqa: B008
        return pet

    assert received(function, '{"pet": {"kind": "cat", "age": null}}') == Cat(kind="cat")
    assert received(function, '{"pet": {"kind": "dog", "age": null}}') == Dog(kind="dog", age=None)
    assert received(function, '{"pet": null}') == Cat(kind="cat", age=8)


def test_what_somebody_is_asked_about_has_no_nulls_that_mean_nothing() -> None:
    """An approval shows what will be done, and a cached result is found whether the model wrote null or not."""

    def function(a: int = 1, b: int | None = 2) -> None: ...

    arguments = Tool.of(function).arguments
    assert arguments.read('{"a": null, "b": null}') == {"b": None}


@pytest.mark.anyio
async def test_a_run_gives_a_tool_its_defaults() -> None:
    """From the model's null to the function, through the whole of a run."""

    def units_left(sku: str, warehouse: str = "north") -> str:
        return f"3 of {sku} in the {warehouse}"

    model = ScriptedModel([[call("units_left", sku="A-1", warehouse=None)], "Three."])
    result = await Agent(model, tools=[units_left]).run("Any A-1?")
    [told] = [message for message in result.messages if isinstance(message, ToolResult)]
    assert told.content == "3 of A-1 in the north"


def test_a_call_with_nulls_is_read_as_strictly_as_any_other() -> None:
    """Keys twice, NaN, numbers beyond all floats and depth are refused there too, and floats keep their digits."""

    def function(a: Any = 1, b: int = 2) -> Any:
        return a

    for text, words in [
        ('{"b": null, "b": null}', "the key 'b' is there twice"),
        ('{"b": null, "a": NaN}', "NaN is not a JSON number"),
        ('{"b": null, "a": 1e999}', "a number is too large"),
        ('{"b": null, "a": ' + "[" * 64 + "]" * 64 + "}", "too deep"),
        ('{"b": null, "a": "\\ud800"}', "Invalid JSON"),
        ('{"b": null, "a": 1', "not valid JSON"),
        ('{"b": null, "c": null}', "- c: there is no such argument"),
    ]:
        with pytest.raises(InvalidArguments, match=words):
            received(function, text)
    assert received(function, '{"b": null, "a": 3.14159265358979323846}') == 3.141592653589793
    assert received(function, '{"b": null, "a": "null é\\u0000"}') == "null é\0"

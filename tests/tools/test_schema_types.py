"""What each annotation becomes: the JSON Schema a model reads, and the value the function receives."""

import collections
import enum
import importlib.util
import json
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import (
    IO,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Required,
    Self,
    TextIO,
    TypeVar,
    Union,
)
from uuid import UUID

import pytest
from annotated_types import Ge, Len
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
    create_model,
)
from typing_extensions import TypeAliasType, TypedDict

from agentkit.errors import InvalidArguments, ToolDefinitionError
from agentkit.schema import FunctionSchema, describe

NOTHING = object()


def taking(annotation: Any, default: Any = NOTHING) -> FunctionSchema:
    """The schema of a function with one parameter, `p`."""

    def function(p):  # type: ignore[no-untyped-def]
        return p

    function.__annotations__["p"] = annotation
    if default is not NOTHING:
        function.__defaults__ = (default,)
    return describe(function)


def published(annotation: Any, default: Any = NOTHING) -> Any:
    """What a model sees of a parameter; the whole is checked to be a JSON Schema, and JSON."""
    parameters = taking(annotation, default).parameters
    Draft202012Validator.check_schema(dict(parameters))
    json.dumps(parameters, allow_nan=False)
    return parameters["properties"]["p"]


def received(annotation: Any, sent: Any) -> Any:
    """What the function receives when a model sends this."""
    _, kwargs = taking(annotation).bind(json.dumps({"p": sent}), None)
    return kwargs["p"]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Ratio(enum.Enum):
    HALF = 0.5
    ONE = 1
    NONE = None


class Size(enum.StrEnum):
    S = "s"
    L = "l"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    """A place on the map."""

    x: int
    y: int = 0


class Node(BaseModel):
    value: int
    children: "list[Node]" = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


@dataclass
class Span:
    start: date
    days: int = 1


class Row(TypedDict, total=False):
    id: Required[int]
    note: NotRequired[str]


class Pair(NamedTuple):
    left: int
    right: str = "r"


T = TypeVar("T")
Bound = TypeVar("Bound", bound=Point)
OneOf = TypeVar("OneOf", int, str)


class Box(BaseModel, Generic[T]):
    content: T


UserId = NewType("UserId", int)
Tree = TypeAliasType("Tree", "int | list[Tree]")
OPEN: dict[str, Any] = {}
INTEGER: dict[str, Any] = {"type": "integer"}
STRING: dict[str, Any] = {"type": "string"}
NULL = {"type": "null"}
PAIR = {"type": "array", "prefixItems": [INTEGER, STRING], "minItems": 2, "maxItems": 2}
UTC = timezone.utc  # noqa: UP017


def array(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def mapping(values: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def any_of(*choices: Any) -> dict[str, Any]:
    return {"anyOf": list(choices)}


KINDS: list[tuple[Any, Any, Any, Any]] = [
    # annotation, published, sent, received
    (int, INTEGER, 3, 3),
    (int, INTEGER, "3", 3),
    (int, INTEGER, 3.0, 3),
    (float, {"type": "number"}, 3, 3.0),
    (str, STRING, "3", "3"),
    (bool, {"type": "boolean"}, True, True),
    (None, NULL, None, None),
    (Any, OPEN, [1, {"a": None}], [1, {"a": None}]),
    (object, OPEN, "x", "x"),
    (Literal["a", 1, None], {"enum": ["a", 1, None]}, "a", "a"),
    (Literal["only"], {"const": "only", "type": "string"}, "only", "only"),
    (Literal[Colour.RED], {"const": "red", "type": "string"}, "red", Colour.RED),
    (list[Literal[Colour.RED]], array({"const": "red", "type": "string"}), ["red"], [Colour.RED]),
    (Literal[Ratio.HALF, Ratio.ONE, Ratio.NONE], {"enum": [0.5, 1, None]}, 0.5, Ratio.HALF),
    (Literal[Ratio.HALF, Ratio.ONE, Ratio.NONE], {"enum": [0.5, 1, None]}, None, Ratio.NONE),
    (Literal[Size.S], {"const": "s", "type": "string"}, "s", Size.S),
    (Literal[Level.LOW], {"const": 1, "type": "integer"}, 1, Level.LOW),
    (int | None, any_of(INTEGER, NULL), None, None),
    (Optional[int], any_of(INTEGER, NULL), 3, 3),  # noqa: UP045
    (Union[int, str], any_of(INTEGER, STRING), "5", "5"),  # noqa: UP007
    (int | str, any_of(INTEGER, STRING), 5, 5),
    (str | None, any_of(STRING, NULL), "null", "null"),
    (str | dict[str, int], any_of(STRING, mapping(INTEGER)), '{"a":1}', '{"a":1}'),
    (list[int], array(INTEGER), [1], [1]),
    (list, array({}), [1, "a"], [1, "a"]),
    (Sequence[int], array(INTEGER), [1], [1]),
    (MutableSequence[int], array(INTEGER), [1], [1]),
    (Iterable[int], array(INTEGER), ["1"], [1]),
    (Collection[int], array(INTEGER), [1], [1]),
    (Iterable, array({}), [1, "a"], [1, "a"]),
    (list[Iterable[int]] | None, any_of(array(array(INTEGER)), NULL), [[1]], [[1]]),
    (Annotated[Iterable[int], Len(2)], array(INTEGER, minItems=2), [1, 2], [1, 2]),
    (set[int], array(INTEGER, uniqueItems=True), [1, 2], {1, 2}),
    (frozenset[int], array(INTEGER, uniqueItems=True), [1], frozenset({1})),
    (AbstractSet[int], array(INTEGER, uniqueItems=True), [1], frozenset({1})),
    (tuple[int, ...], array(INTEGER), [1, 2], (1, 2)),
    (tuple[int, str], PAIR, [1, "a"], (1, "a")),
    (collections.deque[int], array(INTEGER), [1], collections.deque([1])),
    (dict[str, int], mapping(INTEGER), {"a": 1}, {"a": 1}),
    (Mapping[str, int], mapping(INTEGER), {"a": 1}, {"a": 1}),
    (dict[int, str], mapping(STRING) | {"propertyNames": {"pattern": "^-?[0-9]+$"}}, {"-1": "a"}, {-1: "a"}),
    (dict, mapping(True), {"a": [1]}, {"a": [1]}),
    (datetime, STRING | {"format": "date-time"}, "2026-11-25T10:00:00Z", datetime(2026, 11, 25, 10, tzinfo=UTC)),
    (date, {"type": "string", "format": "date"}, "2026-11-25", date(2026, 11, 25)),
    (time, {"type": "string", "format": "time"}, "10:30:00", time(10, 30)),
    (timedelta, {"type": "string", "format": "duration"}, "PT1H", timedelta(hours=1)),
    (UUID, {"type": "string", "format": "uuid"}, "00000000-0000-0000-0000-000000000001", UUID(int=1)),
    (Path, {"type": "string", "format": "path"}, "/tmp/x", Path("/tmp/x")),
    (bytes, {"type": "string", "format": "binary"}, "abc", b"abc"),
    (IPv4Address, {"type": "string", "format": "ipv4"}, "127.0.0.1", IPv4Address("127.0.0.1")),
    (AnyUrl, {"type": "string", "format": "uri", "minLength": 1}, "https://a.b/c", AnyUrl("https://a.b/c")),
    (SecretStr, {"type": "string", "format": "password", "writeOnly": True}, "s", SecretStr("s")),
    (Annotated[int, Ge(3)], {"type": "integer", "minimum": 3}, 3, 3),
    (Annotated[int, Field(gt=1, multiple_of=2)], INTEGER | {"exclusiveMinimum": 1, "multipleOf": 2}, 4, 4),
    (Annotated[str, StringConstraints(pattern="^a")], STRING | {"pattern": "^a"}, "ab", "ab"),
    (Annotated[str, Field(pattern="(?<=a)b")], {"type": "string", "pattern": "(?<=a)b"}, "ab", "ab"),
    (Annotated[int, BeforeValidator(lambda v: v + 1)], INTEGER, 1, 2),
    (Annotated[int, AfterValidator(lambda v: v * 2)], INTEGER, 2, 4),
    (Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})], STRING | {"minLength": 1}, "x", "x"),
    (Annotated[int, Field(title="Sku", examples=[3])], {"type": "integer", "title": "Sku", "examples": [3]}, 1, 1),
    (UserId, INTEGER, 1, 1),
    (OneOf, any_of(INTEGER, STRING), "a", "a"),
    (T, OPEN, [1], [1]),
]  # fmt: skip

NAMED: list[tuple[Any, str, Any, Any]] = [
    # annotation, $defs, sent, received
    (Colour, "Colour", "red", Colour.RED),
    (Ratio, "Ratio", 0.5, Ratio.HALF),
    (Ratio, "Ratio", None, Ratio.NONE),
    (Size, "Size", "l", Size.L),
    (Level, "Level", 2, Level.HIGH),
    (Point, "Point", {"x": 1}, Point(x=1)),
    (Bound, "Point", {"x": 1}, Point(x=1)),
    (Span, "Span", {"start": "2026-01-01"}, Span(date(2026, 1, 1))),
    (Row, "Row", {"id": 1}, {"id": 1}),
    (Pair, "Pair", [1, "b"], Pair(1, "b")),
    (Box[int], "Box_int_", {"content": 1}, Box[int](content=1)),
    (Node, "Node", {"value": 1, "children": [{"value": 2}]}, Node(value=1, children=[Node(value=2)])),
    (Tree, "Tree", [1, [2, [3]]], [1, [2, [3]]]),
]


@pytest.mark.parametrize(("annotation", "schema", "sent", "value"), KINDS, ids=lambda x: str(x)[:40])
def test_a_type_is_published_and_received_as_itself(annotation: Any, schema: Any, sent: Any, value: Any) -> None:
    """Whoever annotates a parameter finds the same type in the schema and in the function."""
    assert published(annotation) == schema
    got = received(annotation, sent)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "annotation",
    [
        *(int, str, float, bool, Any, int | None, Optional[str], list[Any], list[list[int]], list[str | None]),  # noqa: UP045
        *(Literal["a"], Literal["a", "b", "a"], Literal["a"] | None, list[Literal["a"]] | None, list[int] | None),
    ],
    ids=str,
)  # fmt: skip
def test_the_quick_way_says_what_pydantic_says(annotation: Any) -> None:
    """Most types are so simple that pydantic is not asked; nobody must be able to tell."""
    assert published(annotation) == TypeAdapter(annotation).json_schema()
    assert published(Annotated[annotation, "described"]) == TypeAdapter(annotation).json_schema() | {
        "description": "described"
    }


@pytest.mark.parametrize(("annotation", "name", "sent", "value"), NAMED, ids=lambda x: str(x)[:40])
def test_a_class_has_a_definition_and_arrives_as_its_instance(
    annotation: Any, name: str, sent: Any, value: Any
) -> None:
    """Models, dataclasses, enums: the model sees a `$ref`, and the function never sees a dict for an object."""
    schema = taking(annotation)
    assert schema.parameters["properties"]["p"] == {"$ref": f"#/$defs/{name}"}
    assert "title" not in schema.parameters["$defs"][name]
    Draft202012Validator(dict(schema.parameters)).validate({"p": sent})
    got = received(annotation, sent)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        (int, 5.5),
        (int, "five"),
        (int, None),
        (int, [1]),
        (str, 5),
        (str, None),
        (bool, "maybe"),
        (float, "nan"),
        (float, "inf"),
        (list[int], "1,2"),
        (list[int], {"0": 1}),
        (Iterable[int], ["x"]),
        (tuple[int, str], [1]),
        (tuple[int, str], [1, "a", "b"]),
        (Literal["a"], "b"),
        (Literal[Colour.RED], "blue"),
        (Literal[Colour.RED], "RED"),
        (Colour, "green"),
        (Point, '{"x": 1}'),
        (Point, {}),
        (dict[int, str], {"a": "b"}),
        (date, "tomorrow"),
        (Annotated[int, Field(gt=3)], 3),
        (Annotated[str, Field(pattern="(?<=a)b")], "b"),
        (Annotated[list[int], Field(max_length=1)], [1, 2]),
    ],
    ids=str,
)
def test_what_the_schema_refuses_the_call_refuses(annotation: Any, sent: Any) -> None:
    """A value the function's type cannot hold does not reach the function, also where it would nearly do."""
    with pytest.raises(InvalidArguments, match=r"^The arguments do not fit 'function':\n- p"):
        received(annotation, sent)


class Speaks(Protocol):
    def speak(self) -> str: ...


class Plain:
    pass


class Broken(TypedDict):
    a: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("annotation", "culprit"),
    [
        (Callable[[int], int], "Callable[[int], int]"),
        (list[Callable[..., Any]], "Callable"),
        (int | Callable[[], int], "Callable"),
        (dict[str, Callable[[], int] | None], "Callable"),
        (type[int], "type[int]"),
        (list[type[Plain]], "type"),
        (type, "type"),
        (Self, "Self"),
        (Speaks, "Speaks"),
        (list[Speaks | None], "Speaks"),
        (collections.abc.Awaitable[int], "Awaitable[int]"),
        (Plain, "Plain"),
        (TextIO, "tool 'function', parameter 'p': TextIO cannot be"),
        (Union[tuple(list[Plain | int] | Literal[n] for n in range(99))], "…"),  # noqa: UP007
        (list[Plain], "Plain"),
        (tuple[int, dict[str, Plain]], "Plain"),
        (Iterator[int], "Iterator[int]"),
        (collections.abc.Generator[int, None, None], "Generator"),
        (collections.abc.AsyncIterable[int], "AsyncIterable[int]"),
        (Hashable, "Hashable"),
        (IO[str], "IO[str]"),
        (enum.Enum, "Enum"),
        (enum.Enum("Odd", {"A": (1, 2)}), "Odd.A"),
        (Literal[enum.Enum("Odd", {"A": (1, 2)}).A], "(1, 2)"),  # type: ignore[misc]
        (create_model("Model", f=(list[Callable[[], int]], ...)), "Callable"),
        (create_model("Model", f=(int | type[int], ...)), "a class"),
        (create_model("Model", f=(Iterable[int], ...)), "a list can be sent"),
        (create_model("Model", f=(Literal[Colour.RED], ...)), "Literal[Colour.RED]"),
        (Annotated[str, Field(pattern="(")], "unterminated"),
        (Annotated[float, Field(examples=[math.inf])], "not JSON compliant"),
        (Annotated[str, Field(examples=["\ud800"])], "surrogates not allowed"),
        (Annotated[str, WithJsonSchema({"enum": {object}})], "not JSON serializable"),
        (5, "5"),
    ],
    ids=str,
)
def test_a_type_json_cannot_carry_is_refused_at_once_and_by_name(annotation: Any, culprit: str) -> None:
    """At any depth, when the function is defined; the error names the tool, the parameter and the type."""
    with pytest.raises(ToolDefinitionError) as caught:
        taking(annotation)
    assert str(caught.value).startswith("tool 'function', parameter 'p': ")
    assert culprit in str(caught.value)
    assert "; annotate it with" in str(caught.value)


def test_a_type_that_names_what_is_nowhere_is_refused_with_that_name() -> None:
    """The annotation can be found, and what it is made of cannot."""
    with pytest.raises(ToolDefinitionError, match=r"parameter 'p': .*Broken.* needs 'Nowhere'.*; define"):
        taking(Broken)


def test_what_another_package_must_be_there_for_is_said() -> None:
    """pydantic checks e-mail addresses with a package of somebody else."""
    if importlib.util.find_spec("email_validator"):
        assert published(EmailStr) == STRING | {"format": "email"}
        return
    with pytest.raises(ToolDefinitionError, match=r"parameter 'p': .*EmailStr.*pip install 'pydantic\[email\]'`$"):
        taking(EmailStr)


def test_only_the_parameter_at_fault_is_named() -> None:
    """Among many parameters, the author is told which one to mend."""

    def function(a: int, b: str, c: list[Plain], d: float) -> None: ...

    with pytest.raises(ToolDefinitionError, match="parameter 'c': list"):
        describe(function)


def test_a_decimal_keeps_its_digits() -> None:
    """Money does not pass through a float, whether the model writes a number or a string."""
    schema = taking(Decimal)
    for digits in ("0.12345678901234567890123456789", "19.99", "1e999", "12345678901234567890"):
        for sent in (digits, f'"{digits}"'):
            assert schema.bind(f'{{"p": {sent}}}', None)[1]["p"] == Decimal(digits)
    assert published(Decimal)["anyOf"][0] == {"type": "number"}


def test_a_number_beyond_all_limits_is_refused_like_any_other_fault() -> None:
    """A model may write any exponent; it must not break the reading."""
    huge = "1e" + "9" * 30
    for annotation, sent in ((Decimal, huge), (Any, f'{{"x": {huge}}}'), (float, huge)):
        with pytest.raises(InvalidArguments):
            taking(annotation).bind(f'{{"p": {sent}}}', None)


def test_floats_beside_a_decimal_stay_floats() -> None:
    """Reading a decimal exactly changes nothing for the other parameters."""

    def function(price: Decimal, rate: float, rest: Any) -> None: ...

    _, kwargs = describe(function).bind('{"price": 1.10, "rate": 0.1234567890123456789, "rest": [0.5, 2]}', None)
    assert kwargs == {"price": Decimal("1.10"), "rate": 0.1234567890123456789, "rest": [0.5, 2]}
    assert [type(each) for each in kwargs["rest"]] == [float, int]


def test_a_union_of_models_is_told_apart_by_its_discriminator() -> None:
    """`Field(discriminator=...)` works in Annotated and in the place of the default."""
    in_annotated = taking(Annotated[Cat | Dog, Field(discriminator="kind")])
    as_default = taking(Cat | Dog, Field(discriminator="kind"))
    for schema in (in_annotated, as_default):
        assert schema.parameters["required"] == ["p"]
        assert schema.parameters["properties"]["p"]["discriminator"]["propertyName"] == "kind"
        assert schema.bind('{"p": {"kind": "cat"}}', None)[1]["p"] == Cat(kind="cat")


def test_a_lone_model_keeps_its_wrapper() -> None:
    """The arguments are the function's parameters, also if there is one and it is a model."""
    assert list(taking(Point).parameters["properties"]) == ["p"]


def test_models_of_one_name_have_definitions_of_their_own() -> None:
    """Two classes called Point in two modules do not overwrite each other."""
    other = create_model("Point", __module__="elsewhere", z=(str, ...))

    def function(here: Point, there: other) -> None: ...  # type: ignore[valid-type]

    schema = describe(function).parameters
    refs = {name: each["$ref"].removeprefix("#/$defs/") for name, each in schema["properties"].items()}
    assert list(schema["$defs"][refs["here"]]["properties"]) == ["x", "y"]
    assert list(schema["$defs"][refs["there"]]["properties"]) == ["z"]


def test_a_definition_that_nothing_points_to_is_left_out() -> None:
    """What a model is told of a class that it is shown otherwise would only be paid for."""
    Code = Annotated[Point, WithJsonSchema({"type": "string"})]

    def function(a: Code, b: Code, c: list[Node]) -> None: ...

    assert list(describe(function).parameters["$defs"]) == ["Node"]


def test_titles_that_pydantic_makes_are_dropped_and_properties_called_title_are_not() -> None:
    """A schema holds what its author wrote: no 'Title Of X', but every property, and a title that was given."""

    class Book(BaseModel):
        title: str
        description: str
        type: str = "book"
        default: int = 0
        required: bool = False

    class Titled(BaseModel):
        model_config = ConfigDict(title="Title")

    def function(book: Book, title: str, titled: Titled, default: int = 1) -> None: ...

    schema = describe(function).parameters
    assert list(schema["properties"]) == ["book", "title", "titled", "default"]
    assert list(schema["$defs"]["Book"]["properties"]) == ["title", "description", "type", "default", "required"]
    assert schema["properties"]["title"] == STRING
    assert schema["$defs"]["Titled"]["title"] == "Title"
    assert "Book" not in json.dumps(schema["$defs"]["Book"])
    assert json.dumps(schema).count('"title": "') == 1


def test_a_nested_default_that_is_not_json_is_left_out() -> None:
    """`Infinity` is not JSON; a schema that holds it would be refused by every provider."""

    class Bounds(BaseModel):
        low: float = 0.0
        high: float = float("inf")

    properties = taking(Bounds).parameters["$defs"]["Bounds"]["properties"]
    assert properties == {"low": {"type": "number", "default": 0.0}, "high": {"type": "number"}}


def test_a_schema_is_the_same_every_time() -> None:
    """The order is that of the parameters, so a provider's prompt cache is hit."""

    def function(z: int, a: Point, m: frozenset[str] = frozenset("abcdef")) -> None: ...

    assert list(describe(function).parameters["properties"]) == ["z", "a", "m"]
    assert json.dumps(describe(function).parameters) == json.dumps(describe(function).parameters)
    assert describe(function).parameters["properties"]["m"]["default"] == list("abcdef")


# Any type at all: what the schema allows reaches the function as what it was


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: Literal["EUR", "USD"] = "EUR"


text = st.text(st.characters(codec="utf-8"), max_size=8)
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers(-(10**18), 10**18)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (str, text),
    (Literal["a", 2], st.sampled_from(["a", 2])),
    (Colour, st.sampled_from(Colour)),
    (Literal[Colour.RED, Colour.BLUE], st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (date, st.dates()),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (timedelta, st.timedeltas(timedelta(days=-999), timedelta(days=999))),
    (UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Point, st.builds(Point, x=st.integers(-99, 99), y=st.integers(-99, 99))),
    (Span, st.builds(Span, start=st.dates(), days=st.integers(-99, 99))),
    (Pair, st.builds(Pair, left=st.integers(-99, 99), right=text)),
    (Money, st.builds(Money, amount=st.decimals(-999, 999, places=2), currency=st.sampled_from(["EUR", "USD"]))),
    (Annotated[int, Field(ge=0, le=9)], st.integers(0, 9)),
    (Annotated[str, Field(min_length=1)], st.text("abc", min_size=1, max_size=5)),
]


def _wider(kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Types made of types, each with the values it has."""
    return st.one_of(
        kinds.map(lambda k: (list[k[0]], st.lists(k[1], max_size=3))),
        kinds.map(lambda k: (tuple[k[0], ...], st.lists(k[1], max_size=3).map(tuple))),
        kinds.map(lambda k: (dict[str, k[0]], st.dictionaries(text, k[1], max_size=3))),
        kinds.map(lambda k: (k[0] | None, st.none() | k[1])),
        st.tuples(kinds, kinds).map(lambda ks: (tuple[ks[0][0], ks[1][0]], st.tuples(ks[0][1], ks[1][1]))),
    )


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_whatever_the_schema_allows_reaches_the_function_as_it_was(data: st.DataObject) -> None:
    """For any type and any value of it: its JSON is valid by the schema, and comes back as an equal value."""
    kinds = data.draw(st.lists(st.recursive(st.sampled_from(LEAVES), _wider, max_leaves=4), min_size=1, max_size=3))
    names = [f"p{place}" for place in range(len(kinds))]
    values = {name: data.draw(values) for name, (_, values) in zip(names, kinds, strict=True)}

    def function(*, p0=None, p1=None, p2=None):  # type: ignore[no-untyped-def]
        return p0, p1, p2

    function.__kwdefaults__ = None
    function.__annotations__ = {name: kind for name, (kind, _) in zip(names, kinds, strict=True)}
    function.__annotations__ |= dict.fromkeys({"p0", "p1", "p2"} - set(names), None)
    values |= dict.fromkeys({"p0", "p1", "p2"} - set(names))

    schema = describe(function)
    sent = {
        name: json.loads(TypeAdapter(type_).dump_json(values[name])) for name, type_ in function.__annotations__.items()
    }
    Draft202012Validator.check_schema(dict(schema.parameters))
    Draft202012Validator(dict(schema.parameters)).validate(sent)
    _, kwargs = schema.bind(json.dumps(sent), None)
    assert kwargs == values
    assert {name: type(each) for name, each in kwargs.items()} == {name: type(each) for name, each in values.items()}

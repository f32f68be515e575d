"""Functions with random parameters, and what may be sent to them: `signatures()` is a Hypothesis strategy of `Case`.

    @given(st.data())
    def test_...(data):
        case = data.draw(signatures())
        sent = data.draw(case.sent)  # a dict that fits, some optional arguments left out
        args, kwargs = describe(case.function).bind(json.dumps(sent), None)
        assert same(case.received(args, kwargs), case.expected(sent))

`case.kinds[name]` says of each parameter: its `annotation`; `sent`, a strategy of the JSON values that fit; `unfit`, a
strategy of some that do not; `arrives`, which turns a JSON value that fits into what the function must receive.
`kinds()` is the strategy of those alone. What a union may be sent as differs in JSON's types, so that what arrives is
never a matter of taste.
"""

import dataclasses
import enum
import functools
import inspect
import itertools
import uuid
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from operator import or_
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

from hypothesis import strategies as st
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, create_model
from typing_extensions import TypedDict

Values = st.SearchStrategy[Any]
"""JSON values."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A type of parameter."""

    annotation: Any
    sent: Values
    """JSON values that fit."""
    arrives: Callable[[Any], Any]
    """A JSON value that fits -> what the function receives."""
    unfit: Values
    """JSON values that do not fit, however lenient one is; `nothing()` where none is sure.

    Null is none of them for what has a default, since it means the default there.
    """
    types: frozenset[str]
    """Which of JSON's types those that fit have: `integer`, `number`, `string` ..."""
    is_hashable: bool = False

    def __repr__(self) -> str:
        return f"Kind({inspect.formatannotation(self.annotation)})"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A function, and what it takes."""

    function: Callable[..., Any]
    """Returns the positional and the keyword arguments it was called with."""
    kinds: Mapping[str, Kind]
    """By parameter."""
    defaults: Mapping[str, Any]
    """What Python gives to a parameter that is left out."""

    @property
    def sent(self) -> Values:
        """Arguments that fit: objects with all required parameters, and some of the others."""
        required = {name: kind.sent for name, kind in self.kinds.items() if name not in self.defaults}
        optional = {name: kind.sent for name, kind in self.kinds.items() if name in self.defaults}
        return st.fixed_dictionaries(required, optional=optional)

    def received(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """What a call gives to each parameter, defaults included."""
        bound = inspect.signature(self.function).bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments

    def expected(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """What each parameter must be given if this is sent."""
        return {
            name: kind.arrives(sent[name]) if name in sent else self.defaults[name] for name, kind in self.kinds.items()
        }

    def __repr__(self) -> str:
        return f"Case{inspect.signature(self.function)}"


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, BaseModel) or dataclasses.is_dataclass(one):
        return same(vars(one), vars(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


class Tree(BaseModel):
    """A model that holds itself."""

    name: str
    below: "list[Tree]" = []
    twin: "Tree | None" = None


@dataclass
class Chain:
    """A dataclass that holds itself."""

    link: int
    next: "Chain | None" = None


_NAMES = (
    *("a", "b", "c", "sku", "schema", "model_config", "_id", "args", "kwargs", "title", "default", "type", "required"),
    *("properties", "description", "items", "ref", "name", "class_", "json", "copy", "été", "x" * 70),
)
_FIELDS = ("n", "name", "note", "items_", "type", "title", "default", "below")
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_NOTHING: Values = st.nothing()
_number = itertools.count()


def signatures(inner: st.SearchStrategy[Kind] | None = None) -> st.SearchStrategy[Case]:
    """Functions of none to five parameters: of kinds of your own, or of all."""
    return _cases(kinds() if inner is None else inner)


@st.composite
def _cases(draw: st.DrawFn, inner: st.SearchStrategy[Kind]) -> Case:
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True, max_size=5))
    ways = sorted(draw(st.lists(st.sampled_from(_WAYS), min_size=len(names), max_size=len(names))))
    kinds: dict[str, Kind] = {}
    defaults: dict[str, Any] = {}
    parameters = []
    has_default = False
    for name, way in zip(names, ways, strict=True):
        kind = draw(inner)
        default = inspect.Parameter.empty
        if draw(st.booleans()) or (has_default and way is not inspect.Parameter.KEYWORD_ONLY):
            has_default = True
            kind, default = draw(_with_default(kind))
            defaults[name] = default
        kinds[name] = kind
        parameters.append(inspect.Parameter(name, way, default=default, annotation=kind.annotation))

    def function(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return Case(function=function, kinds=kinds, defaults=defaults)


_WAYS = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@st.composite
def _with_default(draw: st.DrawFn, kind: Kind) -> tuple[Kind, Any]:
    if draw(st.booleans()):
        default = kind.arrives(draw(kind.sent))
        return dataclasses.replace(kind, unfit=kind.unfit.filter(lambda value: value is not None)), default
    return _or_none(kind, annotation=kind.annotation), None  # `x: str = None` takes null as well


def _or_none(kind: Kind, annotation: Any) -> Kind:
    return dataclasses.replace(
        kind,
        annotation=annotation,
        sent=kind.sent | st.none(),
        arrives=lambda value: None if value is None else kind.arrives(value),
        unfit=kind.unfit.filter(lambda value: value is not None),
        types=kind.types | {"null"},
    )


@functools.cache
def kinds(depth: int = 3) -> st.SearchStrategy[Kind]:
    """Types of parameters: scalars, and a few levels of containers, unions and records of them."""
    if depth == 0:
        return scalars()
    around = st.sampled_from(_AROUND).flatmap(lambda make: make(kinds(depth - 1)))
    return st.booleans().flatmap(lambda flat: scalars() if flat else around)


def _as_it_is(value: Any) -> Any:
    return value


def _scalar(annotation: Any, sent: Values, *types: str, arrives: Callable[[Any], Any], unfit: Values) -> Kind:
    return Kind(
        annotation=annotation, sent=sent, arrives=arrives, unfit=unfit, types=frozenset(types), is_hashable=True
    )


def _text(annotation: Any, sent: Values, arrives: Callable[[Any], Any] = _as_it_is, unfit: Values = _NOTHING) -> Kind:
    """A kind that is sent as text; `unfit` texts are no such."""
    return _scalar(annotation, sent, "string", arrives=arrives, unfit=unfit | st.just([]) | st.just({}) | st.none())


_NO_NUMBER = st.sampled_from(["", "x", "1x", None, [], {}, [1]])
_PLAIN = [
    _scalar(int, st.integers(), "integer", arrives=int, unfit=_NO_NUMBER | st.just(1.5)),
    _scalar(
        float,
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        *("number", "integer"),
        arrives=float,
        unfit=_NO_NUMBER,
    ),
    _scalar(bool, st.booleans(), "boolean", arrives=bool, unfit=st.sampled_from([None, "x", 2, [], {}])),
    _text(str, _TEXT),
    _scalar(None, st.none(), "null", arrives=_as_it_is, unfit=st.sampled_from([0, "", "null", False, [], {}])),
    _scalar(
        Annotated[int, Field(ge=3, le=9)], st.integers(3, 9), "integer", arrives=int, unfit=st.sampled_from([2, 10])
    ),
    _scalar(
        Annotated[int, Field(multiple_of=7)],
        st.integers(-99, 99).map(lambda n: 7 * n),
        "integer",
        arrives=int,
        unfit=st.sampled_from([1, 8]),
    ),
    _scalar(
        Annotated[float, Field(gt=0, lt=1)],
        st.floats(0, 1, exclude_min=True, exclude_max=True),
        "number",
        arrives=float,
        unfit=st.sampled_from([0.0, 1.0]),
    ),
    _text(Annotated[str, Field(min_length=1, max_length=3)], st.text("abc", min_size=1, max_size=3), unfit=st.just("")),
    _text(Annotated[str, StringConstraints(pattern="^[a-c]+$")], st.text("abc", min_size=1), unfit=st.just("d")),
    _text(datetime, st.datetimes().map(datetime.isoformat), datetime.fromisoformat, st.just("noon")),
    _text(date, st.dates().map(date.isoformat), date.fromisoformat, st.just("today")),
    _text(time, st.times().map(time.isoformat), time.fromisoformat, st.just("noon")),
    _text(
        timedelta,
        st.integers(1, 10**6).map(lambda n: f"PT{n}S"),
        lambda text: timedelta(seconds=int(text[2:-1])),
        st.just("long"),
    ),
    _text(uuid.UUID, st.uuids().map(str), uuid.UUID, st.just("id")),
    _text(Decimal, st.decimals(allow_nan=False, allow_infinity=False).map(str), Decimal, st.just("x")),
]


@functools.cache
def scalars() -> st.SearchStrategy[Kind]:
    """Types of values with nothing inside: numbers, texts, dates, choices, with and without constraints."""
    return st.sampled_from(_PLAIN) | _choices() | _literals()


@st.composite
def _choices(draw: st.DrawFn) -> Kind:
    values: list[Any] = draw(st.lists(_CHOICE, min_size=1, max_size=4, unique=True))
    chosen: Any = enum.Enum(f"Choice{next(_number)}", {f"M{n}": value for n, value in enumerate(values)})  # type: ignore[misc]
    return _scalar(
        chosen,
        st.sampled_from(values),
        *map(_type, values),
        arrives=chosen,
        unfit=st.sampled_from([None, [], "none of them", 10**6]),
    )


@st.composite
def _literals(draw: st.DrawFn) -> Kind:
    values = draw(st.lists(_CHOICE, min_size=1, max_size=4, unique=True))
    return _scalar(
        Literal[tuple(values)],
        st.sampled_from(values),
        *map(_type, values),
        arrives=_as_it_is,
        unfit=st.sampled_from([None, [], "none of them", 10**6]),
    )


_CHOICE = st.integers(2, 99) | st.text("abcdé \n'\"", max_size=5)


def _type(value: object) -> str:
    return "integer" if isinstance(value, int) else "string"


def _holder(annotation: Any, sent: Values, type_: str, arrives: Callable[[Any], Any], unfit: Values = _NOTHING) -> Kind:
    others = ["x", 3, None, *([[]] if type_ == "object" else [])]  # pydantic takes a NamedTuple as an object too
    return Kind(
        annotation=annotation,
        sent=sent,
        arrives=arrives,
        unfit=unfit | st.sampled_from(others),
        types=frozenset({type_}),
    )


def _list(kind: Kind, least: int = 0, most: int | None = None) -> Kind:
    annotation: Any = list[kind.annotation]  # type: ignore[name-defined]
    return _holder(
        annotation if most is None else Annotated[annotation, Field(min_length=least, max_length=most)],
        st.lists(kind.sent, min_size=least, max_size=3 if most is None else most),
        "array",
        lambda values: [kind.arrives(value) for value in values],
        _one_of_them(kind),
    )


def _one_of_them(kind: Kind) -> Values:
    return kind.unfit.map(lambda value: [value])


def _set(kind: Kind) -> Kind:
    return _holder(
        set[kind.annotation],  # type: ignore[name-defined]
        st.lists(kind.sent, max_size=3),
        "array",
        lambda values: {kind.arrives(value) for value in values},
        _one_of_them(kind),
    )


def _endless_tuple(kind: Kind) -> Kind:
    return _holder(
        tuple[kind.annotation, ...],  # type: ignore[name-defined]
        st.lists(kind.sent, max_size=3),
        "array",
        lambda values: tuple(kind.arrives(value) for value in values),
        _one_of_them(kind),
    )


def _tuple(kinds: Sequence[Kind]) -> Kind:
    return _holder(
        tuple[tuple(kind.annotation for kind in kinds)],  # type: ignore[misc]
        st.tuples(*(kind.sent for kind in kinds)).map(list),
        "array",
        lambda values: tuple(kind.arrives(value) for kind, value in zip(kinds, values, strict=True)),
        st.just([]),
    )


def _dict(kind: Kind) -> Kind:
    return _holder(
        dict[str, kind.annotation],  # type: ignore[name-defined]
        st.dictionaries(_TEXT, kind.sent, max_size=3),
        "object",
        lambda values: {name: kind.arrives(value) for name, value in values.items()},
        kind.unfit.map(lambda value: {"k": value}),
    )


def _numbered(kind: Kind) -> Kind:
    return _holder(
        dict[int, kind.annotation],  # type: ignore[name-defined]
        st.dictionaries(st.integers().map(str), kind.sent, max_size=3),
        "object",
        lambda values: {int(number): kind.arrives(value) for number, value in values.items()},
        kind.sent.map(lambda value: {"k": value}),
    )


def _optional(kind: Kind) -> Kind:
    return _or_none(kind, annotation=kind.annotation | None if _can_or(kind) else _either(kind.annotation, None))


def _can_or(kind: Kind) -> bool:
    return isinstance(kind.annotation, type)


def _either(*annotations: Any) -> Any:
    return functools.reduce(or_, [Annotated[each, "either"] for each in annotations])


def _union(kinds: Sequence[Kind]) -> Kind:
    """A union of those whose types in JSON are not those of others before; a whole number is a number too."""
    chosen: list[Kind] = []
    for kind in kinds:
        taken = {"integer", "number"} if kind.types & {"integer", "number"} else set()
        if not any((kind.types | taken) & other.types for other in chosen):
            chosen.append(kind)
    if len(chosen) == 1:
        return chosen[0]
    return Kind(
        annotation=_either(*(kind.annotation for kind in chosen)),
        sent=st.one_of([kind.sent for kind in chosen]),
        arrives=lambda value: next(k for k in chosen if _json_types(value) & k.types).arrives(value),
        unfit=_NOTHING,
        types=frozenset().union(*(kind.types for kind in chosen)),
        is_hashable=all(kind.is_hashable for kind in chosen),
    )


def _json_types(value: object) -> set[str]:
    names = {bool: "boolean", str: "string", list: "array", dict: "object", type(None): "null", float: "number"}
    return {"integer"} if type(value) is int else {names[type(value)]}


class Fields(NamedTuple):
    """The fields of a record, and the JSON values to send for those that may be left out, as their defaults."""

    kinds: dict[str, Kind]
    optional: dict[str, Any]

    @property
    def sent(self) -> Values:
        return st.fixed_dictionaries(
            {name: kind.sent for name, kind in self.kinds.items() if name not in self.optional},
            optional={name: kind.sent for name, kind in self.kinds.items() if name in self.optional},
        )

    @property
    def unfit(self) -> Values:
        """Without a field that is needed; or with one that does not fit."""
        needed = [name for name in self.kinds if name not in self.optional]
        wrong = [
            kind.unfit.filter(lambda v, name=name: v is not None or name in needed).map(lambda v, name=name: {name: v})
            for name, kind in self.kinds.items()
        ]
        return st.one_of([*([st.just({})] if needed else []), *wrong])

    def arrives(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        return {name: kind.arrives(sent[name]) for name, kind in self.kinds.items() if name in sent}

    def default(self, name: str) -> Any:
        return self.kinds[name].arrives(self.optional[name])


@st.composite
def _fields(draw: st.DrawFn, inner: st.SearchStrategy[Kind]) -> Fields:
    names = draw(st.lists(st.sampled_from(_FIELDS), unique=True, min_size=1, max_size=3))
    kinds = {name: draw(inner) for name in names}
    optional = {name: draw(kinds[name].sent) for name in names if draw(st.booleans())}
    return Fields(kinds, optional)


def _model(fields: Fields) -> Kind:
    made: Any = create_model(
        f"Model{next(_number)}",
        **{
            name: (kind.annotation, Field(default_factory=lambda name=name: fields.default(name)))
            if name in fields.optional
            else (kind.annotation, ...)
            for name, kind in fields.kinds.items()
        },  # type: ignore[call-overload]
    )
    return _holder(made, fields.sent, "object", lambda sent: made(**fields.arrives(sent)), fields.unfit)


def _dataclass(fields: Fields) -> Kind:
    made: Any = dataclasses.make_dataclass(
        f"Record{next(_number)}",
        [
            (name, kind.annotation, dataclasses.field(default_factory=lambda name=name: fields.default(name)))
            if name in fields.optional
            else (name, kind.annotation)
            for name, kind in fields.kinds.items()
        ],
        kw_only=True,
    )
    return _holder(made, fields.sent, "object", lambda sent: made(**fields.arrives(sent)), fields.unfit)


def _typed_dict(fields: Fields) -> Kind:
    made: Any = TypedDict(  # type: ignore[operator]
        f"Dict{next(_number)}",
        {
            name: NotRequired[kind.annotation] if name in fields.optional else kind.annotation
            for name, kind in fields.kinds.items()
        },
    )
    return _holder(made, fields.sent, "object", fields.arrives, fields.unfit)


def _named_tuple(fields: Fields) -> Kind:
    kinds = {name: fields.kinds[name] for name in sorted(fields.kinds, key=fields.optional.__contains__)}
    made: Any = namedtuple(  # type: ignore[misc]
        f"Row{next(_number)}",
        kinds,
        defaults=[fields.default(name) for name in kinds if name in fields.optional],
    )
    made.__annotations__ = {name: kind.annotation for name, kind in kinds.items()}
    return _holder(
        made,
        st.tuples(*(kind.sent for kind in kinds.values())).map(list),
        "array",
        lambda sent: made(*(kind.arrives(value) for kind, value in zip(kinds.values(), sent, strict=True))),
        st.just([0] * 9),
    )


def _tagged(several: Sequence[Fields]) -> Kind:
    """Models that a field tells apart."""
    made: list[Kind] = []
    for number, fields in enumerate(several):
        tag = _scalar(Literal[f"t{number}"], st.just(f"t{number}"), "string", arrives=_as_it_is, unfit=st.just("t9"))
        made.append(_model(Fields({"tag": tag, **fields.kinds}, fields.optional)))
    return _holder(
        Annotated[functools.reduce(or_, [kind.annotation for kind in made]), Field(discriminator="tag")],
        st.one_of([kind.sent for kind in made]),
        "object",
        lambda sent: made[int(sent["tag"][1:])].arrives(sent),
        st.sampled_from([{}, {"tag": "t9"}]),
    )


_TREES = st.recursive(
    st.fixed_dictionaries({"name": _TEXT}),
    lambda inner: st.fixed_dictionaries(
        {"name": _TEXT}, optional={"below": st.lists(inner, max_size=2), "twin": inner | st.none()}
    ),
    max_leaves=3,
)
_CHAINS = st.recursive(
    st.fixed_dictionaries({"link": st.integers()}),
    lambda inner: st.fixed_dictionaries({"link": st.integers()}, optional={"next": inner | st.none()}),
    max_leaves=3,
)
_TREE = _holder(Tree, _TREES, "object", Tree.model_validate, st.just({"name": "x", "below": [{}]}))
_CHAIN = _holder(Chain, _CHAINS, "object", TypeAdapter(Chain).validate_python, st.just({"link": 1, "next": {}}))

_AROUND: list[Callable[[st.SearchStrategy[Kind]], st.SearchStrategy[Kind]]] = [
    lambda inner: inner.map(_list),
    lambda inner: inner.map(lambda kind: _list(kind, least=1, most=3)),
    lambda inner: scalars().map(_set),
    lambda inner: inner.map(_endless_tuple),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(_tuple),
    lambda inner: inner.map(_dict),
    lambda inner: inner.map(_numbered),
    lambda inner: inner.filter(lambda kind: "null" not in kind.types).map(_optional),
    lambda inner: st.lists(inner, min_size=2, max_size=3).map(_union),
    lambda inner: _fields(inner).map(_model),
    lambda inner: _fields(inner).map(_dataclass),
    lambda inner: _fields(inner).map(_typed_dict),
    lambda inner: _fields(inner).map(_named_tuple),
    lambda inner: st.lists(_fields(inner), min_size=2, max_size=3).map(_tagged),
    lambda inner: st.sampled_from([_TREE, _CHAIN]),
]
"""Ways to make a kind that holds others."""

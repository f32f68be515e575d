"""Which callables can be described, under which name, and with which parameters and defaults."""

import contextlib
import enum
import functools
import inspect
import json
import math
import operator
import os
import sys
import typing
import unittest.mock
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, Required, TypedDict, overload

import pytest
from jsonschema import Draft202012Validator
from marks import named
from pydantic import BaseModel, BeforeValidator, Field, SecretStr, WithJsonSchema
from typing_extensions import ReadOnly, TypeAliasType, Unpack

from agentkit.context import Context
from agentkit.errors import InvalidArguments, ToolDefinitionError
from agentkit.schema import describe

if TYPE_CHECKING:
    from decimal import Decimal

CONTEXT: Context[int] = Context(deps=7, run_id="r", call_id="c", tool="t")


def called(function: Callable[..., Any], **sent: Any) -> Any:
    """What the function returns for a call with these arguments."""
    args, kwargs = describe(function).bind(json.dumps(sent), CONTEXT)
    return function(*args, **kwargs)


def shown(function: Callable[..., object]) -> dict[str, Any]:
    """The properties a model sees; the whole is checked to be a JSON Schema, and JSON."""
    parameters = describe(function).parameters
    Draft202012Validator.check_schema(dict(parameters))
    json.dumps(parameters, allow_nan=False)
    properties: dict[str, Any] = parameters["properties"]
    return properties


def required(function: Callable[..., object]) -> list[str]:
    names: list[str] = describe(function).parameters["required"]
    return names


def refused(function: Any, **options: Any) -> str:
    with pytest.raises(ToolDefinitionError) as caught:
        describe(function, **options)
    assert isinstance(caught.value, TypeError)
    return str(caught.value)


def add(a: int, b: int = 2, *, scale: int = 1) -> int:
    """Add two numbers."""
    return (a + b) * scale


class Shop:
    """Sells things."""

    class Mode(enum.Enum):
        FAST = "fast"

    def __init__(self, stock: int) -> None:
        self.stock = stock

    def left(self, sku: str, take: int = 0) -> int:
        """Count what is left."""
        return self.stock - take

    def list(self, names: "list[str]", mode: "Mode" = Mode.FAST) -> Any:
        return names, mode

    @classmethod
    def named(cls, name: str) -> str:
        """Name a shop."""
        return cls.__name__ + name

    @staticmethod
    def add(a: int) -> int:
        """Add one."""
        return a + 1

    async def order(self, sku: str) -> str:
        """Order."""
        return sku

    partly = functools.partialmethod(left, take=5)


class Branch(Shop):
    def left(self, sku: str, take: int = 0) -> int:
        return 0


class Search:
    """Search the index."""

    def __call__(self, query: str) -> str:
        return query.upper()


class Documented(Search):
    def __call__(self, query: str) -> str:
        """Search all of it."""
        return query


@dataclass
class Scale:
    factor: int

    def __call__(self, n: int) -> int:
        return n * self.factor


@functools.lru_cache
def cached(n: int) -> int:
    """Remembered."""
    return n


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return "traced", function(*args, **kwargs)

    return wrapper


class Retried:
    """A decorator that is a class."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return "retried", self.function(*args, **kwargs)


class Bound:
    """A decorator that works on methods; `inspect.signature` cannot read it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        return functools.partial(self.function, instance)

    def __call__(self, n: int) -> Any:
        return self.function(n)


class Asking:
    async def __call__(self, query: str) -> str:
        """Ask somebody."""
        return query


@functools.singledispatch
def size(of: int | str) -> int:
    """Tell the size."""
    return -1


@size.register
def _(of: str) -> int:
    return len(of)


def shifted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that gives one parameter itself, and says so."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs, scale=10)

    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "scale"]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return wrapper


@overload
def twice(x: int) -> int: ...
@overload
def twice(x: str) -> str: ...
def twice(x: int | str) -> int | str:
    """Double it."""
    return x * 2


@pytest.mark.parametrize(
    ("function", "name", "description", "sent", "result"),
    [
        (add, "add", "Add two numbers.", {"a": 1}, 3),
        (Shop(9).left, "left", "Count what is left.", {"sku": "x", "take": 2}, 7),
        (Branch(9).left, "left", "Count what is left.", {"sku": "x"}, 0),
        (Shop.named, "named", "Name a shop.", {"name": "A"}, "ShopA"),
        (Branch.named, "named", "Name a shop.", {"name": "A"}, "BranchA"),
        (Shop.add, "add", "Add one.", {"a": 1}, 2),
        (vars(Shop)["add"], "add", "Add one.", {"a": 1}, 2),
        (Search(), "Search", "Search the index.", {"query": "a"}, "A"),
        (Documented(), "Documented", "Search all of it.", {"query": "a"}, "a"),
        (Scale(3), "Scale", "", {"n": 2}, 6),
        (functools.partial(Scale(3)), "Scale", "", {"n": 2}, 6),
        (functools.partial(add, 1), "add", "Add two numbers.", {"b": 5}, 6),
        (functools.partial(add, scale=10), "add", "Add two numbers.", {"a": 1}, 30),
        (functools.partial(functools.partial(add, 1), b=5), "add", "Add two numbers.", {"scale": 2}, 12),
        (functools.partial(Shop(9).left, take=1), "left", "Count what is left.", {"sku": "x"}, 8),
        (cached, "cached", "Remembered.", {"n": 1}, 1),
        (traced(add), "add", "Add two numbers.", {"a": 1, "b": 1}, ("traced", 2)),
        (traced(traced(add)), "add", "Add two numbers.", {"a": 1}, ("traced", ("traced", 3))),
        (Retried(add), "add", "Add two numbers.", {"a": 1}, ("retried", 3)),
        (functools.partial(traced(add), b=1), "add", "Add two numbers.", {"a": 1}, ("traced", 2)),
        (twice, "twice", "Double it.", {"x": "ab"}, "abab"),
        (size, "size", "Tell the size.", {"of": "abc"}, 3),
        (size, "size", "Tell the size.", {"of": 5}, -1),
        (shifted(add), "add", "Add two numbers.", {"a": 1}, 30),
        (functools.cache(add), "add", "Add two numbers.", {"a": "1"}, 3),
        (Shop(9).partly, "left", "Count what is left.", {"sku": "x"}, 4),
    ],
    ids=named,
)
def test_anything_that_can_be_called_is_described(
    function: Any, name: str, description: str, sent: Any, result: Any
) -> None:
    """Name and text are those of the function inside; the call goes through what is outside."""
    schema = describe(function)
    assert (schema.name, schema.description) == (name, description)
    assert called(function, **sent) == result


def test_what_a_partial_has_bound_is_not_shown() -> None:
    """The model cannot set what the author has set."""
    assert list(shown(functools.partial(add, 1, scale=3))) == ["b"]
    with pytest.raises(InvalidArguments, match="scale: there is no such argument"):
        called(functools.partial(add, 1, scale=3), scale=4)


@pytest.mark.anyio
async def test_an_async_function_is_described_like_any() -> None:
    """The way a function is awaited is no business of the schema."""
    assert list(shown(Shop(1).order)) == ["sku"]
    assert await called(Shop(1).order, sku="x") == "x"
    assert (describe(Asking()).name, describe(Asking()).description) == ("Asking", "Ask somebody.")
    assert await called(functools.partial(Asking()), query="x") == "x"


def test_a_function_without_source_is_described() -> None:
    """Functions made by exec have no file to read from."""
    namespace: dict[str, Any] = {}
    exec('def made(x: int = 1) -> int:\n    "Made."\n    return x', namespace)
    assert describe(namespace["made"]).description == "Made."
    assert called(namespace["made"], x="4") == 4


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    """No parameters are an object with no properties, as every provider wants it."""

    def now() -> str:
        return "now"

    assert describe(now).parameters == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    assert called(now) == "now"
    assert called(os.getcwd) == os.getcwd()


def test_signature_is_the_truth() -> None:
    """A decorator that changes the parameters says so with `__signature__`."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    city = inspect.Parameter("city", inspect.Parameter.KEYWORD_ONLY, annotation=str)
    wrapper.__signature__ = inspect.Signature([city])  # type: ignore[attr-defined]
    assert shown(wrapper) == {"city": {"type": "string"}}
    assert called(wrapper, city="Rome") == ((), {"city": "Rome"})


def generator(n: int) -> Iterator[int]:
    yield n


async def async_generator(n: int) -> AsyncIterator[int]:
    yield n


def spread(**options: int) -> None: ...


def bare(*args, **kwargs):  # type: ignore[no-untyped-def]
    ...


def météo(city: str) -> None: ...


def endless(n: int) -> None: ...


endless.__wrapped__ = endless  # type: ignore[attr-defined]


def taking_lists(n: functools.reduce(lambda kind, _: list[kind], range(5000), int)) -> None: ...  # type: ignore


def half_a_character(n: int) -> None:
    """Take \ud800."""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (5, ["5 cannot be called"]),
        (None, ["None cannot be called"]),
        (vars(Shop)["named"], ["cannot be called"]),
        (Shop, ["tool 'Shop': it is a class; write a function"]),
        (functools.partial(Shop, 1), ["tool 'Shop': it is a class"]),
        (lambda x: x, ["tool '<lambda>': ", "name=..."]),
        (météo, ["tool 'météo': ", "1 to 64 letters, digits, _ and -", "name=..."]),
        (contextlib.contextmanager(generator), ["tool 'generator': it gives a context manager", "returns a value"]),
        (functools.partial(contextlib.contextmanager(generator), 1), ["it gives a context manager"]),
        (contextlib.asynccontextmanager(async_generator), ["it gives a context manager"]),
        (functools.lru_cache(generator), ["tool 'generator': its cache would give", "use @tool(cache=seconds)"]),
        (functools.cache(async_generator), ["tool 'async_generator': its cache would give"]),
        (functools.cache(Shop.order), ["tool 'order': its cache would give"]),
        (spread, ["tool 'spread', parameter 'options': ", "write the parameters out"]),
        (bare, ["tool 'bare', parameter 'kwargs': ", "write the parameters out"]),
        (Shop.left, ["tool 'left', parameter 'self': ", "pass a bound method"]),
        (len, ["tool 'len', parameter 'obj': a builtin", "wrap it in a function"]),
        (math.sqrt, ["tool 'sqrt', parameter 'x': a builtin"]),
        (Bound(add), ["tool 'Bound': its parameters are unknown", "wrap it in a function"]),
        (operator.itemgetter(0), ["tool 'itemgetter': its parameters"]),
        (unittest.mock.Mock(), ["tool 'Mock', parameter 'kwargs'"]),
        (max, ["tool 'max': its parameters are unknown", "wrap it in a function"]),
        (endless, ["tool 'endless': it is nested too deep, or wraps itself"]),
        (taking_lists, ["tool 'taking_lists': it is nested too deep"]),
        (half_a_character, ["tool 'half_a_character': its description is not valid Unicode", "mend it"]),
    ],
    ids=named,
)
def test_what_cannot_be_a_tool_is_refused_with_the_way_out(function: Any, words: list[str]) -> None:
    """At once, and not at the first call: the tool, the parameter if it is one's fault, and what to do."""
    message = refused(function)
    for word in words:
        assert word in message


@contextlib.contextmanager
def timed() -> Iterator[None]:
    yield


def test_generators_are_described_like_any_function() -> None:
    """What they yield is the progress of the call, and no business of the schema."""

    @functools.wraps(generator)
    def drained(*args: Any, **kwargs: Any) -> list[int]:
        return list(generator(*args, **kwargs))

    @timed()
    def guarded(n: int) -> int:
        return n

    for function in (generator, async_generator, functools.partial(generator), drained, guarded):
        assert shown(function) == {"n": {"type": "integer"}}
    assert called(drained, n="3") == [3]
    assert list(called(generator, n=3)) == [3]
    assert called(guarded, n=3) == 3


class Paging(TypedDict, total=False):
    """Which part of a long list."""

    first: Required[Annotated[int, Field(ge=1, description="The first row.")]]
    rows: ReadOnly[int]
    order: "NotRequired[Shop.Mode]"


class Filter(Paging):
    text: ReadOnly[str]
    exact: NotRequired[bool]


class Twice(TypedDict):
    table: str


@pytest.mark.parametrize("word", [Unpack, typing.Unpack])
def test_the_keys_of_unpacked_options_are_parameters(word: Any) -> None:
    """`**options: Unpack[Options]` says which names it takes; those that are left out are not in `options`."""

    def find(table: str, **options: Any) -> Any:
        """Find rows.

        Args:
            table: Where to look.
        """
        return table, options

    find.__annotations__["options"] = word[Filter]
    assert required(find) == ["table", "first", "text"]
    assert shown(find)["first"] == {"type": "integer", "minimum": 1, "description": "The first row."}
    assert shown(find)["text"] == {"type": "string"}
    assert called(find, table="t", first="2", text="x") == ("t", {"first": 2, "text": "x"})
    sent = {"first": 1, "text": "x", "rows": 3, "exact": True}
    assert called(find, table="t", order="fast", **sent) == ("t", {**sent, "order": Shop.Mode.FAST})
    with pytest.raises(InvalidArguments, match="there is no such argument; did you mean 'exact'"):
        called(find, table="t", exakt=True, **sent)
    assert list(shown(functools.partial(find, text="x", rows=1))) == ["table", "first", "order", "exact"]
    assert called(functools.partial(find, text="x"), table="t", first=1) == ("t", {"text": "x", "first": 1})
    find.__annotations__["options"] = word[Twice]
    assert "parameter 'options': its key 'table' is a parameter of its own, too; rename one" in refused(find)
    find.__annotations__["options"] = word[tuple[int, ...]]
    assert "parameter 'options': a model cannot know which names ** takes" in refused(find)


def test_a_name_that_is_given_is_taken_or_refused_but_never_changed() -> None:
    """64 characters are what every provider takes."""
    assert describe(lambda: 1, name="a-B_9").name == "a-B_9"
    assert describe(add, name="x" * 64, description="Other.").description == "Other."
    assert describe(add, description="").description == ""
    for name in ("", "x" * 65, "two words", "math.sqrt", "naïve"):
        assert refused(add, name=name).startswith(f"tool {name!r}: ")


# Annotations


def test_annotations_in_text_are_looked_up_where_they_were_written() -> None:
    """In the function's closure and module, then in its class: a method called `list` does not hide the builtin."""

    class Local(BaseModel):
        x: int

    def function(a: "Local", b: "Missing | None", c: "dict[str, Local]") -> "Nowhere":  # type: ignore[name-defined]  # noqa: F821
        return Local(x=a.x + len(c))

    assert called(function, a={"x": 1}, b=None, c={"k": {"x": 2}}) == Local(x=2)
    assert called(Shop(1).list, names=["a"], mode="fast") == (["a"], Shop.Mode.FAST)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` and `def f[T]` are Python 3.12's")
def test_the_new_ways_to_name_types_work() -> None:
    """`type X = ...`, and type variables that belong to the function, bound or not, in text or not."""
    made: dict[str, Any] = {}
    exec(
        "type Names = list[str]\n"
        "def first[T: int, *Ts](names: Names, x: T, y: 'T | None' = None) -> T: return names, x, y\n"
        "class Box[T]:\n    def put[U: str](self, x: 'U') -> None: return x\n",
        made,
    )
    assert shown(made["first"])["x"] == {"type": "integer"}
    assert called(made["first"], names=["a"], x="1", y=2) == (["a"], 1, 2)
    assert shown(made["Box"]().put) == {"x": {"type": "string"}}


def test_only_the_annotation_that_cannot_be_found_is_at_fault() -> None:
    """An import under TYPE_CHECKING is enough for the return, and for no parameter; the error says which, and why."""

    def returns(a: int) -> "Decimal":
        raise NotImplementedError

    def takes(a: int, price: "list[Decimal]") -> int:
        return a

    assert list(shown(returns)) == ["a"]
    message = refused(takes)
    assert message.startswith("tool 'takes', parameter 'price': ")
    assert "'Decimal'" in message
    assert "TYPE_CHECKING" in message


@pytest.mark.parametrize("text", ["int |", "int | 'x'", "1 / 0", "'a b'", "os.nothing"])
def test_an_annotation_that_is_no_type_is_refused(text: str) -> None:
    """Whatever evaluating it raises, the error is ours and names the parameter."""

    def function(a: int) -> None: ...

    function.__annotations__["a"] = text
    assert refused(function).startswith("tool 'function', parameter 'a': its annotation ")


ODD = ["schema", "model_config", "model_dump", "_id", "__dunder__", "args", "kwargs", "config", "callbacks", "self_", "json", "copy", "name", "context", "ctx", "run_id", "validate", "fields", "title", "type", "default", "agent", "fn", "from_", "camelCase"]  # fmt: skip  # noqa: E501


def test_no_parameter_name_is_reserved() -> None:
    """A function may call its parameters what it likes."""
    namespace: dict[str, Any] = {}
    exec(f"def odd({', '.join(f'{name}: int' for name in ODD)}): return locals()", namespace)
    sent = {name: place for place, name in enumerate(ODD)}
    assert list(shown(namespace["odd"])) == ODD
    assert called(namespace["odd"], **sent) == sent


def test_a_parameter_without_annotation_takes_any_json_and_says_so() -> None:
    """The author is warned, at the place of the function."""

    def function(anything, n: int = 1):  # type: ignore[no-untyped-def]
        return anything

    with pytest.warns(UserWarning, match="tool 'function', parameter 'anything' has no annotation") as caught:
        schema = describe(function)
    assert caught[0].filename == __file__
    assert caught[0].lineno == function.__code__.co_firstlineno
    assert schema.parameters["properties"]["anything"] == {}
    assert schema.bind('{"anything": [1, null]}', None)[1] == {"anything": [1, None]}


# The context


Ctx = TypeAliasType("Ctx", Context[int])


def test_the_context_is_injected_by_its_type_and_never_shown() -> None:
    """Whatever the parameter is called, wherever it stands, however the annotation is written."""

    def first(ctx: Context[int], a: int) -> Any:
        return ctx, a

    def keyword(a: int, *, whatever: "Context") -> Any:  # type: ignore[type-arg]
        return whatever, a

    def positional(a: int, c: Annotated[Context[int], "the run"], b: int = 2, /) -> Any:
        return c, a, b

    def alias(a: int, c: Ctx, *rest: int) -> Any:
        return c, a, rest

    def optional(a: int, c: Context[int] = None) -> Any:  # type: ignore[assignment]
        return c, a

    for function in (first, keyword, positional, alias, optional):
        assert "Context" not in json.dumps(describe(function).parameters)
        assert required(function) == ["a"]
        assert called(function, a=1)[0] is CONTEXT
        with pytest.raises(InvalidArguments, match="there is no such argument"):
            called(function, a=1, c=1, ctx=1, whatever=1)


def test_a_context_that_is_part_of_another_type_is_refused() -> None:
    """It is not a value a model could send, and not a place where one could be injected."""

    def optional(c: Context[int] | None) -> None: ...
    def many(c: list[Context[int]]) -> None: ...
    def starred(*c: Context[int]) -> None: ...

    for function in (optional, many, starred):
        assert "parameter 'c': " in refused(function)
        assert "Context[...] must be the whole annotation" in refused(function)


# Kinds of parameters


def test_every_kind_of_parameter_is_passed_as_python_wants_it() -> None:
    """The model knows names only; positional-only, starred and keyword-only parameters are our business."""

    def function(a: int, b: int = 2, /, c: int = 3, *rest: int, d: int, e: int = 5) -> Any:
        return a, b, c, rest, d, e

    assert list(shown(function)) == ["a", "b", "c", "rest", "d", "e"]
    assert shown(function)["rest"] == {"type": "array", "items": {"type": "integer"}}
    assert required(function) == ["a", "d"]
    assert called(function, a=1, d=4) == (1, 2, 3, (), 4, 5)
    assert called(function, a=1, d=4, rest=[7, "8"]) == (1, 2, 3, (7, 8), 4, 5)
    assert called(function, a=1, d=4, c=0, e=0) == (1, 2, 0, (), 4, 0)
    with pytest.raises(InvalidArguments, match=r"- rest\[1\]: "):
        called(function, a=1, d=4, rest=[1, "x"])


def test_an_optional_positional_parameter_may_be_left_out_before_one_that_is_given() -> None:
    """Python has no gaps between positional arguments: the default, the very object, fills one."""
    sentinel = object()

    def function(a: int, b: Any = sentinel, c: int = 3, /) -> Any:
        return b is sentinel, c

    assert called(function, a=1, c=4) == (True, 4)


# Defaults


class Missing(enum.Enum):
    VALUE = "missing"


class Options(BaseModel):
    deep: bool = False


OPTIONS = Options()
UNSET: Any = object()


def test_an_argument_left_out_is_not_passed() -> None:
    """So the function's own default applies, the very object: a sentinel, an enum, a model."""

    def function(a: int = UNSET, m: Missing = Missing.VALUE, o: Options = OPTIONS, f: float = math.inf) -> Any:
        return a, m, o, f

    assert describe(function).bind("{}", None) == ((), {})
    assert [x is y for x, y in zip(called(function), (UNSET, Missing.VALUE, OPTIONS, math.inf), strict=True)] == [
        True
    ] * 4
    assert required(function) == []


def test_a_mutable_default_is_not_shared_between_calls() -> None:
    """What one call appends, the next does not find; and the function's default stays as it was."""

    def function(a: list[list[int]] = [[1]], b: dict[str, int] = {}, c: set[int] = set()) -> Any:  # noqa: B006
        a[0].append(2)
        b["x"] = 1
        c.add(1)
        return a, b, c

    for _ in range(2):
        assert called(function) == ([[1, 2]], {"x": 1}, {1})
    assert function.__defaults__ == ([[1]], {}, set())
    assert shown(function)["a"]["default"] == [[1]]


def test_fields_give_defaults_in_any_place() -> None:
    """pydantic's `Field` works as the default and in Annotated; factories are called for each call."""
    made = iter(range(100))

    def function(
        a: str = Field(..., min_length=3),
        b: int = Field(5, gt=3),
        c: list[int] = Field(default_factory=list),  # noqa: B008
        d: Annotated[float, Field(default=1.5)] = Field(le=9),
        e: Annotated[int, Field(default=5)] = 6,
        f: Annotated[int, Field(default_factory=lambda: next(made))] = Field(),
    ) -> Any:
        return a, b, c, d, e, f

    assert required(function) == ["a"]
    assert called(function, a="abc") == ("abc", 5, [], 1.5, 6, 0)
    assert called(function, a="abc", b=7, f=9) == ("abc", 7, [], 1.5, 6, 9)
    assert called(function, a="abc") == ("abc", 5, [], 1.5, 6, 1)
    properties = shown(function)
    assert properties["a"] == {"type": "string", "minLength": 3}
    assert properties["d"] == {"type": "number", "maximum": 9, "default": 1.5}
    assert "default" not in properties["c"] | properties["f"]
    assert properties["e"]["default"] == 6
    with pytest.raises(InvalidArguments, match="a: String should have at least 3 characters"):
        called(function, a="ab")


def test_none_as_the_default_makes_a_parameter_nullable() -> None:
    """`x: str = None` means `str | None`, as it is written in a thousand functions."""

    def function(
        a: str = None,  # type: ignore[assignment]  # noqa: RUF013
        b: int | None = None,
        c: Any = None,
        d: Annotated[int, Field(gt=3)] = None,  # type: ignore[assignment]  # noqa: RUF013
    ) -> Any:
        return a, b, c, d

    nullable = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    assert shown(function)["a"] == nullable
    assert shown(function)["b"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert shown(function)["c"] == {"default": None}
    assert called(function, a=None, b=None, c=None, d=None) == (None,) * 4


def test_a_default_that_is_no_json_hides_no_other() -> None:
    """Each is looked at by itself."""

    def function(a: str = "\ud800", b: int = 10**5000, c: str = "shown", d: int = 4) -> None: ...

    defaults = {name: each["default"] for name, each in shown(function).items() if "default" in each}
    assert defaults == {"c": "shown", "d": 4}


class Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare")

    def __bool__(self) -> bool:
        raise RuntimeError("do not ask")

    __hash__ = None  # type: ignore[assignment]


def _strict_only(value: Any) -> int:
    raise RuntimeError(f"cannot bear {value!r}")


@pytest.mark.parametrize(
    ("annotation", "default", "published"),
    [
        (int, 3, 3),
        (float, 3, 3),
        (float, math.inf, ...),
        (float, math.nan, ...),
        (list[float], (1.0, math.inf), ...),
        (int, "5", ...),
        (int, True, ...),
        (str, 5, ...),
        (int, 2.5, ...),
        (Any, UNSET, ...),
        (Any, Hostile(), ...),
        (Any, len, ...),
        (Any, ..., ...),
        (Missing, Missing.VALUE, "missing"),
        (Options, OPTIONS, {"deep": False}),
        (tuple[int, ...], (1, 2), [1, 2]),
        (Annotated[int, Field(gt=3)], 3, ...),
        (Annotated[int, BeforeValidator(_strict_only)], 3, ...),
        (Annotated[Any, WithJsonSchema({"type": ["string", "null"]})], "x", "x"),
        (Annotated[int, BeforeValidator(int)], "3", ...),
        (Annotated[int, BeforeValidator(int)], True, ...),
        (SecretStr, SecretStr("hush"), ...),
        (str, "\ud800", ...),
        (Any, {"x": "\ud800"}, ...),
        (dict[int, str], {1: "a"}, {"1": "a"}),
    ],
    ids=named,
)
def test_a_default_is_shown_if_the_model_could_send_it(annotation: Any, default: Any, published: Any) -> None:
    """A default that is not JSON, that its own schema refuses, or that is a secret, is kept to the function."""

    def function(p: Any = default) -> Any:
        return p

    function.__annotations__["p"] = annotation
    assert shown(function)["p"].get("default", ...) == published
    assert "hush" not in json.dumps(describe(function).parameters)
    assert required(function) == []

"""One call: what is taken as its arguments, and what the model is told if they do not fit."""

import enum
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marks import named
from pydantic import AfterValidator, BaseModel, Field, Secret, SecretBytes, SecretStr

from agentkit.errors import InvalidArguments
from agentkit.schema import describe


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    sku: str
    price: float = 0.0


def order(items: list[Item], city: str = "", colour: Colour | None = None, note: str | int = "", days: int = 1) -> Any:
    """Order something."""
    return items, city, colour, note, days


def anything(a: Any = None, b: Any = None) -> Any: ...


def nothing() -> None: ...


def kwargs_of(function: Any, text: str | bytes) -> dict[str, Any]:
    args, kwargs = describe(function).bind(text, None)
    assert args == ()
    return kwargs


def told(function: Any, text: str | bytes) -> str:
    with pytest.raises(InvalidArguments) as caught:
        describe(function).bind(text, None)
    return str(caught.value)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t ", "null", " null ", "{}", " { } ", b"", b"null", b"{}", '"{}"', '" {} "']
)
def test_nothing_is_no_arguments(text: str | bytes) -> None:
    """Models write nothing, null or {} where there is nothing to say."""
    assert kwargs_of(anything, text) == {}
    assert kwargs_of(nothing, text) == {}


@pytest.mark.parametrize("text", ['{"a": "é"}', '{"a": "é"}'.encode(), ' {"a": "\\u00e9"}\n', '"{\\"a\\": \\"é\\"}"'])
def test_one_object_is_read_from_text_or_bytes_and_out_of_a_string_once(text: str | bytes) -> None:
    """Some servers encode the arguments twice."""
    assert kwargs_of(anything, text) == {"a": "é"}


def test_a_string_inside_the_arguments_is_never_decoded() -> None:
    """What looks like JSON in a string argument is a string."""
    sent = {"a": '{"b": 1}', "b": "null"}
    assert kwargs_of(anything, json.dumps(sent)) == sent
    assert kwargs_of(anything, json.dumps(json.dumps(sent))) == sent


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not one JSON object: Invalid JSON"),
        ('{"a": 1', "not one JSON object: Invalid JSON"),
        ('{"a": 1,}', "not one JSON object: Invalid JSON"),
        ("{'a': 1}", "not one JSON object: Invalid JSON"),
        ('{"a": 1} {"b": 2}', "not one JSON object: Invalid JSON"),
        ('{"a": 1} and that is it', "not one JSON object: Invalid JSON"),
        ('```json\n{"a": 1}\n```', "are in a Markdown fence; send nothing but the object"),
        ('{"a": "\n"}', "not one JSON object: Invalid JSON"),
        ('{"a": tru}', "not one JSON object: Invalid JSON"),
        ('{"a": 01}', "not one JSON object: Invalid JSON"),
        ('{"a": ' + "1" * 5000 + "}", "not one JSON object: Invalid JSON"),
        ("[]", "not one JSON object: Input should be an object"),
        ("3", "not one JSON object: Input should be an object"),
        ('"hello"', "not one JSON object: Input should be an object"),
        ('""', "not one JSON object: Input should be an object"),
        ('"\\"{}\\""', "not one JSON object: Input should be an object"),
        ('"{', "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON: they are not UTF-8"),
        ('{"a": "\ud800"}', "not one JSON object"),
        ('{"a": "\\ud800"}', "not one JSON object: Invalid JSON"),
        ('{"a": NaN}', "not valid JSON: NaN is not a JSON number"),
        ('{"a": Infinity}', "not valid JSON: Infinity is not a JSON number"),
        ('{"a": [{"x": -Infinity}]}', "not valid JSON: -Infinity is not a JSON number"),
        ('{"a": 1, "a": 1}', "not valid JSON: the key 'a' is there twice"),
        ('{"a": 1, "b": 2, "\\u0061": 1}', "not valid JSON: the key 'a' is there twice"),
        ('{"a": {"x": 1, "x": 2}}', "not valid JSON: the key 'x' is there twice"),
        ('{"a": [{"x": 1, "y": 2, "x": 2}]}', "not valid JSON: the key 'x' is there twice"),
        ('"{\\"a\\": 1, \\"a\\": 2}"', "not valid JSON: the key 'a' is there twice"),
        ('{"a": ' + "[" * 64 + "]" * 64 + "}", "too deep: more than 64"),
        ('{"a": ' + '{"x":' * 64 + "1" + "}" * 64 + "}", "too deep: more than 64"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "not one JSON object: Invalid JSON: recursion"),
        ('"' + "[" * 100_000, "not valid JSON"),
    ],
    ids=lambda value: named(repr(value))[:40],
)
def test_what_is_not_one_strict_json_object_is_refused(text: str | bytes, words: str) -> None:
    """Every reader of JSON must read the same in it; the model is told what is wrong, and not its own text again."""
    message = told(anything, text)
    assert words in message
    assert "\n" not in message
    assert len(message) < 250


def test_64_levels_are_allowed() -> None:
    """The limit is the number, no less."""
    lists = '{"a": ' + "[" * 63 + "]" * 63 + "}"
    objects = '{"a": ' + '{"x":' * 62 + "{}" + "}" * 62 + "}"
    assert kwargs_of(anything, lists)
    assert kwargs_of(anything, objects)
    assert kwargs_of(anything, json.dumps({"a": [[1]] * 1000, "b": "[" * 1000}))


def test_words_that_look_like_trouble_are_text() -> None:
    """NaN, colons and brackets in a string are nothing but text."""
    sent = {"a": 'NaN, Infinity: {"x": 1, "x": 2} https://a.b', "b": "[" * 99}
    assert kwargs_of(anything, json.dumps(sent)) == sent


def test_a_key_is_found_twice_also_where_defaults_are_filled_in() -> None:
    """A parameter that pydantic fills in does not stand for a key that was there."""

    def function(a: int, b: Annotated[int, Field(default=2)], c: list[int] = []) -> Any: ...  # noqa: B006

    assert "the key 'a' is there twice" in told(function, '{"a": 1, "a": 1}')
    assert "the key 'a' is there twice" in told(function, '{"a": 1, "a": 1, "a": 1}')


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"city": "a"}', ["- items: is missing"]),
        ('{"items": [], "cty": 1}', ["- cty: there is no such argument; did you mean 'city'?"]),
        (
            '{"items": [], "zzz": 1}',
            ["- zzz: there is no such argument; there are only 'items', 'city', 'colour', 'note', 'days'"],
        ),
        (
            '{"items": [], "days": "two"}',
            [
                "- days: Input should be a valid integer, unable to parse string as an integer, "
                'got "two"; expected: {"type": "integer"}'
            ],
        ),
        (
            '{"items": null, "city": null}',
            ["- items: Input should be a valid array, got null"],
        ),
        (
            '{"items": [{"sku": "x"}, {"price": "free"}, 3]}',
            [
                "- items[1].sku: is missing",
                '- items[1].price: Input should be a valid number, unable to parse string as a number, got "free"',
                "- items[2]: Input should be an object, got 3",
            ],
        ),
        ('{"items": [], "colour": "green"}', ["- colour: Input should be 'red' or 'blue', got \"green\""]),
        (
            '{"items": [], "note": [1]}',
            [
                "- note: Input should be a valid string, got [1]; or: Input should be a valid integer, got [1]; "
                'expected: {"anyOf": [{"type": "string"}, {"type": "integer"}]}'
            ],
        ),
    ],
    ids=lambda value: named(repr(value))[:40],
)  # fmt: skip
def test_the_model_is_told_the_place_the_problem_and_the_form(text: str, lines: list[str]) -> None:
    """One line for each place, as the model wrote it and not as pydantic numbers it."""

    assert told(order, text).split("\n") == ["The arguments do not fit 'order':", *lines]


def test_a_place_inside_a_union_is_the_place_in_the_arguments() -> None:
    """`pet.lives`, and not `pet.cat.lives` or `pet.Cat.lives`: the model has never seen those names."""

    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int

    class Dog(BaseModel):
        kind: Literal["dog"]

    def tagged(pet: Annotated[Cat | Dog, Field(discriminator="kind")]) -> None: ...
    def plain(pet: Cat | list[int]) -> None: ...

    for function in (tagged, plain):
        message = told(function, '{"pet": {"kind": "cat", "lives": "x"}}')
        assert "\n- pet.lives: Input should be a valid integer" in message
        assert "cat" not in message.lower().replace('"cat"', "")
    assert "- pet.lives: is missing" in told(tagged, '{"pet": {"kind": "cat"}}')


def test_a_long_list_of_problems_and_long_values_are_cut() -> None:
    """The model pays for each word of an error."""

    def function(ns: list[int], s: Annotated[str, Field(max_length=3)] = "") -> None: ...

    message = told(function, json.dumps({"ns": ["x" * 1000] * 1000, "s": "y" * 1000, "k" * 5000: 1}))
    assert len(message.split("\n")) == 12
    assert message.endswith("- and 992 more")
    assert len(message) < 1500
    assert "xxxx" not in message
    assert len(told(function, json.dumps({"k" * 5000: 1, "ns": []}))) < 300


def test_an_argument_of_a_function_without_any_is_refused() -> None:
    """There is nothing near to suggest."""
    assert told(nothing, '{"a": 1}').endswith("- a: there is no such argument; there are none")


@dataclass
class Login:
    user: str
    password: SecretStr


def _fussy(value: Any) -> Any:
    raise ValueError(f"cannot use {value}")


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        (SecretStr, 5_550_123),
        (SecretBytes, ["5550123"]),
        (Secret[int], "x5550123"),
        (list[SecretStr], [5_550_123]),
        (SecretStr | None, 5_550_123),
        (dict[str, SecretStr], {"5550123": 5_550_123}),
        (Login, {"user": 5_550_123}),
        (Login, {"user": "x", "password": 5_550_123}),
        (list[Login], [{"5550123": 1}]),
        (Annotated[str, Field(json_schema_extra={"writeOnly": True})], 5_550_123),
        (Annotated[SecretStr, AfterValidator(lambda s: _fussy(s.get_secret_value()))], "5550123"),
    ],
    ids=named,
)
def test_a_secret_is_in_no_error(annotation: Any, sent: Any) -> None:
    """Nor in the errors behind it: what a model wrote for a secret stays out of logs and conversations."""

    def function(secret: Any, other: int = 1) -> None: ...

    function.__annotations__["secret"] = annotation
    with pytest.raises(InvalidArguments) as caught:
        describe(function).bind(json.dumps({"secret": sent, "other": "x"}), None)
    assert "- secret: does not fit" in str(caught.value)
    assert '- other: Input should be a valid integer, unable to parse string as an integer, got "x"' in str(
        caught.value
    )
    assert "5550123" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_validators_own_words_reach_the_model() -> None:
    """A tool's author says best what is wrong."""

    def function(day: Annotated[str, AfterValidator(_fussy)]) -> None: ...

    message = told(function, '{"day": "Monday"}')
    assert '- day: Value error, cannot use Monday, got "Monday"' in message
    assert len(told(function, json.dumps({"day": "M" * 9999}))) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b"]), JSON), st.booleans())
def test_any_json_reaches_a_function_that_takes_any(sent: dict[str, Any], ascii_only: bool) -> None:
    """Nothing that is JSON is lost, changed or refused on the way."""
    assert kwargs_of(anything, json.dumps(sent, ensure_ascii=ascii_only)) == sent
    assert kwargs_of(anything, json.dumps(json.dumps(sent))) == sent


@settings(deadline=None, max_examples=300)
@given(
    st.text(alphabet='{}[]",:0123456789.-eE \\uabnNtrInf\ud800é\n', max_size=30)
    | st.binary(max_size=20)
    | JSON.map(json.dumps)
)
def test_any_text_is_either_taken_or_refused(text: str | bytes) -> None:
    """Whatever a model writes: keyword arguments the function has, or an InvalidArguments."""
    for function in (anything, order):
        try:
            args, kwargs = describe(function).bind(text, None)
        except InvalidArguments:
            continue
        assert args == ()
        assert set(kwargs) <= set(describe(function).parameters["properties"])


class Sum(BaseModel):
    left: "Sum | Product | Power | int"


class Product(BaseModel):
    left: "Sum | Product | Power | int"


class Power(BaseModel):
    left: "Sum | Product | Power | int"


class Leaf(BaseModel):
    kind: Literal["leaf"]


class Twig(BaseModel):
    kind: Literal["twig"]
    end: "Annotated[Leaf | Twig, Field(discriminator='kind')]"


class Branch(BaseModel):
    branches: "list[Branch] | dict[str, Branch]" = []


@pytest.mark.parametrize(
    ("annotation", "key", "levels"),
    [(Sum, "left", 9), (list[Power] | int, "left", 9), (Twig, "end", 64), (Branch, "branches", 64)],
)
def test_types_that_hold_each_other_may_be_nested_as_deep_as_they_can_be_checked(
    annotation: Any, key: str, levels: int
) -> None:
    """Where nothing tells them apart, each level multiplies the work: few characters must not stop a process."""

    def function(a: Any) -> None: ...

    function.__annotations__["a"] = annotation
    deep: Any = 1
    for _ in range(60):
        deep = {key: deep, "kind": "twig"} if annotation is Twig else {key: deep}
    message = told(function, json.dumps({"a": deep}))
    assert (f"too deep: more than {levels} lists and objects" in message) == (levels < 64)
    assert describe(function).arguments.depth == levels

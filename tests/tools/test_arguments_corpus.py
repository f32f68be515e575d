"""What models write that is not quite JSON, and what attackers make them write: each is the right value, or refused."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from agentkit import Tool, tool
from agentkit.errors import InvalidArguments

REFUSED = object()


@dataclass
class Line:
    sku: str
    count: int = 1


def order(items: list[Line], city: Literal["north", "south"] = "north", note: str = "", price: float = 1.0) -> Any:
    """Order something."""
    return items, city, note, price


def anything(a: Any = None, b: int = 0) -> Any:
    return a, b


def received(function: Callable[..., Any], text: str | bytes, **policy: Any) -> Any:
    made = Tool.of(tool(**policy)(partial(function))) if policy else Tool.of(function)
    args, kwargs = made.arguments.bind(text, None)
    return function(*args, **kwargs)


def told(function: Callable[..., Any], text: str | bytes, **policy: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        received(function, text, **policy)
    return str(caught.value)


OBJECT = '{"items": [{"sku": "a"}], "note": "x } y"}'
ORDERED = ([Line("a")], "north", "x } y", 1.0)
FORM = '{"items": [...]}'
MENDED = [
    f"```json\n{OBJECT}\n```",
    f"```\n{OBJECT}\n```",
    f"```{OBJECT}```",
    f"Here is the call:\n\n```json\n{OBJECT}\n```\nAnything else?",
    f"Sure! {OBJECT}",
    f"{OBJECT} That's all.",
    f"order({OBJECT})",
    f"<arguments>{OBJECT}</arguments>",
    f"\ufeff{OBJECT}",
    json.dumps(f"```json\n{OBJECT}\n```"),
    json.dumps(f"Here: {OBJECT}"),
    OBJECT,
    json.dumps(OBJECT),
]


@pytest.mark.parametrize("text", MENDED)
def test_with_repair_the_object_is_taken_out_of_what_is_around_it(text: str) -> None:
    """A fence, words, a byte order mark: it is plain which object was meant."""
    assert received(order, text, repair=True) == ORDERED
    assert received(order, text.encode(), repair=True) == ORDERED


@pytest.mark.parametrize("text", MENDED[:-2])
def test_without_repair_the_model_is_told_what_to_send(text: str) -> None:
    """In one line, with the form; the tool does not run on what somebody guessed."""
    message = told(order, text)
    assert "\n" not in message
    assert message.endswith(FORM)
    assert len(message) < 200
    if text.startswith("`" * 3):
        assert message == f"The arguments of 'order' are in a Markdown fence; send nothing but the object: {FORM}"


@pytest.mark.parametrize(
    "text",
    [
        OBJECT[:-1],
        OBJECT[:-6],
        f"```json\n{OBJECT[:-1]}",
        f"Here: {OBJECT[:-1]}",
        f"{OBJECT} {OBJECT}",
        f"{OBJECT}\n```json\n{OBJECT}\n```",
        f"[{OBJECT}]",
        f'"order": {OBJECT}',
        f'{{"order": {OBJECT}',
        f'"items": [{{"sku": "a"}}], "x": {OBJECT}}}',
        '{"items": [{"sku": "a"}], ',
        "```json\n```",
        "Sorry, I cannot do that.",
        "}{",
        "{",
    ],
)
def test_what_may_be_half_of_something_is_never_mended(text: str) -> None:
    """A call that was cut off must not run with what is left of it; two objects are not one."""
    told(order, text, repair=True)
    told(order, text)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"items": '[{"sku": "a"}]'}, [Line("a")]),
        ({"items": ['{"sku": "a", "count": null}']}, [Line("a")]),
        ({"items": ' [{"sku": "a", "count": 2}] '}, [Line("a", 2)]),
        ({"items": "[{'sku': 1}]"}, REFUSED),
        ({"items": '[{"sku": "a", "sku": "b"}]'}, REFUSED),
        ({"items": '"[]"'}, REFUSED),
    ],
)
def test_with_repair_a_string_around_a_list_or_an_object_is_opened(sent: Any, expected: Any) -> None:
    """Where no string fits; without repair it is an error."""
    text = json.dumps(sent)
    told(order, text)
    if expected is REFUSED:
        told(order, text, repair=True)
    else:
        assert received(order, text, repair=True)[0] == expected


def test_a_string_that_fits_is_a_string() -> None:
    """Whatever it looks like, and with repair too."""

    def function(a: str, b: str | list[int], c: Any, d: dict[str, str]) -> Any:
        return a, b, c, d

    sent = {"a": '{"x": 1}', "b": "[1]", "c": "[1]", "d": {"x": "{}"}}
    assert received(function, json.dumps(sent), repair=True) == tuple(sent.values())


def test_a_model_that_writes_a_list_in_a_string_is_told_so() -> None:
    """The value is cut if it is long; the form says what is expected."""
    assert told(anything_in_a_list, '{"numbers": "[1, 2]"}') == (
        "The arguments do not fit 'anything_in_a_list':\n"
        '- numbers: Input should be a valid array, got "[1, 2]"; send it as JSON, not inside a string; '
        'expected: {"items": {"type": "integer"}, "type": "array"}'
    )


def anything_in_a_list(numbers: list[int]) -> None: ...


DEEP = 10_000
LONG = 1_000_000
MANY = [f"k{n}" for n in range(20_000)]
CORPUS: dict[str, tuple[str | bytes, Any]] = {
    "nan": ('{"a": NaN}', REFUSED),
    "infinity": ('{"a": Infinity}', REFUSED),
    "minus infinity": ('{"a": [-Infinity]}', REFUSED),
    "a word like nan": ('{"a": "NaN Infinity"}', ("NaN Infinity", 0)),
    "huge exponent": ('{"a": 1e999}', REFUSED),
    "huge exponent inside": ('{"a": [{"x": -1E+400}]}', REFUSED),
    "huger exponent": ('{"a": 1e99999999999999999999}', REFUSED),
    "exponent with zeros": ('{"a": 1e0000000000000000002}', (100.0, 0)),
    "tiny exponent": ('{"a": 1e-999}', (0.0, 0)),
    "largest float": ('{"a": 1.7976931348623157e308}', (1.7976931348623157e308, 0)),
    "more digits than a float": ('{"a": ' + "9" * 400 + ".5}", REFUSED),
    "4,300 digits": ('{"a": ' + "9" * 4300 + "}", (int("9" * 4300), 0)),
    "4,301 digits": ('{"a": ' + "9" * 4301 + "}", REFUSED),
    "a million digits": ('{"a": ' + "9" * LONG + "}", REFUSED),
    "4,301 digits in a string": ('{"b": "' + "9" * 4301 + '"}', REFUSED),
    "a million digits after the point": ('{"a": 0.' + "3" * LONG + "}", (1 / 3, 0)),
    "a whole number with a point": ('{"b": 3.0}', (None, 3)),
    "a number with a rest": ('{"b": 3.5}', REFUSED),
    "minus zero": ('{"b": -0}', (None, 0)),
    "a leading zero": ('{"b": 01}', REFUSED),
    "a plus": ('{"b": +1}', REFUSED),
    "hexadecimal": ('{"b": 0x1}', REFUSED),
    "a bool for a number": ('{"b": true}', (None, 1)),
    "a key twice": ('{"a": 1, "a": 1}', REFUSED),
    "a key twice, spelt otherwise": ('{"a": 1, "b": 1, "\\u0061": 1}', REFUSED),
    "a key twice inside": ('{"a": [{"x": 1, "x": 1}]}', REFUSED),
    "a key twice and null": ('{"b": null, "b": null}', REFUSED),
    "many keys": ('{"a": ' + json.dumps(dict.fromkeys(MANY, 0)) + "}", (dict.fromkeys(MANY, 0), 0)),
    "many unknown keys": (json.dumps(dict.fromkeys(MANY, 0)), REFUSED),
    "lone surrogate": ('{"a": "\\ud800"}', REFUSED),
    "lone surrogate as a key": ('{"a": {"\\udc00": 1}}', REFUSED),
    "lone surrogate unescaped": ('{"a": "\ud800"}', REFUSED),
    "a pair of surrogates": ('{"a": "\\ud83d\\ude00"}', ("😀", 0)),
    "not utf-8": (b'{"a": "\xff"}', REFUSED),
    "overlong utf-8": (b'{"a": "\xc0\x80"}', REFUSED),
    "utf-16": ('{"a": 1}'.encode("utf-16"), REFUSED),
    "byte order mark": ('\ufeff{"a": 1}', REFUSED),
    "nul escaped": ('{"a": "\\u0000"}', ("\0", 0)),
    "nul in a string": ('{"a": "\0"}', REFUSED),
    "nul after": ('{"a": 1}\0', REFUSED),
    "control character": ('{"a": "\x1b"}', REFUSED),
    "a comment": ('{"a": 1} // one', REFUSED),
    "a trailing comma": ('{"a": 1,}', REFUSED),
    "single quotes": ("{'a': 1}", REFUSED),
    "python": ('{"a": None}', REFUSED),
    "a list": ("[]", REFUSED),
    "a number": ("1", REFUSED),
    "true": ("true", REFUSED),
    "a string": ('"a"', REFUSED),
    "encoded twice": (json.dumps('{"a": 1}'), (1, 0)),
    "encoded three times": (json.dumps(json.dumps('{"a": 1}')), REFUSED),
    "nothing": ("", (None, 0)),
    "null": ("null", (None, 0)),
    "blanks": (" \n\t ", (None, 0)),
    "a million blanks": (" " * LONG, (None, 0)),
    "deep lists": ('{"a": ' + "[" * DEEP + "]" * DEEP + "}", REFUSED),
    "deep objects": ('{"a": ' + '{"x":' * DEEP + "1" + "}" * DEEP + "}", REFUSED),
    "deep and null": ('{"b": null, "a": ' + "[" * DEEP + "]" * DEEP + "}", REFUSED),
    "deep and cut off": ('{"a": ' + "[" * LONG, REFUSED),
    "deep in a string": ('{"a": "' + "[" * LONG + '"}', ("[" * LONG, 0)),
    "encoded twice and deep": (json.dumps('{"a": ' + "[" * DEEP + "]" * DEEP + "}"), REFUSED),
    "a million quotes": ('"' * LONG, REFUSED),
    "a million backslashes": ('{"a": "' + "\\" * LONG + '"}', ("\\" * (LONG // 2), 0)),
    "a million braces": ("{" * LONG, REFUSED),
    "a million braces backwards": ("}" * LONG, REFUSED),
    "a million backticks": ("`" * LONG, REFUSED),
    "a million nulls": ('{"a": [' + ",".join(["null"] * (LONG // 5)) + "]}", ([None] * (LONG // 5), 0)),
    "a million wrong": ('{"b": [' + ",".join(["1"] * (LONG // 2)) + "]}", REFUSED),
    "a long key": ('{"' + "k" * LONG + '": 1}', REFUSED),
    "an empty key": ('{"": 1}', REFUSED),
    "a key with lines": ('{"x\\n- b: fine": 1}', REFUSED),
}  # fmt: skip


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("name", CORPUS)
def test_each_text_is_the_right_value_or_refused_in_few_words(name: str, repair: bool) -> None:
    """Nothing else is raised, nothing takes time that grows faster than the text, and nobody pays for a long error."""
    text, expected = CORPUS[name]
    if repair and name in ("byte order mark", "nul after", "a comment"):
        expected = (1, 0)
    if expected is not REFUSED:
        assert received(anything, text, repair=repair) == expected
        return
    message = told(anything, text, repair=repair)
    assert len(message) < 2000
    assert message.isprintable() or "\n- " in message


def test_a_key_cannot_write_lines_of_its_own_into_an_error() -> None:
    """The error is what a model reads next: whoever writes a key must not say what stands in it."""
    message = told(anything, '{"x\\n- b: fine": 1}')
    assert message.split("\n")[1].startswith('- "x\\n- b: fine": there is no such argument')
    assert len(message.split("\n")) == 2


class Login(BaseModel):
    user: str
    password: SecretStr
    codes: dict[str, SecretStr] = {}


CANARY = "hunter2"
SECRET: list[tuple[Any, str]] = [
    (SecretStr, '["hunter2"]'),
    (SecretStr, '{"hunter2": 1}'),
    (SecretStr, '{"hunter2": 1, "hunter2": 1}'),
    (SecretStr, '"hunter2'),
    (SecretStr, '"hunter2\ud800"'),
    (SecretStr, "hunter2"),
    (list[SecretStr], '["hunter2", 3]'),
    (list[SecretStr], '"hunter2"'),
    (list[SecretStr], '{"hunter2": null}'),
    (dict[str, SecretStr], '{"hunter2": ["hunter2"]}'),
    (dict[str, SecretStr], '{"hunter2": "x", "hunter2": "y"}'),
    (Login, '{"user": "x", "password": ["hunter2"]}'),
    (Login, '{"user": "x", "hunter2": "x", "hunter2": "x"}'),
    (Login, '{"user": "x", "password": "y", "codes": {"hunter2": 3}}'),
    (Login, '{"user": "x", "password": "y", "codes": "hunter2"}'),
    (Login | int, '"hunter2"'),
    (list[Login], '[{"hunter2": "x"}]'),
    (dict[str, Login], '{"hunter2": {}}'),
    (tuple[str, SecretStr], '["hunter2"]'),
    (Annotated[SecretStr, Field(max_length=3)], '"hunter2"'),
    (Annotated[str, Field(max_length=3, json_schema_extra={"writeOnly": True})], '"hunter2"'),
    (SecretStr | None, "3"),
]


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize(("annotation", "sent"), SECRET, ids=str)
def test_a_secret_is_in_no_error_however_deep_it_is(annotation: Any, sent: str, repair: bool) -> None:
    """Nor a key inside it, nor what was written where it should be."""

    def function(secret: Any, other: int = 1) -> None: ...

    function.__annotations__["secret"] = annotation
    for text in (f'{{"secret": {sent}, "other": "x"}}', f'{{"other": null, "secret": {sent}}}', f'{{"secret": {sent}'):
        with pytest.raises(InvalidArguments) as caught:
            received(function, text, repair=repair)
        error = caught.value
        assert CANARY not in f"{error} {error.__cause__} {error.__suppress_context__ or error.__context__}"


def test_an_error_says_the_path_the_problem_and_the_form() -> None:
    """All that a model needs to mend its call, and no more."""
    assert told(order, '{"items": [{"sku": "a", "count": "many"}], "city": "west", "nte": "x"}').split("\n") == [
        "The arguments do not fit 'order':",
        '- items[0].count: Input should be a valid integer, unable to parse string as an integer, got "many"',
        '- city: Input should be \'north\' or \'south\', got "west"; expected: {"enum": ["north", "south"], '
        '"type": "string"}',
        "- nte: there is no such argument; did you mean 'note'?",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(deadline=None, max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["a", "b"]), JSON), st.text(st.characters(exclude_characters='{}[]"'), max_size=9)
)
def test_repair_changes_nothing_that_needs_none(sent: dict[str, Any], words: str) -> None:
    """The same arguments, and with words around them too."""

    def function(a: Any = 0, b: Any = 0) -> Any:
        return a, b

    text = json.dumps(sent)
    expected = received(function, text)
    assert received(function, text, repair=True) == expected
    assert received(function, f"{words}{text}{words}", repair=True) == expected


class Leaf(BaseModel):
    kind: Literal["leaf"] = "leaf"
    one: "Leaf | Branch | Fork | None" = None


class Branch(BaseModel):
    kind: Literal["branch"] = "branch"
    one: "Leaf | Branch | Fork | None" = None


class Fork(BaseModel):
    kind: Literal["fork"] = "fork"
    one: "Leaf | Branch | Fork | None" = None


class Told(BaseModel):
    kind: Literal["told"] = "told"
    one: "Annotated[Told | Other, Field(discriminator='kind')] | None" = None


class Other(BaseModel):
    kind: Literal["other"] = "other"


def nested(levels: int, **each: Any) -> str:
    value: dict[str, Any] = dict(each)
    for _ in range(levels):
        value = {**each, "one": value}
    return json.dumps({"tree": value})


def test_a_union_that_holds_itself_cannot_be_made_to_try_for_ever() -> None:
    """Each level would be tried in each of three ways; what one can tell apart by a discriminator may be deep."""

    def grow(tree: Leaf | Branch | Fork) -> Any:
        """Grow."""
        return tree

    def tell(tree: Told) -> Any:
        """Tell."""
        return tree

    assert received(grow, nested(5)).one.one
    with pytest.raises(InvalidArguments, match="too deep: more than 9 lists"):
        received(grow, nested(40))
    assert received(tell, nested(50, kind="told")).one.one

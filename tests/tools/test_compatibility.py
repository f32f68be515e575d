"""Whether calls that fitted a tool's old schema fit its new one, and how that is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
import schema_pairs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit.review.compatibility import Comparison
from agentkit.review.schema_changes import differences

CALM = settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))


@contextmanager
def endless_schemas_left_out() -> Iterator[None]:
    """A schema that is nothing but itself, which the validator does not see: it recurses, or panics in its depth."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, RecursionError) and type(error).__name__ != "PanicException":
            raise


def check_pair(seed: int) -> None:
    """One old schema, a new one, and values that fit the old."""
    random = Random(seed)
    old = schema_pairs.schema(random)
    new = schema_pairs.changed(random, old) if random.random() < 0.8 else schema_pairs.schema(random)
    is_compatible = Comparison(old, new).fits(old, new)
    assert is_compatible != any(each.kind == "breaking" for each in differences(old, new))
    if is_compatible:
        before, now = schema_pairs.Validator(old), schema_pairs.Validator(new)
        with endless_schemas_left_out():
            for value in schema_pairs.values(random, old, 25):
                assert not before.is_valid(value) or now.is_valid(value), (old, new, value)


@CALM
@given(st.integers(0, 2**64))
def test_what_fitted_fits_where_nothing_is_breaking(seed: int) -> None:
    """The promise of `compatible`, for schemas of all kinds and their changes, judged by another validator."""
    check_pair(seed)


@pytest.mark.sweep
def test_what_fitted_fits_for_very_many_schemas() -> None:
    """The same, for as many as minutes allow."""
    for seed in range(30_000):
        check_pair(seed)


def test_the_generator_makes_both_kinds() -> None:
    """Many of the pairs differ and are compatible, and many of their values fit: the property is not empty."""
    compatible = fitting = 0
    for seed in range(150):
        random = Random(seed)
        old = schema_pairs.schema(random)
        new = schema_pairs.changed(random, old)
        comparison = Comparison(old, new)
        if comparison.fits(old, new) and not comparison.same(old, new):
            compatible += 1
            fitting += any(map(schema_pairs.Validator(old).is_valid, schema_pairs.values(random, old, 25)))
    assert compatible > 30
    assert fitting > 20


def objects(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def kind_of(old: Any, new: Any) -> str:
    """What becomes of an argument's schema, as one word, or `same`."""
    kinds = {each.kind for each in differences(objects(p=old), objects(p=new))}
    return next((kind for kind in ("breaking", "compatible", "prompt-only") if kind in kinds), "same")


INTEGER, NUMBER, STRING, NULL = {"type": "integer"}, {"type": "number"}, {"type": "string"}, {"type": "null"}
CAT = {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": INTEGER}, "required": ["kind"]}
DOG = {"type": "object", "properties": {"kind": {"const": "dog"}, "tricks": INTEGER}, "required": ["kind"]}
OWL = {"type": "object", "properties": {"kind": {"const": "owl"}}, "required": ["kind"]}
KEYS = {"type": "object", "patternProperties": {"^a": True}, "additionalProperties": False}
LIST, DICT = {"type": "array"}, {"type": "object"}
LOOSER = [
    ("a number for a whole one", INTEGER, NUMBER),
    ("null too", STRING, {"anyOf": [STRING, NULL]}),
    ("null too, as a list of types", STRING, {"type": ["string", "null"]}),
    ("a list of types as a union", {"type": ["integer", "null"]}, {"anyOf": [NULL, NUMBER]}),
    ("anything", STRING, {}),
    ("anything, as a bool", {"type": "array", "items": STRING}, True),
    ("one more choice", {"enum": ["a", "b"], "type": "string"}, {"enum": ["a", "b", "c"], "type": "string"}),
    ("text for a choice", {"enum": ["a", "b"]}, STRING),
    ("a choice for a constant", {"const": "a"}, {"enum": ["a", "b"]}),
    ("a choice of all there is", {"type": "boolean"}, {"enum": [True, False, None]}),
    ("a lower limit that is lower", {**INTEGER, "minimum": 2}, {**INTEGER, "minimum": 1}),
    ("the same limit otherwise", {**INTEGER, "minimum": 1}, {**INTEGER, "exclusiveMinimum": 0}),
    ("a limit that is not excluded", {**NUMBER, "exclusiveMaximum": 1}, {**NUMBER, "maximum": 1}),
    ("a coarser step", {**INTEGER, "multipleOf": 6}, {**INTEGER, "multipleOf": 3}),
    ("choices within limits", {"enum": [1, 2]}, {**INTEGER, "minimum": 1, "maximum": 2}),
    ("texts of any length", {**STRING, "minLength": 2, "maxLength": 3}, {**STRING, "maxLength": 4}),
    ("no pattern", {**STRING, "pattern": "^a"}, STRING),
    ("no format", {**STRING, "format": "date"}, STRING),
    ("items that take more", {"type": "array", "items": INTEGER}, {"type": "array", "items": NUMBER}),
    ("a list for a pair", {**LIST, "prefixItems": [INTEGER, INTEGER], "items": False}, {**LIST, "items": INTEGER}),
    ("a list for a set", {"type": "array", "uniqueItems": True}, {"type": "array"}),
    ("one may be left out", objects(a=STRING), {**objects(a=STRING), "required": []}),
    ("one more that may be left out", objects(a=STRING), {**objects(a=STRING, b=STRING), "required": ["a"]}),
    ("further keys", objects(a=STRING), {**objects(a=STRING), "additionalProperties": True}),
    ("values of a dict", {**DICT, "additionalProperties": INTEGER}, {**DICT, "additionalProperties": NUMBER}),
    ("one more alternative with a tag", {"oneOf": [CAT, DOG]}, {"oneOf": [CAT, OWL, DOG]}),
    ("a union with tags for one", CAT, {"oneOf": [CAT, DOG]}),
    ("what is wrapped", STRING, {"allOf": [STRING]}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [pair[1:] for pair in LOOSER], ids=[pair[0] for pair in LOOSER])
def test_what_takes_more_is_compatible(old: Any, new: Any) -> None:
    """And what takes less is breaking: each of these pairs, the other way round."""
    assert kind_of(old, new) in ("compatible", "same")
    if kind_of(old, new) == "compatible" and new != {"allOf": [STRING]} and "exclusiveMinimum" not in str(new):
        assert kind_of(new, old) == "breaking"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (STRING, {**STRING, "pattern": "."}),
        (STRING, {**STRING, "format": "date"}),
        ({**STRING, "pattern": "a"}, {**STRING, "pattern": "a|b"}),
        ({**NUMBER, "multipleOf": 0.5}, {**NUMBER, "multipleOf": 0.25}),
        (STRING, {**STRING, "x-unheard-of": 1}),
        (STRING, {"not": {"type": "integer"}}),
        ({"type": "array"}, {"type": "array", "contains": STRING}),
        ({"$ref": "https://example.com/schema"}, {"$ref": "https://example.com/schema2"}),
        ({"contains": STRING, "minContains": 0}, {"contains": STRING}),
        ({"type": "object", "maxProperties": 3}, {"type": "object", "maxProperties": 2}),
        (KEYS, {**KEYS, "properties": {"ab": INTEGER}}),
        ({**CAT, "required": []}, {"oneOf": [{**CAT, "required": []}], "discriminator": {"propertyName": "kind"}}),
        ({"oneOf": [INTEGER]}, {"oneOf": [INTEGER, NUMBER]}),
        ({"oneOf": [CAT, DOG]}, {"oneOf": [{**CAT, "required": []}, {**DOG, "required": []}]}),
    ],
)
def test_what_cannot_be_told_is_breaking(old: Any, new: Any) -> None:
    """Better a question too many than a call that is refused."""
    assert kind_of(old, new) == "breaking"


def test_what_refers_to_itself_is_compared_to_the_end() -> None:
    """A tree whose nodes take more is compatible, one whose nodes take less is not, and each ends."""

    def tree(value: Any, name: str = "Node") -> dict[str, Any]:
        reference = {"$ref": f"#/$defs/{name}"}
        node = objects(value=value, children={"type": "array", "items": {"anyOf": [reference, NULL]}})
        return {**objects(root=reference), "$defs": {name: node}}

    assert differences(tree(INTEGER), tree(INTEGER, "Knot")) == []
    assert {each.kind for each in differences(tree(INTEGER), tree(NUMBER))} == {"compatible"}
    [change] = differences(tree(NUMBER), tree(INTEGER))
    assert (change.kind, change.path) == ("breaking", "root.value")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"anyOf": [{"$ref": "#"}, {"type": "integer"}]},
        {"type": 7},
        {"properties": []},
        {"minimum": "1"},
        {"required": [1]},
        {"anyOf": [{"anyOf": [{"type": "integer", "minimum": n, "maximum": n + 1} for n in range(30)]}] * 30},
        {"allOf": [{"anyOf": [{"minLength": n} for n in range(30)]}] * 30},
    ],
)
def test_no_schema_is_too_strange(schema: Any) -> None:
    """What refers to itself, is no schema or is very large ends in an answer, and equal ones are equal."""
    assert differences(schema, schema) == []
    assert differences(schema, objects(a=STRING))


def test_a_long_enum_is_compared() -> None:
    """Thousands of choices take a moment, not a square of it."""
    choices = [f"choice {n}" for n in range(5_000)]
    assert kind_of({"enum": choices}, {"enum": [*choices, "more"]}) == "compatible"
    assert kind_of({"enum": choices}, {"enum": choices[1:]}) == "breaking"


def test_a_very_deep_schema_is_answered() -> None:
    """Deeper than Python's stack is unknown, so breaking."""
    deep: Any = STRING
    for _ in range(5_000):
        deep = {"type": "array", "items": deep}
    assert [each.kind for each in differences(deep, {"type": "array", "items": deep})] == ["breaking"]


TOLD = [
    (
        objects(a=STRING),
        objects(b=STRING),
        "breaking a: was removed, perhaps to be called 'b': calls that give it are refused now",
    ),
    (
        {**objects(a=STRING), "required": []},
        objects(a=STRING),
        "breaking a: became required: calls that left it out are refused now",
    ),
    (objects(a=STRING), objects(a=INTEGER), "breaking a: took string, takes integer"),
    (objects(a={"enum": [1, 2]}), objects(a={"enum": [2, 3]}), "breaking a: takes 1 no longer"),
    (objects(a={"minimum": 1}), objects(a={"minimum": 2}), "breaking a: has minimum 2, had 1"),
    (objects(a={"anyOf": [STRING, NULL]}), objects(a=STRING), "breaking a: takes null no longer"),
    (
        objects(a={**LIST, "items": objects(b=STRING)}),
        objects(a={**LIST, "items": objects(b=NULL)}),
        "breaking a[].b: took string, takes null",
    ),
    (
        objects(a=DICT),
        objects(a={**DICT, "properties": {"b": NULL}}),
        "breaking a.b: was added: any key was taken here, so a call may have given this one as something else; "
        "extra='forbid' closes it",
    ),
    (
        objects(a={**STRING, "description": "x"}),
        objects(a={**STRING, "description": "y"}),
        'prompt-only a: has another description, "y"',
    ),
    (
        objects(a={**STRING, "default": "x"}),
        objects(a={**STRING, "default": "y"}),
        'prompt-only a: has the shown default "y", had "x"',
    ),
    (objects(a=STRING, b=NULL), objects(b=NULL, a=STRING), "prompt-only : names its parameters in another order"),
    (
        objects(a={**STRING, "writeOnly": True}),
        objects(a=STRING),
        "breaking a: is not secret any more: its value may be shown and logged",
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), TOLD, ids=[told for _, _, told in TOLD])
def test_a_difference_is_told_where_it_is(old: Any, new: Any, told: str) -> None:
    """The path, what was and is there, and what it means for calls."""
    said = [f"{d.kind} {d.path}: {d.what}" + (f": {d.so}" if d.so else "") for d in differences(old, new)]
    assert told in said

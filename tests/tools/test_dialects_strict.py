"""Which schemas have a strict form, what it is, and what is said of those that have none."""

import json
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

import pytest
from marks import named
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

from agentkit import Tool, tool
from agentkit.dialects import require_strict, strict
from agentkit.errors import ToolDefinitionError
from agentkit.testing.strict_tools import check_schema

NULL = {"type": "null"}
MISSING = object()


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Row(NamedTuple):
    a: int


class Partial(TypedDict):
    a: NotRequired[int | None]


@dataclass
class Tree:
    name: str
    below: "list[Tree]"


def schema_of(annotation: Any, default: Any = MISSING) -> dict[str, Any]:
    if default is MISSING:

        def function(p: Any) -> None: ...
    else:

        def function(p: Any = default) -> None: ...  # type: ignore[misc]

    function.__annotations__["p"] = annotation
    return dict(Tool.of(function).parameters)


FORMS: list[tuple[Any, Any, Any]] = [
    (str, MISSING, {"type": "string"}),
    (str, "a", {"type": ["string", "null"], "description": 'Null means the default, "a".'}),
    (str, None, {"anyOf": [{"type": "string"}, NULL]}),
    (str | None, None, {"anyOf": [{"type": "string"}, NULL]}),
    (str | None, "a", {"anyOf": [{"type": "string"}, NULL], "description": 'The default is "a".'}),
    (str, "x" * 100, {"type": ["string", "null"], "description": "Null means the default."}),
    (Annotated[str, "Words"], "a", {"type": ["string", "null"], "description": 'Words. Null means the default, "a".'}),
    (
        Annotated[int, Field(ge=1, lt=9, multiple_of=2)],
        2,
        {
            "anyOf": [{"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2}, NULL],
            "description": "Null means the default, 2.",
        },
    ),
    (
        Annotated[str, Field(min_length=1, max_length=3, pattern="^a")],
        MISSING,
        {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"},
    ),
    (
        Annotated[list[int], Field(min_length=1, max_length=3)],
        MISSING,
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    ),
    (Literal["a"], MISSING, {"type": "string", "const": "a"}),
    (Literal["a", 1], MISSING, {"type": ["string", "integer"], "enum": ["a", 1]}),
    (Literal["a", None], "a", {"type": ["string", "null"], "enum": ["a", None], "description": 'The default is "a".'}),
    (
        Literal["a", "b"],
        "b",
        {"anyOf": [{"type": "string", "enum": ["a", "b"]}, NULL], "description": 'Null means the default, "b".'},
    ),
    (date, MISSING, {"type": "string", "format": "date"}),
    (timedelta, MISSING, {"type": "string", "format": "duration"}),
    (UUID, MISSING, {"type": "string", "format": "uuid"}),
    (IPv4Address, MISSING, {"type": "string", "format": "ipv4"}),
    (int | str, MISSING, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
    (int | str, 1, {"anyOf": [{"type": "integer"}, {"type": "string"}, NULL],
                    "description": "Null means the default, 1."}),
    (list[list[int]], MISSING, {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
    (Annotated[Cat | Dog, Field(discriminator="kind")], MISSING,
     {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}),
    (Annotated[Cat, "A cat"], MISSING, {"anyOf": [{"$ref": "#/$defs/Cat"}], "description": "A cat"}),
    (Colour, Colour.RED, {"anyOf": [{"$ref": "#/$defs/Colour"}, NULL],
                          "description": 'Null means the default, "red".'}),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "default", "form"), FORMS, ids=lambda value: named(repr(value))[:50])
def test_a_type_has_a_strict_form(annotation: Any, default: Any, form: Any) -> None:
    """All that is said stays said; what may be left out is null, and the model reads what that means."""
    schema = schema_of(annotation, default)
    before = deepcopy(schema)
    made = strict(schema).schema
    assert made is not None
    assert made["properties"]["p"] == form
    assert made["required"] == ["p"]
    assert schema == before
    check_schema(made, "parameters", strict=True)


STRIPPED: list[tuple[Any, str]] = [
    (set[int], "p: uniqueItems"),
    (AnyUrl, "p: format"),
    (Path, "p: format"),
    (Annotated[str, Field(pattern="^(?!a)")], "p: pattern"),
    (Annotated[str, Field(pattern=r"^(a)\1$")], "p: pattern"),
    (Annotated[str, Field(pattern=r"(?P<x>a)")], "p: pattern"),
    (list[set[int]], "p[]: uniqueItems"),
]


@pytest.mark.parametrize(("annotation", "stripped"), STRIPPED, ids=named)
def test_what_a_strict_form_cannot_say_is_left_out_and_told(annotation: Any, stripped: str) -> None:
    """Our own validation enforces it; the report says that the server does not."""
    found = strict(schema_of(annotation))
    assert found.schema is not None
    assert stripped in found.stripped
    assert f"the server does not enforce {stripped}" in str(found)
    check_schema(found.schema, "parameters", strict=True)


def test_a_definition_stays_one_and_a_recursive_one_refers_to_itself() -> None:
    """Nothing is written out twice, and nothing for ever."""
    made = strict(schema_of(Tree)).schema
    assert made is not None
    assert made["properties"]["p"] == {"$ref": "#/$defs/Tree"}
    assert made["$defs"]["Tree"]["properties"]["below"] == {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    check_schema(made, "parameters", strict=True)


def test_optional_fields_of_models_are_nullable_too() -> None:
    """At any depth: nobody can leave anything out."""
    made = strict(schema_of(list[Cat])).schema
    assert made is not None
    assert made["$defs"]["Cat"] == {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "const": "cat"},
            "lives": {"type": ["integer", "null"], "description": "Null means the default, 9."},
        },
        "required": ["kind", "lives"],
        "additionalProperties": False,
    }


NONE: list[tuple[Any, str]] = [
    (Any, "p: it takes any JSON; annotate it"),
    (list, "p[]: it takes any JSON; annotate it"),
    (dict, "p: its keys are not known beforehand; name its keys in a model"),
    (dict[str, int], "p: its keys are not known beforehand"),
    (dict[int, str], "p: its keys are not known beforehand"),
    (list[dict[str, int]], "p[]: its keys are not known beforehand"),
    (Open, "p: its keys are not known beforehand"),
    (tuple[int, str], "p: strict mode has no tuples with a type for each place; use a list, or a model"),
    (Row, "p: strict mode has no tuples"),
    (list[Open | int], "p[]: its keys are not known beforehand"),
    (Partial, "p.a: leaving it out is not the same as null; give it a default that JSON can carry"),
    (Annotated[Any, WithJsonSchema({"not": {"type": "string"}})], "p: strict mode has no 'not'"),
    (
        Annotated[Any, WithJsonSchema({"allOf": [{"type": "string"}, {"minLength": 2}]})],
        "p: strict mode has no 'allOf'",
    ),
    (Annotated[Any, WithJsonSchema({"type": "text"})], "p: strict mode has no 'text' values; use what JSON has"),
    (Annotated[Any, WithJsonSchema({"enum": [[1]]})], "p: strict mode has no 'list or object' values"),
    (Annotated[Any, WithJsonSchema({"type": "array"})], "p: it is a list of anything; say what is in it"),
    (Annotated[Any, WithJsonSchema({"type": "object"})], "p: its keys are not known beforehand"),
    (
        Annotated[Any, WithJsonSchema({"type": "object", "properties": {}, "required": ["q"]})],
        "p: it needs 'q', of which nothing is said",
    ),
]


@pytest.mark.parametrize(("annotation", "problem"), NONE, ids=named)
def test_a_type_without_a_strict_form_says_why_and_what_to_do(annotation: Any, problem: str) -> None:
    """An open object is never closed: a model could then not say what the function takes."""
    found = strict(schema_of(annotation))
    assert found.schema is None
    assert found.problems[0].startswith(problem)
    assert str(found).startswith(f"strict: no, because {problem}")
    with pytest.raises(ToolDefinitionError, match=r"^tool 'f', parameter 'p': it is to be strict, but .*; "):
        require_strict("f", schema_of(annotation))


def test_a_default_that_json_cannot_carry_leaves_null_without_a_meaning_of_its_own() -> None:
    """Null is a value of `int | None`, so strict mode could not say that it is left out."""
    assert strict(schema_of(int | None, object())).problems[0].startswith("p: leaving it out is not the same as null")
    assert strict(schema_of(int, object())).schema is not None


def test_the_problem_is_told_by_the_way_to_it() -> None:
    """The parameter that is at fault, and what is inside it."""

    class Box(BaseModel):
        things: list[dict[str, int]]

    def pack(n: int, boxes: list[Box]) -> None: ...

    with pytest.raises(ToolDefinitionError) as caught:
        require_strict("pack", Tool.of(pack).parameters)
    assert str(caught.value) == (
        "tool 'pack', parameter 'boxes': it is to be strict, but in boxes[].things[], its keys are not known "
        "beforehand; name its keys in a model, a dataclass or a TypedDict, or take a list of pairs, or leave strict out"
    )


def schema(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False, **more,
    }  # fmt: skip


def nested(levels: int) -> dict[str, Any]:
    made = schema({})
    for _ in range(levels - 1):
        made = schema({"p": made})
    return made


ENUM = {"type": "string", "enum": [f"{n:03}" + "x" * 57 for n in range(251)]}


@pytest.mark.parametrize(
    ("fits", "does_not", "problem"),
    [
        (nested(10), nested(11), "11 objects inside each other, and strict mode takes 10"),
        (
            schema({f"p{n}": {"type": "null"} for n in range(5000)}),
            schema({f"p{n}": {"type": "null"} for n in range(5001)}),
            "5,001 properties, and strict mode takes 5,000",
        ),
        (
            schema({"p": {"type": "integer", "enum": list(range(1000))}}),
            schema({"p": {"type": "integer", "enum": list(range(1001))}}),
            "1,001 choices, and strict mode takes 1,000",
        ),
        (
            schema({"p": {**ENUM, "enum": ENUM["enum"][:250]}}),
            schema({"p": ENUM}),
            "15,060 characters in an enum of more than 250 values, and strict mode takes 15,000",
        ),
        (
            schema({"p": {"type": "string", "const": "x" * 119_999}}),
            schema({"pp": {"type": "string", "const": "x" * 119_999}}),
            "120,001 characters of names and choices, and strict mode takes 120,000",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_strict_schema_is_only_so_large(fits: Any, does_not: Any, problem: str) -> None:
    """What is larger is sent as it is, without a promise of the server."""
    assert strict(fits).schema is not None
    assert strict(does_not).problems == (f"the whole: it has {problem}; make it smaller",)


def test_objects_are_inside_each_other_through_definitions_too() -> None:
    """A definition counts where it is used, and one that holds itself counts once."""
    defs = {f"D{n}": schema({"p": {"$ref": f"#/$defs/D{n + 1}"}}) for n in range(10)} | {"D10": schema({})}
    assert strict(schema({"p": {"$ref": "#/$defs/D2"}}, **{"$defs": defs})).schema is not None
    assert (
        strict(schema({"p": {"$ref": "#/$defs/D1"}}, **{"$defs": defs})).problems[0].startswith("the whole: it has 11")
    )


def test_nothing_but_a_definition_of_its_own_is_referred_to() -> None:
    """Addresses elsewhere would have to be fetched."""
    assert strict(schema({"p": {"$ref": "#"}})).schema is not None
    for reference in ("#/$defs/Nowhere", "https://example.com/schema", "#/properties/p", "Nowhere"):
        found = strict(schema({"p": {"$ref": reference}}, **{"$defs": {"D": {"type": "string"}}}))
        assert found.problems == (f"p: it refers to {reference!r}, which is not in $defs; define it there",)


def test_a_definition_that_is_nothing_but_itself_ends_too() -> None:
    """No annotation leads there, but a hand-written schema may."""
    loop = {
        "type": "object",
        "properties": {"p": {"$ref": "#/$defs/D"}},
        "$defs": {"D": {"anyOf": [{"$ref": "#/$defs/D"}]}},
    }
    made = strict(loop).schema
    assert made is not None
    assert made["properties"]["p"]["anyOf"] == [{"$ref": "#/$defs/D"}, NULL]


def test_definitions_that_are_used_over_and_over_are_looked_at_once() -> None:
    """Forty of them, each of the next twice: a schema that grows like that must not take for ever."""
    defs: dict[str, Any] = {
        f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}, {"$ref": f"#/$defs/D{n + 1}"}]} for n in range(40)
    }
    grown = {"type": "object", "properties": {"p": {"$ref": "#/$defs/D0"}}, "$defs": defs | {"D40": {"type": "string"}}}
    assert strict(grown).schema is not None


def test_what_is_said_beside_a_reference_or_a_union_is_only_a_description() -> None:
    """The server refuses anything else there."""
    given = schema(
        {
            "a": {"$ref": "#/$defs/D", "minLength": 3, "title": "A", "description": "d"},
            "b": {"anyOf": [{"type": "string"}], "maxLength": 3},
            "c": {"allOf": [{"$ref": "#/$defs/D"}], "description": "d"},
        },
        **{"$defs": {"D": {"type": "string"}}},
    )
    found = strict(given)
    assert found.schema is not None
    assert found.schema["properties"] == {
        "a": {"anyOf": [{"$ref": "#/$defs/D"}], "description": "d"},
        "b": {"anyOf": [{"type": "string"}]},
        "c": {"anyOf": [{"$ref": "#/$defs/D"}], "description": "d"},
    }
    assert found.stripped == ("a: minLength", "b: maxLength")


def test_what_is_no_object_has_no_strict_form() -> None:
    """Arguments are an object."""
    assert strict({"type": "string"}).problems == ("the whole: it is no object; take an object",)


def test_the_form_is_the_same_each_time() -> None:
    """Servers keep what they have compiled, by the schema's text."""
    schema = schema_of(Annotated[Cat | Dog, Field(discriminator="kind")] | Tree, None)
    texts = {json.dumps(strict(deepcopy(schema)).schema) for _ in range(5)}
    assert len(texts) == 1


def test_a_tool_that_must_be_strict_and_cannot_is_refused_where_it_is_defined() -> None:
    """Not by a server, in a run."""
    with pytest.raises(ToolDefinitionError, match="parameter 'prices': it is to be strict"):

        @tool(strict=True)
        def free(prices: dict[str, float]) -> None: ...

    @tool(strict=True)
    def closed(prices: list[float]) -> None: ...

    @tool
    def either(prices: dict[str, float]) -> None: ...

    assert Tool.of(closed).policy.strict
    assert Tool.of(either)

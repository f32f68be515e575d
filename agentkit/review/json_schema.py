"""A JSON Schema, read: what it refers to, which types and values it names, what of it refuses nothing."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

Schema: TypeAlias = Any
"""As it is read from JSON: an object or a bool."""

TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
"""Here `number` is all numbers but the whole ones, so that no value is of two types."""
TELLING = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema"}
)
"""Keywords that refuse nothing."""
_MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "contentSchema"),
    *("unevaluatedItems", "unevaluatedProperties"),
)
_NUMBERS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
)
_REFERENCE = re.compile(r'"\$ref": ("(?:[^"\\]|\\.)*")')


class Unclear(Exception):
    """It cannot be told what a schema takes."""


def inner(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    """The schemas right inside a schema: the keyword, the name or number there, and the schema."""
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        if keyword in _MAPS and isinstance(value, Mapping):
            yield from ((keyword, name, each) for name, each in value.items())
        elif keyword in _LISTS and isinstance(value, list):
            yield from ((keyword, str(n), each) for n, each in enumerate(value))
        elif keyword in _SINGLE:
            yield keyword, "", value


def bare(schema: Schema) -> Schema:
    """A schema without what refuses nothing, and without definitions."""
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in TELLING or keyword in ("$defs", "definitions"):
            continue
        if keyword in _MAPS and isinstance(value, Mapping):
            made[keyword] = {name: bare(each) for name, each in value.items()}
        elif keyword in _LISTS and isinstance(value, list):
            made[keyword] = [bare(each) for each in value]
        elif keyword == "required" and isinstance(value, list):
            made[keyword] = sorted(value, key=str)
        else:
            made[keyword] = bare(value) if keyword in _SINGLE else value
    return made


def references(text: str) -> set[str]:
    """What a schema, as JSON text, refers to."""
    return {json.loads(each) for each in _REFERENCE.findall(text)}


def resolved(root: Schema, reference: Any) -> Schema:
    """The schema that is referred to.

    Raises:
        Unclear: it is not in the same document.
    """
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise Unclear(f"{reference!r} is elsewhere")
    found = root
    for part in reference.split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            raise Unclear(f"{reference!r} is not there")
        found = found[name]
    return found


def check(schema: Schema, root: Schema) -> None:
    """Make sure that a schema's own keywords are of the right kinds.

    Raises:
        Unclear: they are not, or names mean something else in it than in its root.
    """
    if not isinstance(schema, Mapping):
        raise Unclear("it is no schema")
    if schema.keys() & {"$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"}:
        raise Unclear("what it refers to depends on where it is used")
    if "$id" in schema and schema is not root:
        raise Unclear("it is a document of its own")
    numbers = [schema[keyword] for keyword in _NUMBERS if keyword in schema]
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in numbers):
        raise Unclear("a limit is no number")
    if schema.get("multipleOf", 1) <= 0:
        raise Unclear("'multipleOf' is not above 0")
    lists = [schema[keyword] for keyword in (*_LISTS, "enum", "required") if keyword in schema]
    maps = [schema[keyword] for keyword in _MAPS if keyword in schema]
    if not all(isinstance(each, list | tuple) for each in lists) or not all(isinstance(each, Mapping) for each in maps):
        raise Unclear("a keyword is of the wrong kind")
    if not all(isinstance(name, str) for name in schema.get("required", ())):
        raise Unclear("'required' names no names")
    types([schema])


def check_whole(root: Schema) -> None:
    """Make sure that the keywords of a schema, and of all schemas inside it, are of the right kinds.

    Raises:
        Unclear: they are not.
    """
    waiting = [root]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, bool):
            check(schema, root)
            waiting += [each for _, _, each in inner(schema)]


def types(row: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The types that all schemas of a row take, by their `type`, `enum` and `const`."""
    kinds = TYPES
    for each in row:
        if "type" in each:
            named = each["type"] if isinstance(each["type"], list) else [each["type"]]
            if not all(isinstance(one, str) and one in TYPES for one in named):
                raise Unclear(f"there is no type {each['type']!r}")
            kinds &= frozenset(named) | ({"integer"} if "number" in named else set())
        if (values := _listed(each)) is not None:
            kinds &= {kind(value) for value in values}
    return kinds


def values(row: Iterable[Mapping[str, Any]]) -> list[Any] | None:
    """The values that a row of schemas takes at most, if they are few and named."""
    row = list(row)
    kinds = types(row)
    listed = [each for each in map(_listed, row) if each is not None]
    if listed:
        both = set.intersection(*({key(value) for value in each} for each in listed))
        return [value for value in listed[0] if key(value) in both and kind(value) in kinds]
    if kinds <= {"null", "boolean"}:
        return [*([None] if "null" in kinds else []), *([False, True] if "boolean" in kinds else [])]
    return None


def _listed(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return (
            [schema["const"]]
            if "enum" not in schema
            else values([{"const": schema["const"]}, {"enum": schema["enum"]}])
        )
    return list(schema["enum"]) if "enum" in schema else None


def kind(value: Any) -> str:
    """The type of a JSON value; 1.0 is whole."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "integer" if value == value // 1 else "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def key(value: Any) -> Any:
    """A value to be looked up by: equal where JSON Schema says equal. 1 is 1.0 and not true."""
    if isinstance(value, Mapping):
        return "object", frozenset((name, key(each)) for name, each in value.items())
    if isinstance(value, list):
        return "array", tuple(map(key, value))
    return isinstance(value, bool), value

"""How large a strict schema may be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one schema may have, definitions included; None where nothing is said."""

    levels: int | None = None
    """Objects inside each other."""
    properties: int | None = None
    characters: int | None = None
    """Of all names of properties and definitions, and all choices."""
    choices: int | None = None
    """Values of enums."""
    long_enum: tuple[int, int] | None = None
    """If an enum has more values than the first number, the characters that they may have together."""


def beyond(schema: Mapping[str, Any], limits: Limits) -> tuple[str, ...]:
    """The limits that a strict schema is beyond, as problems."""
    nodes = list(_nodes(schema))
    properties = [name for node in nodes for name in node.get("properties", ())]
    enums = [node["enum"] for node in nodes if "enum" in node]
    choices = [value for enum in enums for value in enum]
    constants = [node["const"] for node in nodes if "const" in node]
    texts = [each for each in (*properties, *schema.get("$defs", ()), *choices, *constants) if isinstance(each, str)]
    counts = [
        ("objects inside each other", _levels(schema, schema.get("$defs", {}), {}), limits.levels),
        ("properties", len(properties), limits.properties),
        (
            "characters of names and choices",
            sum(map(len, texts)),
            limits.characters,
        ),
        ("choices", len(choices), limits.choices),
    ]
    if limits.long_enum:
        many, most = limits.long_enum
        lengths = (sum(len(v) for v in enum if isinstance(v, str)) for enum in enums if len(enum) > many)
        counts.append((f"characters in an enum of more than {many} values", max(lengths, default=0), most))
    return tuple(
        f"the whole: it has {count:,} {what}, and strict mode takes {most:,}; make it smaller"
        for what, count, most in counts
        if most is not None and count > most
    )


def _nodes(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The schema and all those inside it."""
    yield schema
    for each in (*_inner(schema), *schema.get("$defs", {}).values()):
        yield from _nodes(each)


def _inner(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items]


def _levels(schema: Mapping[str, Any], definitions: Mapping[str, Any], known: dict[str, int]) -> int:
    """How many objects are inside each other; what holds itself counts once."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name not in known:
            known[name] = 0
            known[name] = _levels(definitions[name], definitions, known) if name in definitions else 0
        return known[name]
    deepest = max((_levels(each, definitions, known) for each in _inner(schema)), default=0)
    return deepest + ("properties" in schema)

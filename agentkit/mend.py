"""What a model writes otherwise than a tool's schema says, and means the same.

Strict mode lets a model leave nothing out, so there a null stands for what is left out (`dialects/strict.py`). Where a
schema says that something may be left out, and does not take null itself, a null is therefore taken away again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .errors import InvalidArguments
from .strict_json import read

Schema = Any
"""JSON Schema: a mapping, or a bool."""

_TYPES: Mapping[type, Collection[str]] = {
    str: ("string", "integer", "number", "boolean"),  # as pydantic reads them
    bool: ("boolean",),
    int: ("integer", "number", "string", "boolean"),
    float: ("number", "integer", "string"),
    list: ("array",),
    dict: ("object",),
}


def takes_null(schema: Schema, definitions: Mapping[str, Schema]) -> bool:
    """Whether null fits a schema."""
    return _takes_null(schema, definitions, {})


def _takes_null(schema: Schema, definitions: Mapping[str, Schema], known: dict[str, bool]) -> bool:
    if not isinstance(schema, Mapping):
        return schema is True
    if "$ref" in schema and not _named_takes_null(schema["$ref"], definitions, known):
        return False
    if "type" in schema and "null" not in _list(schema["type"]):
        return False
    if ("enum" in schema and None not in schema["enum"]) or schema.get("const") is not None:
        return False
    inside = [
        *(any(_takes_null(each, definitions, known) for each in schema[key]) for key in _CHOICES if key in schema),
        *(_takes_null(each, definitions, known) for each in schema.get("allOf", ())),
    ]
    return all(inside)


def _named_takes_null(reference: str, definitions: Mapping[str, Schema], known: dict[str, bool]) -> bool:
    if reference not in known:
        known[reference] = False  # what leads back to itself adds nothing
        known[reference] = _takes_null(_named(reference, definitions), definitions, known)
    return known[reference]


_CHOICES = ("anyOf", "oneOf")


def takes_anything(schema: Schema) -> bool:
    """Whether there is a place in a schema where any JSON fits."""
    if not isinstance(schema, Mapping):
        return schema is True
    if not schema.keys() - _WORDS or any(
        schema.get("type") == kind and not schema.keys() & keywords for kind, keywords in _HOLD
    ):
        return True
    inner = [schema[key] for key in ("items", "additionalProperties") if key in schema]
    inner += [each for key in ("anyOf", "oneOf", "allOf", "prefixItems") for each in schema.get(key, ())]
    inner += [each for key in ("properties", "$defs") for each in schema.get(key, {}).values()]
    return any(map(takes_anything, inner))


_HOLD = (("array", {"items", "prefixItems"}), ("object", {"properties", "additionalProperties"}))
_WORDS = frozenset({"title", "description", "default", "examples"})


def _named(reference: str, definitions: Mapping[str, Schema]) -> Schema:
    return definitions.get(reference.removeprefix("#/$defs/"), True)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


@dataclass(slots=True)
class Mender:
    """Mends the arguments of one call, in place."""

    definitions: Mapping[str, Schema]
    repair: bool
    """Whether an object or a list inside a string is taken out, where no string fits."""
    changed: bool = False

    def mend(self, value: Any, schemas: Iterable[Schema]) -> None:
        """Mend what is inside an object or a list of which one of the schemas is to hold."""
        options = list(self._options(schemas, set()))
        if isinstance(value, dict):
            if len(options) > 1:
                options = [each for each in options if self._may_be(value, each)] or options
            for key in list(value):
                self._mend_property(value, key, options)
        elif isinstance(value, list):
            for place, item in enumerate(value):
                self._mend_inside(value, place, item, [each for o in options for each in _items(o, place)])

    def _mend_property(self, value: dict[str, Any], key: str, options: Sequence[Mapping[str, Any]]) -> None:
        item = value[key]
        if item is None:
            if self._is_left_out(key, options):
                del value[key]
                self.changed = True
            return
        self._mend_inside(value, key, item, [each for o in options for each in _property(o, key)])

    def _mend_inside(self, holder: Any, place: Any, item: Any, schemas: Sequence[Schema]) -> None:
        if self.repair and isinstance(item, str) and self._wants_holder(item, schemas):
            with suppress(InvalidArguments):
                item = holder[place] = read(item)
                self.changed = True
        if isinstance(item, dict | list):
            self.mend(item, schemas)

    def _is_left_out(self, key: str, options: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a null says that the property is not there."""
        known = [each for o in options for each in _property(o, key)]
        return any(key in o.get("properties", ()) and key not in o.get("required", ()) for o in options) and not any(
            takes_null(each, self.definitions) for each in known
        )

    def _options(self, schemas: Iterable[Schema], seen: set[str]) -> Iterator[Mapping[str, Any]]:
        """The schemas themselves, without what only points to others."""
        for schema in schemas:
            if not isinstance(schema, Mapping):
                continue
            if "$ref" in schema:
                if schema["$ref"] not in seen:
                    seen.add(schema["$ref"])
                    yield from self._options([_named(schema["$ref"], self.definitions)], seen)
            elif inner := [each for key in ("anyOf", "oneOf", "allOf") for each in schema.get(key, ())]:
                yield from self._options(inner, seen)
            else:
                yield schema

    def _may_be(self, value: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
        """Whether an object is what a schema describes, as far as one sees without looking inside its values."""
        known = schema.get("properties", {})
        if not value.keys() >= set(schema.get("required", ())):
            return False
        if schema.get("additionalProperties") is False and not known.keys() >= value.keys():
            return False
        return all(self._may_hold(known[key], item) for key, item in value.items() if key in known)

    def _may_hold(self, schema: Schema, item: Any) -> bool:
        options = list(self._options([schema], set()))
        return item is None or not options or any(_may_fit(item, each) for each in options)

    def _wants_holder(self, item: str, schemas: Sequence[Schema]) -> bool:
        opening = item.lstrip()[:1]
        kinds = {kind for o in self._options(schemas, set()) for kind in _list(o.get("type", "string"))}
        return {"{": "object", "[": "array"}.get(opening) in kinds and "string" not in kinds


def _may_fit(item: Any, schema: Mapping[str, Any]) -> bool:
    if "const" in schema:
        return bool(schema["const"] == item)
    if "enum" in schema:
        return item in schema["enum"]
    return "type" not in schema or not set(_list(schema["type"])).isdisjoint(_TYPES[type(item)])


def _property(schema: Mapping[str, Any], key: str) -> list[Schema]:
    if key in schema.get("properties", ()):
        return [schema["properties"][key]]
    return [schema["additionalProperties"]] if schema.get("additionalProperties") else []


def _items(schema: Mapping[str, Any], place: int) -> list[Schema]:
    first = schema.get("prefixItems", ())
    if place < len(first):
        return [first[place]]
    return [schema["items"]] if "items" in schema else []

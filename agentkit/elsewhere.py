"""Arguments of a tool that is run elsewhere, of which there is a JSON Schema and no function.

They are checked by names, types and choices (`type`, `enum`, `const`, `required`, `properties`, `additionalProperties`,
`items`, `anyOf`, `oneOf`, `$ref`); what a schema says beyond that, whoever runs the tool checks.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from .arguments import Arguments
from .errors import InvalidArguments, ToolDefinitionError
from .strict_json import depth_for

_PROBLEMS_SHOWN = 10
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def arguments_of(tool: str, parameters: Mapping[str, Any]) -> Arguments:
    """How the arguments of a tool are read and checked by its schema alone.

    Raises:
        ToolDefinitionError: the schema is none of an object.
    """
    properties = parameters.get("properties", {})
    if parameters.get("type") != "object" or not isinstance(properties, Mapping):
        raise ToolDefinitionError(f"tool {tool!r}: parameters= must be the JSON Schema of an object")
    try:
        schema = json.loads(json.dumps(parameters))
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolDefinitionError(f"tool {tool!r}: parameters= has no JSON form: {error}") from None
    return Arguments(
        tool=tool,
        validate=_Check(tool=tool, schema=schema),
        properties=schema.get("properties", {}),
        secrets=frozenset(name for name, each in properties.items() if _is_secret(each)),
        context=(),
        positional=(),
        rest=None,
        careful=True,
        schema=schema,
        depth=depth_for(schema),
    )


def nobody(**arguments: Any) -> NoReturn:
    """The body of a tool that is run elsewhere."""
    raise NotImplementedError("this tool is run elsewhere")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Check:
    tool: str
    schema: Mapping[str, Any]

    def __call__(self, text: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(text)
        problems = [
            f"- {path.removeprefix('.') or 'the whole'}: {why}" for path, why in self._wrong(values, self.schema, "")
        ]
        if problems:
            raise InvalidArguments("\n".join([f"The arguments do not fit {self.tool!r}:", *problems[:_PROBLEMS_SHOWN]]))
        return values

    def _wrong(self, value: Any, schema: Any, path: str) -> Iterator[tuple[str, str]]:
        """What is wrong with a value, and where. Values are not repeated: they may be secret."""
        schema = self._meant(schema)
        if schema is False:
            yield path, "must not be there"
        if not isinstance(schema, Mapping):
            return
        kinds = schema.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(_is(value, kind) for kind in kinds):
            yield path, f"must be of type {' or '.join(kinds)}"
            return
        if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
            yield path, f"must be one of {json.dumps(schema['enum'], ensure_ascii=False)}"
        if "const" in schema and not _same(value, schema["const"]):
            yield path, f"must be {json.dumps(schema['const'], ensure_ascii=False)}"
        for choices in (schema[key] for key in ("anyOf", "oneOf") if key in schema):
            if all(any(True for _ in self._wrong(value, each, path)) for each in choices):
                yield path, "fits none of its choices"
        if isinstance(value, dict):
            yield from self._wrong_inside(value, schema, path)
        elif isinstance(value, list) and "items" in schema:
            for number, each in enumerate(value):
                yield from self._wrong(each, schema["items"], f"{path}[{number}]")

    def _wrong_inside(self, value: dict[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
        known, others = schema.get("properties", {}), schema.get("additionalProperties", path != "")
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{path}.{name}", "is missing"
        for name, each in value.items():
            if name in known:
                yield from self._wrong(each, known[name], f"{path}.{name}")
            elif others is False:
                yield (
                    f"{path}.{name}"[:100],
                    f"there is no such argument; there are {', '.join(map(repr, known)) or 'none'}",
                )
            else:
                yield from self._wrong(each, others, f"{path}.{name}"[:100])

    def _meant(self, schema: Any) -> Any:
        """The schema that a reference leads to."""
        seen = set[str]()
        while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str) and schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            schema = self.schema.get("$defs", {}).get(schema["$ref"].removeprefix("#/$defs/"), {})
        return schema


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return bool(kind == "boolean")
    return isinstance(value, _TYPES.get(kind, object)) or (
        kind == "integer" and isinstance(value, float) and value % 1 == 0
    )


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _is_secret(schema: Any) -> bool:
    return isinstance(schema, Mapping) and (schema.get("writeOnly") is True or schema.get("format") == "password")

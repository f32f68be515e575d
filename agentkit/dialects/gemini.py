"""Tools as Gemini's API spells them: function declarations with a JSON Schema.

Sources: https://ai.google.dev/api/caching#FunctionDeclaration (`parametersJsonSchema`; the older `parameters` takes a
subset of OpenAPI 3.0), https://ai.google.dev/api/generate-content on the keywords of a JSON Schema, and what the API
refuses ("Unknown name 'exclusiveMinimum'", https://github.com/googleapis/python-genai/issues/1093 on `const`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .described import Described, Export
from .strict import default_told, sentences

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_KEPT = frozenset({"type", "format", "title", "minItems", "maxItems", "minimum", "maximum", "required"})
_SILENT = frozenset(
    {"description", "default", "examples", "discriminator", "deprecated", "readOnly", "writeOnly", "$comment"}
)


def gemini(tool: Described) -> Export:
    """Gemini: one of the `functionDeclarations` of a tool."""
    rewriter = _Rewriter(tool.parameters)
    schema = rewriter.node(tool.parameters, "")
    notes = [*rewriter.notes, *_endless(tool.parameters.get("$defs", {}))]
    if not _NAME.fullmatch(tool.name):
        notes.insert(0, f"Gemini takes names that begin with a letter or _, and {tool.name!r} does not; choose another")
    if not tool.description:
        notes.insert(0, "Gemini needs a description; write a docstring")
    spec = {"name": tool.name, "description": tool.description, "parametersJsonSchema": schema}
    return Export(spec=spec, notes=tuple(notes))


class _Rewriter:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.definitions: Mapping[str, Any] = root.get("$defs", {})
        self.notes: dict[str, None] = {}

    def node(self, schema: Any, path: str) -> Any:
        """A schema without what Gemini does not know."""
        if not isinstance(schema, Mapping):
            return schema
        made: dict[str, Any] = {}
        if "$ref" in schema:
            made = {"$ref": schema["$ref"]}
        else:
            for keyword, value in schema.items():
                made |= self._keyword(keyword, value, path, schema)
        if text := sentences(schema.get("description", ""), default_told(schema)):
            made = {"anyOf": [made]} if "$ref" in made else made  # nothing may stand beside a reference
            made["description"] = text
        return made

    def _keyword(self, keyword: str, value: Any, path: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        match keyword:
            case "properties":
                return {keyword: {name: self.node(v, f"{path}.{name}".lstrip(".")) for name, v in value.items()}}
            case "$defs":
                return {keyword: {name: self.node(each, name) for name, each in value.items()}}
            case "anyOf" | "oneOf":
                return {"anyOf": [self.node(each, path) for each in value]}
            case "prefixItems":
                return {keyword: [self.node(each, f"{path}[{n}]") for n, each in enumerate(value)]}
            case "items" | "additionalProperties":
                return {keyword: self.node(value, f"{path}[]")}
            case "const":
                return {"enum": [value]}
            case "enum":
                return {keyword: list(value)}
            case "exclusiveMinimum" | "exclusiveMaximum" if _is_whole(schema):
                return {keyword.replace("exclusiveM", "m"): value + (1 if keyword == "exclusiveMinimum" else -1)}
            case _ if keyword in _KEPT:
                return {keyword: list(value) if isinstance(value, list) else value}
            case _ if keyword not in _SILENT:
                self.notes[f"{path}: Gemini does not know {keyword!r}, so only agentkit enforces it"] = None
        return {}


def _is_whole(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "integer" and all(
        isinstance(schema.get(key, 0), int) for key in ("exclusiveMinimum", "exclusiveMaximum")
    )


def _endless(definitions: Mapping[str, Any]) -> Iterator[str]:
    """Those that hold themselves in what they need: Gemini follows such a reference only where it may be left out."""
    needed = {name: set(_needed(each)) for name, each in definitions.items()}
    for name in definitions:
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            new = needed.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        if name in reached:
            yield f"{name}: Gemini knows recursion only in what may be left out; give that a default"


def _needed(schema: Any) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield schema["$ref"].removeprefix("#/$defs/")
    properties = schema.get("properties", {})
    inner = [properties[name] for name in schema.get("required", ()) if name in properties]
    inner += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    inner += [each for key in ("anyOf", "oneOf", "prefixItems") for each in schema.get(key, ())]
    for each in inner:
        yield from _needed(each)

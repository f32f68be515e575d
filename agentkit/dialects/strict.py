"""Strict mode: a JSON Schema -> the form in which a model can write nothing that does not fit it.

A server that promises strictness takes few forms. Every object names all its properties and takes no others; what may
be left out is null instead, which `mend.py` takes away again. What a form cannot say is left to our own validation; if
that would change what the schema means, there is no strict form, and the reasons are told.

Sources: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas for OpenAI, what its API refuses
("$ref cannot have keywords", "'uri' is not a valid format", "'propertyNames' is not permitted"), and
https://github.com/pydantic/pydantic-ai/issues/5508 on patterns that look around.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit.errors import ToolDefinitionError
from agentkit.mend import takes_null

from .limits import Limits, beyond

_SENTENCE_CHARS = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a server's strict mode takes."""

    keywords: frozenset[str]
    """Those that say something about a value, besides its type."""
    formats: frozenset[str]
    null_for_optional: bool
    """Whether nothing may be left out."""
    limits: Limits
    is_recursive: bool = True
    """Whether a definition may hold itself."""


OPENAI = Rules(
    keywords=frozenset(
        {
            *("minLength", "maxLength", "pattern", "format", "minItems", "maxItems"),
            *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        }
    ),
    formats=frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}),
    null_for_optional=True,
    limits=Limits(levels=10, properties=5000, characters=120_000, choices=1000, long_enum=(250, 15_000)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Strictness:
    """Whether a schema has a strict form."""

    schema: dict[str, Any] | None
    """The strict form; None if none means the same."""
    problems: tuple[str, ...] = ()
    """Why there is none: the path, the reason and the way out of each place."""
    stripped: tuple[str, ...] = ()
    """What the strict form does not say and only our own validation enforces: `tags: uniqueItems`."""

    def __str__(self) -> str:
        if self.schema is None:
            return f"strict: no, because {'; and '.join(self.problems)}"
        return "strict: yes" + (
            f", but the server does not enforce {', '.join(self.stripped)}" if self.stripped else ""
        )


def strict(schema: Mapping[str, Any], rules: Rules = OPENAI) -> Strictness:
    """The strict form of an object's JSON Schema, which is not changed, and shares nothing with what is made."""
    rewriter = _Rewriter(rules=rules, root=schema)
    made = rewriter.rewritten()
    problems = tuple(rewriter.problems) or beyond(made, rules.limits)
    return Strictness(schema=None if problems else made, problems=problems, stripped=tuple(rewriter.stripped))


def require_strict(tool: str, schema: Mapping[str, Any]) -> None:
    """Make sure that a tool's arguments have a strict form.

    Raises:
        ToolDefinitionError: they have none; the message names the parameter and the way out.
    """
    for problem in strict(schema).problems:
        path, _, why = problem.partition(": ")
        where = re.split(r"[.[]", path)[0]
        inside = "" if where == path else f"in {path}, "
        parameter = f", parameter {where!r}" if where in schema.get("properties", ()) else ""
        raise ToolDefinitionError(
            f"tool {tool!r}{parameter}: it is to be strict, but {inside}{why}, or leave strict out"
        )


_SILENT = frozenset(
    {
        *("title", "default", "examples", "discriminator", "deprecated", "readOnly", "writeOnly", "$comment", "$defs"),
        *("type", "description", "properties", "required", "additionalProperties", "propertyNames", "$schema"),
        *("items", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"),
    }
)
"""Keywords that constrain nothing, or that the code below looks at one by one."""

_UNSAYABLE = ("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "prefixItems")
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_KNOWN = {*_KINDS.values(), "array", "object"}
_NOT_SIMPLE = re.compile(r"\(\?(?!:)|\\[1-9AZzkGKpP]")
"""What looks around, refers back, or is spelt so by Python only, in a regular expression."""
_NAME_IT = "name its keys in a model, a dataclass or a TypedDict, or take a list of pairs"


@dataclass(kw_only=True, slots=True)
class _Rewriter:
    rules: Rules
    root: Mapping[str, Any]
    problems: dict[str, None] = field(default_factory=dict)
    stripped: dict[str, None] = field(default_factory=dict)
    definitions: dict[str, Any] = field(default_factory=dict)
    """Those that are rewritten, or are about to be."""
    open: list[str] = field(default_factory=list)
    """The definitions that we are in."""

    @property
    def given(self) -> Mapping[str, Any]:
        defined: Mapping[str, Any] = self.root.get("$defs", {})
        return defined

    def rewritten(self) -> dict[str, Any]:
        if self.root.get("type") != "object":
            self._problem("", "it is no object", "take an object")
            return {}
        made = {"type": "object", **self._text(self.root), **self._object(self.root, "")}
        if self.definitions:
            made["$defs"] = {name: self.definitions[name] for name in self.given if name in self.definitions}
        return made

    def _problem(self, path: str, why: str, fix: str) -> None:
        self.problems[f"{path or 'the whole'}: {why}; {fix}"] = None

    def _text(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {"description": schema["description"]} if "description" in schema else {}

    def _node(self, schema: Any, path: str) -> dict[str, Any]:
        if not isinstance(schema, Mapping):
            self._anything(path)
            return {}
        for keyword in _UNSAYABLE:
            if keyword in schema:
                what = "tuples with a type for each place" if keyword == "prefixItems" else f"{keyword!r}"
                self._problem(path, f"strict mode has no {what}", "use a list, or a model")
                return {}
        if "$ref" in schema:
            return self._reference(schema, path)
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema:
                return self._choice(schema, keyword, path)
        return self._plain(schema, path)

    def _anything(self, path: str) -> None:
        self._problem(path, "it takes any JSON", "annotate it with the types that you expect")

    def _plain(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        kinds = _kinds(schema)
        if not kinds:
            self._anything(path)
            return {}
        if unknown := set(kinds) - _KNOWN:
            self._problem(path, f"strict mode has no {min(unknown)!r} values", "use what JSON has")
            return {}
        made: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds, **self._text(schema)}
        made |= {keyword: _copy(schema[keyword]) for keyword in ("enum", "const") if keyword in schema}
        if "object" in kinds:
            made |= self._object(schema, path)
        if "array" in kinds:
            if "items" not in schema:
                self._problem(path, "it is a list of anything", "say what is in it: list[...]")
                return {}
            made["items"] = self._node(schema["items"], f"{path}[]")
        return made | self._constraints(schema, path)

    def _constraints(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        kept = {}
        for keyword, value in schema.items():
            if keyword in _SILENT:
                continue
            if keyword in self.rules.keywords and self._is_known(keyword, value):
                kept[keyword] = value
            else:
                self.stripped[f"{path}: {keyword}"] = None
        return kept

    def _is_known(self, keyword: str, value: Any) -> bool:
        if keyword == "format":
            return value in self.rules.formats
        return not (keyword == "pattern" and _NOT_SIMPLE.search(str(value)))

    def _object(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        if others or ("properties" not in schema and others is not False) or others == {}:
            self._problem(path, "its keys are not known beforehand", _NAME_IT)
            return {}
        required = schema.get("required", ())
        if unknown := [name for name in required if name not in properties]:
            self._problem(path, f"it needs {unknown[0]!r}, of which nothing is said", "mend its JSON Schema")
        made = {}
        for name, each in properties.items():
            inner = self._node(each, f"{path}.{name}".lstrip("."))
            if name not in required and self.rules.null_for_optional and inner:
                inner = self._or_null(each, inner, f"{path}.{name}".lstrip("."))
            made[name] = inner
        needed = list(properties) if self.rules.null_for_optional else list(required)
        return {"properties": made, "required": needed, "additionalProperties": False}

    def _or_null(self, schema: Mapping[str, Any], made: dict[str, Any], path: str) -> dict[str, Any]:
        """What may be left out -> what may be null."""
        is_null = takes_null(schema, self.given)
        if is_null and "default" not in schema:
            self._problem(path, "leaving it out is not the same as null", "give it a default that JSON can carry")
        default = _default(schema)
        means = f"Null means the default, {default}." if default else "Null means the default."
        text = sentences(made.pop("description", ""), default_told(schema) if is_null else means)
        if not is_null:
            made = _nullable(made)
        return {**made, "description": text} if text else made

    def _reference(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        reference = schema["$ref"]
        name = reference.removeprefix("#/$defs/")
        if reference != "#":
            if name not in self.given or name == reference:
                self._problem(path, f"it refers to {reference!r}, which is not in $defs", "define it there")
                return {}
            if name not in self.definitions:
                self.definitions[name] = {}
                self.open.append(name)
                self.definitions[name] = self._node(self.given[name], path)
                self.open.pop()
        if not self.rules.is_recursive and (reference == "#" or name in self.open):
            self._problem(path, "it holds itself", "say how deep it goes, level by level")
        return self._with_text({"$ref": reference}, schema, path)

    def _with_text(self, made: dict[str, Any], schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        """What is made, and what else the schema says, which must not stand beside a reference."""
        self._constraints({key: schema[key] for key in schema if key not in self.rules.keywords}, path)
        for keyword in self.rules.keywords & schema.keys():
            self.stripped[f"{path}: {keyword}"] = None
        text = self._text(schema)
        if not text:
            return made
        return {**({"anyOf": [made]} if "$ref" in made else made), **text}

    def _choice(self, schema: Mapping[str, Any], keyword: str, path: str) -> dict[str, Any]:
        choices = schema[keyword]
        if keyword == "allOf":
            if len(choices) > 1:
                self._problem(path, "strict mode has no 'allOf'", "write it as one model")
                return {}
            return self._with_text(self._node(choices[0], path), schema, path)
        return self._with_text({"anyOf": [self._node(each, path) for each in choices]}, schema, path)


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema takes, where it says so or its choices do."""
    if "type" in schema:
        kinds = schema["type"]
        return list(kinds) if isinstance(kinds, list) else [kinds]
    values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else []
    if values:
        return list(dict.fromkeys(_KINDS.get(type(value), "list or object") for value in values))
    return ["object"] if "properties" in schema else ["array"] if "items" in schema else []


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value)) if isinstance(value, list | dict) else value


def _nullable(made: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    if made.keys() == {"type"} and isinstance(made["type"], str) and made["type"] not in ("array", "object"):
        return {"type": [made["type"], "null"]}
    return {"anyOf": [*made["anyOf"], null]} if made.keys() == {"anyOf"} else {"anyOf": [made, null]}


def _default(schema: Mapping[str, Any]) -> str:
    """The default, if there is one and a sentence has room for it."""
    default = json.dumps(schema["default"], ensure_ascii=False) if "default" in schema else ""
    return default if len(default) <= _SENTENCE_CHARS else ""


def default_told(schema: Mapping[str, Any]) -> str:
    """A sentence on the default, for where the keyword is not known."""
    default = _default(schema)
    return f"The default is {default}." if default not in ("", "null") else ""


def sentences(*texts: str) -> str:
    """One text of several, of which some are empty."""
    *before, last = [text for text in texts if text] or [""]
    return " ".join([*(text if text[-1] in ".!?:" else f"{text}." for text in before), last])

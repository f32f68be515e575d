"""JSON Schemas of functions -> the parameters of Python functions, from whose signatures agentkit makes the same."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_CHECKS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}
_RESERVED = frozenset({"tool", "ToolFailed", "Annotated", "Any", "Literal", "NotRequired", "TypedDict", "Field"})
_DEEPEST = 20
_WIDTH = 80


@dataclass(kw_only=True, slots=True)
class Signatures:
    """The signatures of one file: its functions, and the classes that they need."""

    classes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    """What has to be imported."""
    _names: set[str] = field(default_factory=set)

    def free(self, wanted: str) -> str:
        """A name in Python that nothing else in the file has."""
        name = _name(wanted)
        while name in self._names or name in _RESERVED:
            name += "_"
        self._names.add(name)
        return name

    def parameters(self, function: str, schema: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
        """The parameters, and what is said of those of which something is."""
        properties = {name: each for name, each in _properties(schema).items() if isinstance(each, dict)}
        required = set(_strings(schema.get("required")))
        told, described, taken = [], {}, set[str]()
        for name in sorted(properties, key=lambda name: name not in required):  # those that must be there come first
            python = _name(name)
            while python in taken:
                python += "_"
            taken.add(python)
            if python != name:
                self.notes.append(f"{function}: the parameter {name!r} is called {python!r} now")
            kind = self._kind(properties[name], f"{function}_{python}", 1)
            told.append(f"{python}: {kind}" if name in required else self._optional(python, kind, properties[name]))
            if isinstance(properties[name].get("description"), str):
                described[python] = properties[name]["description"]
        one_line = ", ".join(told)
        return one_line if len(one_line) <= _WIDTH else "".join(f"\n    {each}," for each in told) + "\n", described

    def imports(self) -> str:
        """The lines that the file begins with."""
        lines = ""
        names = sorted(self._used & {"Annotated", "Any", "Literal"})
        if names:
            lines += f"from typing import {', '.join(names)}\n\n"
        if "Field" in self._used:
            lines += "from pydantic import Field\n"
        if "TypedDict" in self._used:
            more = "NotRequired, " if "NotRequired" in self._used else ""
            lines += f"from typing_extensions import {more}TypedDict\n"
        return lines + "\n" * ("Field" in self._used or "TypedDict" in self._used)

    def _optional(self, name: str, kind: str, schema: Mapping[str, Any]) -> str:
        default = schema.get("default")
        if isinstance(default, str | int | float | bool):
            return f"{name}: {kind} = {default!r}"
        return f"{name}: {kind} = None" if "None" in kind.split(" | ") else f"{name}: {kind} | None = None"

    def _kind(self, schema: Any, place: str, depth: int) -> str:
        """A schema as an annotation; what Python has no word for takes anything."""
        if not isinstance(schema, dict) or depth > _DEEPEST or not ({"type", "enum", "anyOf", "const"} & set(schema)):
            return self._use("Any")
        if "const" in schema or isinstance(schema.get("enum"), list):
            return self._choice(schema.get("enum", [schema.get("const")]))
        if isinstance(schema.get("anyOf"), list):
            return self._several([(each, f"{place}_{n}") for n, each in enumerate(schema["anyOf"], 1)], depth)
        if isinstance(schema["type"], list):
            return self._several([({**schema, "type": each}, place) for each in schema["type"]], depth)
        told = (name for name in _CHECKS if isinstance(schema.get(name), str | int | float))
        checks = [f"{_CHECKS[name]}={schema[name]!r}" for name in told]
        kind = self._of_type(schema, place, depth)
        return f"{self._use('Annotated')}[{kind}, {self._use('Field')}({', '.join(checks)})]" if checks else kind

    def _of_type(self, schema: Mapping[str, Any], place: str, depth: int) -> str:
        match schema["type"]:
            case "array":
                return f"list[{self._kind(schema.get('items'), place, depth + 1)}]"
            case "object" if _properties(schema):
                return self._record(schema, place, depth)
            case "object":
                return f"dict[str, {self._kind(schema.get('additionalProperties'), place, depth + 1)}]"
            case kind:
                return _PLAIN.get(kind) or self._use("Any") if isinstance(kind, str) else self._use("Any")

    def _choice(self, values: list[Any]) -> str:
        fit = bool(values) and all(each is None or isinstance(each, str | int) for each in values)
        return f"{self._use('Literal')}[{', '.join(map(repr, values))}]" if fit else self._use("Any")

    def _several(self, schemas: list[tuple[Any, str]], depth: int) -> str:
        kinds = dict.fromkeys(self._kind(each, place, depth + 1) for each, place in schemas)
        return " | ".join(kinds) or self._use("Any")

    def _record(self, schema: Mapping[str, Any], place: str, depth: int) -> str:
        """A class for an object with names of its own, written in the file's head."""
        properties, required = _properties(schema), set(_strings(schema.get("required")))
        name = self.free("".join(part.capitalize() for part in place.split("_") if part) or "Object")
        self._use("TypedDict")
        fields = []
        for key, each in properties.items():
            kind = self._kind(each, f"{place}_{_name(key)}", depth + 1)
            about = each.get("description") if isinstance(each, dict) else None
            if isinstance(about, str):
                field_ = f"{self._use('Field')}(description={' '.join(about.split())!r})"
                kind = f"{self._use('Annotated')}[{kind}, {field_}]"
            fields.append((key, kind if key in required else f"{self._use('NotRequired')}[{kind}]"))
        if all(key == _name(key) for key, _ in fields):
            body = "".join(f"    {key}: {kind}\n" for key, kind in fields)
            self.classes.append(f"\n\nclass {name}(TypedDict):\n{body}")
        else:
            pairs = ", ".join(f"{key!r}: {kind}" for key, kind in fields)
            self.classes.append(f'\n\n{name} = TypedDict("{name}", {{{pairs}}})\n')
        return name

    def _use(self, name: str) -> str:
        self._used.add(name)
        return name


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, dict) else {}


def _strings(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _name(wanted: str) -> str:
    name = re.sub(r"\W", "_", wanted, flags=re.ASCII)
    if not name or not (name[0].isalpha() or name[0] == "_"):
        name = f"_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name

"""What the strictest providers refuse in the tools of a request, and in the JSON Schemas they carry."""

from collections.abc import Mapping
from typing import Any

from .refusal import a_name, a_string, an_array, an_object, known, refuse

_LONGEST_DESCRIPTION = 1024
_MOST_TOOLS = 128
_FUNCTION = "invalid_function_parameters"
_IN_STRICT_SCHEMAS = frozenset(
    {
        *("type", "title", "description", "enum", "const", "anyOf", "$ref", "$defs", "definitions"),
        *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
        *("minLength", "maxLength", "pattern", "format"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "null", "object", "array"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_DEPTH = 10
_PROPERTIES = 5_000
_CHARACTERS = 120_000
_CHOICES = 1_000
_LONG_ENUM = 250
_LONG_ENUM_CHARACTERS = 15_000


def check_tools(tools: Any) -> list[str]:
    """Check the request's tools; their names, in order."""
    names: list[str] = []
    for n, tool in enumerate(an_array(tools, "tools", most=_MOST_TOOLS)):
        where = f"tools[{n}]"
        known(an_object(tool, where), {"type", "function"}, where)
        if tool.get("type") != "function":
            refuse(f"{where}.type", "expected 'function'")
        where += ".function"
        function = an_object(tool.get("function"), where)
        known(function, {"name", "description", "parameters", "strict"}, where)
        name = a_name(function.get("name"), f"{where}.name")
        if name in names:
            refuse(f"{where}.name", f"two tools are called {name!r}")
        names.append(name)
        if "description" in function:
            a_string(function["description"], f"{where}.description", longest=_LONGEST_DESCRIPTION)
        if "parameters" in function:
            check_schema(function["parameters"], f"{where}.parameters", strict=function.get("strict") is True)
    return names


def check_schema(schema: Any, where: str, *, strict: bool) -> None:
    """Check a schema whose root must be an object: a tool's parameters, or an answer's format."""
    if an_object(schema, where).get("type") != "object":
        refuse(where, "expected a JSON Schema of 'type': 'object'", code=_FUNCTION)
    if strict and "anyOf" in schema:
        refuse(where, "the root of a strict schema is no 'anyOf'", code=_FUNCTION)
    _Schema(schema, strict=strict).check(where)


class _Schema:
    """One schema and those inside it; the names of properties are not keywords."""

    def __init__(self, root: Mapping[str, Any], *, strict: bool) -> None:
        self.root = root
        self.strict = strict
        self.properties = 0
        self.choices = 0
        self.characters = 0

    def check(self, where: str) -> None:
        self._node(self.root, where, 0)
        if not self.strict:
            return
        for count, most, what in [
            (self.properties, _PROPERTIES, "properties"),
            (self.choices, _CHOICES, "enum values"),
            (self.characters, _CHARACTERS, "characters of names and values"),
        ]:
            if count > most:
                refuse(where, f"a strict schema has at most {most} {what}, this one {count}", code=_FUNCTION)

    def _node(self, schema: Any, where: str, depth: int) -> None:
        if isinstance(schema, bool) and not self.strict:
            return
        node = an_object(schema, where)
        properties = an_object(node.get("properties", {}), f"{where}.properties")
        required = node.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            refuse(f"{where}.required", "expected an array of strings", code="invalid_type")
        if "properties" in node and not set(required) <= set(properties):
            refuse(f"{where}.required", "it names what 'properties' does not have", code=_FUNCTION)
        if "array" in _types(node) and not node.keys() & {"items", "prefixItems"}:
            refuse(where, "an array's schema needs 'items'", code=_FUNCTION)
        if self.strict:
            self._strict_node(node, where, depth)
        self._inner(node, where, depth + ("properties" in node))

    def _inner(self, node: Mapping[str, Any], where: str, depth: int) -> None:
        for keyword in ("properties", "$defs", "definitions"):
            for name, inner in an_object(node.get(keyword, {}), f"{where}.{keyword}").items():
                self._count(name, is_property=keyword == "properties")
                self._node(inner, f"{where}.{keyword}.{name}", depth if keyword == "properties" else 0)
        if "anyOf" in node:
            for n, inner in enumerate(an_array(node["anyOf"], f"{where}.anyOf")):
                self._node(inner, f"{where}.anyOf[{n}]", depth)
        if "items" in node:
            self._node(node["items"], f"{where}.items", depth)

    def _count(self, name: str, *, is_property: bool) -> None:
        self.properties += is_property
        self.characters += len(name)

    def _strict_node(self, node: Mapping[str, Any], where: str, depth: int) -> None:
        for keyword in node:
            if keyword not in _IN_STRICT_SCHEMAS:
                refuse(where, f"{keyword!r} is not permitted in a strict schema", code=_FUNCTION)
        if "$ref" in node:
            self._reference(node, where)
        elif not node.keys() & {"type", "anyOf"}:
            refuse(where, "a strict schema must have a 'type' key", code=_FUNCTION)
        if unknown := [kind for kind in _types(node) if not isinstance(kind, str) or kind not in _TYPES]:
            refuse(where, f"{unknown[0]!r} is no type", code=_FUNCTION)
        if depth >= _DEPTH and "properties" in node:
            refuse(where, f"{depth + 1} levels of nesting exceed the limit of {_DEPTH}", code=_FUNCTION)
        if not isinstance(node.get("format", "date"), str) or node.get("format", "date") not in _FORMATS:
            refuse(where, f"{node['format']!r} is not a valid format", code=_FUNCTION)
        if any(look in str(node.get("pattern", "")) for look in ("(?=", "(?!", "(?<")):
            refuse(where, "a pattern must not look around", code=_FUNCTION)
        self._choices(node, where)
        if "object" in _types(node) or "properties" in node:
            if node.get("additionalProperties") is not False:
                refuse(where, "'additionalProperties' is required to be supplied and to be false", code=_FUNCTION)
            if set(node.get("required", ())) != set(node.get("properties", ())):
                refuse(where, "'required' must name every property", code=_FUNCTION)

    def _reference(self, node: Mapping[str, Any], where: str) -> None:
        if len(node) > 1:
            refuse(where, f"$ref cannot have keywords {set(node) - {'$ref'}}", code=_FUNCTION)
        step, _, name = str(node["$ref"]).removeprefix("#/").partition("/")
        if node["$ref"] != "#" and (step not in ("$defs", "definitions") or name not in self.root.get(step, ())):
            refuse(where, f"the reference {node['$ref']!r} leads nowhere", code=_FUNCTION)

    def _choices(self, node: Mapping[str, Any], where: str) -> None:
        choices = an_array(node.get("enum", ["at least one"]), f"{where}.enum")
        if "enum" in node:
            self.choices += len(choices)
        characters = sum(len(each) for each in (*choices, node.get("const")) if isinstance(each, str))
        self.characters += characters if node.keys() & {"enum", "const"} else 0
        if len(choices) > _LONG_ENUM and characters > _LONG_ENUM_CHARACTERS:
            refuse(f"{where}.enum", f"{len(choices)} values have more than {_LONG_ENUM_CHARACTERS} characters")


def _types(node: Mapping[str, Any]) -> list[Any]:
    kinds = node.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]

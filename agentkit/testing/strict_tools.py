"""What the strictest providers refuse in the tools of a request, and in the JSON Schemas they carry."""

from collections.abc import Mapping
from typing import Any

from .refusal import a_name, a_string, an_array, an_object, known, refuse

_LONGEST_DESCRIPTION = 1024
_MOST_TOOLS = 128
_NOT_IN_STRICT_SCHEMAS = frozenset(
    {
        "allOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "patternProperties",
        "propertyNames",
        "prefixItems",
        "minProperties",
        "maxProperties",
        "uniqueItems",
        "unevaluatedItems",
        "unevaluatedProperties",
        "default",
    }
)


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
        refuse(where, "expected a JSON Schema of 'type': 'object'", code="invalid_function_parameters")
    _check_node(schema, where, strict)


def _check_node(schema: Any, where: str, strict: bool) -> None:
    """Check one schema and those inside it; the names of properties are not keywords."""
    if isinstance(schema, bool) and not strict:
        return
    node = an_object(schema, where)
    properties = an_object(node.get("properties", {}), f"{where}.properties")
    required = node.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        refuse(f"{where}.required", "expected an array of strings", code="invalid_type")
    if "properties" in node and not set(required) <= set(properties):
        refuse(f"{where}.required", "it names what 'properties' does not have", code="invalid_function_parameters")
    if node.get("type") == "array" and not node.keys() & {"items", "prefixItems"}:
        refuse(where, "an array's schema needs 'items'", code="invalid_function_parameters")
    if strict:
        _check_strict(node, where)
    for keyword in ("properties", "$defs"):
        for name, inner in an_object(node.get(keyword, {}), f"{where}.{keyword}").items():
            _check_node(inner, f"{where}.{keyword}.{name}", strict)
    if "anyOf" in node:
        for n, inner in enumerate(an_array(node["anyOf"], f"{where}.anyOf")):
            _check_node(inner, f"{where}.anyOf[{n}]", strict)
    if "items" in node:
        _check_node(node["items"], f"{where}.items", strict)


def _check_strict(node: Mapping[str, Any], where: str) -> None:
    code = "invalid_function_parameters"
    for keyword in node:
        if keyword in _NOT_IN_STRICT_SCHEMAS:
            refuse(where, f"{keyword!r} is not permitted in a strict schema", code=code)
    if not node.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
        refuse(where, "a strict schema must have a 'type'", code=code)
    if "$ref" in node and len(node) > 1:
        refuse(where, "in a strict schema, '$ref' stands alone", code=code)
    if node.get("type") == "object" or "properties" in node:
        if node.get("additionalProperties") is not False:
            refuse(where, "in a strict schema, 'additionalProperties' must be false", code=code)
        if set(node.get("required", ())) != set(node.get("properties", ())):
            refuse(where, "in a strict schema, 'required' must name every property", code=code)

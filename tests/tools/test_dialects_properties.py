"""For any function: its exports are sound, and what a model may write by them reaches the function as it was meant."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from signatures import Case, same, signatures

from agentkit import Tool, tool
from agentkit.dialects import DIALECTS, export_tool, notes_on
from agentkit.errors import InvalidArguments

SCHEMA_KEYS = {"anthropic": "input_schema", "mcp": "inputSchema", "gemini": "parametersJsonSchema"}
CHECKS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def tool_of(case: Case, **policy: Any) -> Tool:
    return Tool.of(tool(name="function", description="Does something.", **policy)(case.function))


def schema_in(spec: dict[str, Any], dialect: str) -> Any:
    return spec.get("function", spec)[SCHEMA_KEYS.get(dialect, "parameters")]


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all those inside it, whatever keyword they are under."""
    if isinstance(schema, dict):
        yield schema
        for keyword, value in schema.items():
            named = keyword in ("properties", "$defs")
            inner = value.values() if named else value if isinstance(value, list) else [value]
            for each in inner if keyword not in ("enum", "const", "default", "examples", "required") else ():
                yield from nodes(each)


@settings(CHECKS, max_examples=40)
@given(signatures())
def test_every_export_of_any_function_is_sound(case: Case) -> None:
    """It is JSON, its schema is one (draft 2020-12), its references lead somewhere, and the tool is as it was."""
    made = tool_of(case)
    before = json.dumps(made.parameters)
    schemas = {}
    for dialect in DIALECTS:
        spec = export_tool(made, dialect)
        assert spec == export_tool(made, dialect)
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec
        schemas[json.dumps(schema_in(spec, dialect))] = schema_in(spec, dialect)
        assert all(isinstance(note, str) for note in notes_on(made, dialect))
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
        for node in nodes(schema):
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]
    assert json.dumps(made.parameters) == before


@settings(CHECKS, max_examples=80)
@given(signatures())
def test_strict_exports_keep_the_rules_and_plain_ones_say_why(case: Case) -> None:
    """By a reading of OpenAI's rules that shares nothing with the one that made them."""
    made = tool_of(case)
    spec = export_tool(made, "responses")
    function = export_tool(made, "chat")["function"]
    assert function["parameters"] == spec["parameters"]
    assert function.get("strict", False) == spec["strict"]
    [note] = notes_on(made, "responses")
    if spec["strict"]:
        assert list(objections(spec["parameters"])) == []
        assert note.startswith("strict: yes")
    else:
        assert spec["parameters"] == made.parameters
        assert note.startswith("strict: no, because ")


@settings(CHECKS, max_examples=100)
@given(signatures(), st.data())
def test_what_a_model_may_write_in_strict_mode_reaches_the_function(case: Case, data: st.DataObject) -> None:
    """Each value with the right type; a null for what the model leaves out is the default, at any depth."""
    made = tool_of(case)
    spec = export_tool(made, "responses")
    assume(spec["strict"])
    validator = Draft202012Validator(spec["parameters"])
    sent = data.draw(case.sent)
    written = written_out(sent, made.parameters, made.parameters.get("$defs", {}))
    validator.validate(written)
    args, kwargs = made.arguments.bind(json.dumps(written), None)
    assert same(case.received(args, kwargs), case.expected(sent))


@settings(CHECKS, max_examples=60)
@given(signatures(), st.data())
def test_what_the_strict_form_refuses_is_refused(case: Case, data: st.DataObject) -> None:
    """Nothing that does not fit becomes right by being strict: neither the form nor the call takes it."""
    made = tool_of(case)
    spec = export_tool(made, "responses")
    assume(spec["strict"] and any(not kind.unfit.is_empty for kind in case.kinds.values()))
    name = data.draw(st.sampled_from([name for name, kind in case.kinds.items() if not kind.unfit.is_empty]))
    sent = {**data.draw(case.sent), name: data.draw(case.kinds[name].unfit)}
    written = written_out(sent, made.parameters, made.parameters.get("$defs", {}))
    for arguments in (sent, written):
        with pytest.raises(InvalidArguments) as caught:
            made.arguments.bind(json.dumps(arguments), None)
        assert f"- {name[:90]}" in str(caught.value)


@settings(CHECKS, max_examples=50)
@given(signatures())
def test_an_anthropic_tool_that_must_be_strict_keeps_the_rules_there(case: Case) -> None:
    """No limits on numbers or lengths, no recursion, and every object closed."""
    assume(export_tool(tool_of(case), "responses")["strict"])
    spec = export_tool(tool_of(case, strict=True), "anthropic")
    if "strict" not in spec:
        assert "it holds itself" in " ".join(notes_on(tool_of(case, strict=True), "anthropic"))
        return
    for node in nodes(spec["input_schema"]):
        assert not node.keys() & {
            "minimum",
            "maximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "uniqueItems",
        }
        assert "properties" not in node or node["additionalProperties"] is False


def written_out(value: Any, schema: Any, definitions: dict[str, Any]) -> Any:
    """What a model writes that can leave nothing out: null, or the default where null is a value of its own."""

    def fits(value: Any, schema: Any) -> bool:
        return Draft202012Validator({**schema, "$defs": definitions}).is_valid(value)

    if "$ref" in schema:
        return written_out(value, definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    for keyword in ("anyOf", "oneOf"):
        for choice in schema.get(keyword, ()):
            if fits(value, choice):
                return written_out(value, choice, definitions)
    if isinstance(value, list) and "items" in schema:
        return [written_out(each, schema["items"], definitions) for each in value]
    if isinstance(value, dict) and "properties" in schema:
        left_out = {
            name: each.get("default") if fits(None, each) else None
            for name, each in schema["properties"].items()
            if name not in value
        }
        inner = {name: schema["properties"].get(name, {}) for name in value}
        return left_out | {name: written_out(each, inner[name], definitions) for name, each in value.items()}
    return value


def objections(schema: dict[str, Any]) -> Iterator[str]:
    """What OpenAI's strict mode would have against a schema."""
    if schema.get("type") != "object" or "anyOf" in schema:
        yield "the root is an object"
    everything = list(nodes(schema))
    for node in everything:
        yield from objections_to(node, schema.get("$defs", {}))
    names = [name for node in everything for name in node.get("properties", ())]
    enums = [node["enum"] for node in everything if "enum" in node]
    if len(names) > 5000 or sum(map(len, enums)) > 1000:
        yield "too many"
    if (
        sum(len(str(each)) for each in [*names, *schema.get("$defs", ()), *[v for enum in enums for v in enum]])
        > 120_000
    ):
        yield "too long"
    if deepest(schema, schema.get("$defs", {}), ()) > 10:
        yield "too deep"


WORDS = {
    *("type", "title", "description", "enum", "const", "anyOf", "$ref", "$defs"),
    *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
    *("minLength", "maxLength", "pattern", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def objections_to(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    yield from (f"no {word}" for word in node if word not in WORDS)
    if "$ref" in node:
        if list(node) != ["$ref"] or (node["$ref"] != "#" and node["$ref"][8:] not in definitions):
            yield f"not this reference: {node}"
        return
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not kinds and "anyOf" not in node:
        yield f"no type: {node}"
    if "object" in kinds and (
        node.get("additionalProperties") is not False or node.get("required") != list(node.get("properties", ()))
    ):
        yield f"not closed: {node}"
    if "array" in kinds and not isinstance(node.get("items"), dict):
        yield f"no items: {node}"
    if node.get("format", "date") not in FORMATS or re.search(r"\(\?[=!<]", node.get("pattern", "")):
        yield f"not this format: {node}"


def deepest(node: dict[str, Any], definitions: dict[str, Any], inside: tuple[str, ...]) -> int:
    """How many objects are inside each other."""
    if "$ref" in node:
        name = node["$ref"][8:]
        return 0 if name in inside else deepest(definitions[name], definitions, (*inside, name))
    inner = [
        *node.get("properties", {}).values(),
        *node.get("anyOf", ()),
        *([node["items"]] if "items" in node else []),
    ]
    return ("properties" in node) + max((deepest(each, definitions, inside) for each in inner), default=0)

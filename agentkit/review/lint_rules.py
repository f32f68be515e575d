"""What `lint` finds in the schema and the policy of one tool."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentkit.dialects import notes_on
from agentkit.dialects.strict import strict
from agentkit.tool import Tool

from .json_schema import TELLING
from .lint_words import Finding, Severity, places, size

_MANY_PARAMETERS = 15
_MANY_CHOICES = 100
_MANY_LEVELS = 5
_LARGE = 8_000
"""Characters of one tool in a request."""
_DESTRUCTIVE = re.compile(r"(^|_)(delete|destroy|drop|erase|purge|wipe|truncate|uninstall|kill|terminate)(_|$)")
_ON_DEFAULT = re.compile(r"\b(default|omit|left out|unless|if not)", re.IGNORECASE)
_UNKNOWN = re.compile(r"(?P<path>.*): Gemini does not know '(?P<keyword>.*)', so only agentkit enforces it")


def schema_of(tool: Tool) -> Iterator[Finding]:
    """What is wrong with a tool's parameters."""
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    required = tool.parameters.get("required", ())
    for name, schema in properties.items():
        if not isinstance(schema, Mapping):
            continue
        if name not in required and "default" not in schema and not schema.get("writeOnly"):
            problem, remedy = "a model cannot see its default", "say in its description what happens without it"
            if not _ON_DEFAULT.search(schema.get("description", "")):
                yield _found("hidden-default", "hint", tool, name, problem, remedy)
    for path, schema in places(tool.parameters):
        yield from _place(tool, path, schema)
    yield from _sizes(tool)
    yield from _strictness(tool)
    yield from _providers(tool)


def _place(tool: Tool, path: str, schema: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with one place in a schema."""
    is_nested = "." in path or "[" in path
    if path and not schema.keys() - TELLING:
        remedy = "annotate it with the types that it takes"
        yield _found("untyped-parameter", "hint" if is_nested else "warning", tool, path, "it takes any JSON", remedy)
    if schema.get("type") == "array" and not schema.keys() & {"items", "prefixItems"}:
        yield _found("untyped-parameter", "hint", tool, f"{path}[]", "it takes any JSON", "say what is in the list")
    for name, each in schema.get("properties", {}).items():
        at = f"{path}.{name}".lstrip(".")
        if isinstance(each, Mapping) and not each.get("description"):
            remedy = "say in the docstring or in Field(description=...) what to put there"
            severity: Severity = "hint" if path else "warning"
            yield _found("undescribed-parameter", severity, tool, at, "it has no description", remedy)
    if len(schema.get("enum", ())) > _MANY_CHOICES:
        problem = f"it has {len(schema['enum']):,} choices, which are sent with every request"
        yield _found(
            "many-choices", "hint", tool, path, problem, "take text, and offer a tool that searches the choices"
        )


def _sizes(tool: Tool) -> Iterator[Finding]:
    count = len(tool.parameters.get("properties", ()))
    if count > _MANY_PARAMETERS:
        remedy = "split the tool, or group what belongs together in a model"
        yield _found("many-parameters", "hint", tool, "", f"it has {count} parameters", remedy)
    if (characters := size(tool)) > _LARGE:
        problem = f"it takes about {characters // 4:,} tokens in every request"
        yield _found("large-schema", "warning", tool, "", problem, "shorten its descriptions, or its schema")
    depth = max((path.count(".") + path.count("[") for path, _ in places(tool.parameters)), default=0)
    if depth >= _MANY_LEVELS:
        problem = f"its arguments are nested {depth + 1} levels deep, which models get wrong"
        yield _found("deep-schema", "hint", tool, "", problem, "make them flatter, or split the tool")


def _strictness(tool: Tool) -> Iterator[Finding]:
    """What OpenAI's strict mode cannot say, so that the model is not held to it."""
    if tool.policy.strict is False:
        return
    found = strict(tool.parameters)
    for problem in found.problems:
        path, _, why = problem.partition(": ")
        reason, _, fix = why.partition("; ")
        where = "" if path == "the whole" else path
        problem = f"OpenAI's strict mode is off for this tool, because {reason}"
        remedy = f"{fix or 'change the schema'}, or say strict=False"
        yield _found("not-strict", "hint", tool, where, problem, remedy)
    if found.stripped:
        problem = f"OpenAI's strict mode does not enforce {', '.join(found.stripped)}"
        remedy = "agentkit does; say it in the description, so that the model knows"
        yield _found("strict-strips", "hint", tool, "", problem, remedy)


def _providers(tool: Tool) -> Iterator[Finding]:
    notes = [] if tool.policy.strict else list(notes_on(tool, "anthropic"))
    for note in notes:
        path, _, why = note.rpartition(": ")
        problem, _, remedy = why.partition("; ")
        yield _found("anthropic-limit", "warning", tool, path, problem, remedy)
    unknown = []
    for note in notes_on(tool, "gemini"):
        if match := _UNKNOWN.fullmatch(note):
            unknown.append(f"{match['path']}: {match['keyword']}")
        elif tool.description:
            problem, _, remedy = note.partition("; ")
            yield _found("gemini-limit", "warning", tool, "", problem, remedy)
    if unknown:
        remedy = "agentkit enforces it; say it in the description, so that the model knows"
        yield _found("gemini-strips", "hint", tool, "", f"Gemini does not know {', '.join(unknown)}", remedy)


def policy_of(tool: Tool) -> Iterator[Finding]:
    """What is doubtful about how a tool may be called."""
    policy = tool.policy
    if policy.effects == "destructive" and policy.approval is False:
        remedy = "say approval=True, or a function that tells which calls need it"
        yield _found("destructive-without-approval", "error", tool, "", "nobody is asked before it destroys", remedy)
    if policy.effects in (None, "read") and _DESTRUCTIVE.search(tool.name):
        said = "declares nothing" if policy.effects is None else "declares that it only reads"
        remedy = "say effects='destructive' and approval=True, or 'write' if it can be undone"
        yield _found("doubtful-effects", "warning", tool, "", f"it sounds destructive, and {said}", remedy)
    elif policy.effects is None:
        problem = "nothing is said of what a call does"
        remedy = "say effects='read', 'write', 'external' or 'destructive'"
        yield _found("undeclared-effects", "hint", tool, "", problem, remedy)
    if policy.cache is not None and tool.secret_result:
        problem = "what it gives is secret, and kept for all runs"
        yield _found("cached-secret", "warning", tool, "", problem, "leave cache= out")
    if policy.effects == "external" and policy.timeout is None:
        problem, remedy = "it may wait for others as long as the run may", "say timeout=..."
        yield _found("no-timeout", "hint", tool, "", problem, remedy)
    if policy.isolation and policy.timeout is None:
        problem, remedy = "its process is killed at the end of its time, of which it has no limit", "say timeout=..."
        yield _found("isolation-without-timeout", "hint", tool, "", problem, remedy)


def _found(code: str, severity: Severity, tool: Tool, path: str, problem: str, remedy: str) -> Finding:
    return Finding(code=code, severity=severity, tool=tool.name, parameter=path, problem=problem, remedy=remedy)

"""What is wrong, or will be, with a set of tools: `lint(registry)`."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from agentkit.registry import ToolRegistry
from agentkit.tool import Tool

from .lint_rules import policy_of, schema_of
from .lint_words import Finding, Severity, alike, size, words_of

CODES: Mapping[str, str] = {
    "same-name": "two tools have one name",
    "hidden-characters": "a text has characters that people do not see, or that turn what they see around",
    "destructive-without-approval": "nobody is asked before a call that cannot be undone",
    "too-many-tools": "models choose badly among many, and providers take no more than so many",
    "missing-description": "a tool has no description",
    "short-description": "a description says no more than the name",
    "long-description": "a description is longer than OpenAI takes",
    "vague-name": "a name says nothing",
    "alike-names": "two names mean the same",
    "same-description": "two descriptions are the same",
    "alike-descriptions": "two descriptions are nearly the same",
    "orders-the-model": "a description tells a model what to do, instead of what the tool does",
    "untyped-parameter": "a parameter takes any JSON",
    "undescribed-parameter": "a parameter has no description",
    "vague-parameter": "a parameter's name says nothing, and no description makes up for it",
    "hidden-default": "a default cannot be shown",
    "large-schema": "a tool takes much of every request",
    "deep-schema": "arguments are nested deeply",
    "many-parameters": "a tool takes very many parameters",
    "many-choices": "a parameter has very many choices",
    "not-strict": "OpenAI's strict mode cannot say what the schema says, and is off",
    "strict-strips": "OpenAI's strict mode leaves out a part of the schema",
    "anthropic-limit": "Anthropic refuses something",
    "gemini-limit": "Gemini refuses something",
    "gemini-strips": "Gemini does not know a part of the schema",
    "doubtful-effects": "a name sounds destructive, and the declared effects do not",
    "undeclared-effects": "nothing is declared of what a call does",
    "cached-secret": "a secret result is kept",
    "no-timeout": "a call that reaches outside has no time limit of its own",
    "isolation-without-timeout": "a process of its own, which nothing ends",
}
"""What can be found."""

_MANY_TOOLS = 20
_MOST_TOOLS = 128
_BY_WEIGHT = ("error", "warning", "hint")


def lint(tools: Iterable[Tool]) -> list[Finding]:
    """What is wrong with tools, such as a `ToolRegistry`: tool by tool, the worst first; then with all of them."""
    known = list(tools)
    rules = (words_of, schema_of, policy_of)
    found = [finding for tool in known for finding in chain.from_iterable(rule(tool) for rule in rules)]
    found += [*alike(known), *_counts(tools if isinstance(tools, ToolRegistry) else known)]
    places = {tool.name: n for n, tool in enumerate(known)}
    return sorted(found, key=lambda each: (places.get(each.tool, len(places)), _BY_WEIGHT.index(each.severity)))


def _counts(tools: ToolRegistry | list[Tool]) -> Iterator[Finding]:
    """Too many at once. What a search finds is not there at once."""
    found = [tool.name for search in tools.searches for tool in search.found] if isinstance(tools, ToolRegistry) else []
    offered = [tool for tool in tools if tool.name not in set(found)]
    if len(offered) > _MANY_TOOLS:
        tokens = sum(map(size, offered)) // 4
        problem = f"a model is offered {len(offered):,} tools at once, about {tokens:,} tokens in every request"
        severity: Severity = "warning"
        if len(offered) > _MOST_TOOLS:
            severity, problem = "error", f"{problem}, and OpenAI takes {_MOST_TOOLS}"
        remedy = "let it search them: Agent(tools=[ToolSearch(tools=...)])"
        yield Finding(code="too-many-tools", severity=severity, tool="", problem=problem, remedy=remedy)

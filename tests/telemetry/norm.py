"""Holds what was exported against `norm.json`: the GenAI conventions, as facts."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from exports import Exports, Scope, Span

Found: TypeAlias = Iterator[tuple[Literal["violation", "warning"], str]]
NORM: Mapping[str, Any] = json.loads((Path(__file__).parent / "norm.json").read_text("utf-8"))
OWN = "agentkit"


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What the test knows of an agent, which spans cannot say of themselves."""

    in_process: bool = False
    """Whether its model is in this process."""
    structured: bool = False
    one_model: bool = True
    described: bool = False
    instructed: bool = False
    tools: bool = False
    conversation: str | None = None
    """The conversation's id; `*` is any that a server gives, if it answers."""
    requested: Mapping[str, Any] = field(default_factory=dict)
    """What its requests ask for, by the attributes that say it."""
    may_request: Mapping[str, Any] = field(default_factory=dict)
    """What some of them ask for besides."""
    reports: bool = True
    """Whether its server says at once what each answer used."""
    api: str = "chat_completions"
    """What the norm calls its wire; nothing, if it has no name for it."""
    ids: bool = True
    """Whether its server gives answers ids."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the test knows of what happened."""

    streamed: bool = False
    agents: Mapping[str, About] = field(default_factory=dict)
    """By their names; those of no name as ""."""
    undescribed: frozenset[str] = frozenset()
    """Tools without a description, those that do not exist too."""
    content_on_spans: bool = False
    content_on_events: bool = False
    events: bool = False
    """Whether each model call has an event with its details."""
    said: tuple[str, ...] = ()
    """What was said or done: shown where content is captured, and nowhere else."""
    hidden: tuple[str, ...] = ()
    """The same, where it need not be shown: the words of errors, of what was not sent."""
    secrets: tuple[str, ...] = ()
    """What is shown nowhere."""
    foreign: frozenset[str] = frozenset()
    """The names of the test's own spans."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What was found, as sentences."""

    violations: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both."""
        return (*self.violations, *(f"(warning) {each}" for each in self.warnings))


def check(exports: Exports, facts: Facts, *, metrics: bool = True) -> Verdict:
    """Hold exports against the norm; without metrics, where these are of other runs too."""
    from norm_signals import check_logs, check_metrics

    found = [*_spans(exports, facts), *check_logs(exports, facts)]
    if metrics:
        found += check_metrics(exports, facts)
    return Verdict(
        violations=tuple(dict.fromkeys(text for level, text in found if level == "violation")),
        warnings=tuple(dict.fromkeys(text for level, text in found if level == "warning")),
    )


def _spans(exports: Exports, facts: Facts) -> Found:
    for name in exports.unended:
        yield "violation", f"span {name!r} has begun and not ended"
    for span in exports.spans:
        if span.name in facts.foreign:
            continue
        where = f"span {span.name!r}"
        yield from scope_is_right(span.scope, where)
        rules = NORM["spans"].get(span.operation)
        if rules is None:
            yield "violation", f"{where} has the operation name {span.operation!r}, which the norm does not have"
            continue
        yield from _shape(span, rules, exports, facts)
        yield from _attributes(span, rules, exports, facts)
        yield from _failure(span)
        yield from _events(span)
        if span.operation == "invoke_agent":
            yield from _totals(span, exports)


def scope_is_right(scope: Scope, where: str) -> Found:
    """Who made it, by the norm's names."""
    for name, wanted in NORM["scope"].items():
        if (got := getattr(scope, name)) != wanted:
            yield "violation", f"{where}: the scope's {name} is {got!r}, and should be {wanted!r}"
    if not scope.version:
        yield "violation", f"{where}: the scope has no version"


def _shape(span: Span, rules: Mapping[str, Any], exports: Exports, facts: Facts) -> Found:
    where = f"span {span.name!r}"
    operation, part = rules["name"]
    wanted = f"{operation} {span.attributes.get(part, '')}".rstrip()
    if span.name != wanted:
        yield "violation", f"{where} should be named {wanted!r}"
    kind = rules["kinds"]["in process" if _about(span, exports, facts).in_process else "remote"]
    if span.kind != kind:
        yield "violation", f"{where} is of kind {span.kind}, and should be {kind}"
    parent = exports.parent(span)
    if parent is None or parent.name in facts.foreign:
        if not rules["ambient"]:
            yield "violation", f"{where} is in no {' or '.join(rules['parents'])} span"
    elif parent.operation not in rules["parents"]:
        yield "violation", f"{where} is in {parent.name!r}, and should be in {' or '.join(rules['parents'])}"
    if parent is None and span.parent_id is not None:
        yield "violation", f"{where} is in a span that was not exported"
    if not 0 < span.start <= span.end:
        yield "violation", f"{where} begins at {span.start} and ends at {span.end}"
    if parent is not None and not parent.start <= span.start <= span.end <= parent.end:
        yield "violation", f"{where} goes on outside of the time of {parent.name!r}"


def _attributes(span: Span, rules: Mapping[str, Any], exports: Exports, facts: Facts) -> Found:
    where, known = f"span {span.name!r}", rules["attributes"]
    for name, value in span.attributes.items():
        if name in NORM["old names"]:
            yield "violation", f"{where}: {name} is an old name of {NORM['old names'][name]}"
        elif name.startswith(f"{OWN}."):
            yield from own_attribute(name, value, where)
        elif name not in known:
            yield "violation", f"{where}: {name} is no attribute of a {span.operation} span"
        else:
            yield from value_is_right(name, value, where)
    for name, rule in known.items():
        yield from _presence(span, name, rule, exports, facts)


def _presence(span: Span, name: str, rule: Mapping[str, Any], exports: Exports, facts: Facts) -> Found:
    where, level = f"span {span.name!r}", rule["level"]
    due = _due(span, name, rule.get("when", "always"), exports, facts)
    if level == "opt-in":
        if not facts.content_on_spans and name in span.attributes:
            yield "violation", f"{where}: {name} is there, and content is not captured on spans"
        if facts.content_on_spans and due and name not in span.attributes:
            yield "warning", f"{where}: {name} is missing, and content is captured on spans"
        return
    if due and name not in span.attributes:
        kind: Any = "warning" if level == "recommended" else "violation"
        why = NORM["conditions"][rule.get("when", "always")].split(";")[0]
        yield kind, f"{where}: {name} is missing ({level}: {why})"
    if due is False and name in span.attributes:
        yield "violation", f"{where}: {name}={span.attributes[name]!r:.60} is there without a reason"
    start = span.started_with if rule.get("start") else None
    if start is not None and name in span.attributes and start.get(name) != span.attributes[name]:
        yield "violation", f"{where}: {name} was not given when the span began, where samplers see it"


def _due(span: Span, name: str, when: str, exports: Exports, facts: Facts) -> bool | None:
    """Whether an attribute must be there; None: it may or may not."""
    about, failed, present = _about(span, exports, facts), span.status == "ERROR", name in span.attributes
    chats = [each for each in exports.children(span) if each.operation in ("chat", "embeddings")]
    match when:
        case "always":
            return True
        case "failed":
            return failed
        case "answered":
            return True if not failed else None
        case "answered by a server":
            return True if not failed and not about.in_process and about.ids else None
        case "used":
            return True if not failed and about.reports else None
        case "streaming":
            return facts.streamed
        case "first chunk":
            return (True if not failed else None) if facts.streamed else False
        case "structured":
            return about.structured
        case "conversation":
            if present and about.conversation not in ("*", span.attributes[name]):
                return False
            return None if about.conversation == "*" and failed else about.conversation is not None
        case "requested":
            if present and span.attributes[name] not in (about.requested.get(name), about.may_request.get(name)):
                return False
            return name in about.requested or (None if present else False)
        case "named":
            return owner_of(span, exports) != "" if span.operation != "invoke_agent" else None
        case "one model":
            return about.one_model
        case "described":
            if span.operation == "invoke_agent":
                return True if about.described else None
            return span.attributes.get("gen_ai.tool.name") not in facts.undescribed
        case "instructed":
            return about.instructed
        case "has tools":
            return True if about.tools else None
        case "returned":
            return True if not failed else None
        case "address":
            return "server.address" in span.attributes
        case "remote":
            return True if not about.in_process else None
        case "openai":
            is_openai = span.attributes.get("gen_ai.provider.name") in ("openai", "azure.ai.openai")
            return is_openai and about.api != "" and (not present or span.attributes[name] == about.api)
        case "counted":
            return True if any(name in each.attributes for each in chats) else None
        case "told":
            return any(each.status != "ERROR" for each in chats)
        case "above zero":
            return False if span.attributes.get(name) == 0 else None
        case "known":
            return None
    raise KeyError(when)


def owner_of(span: Span, exports: Exports) -> str:
    """The name of the agent that a span belongs to."""
    if span.operation in ("invoke_agent", "execute_tool") and "gen_ai.agent.name" in span.attributes:
        return str(span.attributes["gen_ai.agent.name"])
    parent = exports.parent(span)
    if span.operation == "invoke_agent" or parent is None:
        return ""
    return str(parent.attributes.get("gen_ai.agent.name", ""))


def _about(span: Span, exports: Exports, facts: Facts) -> About:
    return facts.agents.get(owner_of(span, exports), About())


def value_is_right(name: str, value: Any, where: str) -> Found:
    """Of the norm's type, and one of its values."""
    rule = NORM["attributes"][name]
    if value is None or value in ("", (), {}) or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        yield "violation", f"{where}: {name}={value!r} says nothing; it should be left out"
    elif rule["type"] != "content" and not _is_a(value, rule["type"]):
        yield "violation", f"{where}: {name}={value!r:.60} is no {rule['type']}"
    elif "values" in rule and value not in rule["values"]:
        yield "violation", f"{where}: {name}={value!r:.60} is none of {', '.join(map(str, rule['values']))}"
    elif value in rule.get("not", ()):
        yield "violation", f"{where}: {name}={value!r} should not be used"
    elif "pattern" in rule and not re.search(rule["pattern"], value):
        yield "violation", f"{where}: {name}={value!r:.60} is not of the form {rule['pattern']}"


_NOTHING = ("none", "null", "unknown", "n/a", "undefined", "nan")


def _is_a(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "double":
            return isinstance(value, float) and value == value and abs(value) != float("inf")
        case "boolean":
            return isinstance(value, bool)
        case "string[]":
            return isinstance(value, tuple) and all(isinstance(each, str) and each for each in value)
    raise KeyError(kind)


@cache
def documented() -> Mapping[str, Any]:
    """The attributes and events of our own that `semconv.py` lists, with their types."""
    from agentkit.telemetry import semconv

    return {each.name: each for each in getattr(semconv, "OWN", ())}


def own_attribute(name: str, value: Any, where: str) -> Found:
    """One that we have told users of."""
    if name not in documented():
        yield "violation", f"{where}: {name} is in no table of agentkit/telemetry/semconv.py"
    elif value is None or value == "":
        yield "violation", f"{where}: {name}={value!r} says nothing; it should be left out"


def _failure(span: Span) -> Found:
    where, kind = f"span {span.name!r}", span.attributes.get("error.type")
    if span.status == "OK":
        yield "violation", f"{where}: its status is OK, and should be left UNSET"
    if kind is not None and span.status != "ERROR":
        yield "violation", f"{where}: error.type={kind!r}, and its status is {span.status}"
    if span.status != "ERROR" and span.message:
        yield "violation", f"{where}: it has not failed, and says {span.message!r:.60}"


def _events(span: Span) -> Found:
    where = f"span {span.name!r}"
    for event in span.events:
        if event.name != "exception" and event.name not in documented():
            yield "violation", f"{where}: its event {event.name!r} is in no table of agentkit/telemetry/semconv.py"
        for name, value in event.attributes.items():
            if name.startswith(f"{OWN}."):
                yield from own_attribute(name, value, where)
            elif name in NORM["attributes"]:
                yield from value_is_right(name, value, f"{where}, event {event.name!r}")
            else:
                yield "violation", f"{where}, event {event.name!r}: {name} is no attribute of the norm"


def _totals(span: Span, exports: Exports) -> Found:
    where = f"span {span.name!r}"
    chats = [each for each in exports.children(span) if each.operation == "chat"]
    for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        known = [used for each in chats if isinstance(used := each.attributes.get(name), int)]
        if known or name in span.attributes:
            said, total = span.attributes.get(name, 0), sum(known)
            if said != total:
                yield "violation", f"{where}: {name} is {said}, and its own chat spans come to {total}"
    answered = [each for each in chats if each.status != "ERROR"]
    if answered:
        last = max(answered, key=lambda each: each.start).attributes.get("gen_ai.response.finish_reasons")
        if (said := span.attributes.get("gen_ai.response.finish_reasons")) not in (None, last):
            yield "violation", f"{where}: its finish reasons are {said}, and those of its last chat are {last}"

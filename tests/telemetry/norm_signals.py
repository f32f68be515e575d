"""Holds metrics, log records and content against `norm.json`, and looks for what should be shown nowhere."""

import json
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from exports import Attributes, Exports, Log, Point, Span
from jsonschema import Draft202012Validator
from norm import NORM, OWN, Facts, Found, own_attribute, scope_is_right, value_is_right

from agentkit.telemetry.semconv import METRICS, UNKNOWN_TOOL

_LONGER = 5.0
"""Seconds by which a metric may be above the spans that it counts: a wrong unit is far above."""
Key = frozenset[tuple[str, Any]]


def check_metrics(exports: Exports, facts: Facts) -> Found:
    """Each metric by itself, and all of them against the spans."""
    ids = _ids(exports)
    for point in exports.points:
        yield from _point(point, ids)
    for name in NORM["metrics"]:
        yield from _counts(name, exports, facts)


def check_logs(exports: Exports, facts: Facts) -> Found:
    """Events, content, secrets."""
    for log in exports.logs:
        yield from _log(log, exports, facts)
    yield from _as_many_logs(exports, facts)
    yield from _content(exports)
    yield from _hidden(exports, facts)


def _point(point: Point, ids: frozenset[str]) -> Found:
    where = f"metric {point.name!r}"
    yield from scope_is_right(point.scope, where)
    if point.name.startswith(f"{OWN}."):
        yield from own_attribute(point.name, point.unit, where)
    elif point.name not in NORM["metrics"]:
        yield "violation", f"{where} is none of the norm"
        return
    rule = NORM["metrics"].get(point.name, {})
    if rule:
        if point.instrument != "histogram":
            yield "violation", f"{where} is a {point.instrument}, and should be a histogram"
        if point.unit != rule["unit"]:
            yield "violation", f"{where} has the unit {point.unit!r}, and should have {rule['unit']!r}"
        if tuple(map(float, point.bounds)) != tuple(map(float, rule["buckets"])):
            yield "violation", f"{where} has the buckets {point.bounds}, and should have {tuple(rule['buckets'])}"
        for name in rule["required"]:
            if name not in point.attributes:
                yield "violation", f"{where}: {name} is missing"
    own = METRICS.get(point.name)
    allowed = rule["attributes"] if rule else own.attributes if own else ()
    for name, value in point.attributes.items():
        if name.startswith(f"{OWN}."):
            yield from own_attribute(name, value, where)
        elif name not in allowed:
            yield "violation", f"{where}: {name} is none of its attributes"
        else:
            yield from value_is_right(name, value, where)
        if str(value) in ids:
            yield "violation", f"{where}: {name}={value!r} is an id, and each would be a time series of its own"


def _ids(exports: Exports) -> frozenset[str]:
    names = ("gen_ai.conversation.id", "gen_ai.response.id", "gen_ai.tool.call.id")
    known = {str(span.attributes[name]) for span in exports.spans for name in names if name in span.attributes}
    for span in exports.spans:
        known |= {f"{span.trace_id:032x}", f"{span.span_id:016x}"}
    return frozenset(known)


def _counts(metric: str, exports: Exports, facts: Facts) -> Found:
    """Each span is counted, once, with what it says of itself."""
    rule = NORM["metrics"][metric]
    where = f"metric {metric!r}"
    spans = [s for operation in rule["per"] for s in exports.of(operation) if s.name not in facts.foreign]
    points = [point for point in exports.points if point.name == metric]
    if rule["value"] == "later chunks":
        begun = {_key(span.attributes, rule) for span in spans if "gen_ai.request.stream" in span.attributes}
        for point in points:
            if _key(point.attributes, rule) not in begun:
                yield "violation", f"{where} has {dict(point.attributes)}, which no streamed model call has"
        return
    wanted: Counter[Key] = Counter()
    total: dict[Key, float] = defaultdict(float)
    for span in spans:
        for value, more in _values(rule["value"], span, exports):
            if not isinstance(value, int | float):
                continue  # said of the span
            known = {**span.attributes, **more}
            if known.get("error.type") == "agentkit.errors.UnknownTool":
                known["gen_ai.tool.name"] = UNKNOWN_TOOL
            key = _key(known, rule)
            wanted[key] += 1
            total[key] += value
    got: Counter[Key] = Counter()
    came: dict[Key, float] = defaultdict(float)
    for point in points:
        key = _key(point.attributes, rule)
        got[key] += point.count
        came[key] += point.sum
    for key in wanted.keys() | got.keys():
        if wanted[key] != got[key]:
            yield "violation", f"{where} counts {got[key]} of {_shown(key)}, and there are {wanted[key]} such spans"
        elif not _fits(rule["value"], came[key], total[key], wanted[key]):
            yield "violation", f"{where} comes to {came[key]} for {_shown(key)}, and the spans to {total[key]}"


def _key(attributes: Attributes, rule: Mapping[str, Any]) -> Key:
    names = set(rule["attributes"]) - set(rule.get("not yet known", ()))
    return frozenset((name, attributes[name]) for name in names if name in attributes)


def _shown(key: Key) -> str:
    return ", ".join(f"{name.removeprefix('gen_ai.')}={value}" for name, value in sorted(key)) or "no attributes"


def _values(value: str, span: Span, exports: Exports) -> Iterator[tuple[float, Attributes]]:
    """What a metric should count of a span, and under which further attributes."""
    match value:
        case "seconds":
            yield (span.end - span.start) / 1e9, {}
        case "tokens":
            for kind in ("input", "output"):
                if (used := span.attributes.get(f"gen_ai.usage.{kind}_tokens")) is not None:
                    yield used, {"gen_ai.token.type": kind}
        case "own chat" | "own execute_tool":
            yield sum(child.operation == value.split()[1] for child in exports.children(span)), {}
        case _:
            if value in span.attributes:
                yield span.attributes[value], {}


def _fits(value: str, came: float, total: float, count: int) -> bool:
    if value == "seconds":
        return 0 <= came <= total + _LONGER * count
    return abs(came - total) < 1e-6 * max(1, total)


def _log(log: Log, exports: Exports, facts: Facts) -> Found:
    where = f"event {log.name!r}"
    yield from scope_is_right(log.scope, where)
    if log.name in NORM["old events"]:
        yield "violation", f"{where} is an old one, and no more in the norm"
        return
    if log.name.startswith(f"{OWN}."):
        yield from own_attribute(log.name, log.severity, where)
        return
    if log.name not in NORM["events"]:
        yield "violation", f"{where} is none of the norm"
        return
    rule = NORM["events"][log.name]
    if (wanted := rule.get("severity")) is not None and log.severity != wanted:
        yield "violation", f"{where} has the severity {log.severity}, and should have {wanted}"
    for name in rule["required"]:
        if not log.attributes.get(name):
            yield "violation", f"{where}: {name} is missing"
    chat = _chat_of(log, exports)
    if chat is None:
        yield "violation", f"{where} is in the context of no chat span"
        return
    came, kind = log.attributes.get("exception.type"), chat.attributes.get("error.type")
    if log.name.endswith(".exception") and came != kind:
        yield "violation", f"{where}: exception.type={came!r}, and the span's error.type is {kind!r}"
    yield from _log_attributes(log, rule, chat, facts)


def _log_attributes(log: Log, rule: Mapping[str, Any], chat: Span, facts: Facts) -> Found:
    where, allowed = f"event {log.name!r}", NORM["spans"]["chat"]["attributes"]
    for name, value in log.attributes.items():
        if name.startswith(f"{OWN}."):
            yield from own_attribute(name, value, where)
        elif name not in allowed and name not in rule["attributes"]:
            yield "violation", f"{where}: {name} is none of its attributes"
        elif allowed.get(name, {}).get("level") == "opt-in":
            if not facts.content_on_events:
                yield "violation", f"{where}: {name} is there, and content is not captured on events"
            elif isinstance(value, str):
                yield "violation", f"{where}: {name} is text, and should be structured"
        else:
            yield from value_is_right(name, value, where)
            if name in chat.attributes and chat.attributes[name] != value:
                yield "violation", f"{where}: {name}={value!r:.40}, and the span has {chat.attributes[name]!r:.40}"
    if log.name.endswith(".details"):
        for name in chat.attributes.keys() - log.attributes.keys():
            if not name.startswith(f"{OWN}.") and allowed.get(name, {}).get("level") != "opt-in":
                yield "violation", f"{where}: {name} is missing, and the span has it"
        if facts.content_on_events and "gen_ai.input.messages" not in log.attributes:
            yield "violation", f"{where}: gen_ai.input.messages is missing, and content is captured on events"


def _chat_of(log: Log, exports: Exports) -> Span | None:
    found = exports.by_ids.get((log.trace_id, log.span_id))
    return found if found is not None and found.operation == "chat" else None


def _as_many_logs(exports: Exports, facts: Facts) -> Found:
    for name in NORM["events"]:
        of = Counter((log.trace_id, log.span_id) for log in exports.logs if log.name == name)
        for chat in exports.of("chat"):
            failed = chat.status == "ERROR"
            if name.endswith(".details"):
                most = least = int(facts.events)
            else:
                most = int(failed)
                least = int(
                    failed and not str(chat.attributes.get("error.type", "")).endswith(("Cancelled", "CancelledError"))
                )
            if (came := of[chat.trace_id, chat.span_id]) > most:
                yield "violation", f"event {name!r} was sent {came} times for one chat span, and should be {most} times"
            if came < least:
                kind: Any = "violation" if name.endswith(".details") else "warning"
                yield kind, f"event {name!r} is missing for a chat span ({NORM['events'][name]['when']})"


def _content(exports: Exports) -> Found:
    for span in exports.spans:
        for name in span.attributes.keys() & NORM["content"].keys():
            where, value = f"span {span.name!r}: {name}", span.attributes[name]
            if not isinstance(value, str):
                yield "violation", f"{where} is no text, and back-ends read JSON text on spans"
                continue
            try:
                value = json.loads(value)
            except ValueError:
                if not name.startswith("gen_ai.tool.call."):
                    yield "violation", f"{where} is no JSON"
                    continue
            yield from _fits_schema(name, value, where, failed=span.status == "ERROR")
    for log in exports.logs:
        for name in log.attributes.keys() & NORM["content"].keys():
            yield from _fits_schema(name, _lists(log.attributes[name]), f"event {log.name!r}: {name}", failed=False)


def _fits_schema(name: str, value: Any, where: str, *, failed: bool) -> Found:
    for error in _schema(name).iter_errors(value):
        yield "violation", f"{where}{error.json_path[1:]}: {error.message:.200}"
    if name == "gen_ai.tool.call.arguments" and not isinstance(value, dict) and not failed:
        yield "violation", f"{where} is no object"
    for part in _parts(value):
        arguments = part.get("arguments")
        if part.get("type") == "tool_call" and isinstance(arguments, str) and _is_object(arguments):
            yield "violation", f"{where}: the arguments of a tool call are JSON text, and should be an object"


@cache
def _schema(name: str) -> Draft202012Validator:
    return Draft202012Validator({**NORM["content"][name], "$defs": {"parts": NORM["content"]["parts"]}})


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for message in value:
            if isinstance(message, dict) and isinstance(message.get("parts"), list):
                yield from (part for part in message["parts"] if isinstance(part, dict))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _lists(value: Any) -> Any:
    match value:
        case Mapping():
            return {name: _lists(each) for name, each in value.items()}
        case tuple() | list():
            return [_lists(each) for each in value]
    return value


def _hidden(exports: Exports, facts: Facts) -> Found:
    places = [
        *((f"span {span.name!r}", facts.content_on_spans, list(_texts(span))) for span in exports.spans),
        *((f"metric {point.name!r}", False, list(_texts(point))) for point in exports.points),
        *((f"event {log.name!r}", facts.content_on_events, list(_texts(log))) for log in exports.logs),
    ]
    for where, captured, texts in places:
        shown = "\n".join(texts)
        if any(form in shown for secret in facts.secrets for form in forms(secret)):
            yield "violation", f"{where} shows a secret"
        for said in () if captured else (*facts.said, *facts.hidden):
            if said in shown:
                yield "violation", f"{where} shows {said!r:.40}, and content is not captured there"
    for name, captured, all_of in (
        ("spans", facts.content_on_spans, exports.spans),
        ("events", facts.content_on_events, exports.logs),
    ):
        shown = "\n".join(text for each in all_of for text in _texts(each))
        for said in facts.said if captured else ():
            if said not in shown:
                yield "violation", f"no {name} show {said!r:.40}, and content is captured there"


def _texts(value: Any) -> Iterator[str]:
    """Every text in it, names too."""
    match value:
        case str():
            yield value
        case bytes():
            yield value.decode("latin-1")
        case Mapping():
            for name, each in value.items():
                yield from _texts(name)
                yield from _texts(each)
        case tuple() | list():
            for each in value:
                yield from _texts(each)
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from _texts(getattr(value, each.name))


def forms(secret: str) -> Sequence[str]:
    """How a secret may be spelled."""
    encoded = b64encode(secret.encode()).decode().rstrip("=")
    once = json.dumps(secret)[1:-1]
    return (secret, encoded, quote(secret, safe=""), once, json.dumps(once)[1:-1], repr(secret)[1:-1])

"""OTLP-JSON, as the specification has it -> spans: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentkit.telemetry.semconv import ERROR_TYPE

from .span import SpanEvent, SpanLink, SpanNode

_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
_ERROR = (2, "STATUS_CODE_ERROR")
_DOUBLES = ("NaN", "Infinity", "-Infinity")
_HEX = re.compile("[0-9a-fA-F]+")
_MOST = 2**64


def spans_of(request: Mapping[str, Any]) -> Iterator[SpanNode]:
    """The spans of an ExportTraceServiceRequest, without their children.

    Raises:
        ValueError: it is none; the spans that came before are whole.
    """
    for of_resource in _list(request, "resourceSpans"):
        resource = _attributes(_dict(of_resource, "resource"))
        for of_scope in _list(of_resource, "scopeSpans"):
            scope = _dict(of_scope, "scope")
            made_by = f"{_text(scope, 'name')} {_text(scope, 'version')}".strip()
            for span in _list(of_scope, "spans"):
                yield _span(span, made_by, resource)


def _span(span: Mapping[str, Any], scope: str, resource: Mapping[str, Any]) -> SpanNode:
    start = _nanoseconds(span, "startTimeUnixNano")
    end = max(start, _nanoseconds(span, "endTimeUnixNano"))  # a clock may have been set back
    attributes, status = _attributes(span), _dict(span, "status")
    failed = "error" if status.get("code") in _ERROR else None
    return SpanNode(
        name=_text(span, "name"),
        start=start / 1e9,
        seconds=(end - start) / 1e9,
        error=str(attributes[ERROR_TYPE]) if ERROR_TYPE in attributes else failed,
        attributes=attributes,
        message=_text(status, "message"),
        events=tuple(_event(event, start) for event in _list(span, "events")),
        links=tuple(_link(link) for link in _list(span, "links")),
        trace_id=_id(span, "traceId", 32),
        span_id=_id(span, "spanId", 16),
        parent_id=_id(span, "parentSpanId", 16) if span.get("parentSpanId") else "",
        kind=_kind(span.get("kind", 0)),
        scope=scope,
        resource=resource,
    )


def _event(event: Mapping[str, Any], start: int) -> SpanEvent:
    at = _nanoseconds(event, "timeUnixNano") or start
    return SpanEvent(name=_text(event, "name"), at=(at - start) / 1e9, attributes=_attributes(event))


def _link(link: Mapping[str, Any]) -> SpanLink:
    return SpanLink(trace_id=_id(link, "traceId", 32), span_id=_id(link, "spanId", 16), attributes=_attributes(link))


def _kind(number: Any) -> str:
    if isinstance(number, str):  # what others write who keep to protobuf's rules and not to OTLP's
        return number.removeprefix("SPAN_KIND_").lower()
    return _KINDS[number] if isinstance(number, int) and 0 <= number < len(_KINDS) else "internal"


def _attributes(of: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(pair, "key"): _value(_dict(pair, "value")) for pair in _list(of, "attributes")}


def _value(value: Mapping[str, Any]) -> Any:
    """An AnyValue; bytes stay the base64 they are written as."""
    for kind, given in value.items():
        match kind:
            case "intValue":
                return _whole(given)
            case "doubleValue":
                return _double(given) if given in _DOUBLES or isinstance(given, int | float) else _wrong(kind, given)
            case "arrayValue":
                return tuple(_value(each) for each in _list(value[kind], "values"))
            case "kvlistValue":
                return _attributes({"attributes": _list(value[kind], "values")})
            case "stringValue" | "bytesValue":
                return _text(value, kind)
            case "boolValue":
                return given if isinstance(given, bool) else _wrong(kind, given)
    return None


def _double(given: Any) -> float:
    try:
        return float(given)
    except OverflowError:
        raise ValueError(f"a double cannot be {given!s:.20}...") from None


def _id(of: Mapping[str, Any], name: str, digits: int) -> str:
    given = of.get(name)
    if not (isinstance(given, str) and len(given) == digits and _HEX.fullmatch(given)):
        raise ValueError(f"{name} is {given!r:.60}, not {digits} hex digits")
    return given.lower()


def _nanoseconds(of: Mapping[str, Any], name: str) -> int:
    given = _whole(of.get(name, 0))
    if given < 0:
        raise ValueError(f"{name} is {given!s:.60}, which is no moment")
    return given


def _whole(given: Any) -> int:
    """A 64-bit number, which is written as text or, if it is small, as a number."""
    try:
        if isinstance(given, str | int) and not isinstance(given, bool) and -_MOST <= (number := int(given)) < _MOST:
            return number
    except ValueError:
        pass
    raise ValueError(f"a whole number cannot be {given!r:.60}")


def _text(of: Mapping[str, Any], name: str) -> str:
    given = of.get(name)
    return given if isinstance(given, str) else "" if given is None else _wrong(name, given)


def _dict(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = of.get(name)
    return given if isinstance(given, dict) else {} if given is None else _wrong(name, given)


def _list(of: Any, name: str) -> Sequence[Mapping[str, Any]]:
    """What stands in a list; in OTLP, that is objects only."""
    given = of.get(name) if isinstance(of, dict) else _wrong("an object", of)
    if isinstance(given, list):
        return given if all(isinstance(each, dict) for each in given) else _wrong(name, given)
    return () if given is None else _wrong(name, given)


def _wrong(name: str, given: Any) -> Any:
    raise ValueError(f"{name} cannot be {given!r:.60}")

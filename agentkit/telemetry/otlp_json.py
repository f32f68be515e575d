"""Ended spans -> OTLP-JSON, as the specification has it: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.

The official `opentelemetry-exporter-otlp-json-file` writes the same, but is a beta that holds the SDK to one version.
"""

import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, format_span_id, format_trace_id

Json: TypeAlias = dict[str, Any]

_IS_REMOTE_IS_KNOWN, _IS_REMOTE = 0x100, 0x200


def request_of(spans: Iterable[ReadableSpan]) -> Json:
    """The ExportTraceServiceRequest with these spans, as JSON values."""
    grouped: dict[Any, dict[Any, list[Json]]] = {}
    for span in spans:
        grouped.setdefault(span.resource, {}).setdefault(span.instrumentation_scope, []).append(_span(span))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource.attributes)},
                "scopeSpans": [
                    {"scope": _scope(scope), "spans": made, **_schema(scope)} for scope, made in by_scope.items()
                ],
                **_schema(resource),
            }
            for resource, by_scope in grouped.items()
        ]
    }


def _scope(scope: Any) -> Json:
    if scope is None:
        return {}
    return _said(name=scope.name, version=scope.version, attributes=_attributes(scope.attributes))


def _schema(of: Any) -> Json:
    return _said(schemaUrl=getattr(of, "schema_url", None))


def _span(span: ReadableSpan) -> Json:
    context, parent, status = span.get_span_context(), span.parent, span.status
    return _said(
        **_ids(context),
        traceState=context.trace_state.to_header() if context else "",
        parentSpanId=format_span_id(parent.span_id) if parent else "",
        flags=_flags(parent),
        name=span.name,
        kind=span.kind.value + 1,
        startTimeUnixNano=str(span.start_time or 0),
        endTimeUnixNano=str(span.end_time or 0),
        attributes=_attributes(span.attributes),
        events=[_event(event) for event in span.events],
        links=[_link(link) for link in span.links],
        droppedAttributesCount=span.dropped_attributes,
        droppedEventsCount=span.dropped_events,
        droppedLinksCount=span.dropped_links,
    ) | {"status": _said(code=status.status_code.value, message=status.description)}


def _event(event: Event) -> Json:
    return _said(
        timeUnixNano=str(event.timestamp),
        name=event.name,
        attributes=_attributes(event.attributes),
        droppedAttributesCount=event.dropped_attributes,
    )


def _link(link: Link) -> Json:
    return _said(
        **_ids(link.context),
        flags=_flags(link.context),
        attributes=_attributes(link.attributes),
        droppedAttributesCount=link.dropped_attributes,
    )


def _ids(context: SpanContext | None) -> Json:
    if context is None:
        return {}
    return {"traceId": format_trace_id(context.trace_id), "spanId": format_span_id(context.span_id)}


def _flags(context: SpanContext | None) -> int:
    return _IS_REMOTE_IS_KNOWN | (_IS_REMOTE if context and context.is_remote else 0)


def _attributes(attributes: Mapping[str, Any] | None) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in (attributes or {}).items()]


def _value(value: Any) -> Json:
    """An AnyValue."""
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else _not_finite(value)}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case Mapping():
            return {"kvlistValue": {"values": _attributes(value)}}
        case Sequence():
            return {"arrayValue": {"values": [_value(each) for each in value]}}
        case _:
            return {}


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _said(**given: Any) -> Json:
    """What is empty is left out, as protobuf does."""
    return {name: value for name, value in given.items() if value}

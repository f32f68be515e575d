"""What a run exports, in one form, whichever way it came: out of the SDK in memory, or out of a collector as OTLP."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind

from agentkit import Telemetry

Attributes: TypeAlias = Mapping[str, Any]
KINDS = tuple(kind.name for kind in SpanKind)
STATUSES = ("UNSET", "OK", "ERROR")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Who made it."""

    name: str = "agentkit"
    version: str = ""
    schema_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Happened:
    """An event of a span."""

    name: str
    attributes: Attributes


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A span that has ended."""

    name: str
    kind: str = "INTERNAL"
    trace_id: int = 1
    span_id: int = 1
    parent_id: int | None = None
    start: int = 0
    """Nanoseconds since 1970."""
    end: int = 0
    attributes: Attributes
    status: str = "UNSET"
    message: str = ""
    events: tuple[Happened, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    """Trace and span ids."""
    scope: Scope = Scope()
    started_with: Attributes | None = None
    """The attributes that it had when it began; None where that cannot be seen any more."""

    @property
    def operation(self) -> str:
        """What kind of span it says it is."""
        return str(self.attributes.get("gen_ai.operation.name", ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """What a metric says for one set of attributes."""

    name: str
    unit: str
    instrument: str = "histogram"
    attributes: Attributes
    bounds: tuple[float, ...] = ()
    count: int = 1
    sum: float = 0
    scope: Scope = Scope()


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """A log record."""

    name: str
    severity: int = 0
    attributes: Attributes
    body: Any = None
    trace_id: int = 1
    span_id: int = 1
    scope: Scope = Scope()


@dataclass(frozen=True, kw_only=True)
class Exports:
    """All of it."""

    spans: tuple[Span, ...] = ()
    points: tuple[Point, ...] = ()
    logs: tuple[Log, ...] = ()
    unended: tuple[str, ...] = ()
    """The names of spans that have begun and not ended."""

    def of(self, operation: str) -> tuple[Span, ...]:
        """The spans of one kind."""
        return tuple(span for span in self.spans if span.operation == operation)

    def children(self, parent: Span) -> tuple[Span, ...]:
        """The spans right inside another."""
        return tuple(self._inside[parent.trace_id, parent.span_id])

    def parent(self, child: Span) -> Span | None:
        """The span around another, if it was exported."""
        return None if child.parent_id is None else self.by_ids.get((child.trace_id, child.parent_id))

    @cached_property
    def by_ids(self) -> Mapping[tuple[int, int], Span]:
        """The spans by the ids of their traces and their own."""
        return {(span.trace_id, span.span_id): span for span in self.spans}

    @cached_property
    def _inside(self) -> Mapping[tuple[int, int], list[Span]]:
        found: defaultdict[tuple[int, int], list[Span]] = defaultdict(list)
        for span in self.spans:
            found[span.trace_id, span.parent_id or 0].append(span)
        return found


class Memory:
    """Providers of the test's own, and what they got."""

    def __init__(
        self,
        *processors: SpanProcessor,
        readers: Sequence[Any] = (),
        log_processors: Sequence[Any] = (),
        sampler: Any = ALWAYS_ON,
        content: Any = None,
    ) -> None:
        self._ended, self._logs, self._metrics = (
            InMemorySpanExporter(),
            InMemoryLogRecordExporter(),
            InMemoryMetricReader(),
        )
        self._begun = _Begun()
        resource = Resource.create({"service.name": "conformance"})
        self.tracers = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        for processor in (self._begun, SimpleSpanProcessor(self._ended), *processors):
            self.tracers.add_span_processor(processor)
        self.meters = MeterProvider([self._metrics, *readers], resource=resource, shutdown_on_exit=False)
        self.loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        for each in (SimpleLogRecordProcessor(self._logs), *log_processors):
            self.loggers.add_log_record_processor(each)
        self.telemetry = Telemetry(
            tracer_provider=self.tracers, meter_provider=self.meters, logger_provider=self.loggers, content=content
        )

    def exports(self) -> Exports:
        """What has been exported until now."""
        data = self._metrics.get_metrics_data()
        return Exports(
            spans=tuple(_span(span, self._begun) for span in self._ended.get_finished_spans()),
            points=tuple(_points(data)) if data else (),
            logs=tuple(_log(each) for each in self._logs.get_finished_logs()),
            unended=self.unended,
        )

    @property
    def unended(self) -> tuple[str, ...]:
        """The names of spans that have begun and not ended."""
        return tuple(self._begun.names[each] for each in self._begun.open)

    def shutdown(self) -> None:
        """Send what has not been sent."""
        for provider in (self.tracers, self.meters, self.loggers):
            provider.shutdown()


class _Begun(SpanProcessor):
    """Notes what spans had when they began."""

    def __init__(self) -> None:
        self.attributes: dict[int, Attributes] = {}
        self.names: dict[int, str] = {}
        self.open: list[int] = []

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        key = span.get_span_context().span_id
        self.attributes[key] = _plain(dict(span.attributes or {}))
        self.names[key] = span.name
        self.open.append(key)

    def on_end(self, span: ReadableSpan) -> None:
        assert span.context is not None
        self.open.remove(span.context.span_id)


def _plain(value: Any) -> Any:
    """Values as they compare, whichever way they came."""
    match value:
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
        case str() | bytes():
            return value
        case Sequence():
            return tuple(_plain(each) for each in value)
    return value


def on(span: Any) -> Attributes:
    """What is on a span that has perhaps not ended: of the SDK's, since the API's has no attributes to be read."""
    return span.attributes or {}


def _scope(scope: Any) -> Scope:
    return Scope(name=scope.name, version=scope.version or "", schema_url=scope.schema_url or "")


def _span(span: ReadableSpan, begun: _Begun) -> Span:
    assert span.context is not None
    return Span(
        name=span.name,
        kind=span.kind.name,
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent_id=span.parent.span_id if span.parent else None,
        start=span.start_time or 0,
        end=span.end_time or 0,
        attributes=_plain(dict(span.attributes or {})),
        status=span.status.status_code.name,
        message=span.status.description or "",
        events=tuple(Happened(name=e.name, attributes=_plain(dict(e.attributes or {}))) for e in span.events),
        links=tuple((link.context.trace_id, link.context.span_id) for link in span.links),
        scope=_scope(span.instrumentation_scope),
        started_with=begun.attributes[span.context.span_id],
    )


def _points(data: Any) -> Iterable[Point]:
    for resource in data.resource_metrics:
        for made in resource.scope_metrics:
            for metric in made.metrics:
                for point in metric.data.data_points:
                    histogram = isinstance(metric.data, Histogram)
                    yield Point(
                        name=metric.name,
                        unit=metric.unit,
                        instrument="histogram" if histogram else type(metric.data).__name__.lower(),
                        attributes=_plain(dict(point.attributes)),
                        bounds=tuple(point.explicit_bounds) if histogram else (),
                        count=point.count if histogram else 1,
                        sum=point.sum if histogram else point.value,
                        scope=_scope(made.scope),
                    )


def _log(each: Any) -> Log:
    record = each.log_record
    return Log(
        name=record.event_name or "",
        severity=record.severity_number.value if record.severity_number else 0,
        attributes=_plain(dict(record.attributes or {})),
        body=_plain(record.body),
        trace_id=record.trace_id or 0,
        span_id=record.span_id or 0,
        scope=_scope(each.instrumentation_scope),
    )


def of_otlp(traces: Iterable[Any], metrics: Iterable[Any] = (), logs: Iterable[Any] = ()) -> Exports:
    """What Export...ServiceRequests hold, decoded from protobuf."""
    return Exports(
        spans=tuple(
            _otlp_span(span, _otlp_scope(made))
            for request in traces
            for resource in request.resource_spans
            for made in resource.scope_spans
            for span in made.spans
        ),
        points=tuple(
            point
            for request in metrics
            for resource in request.resource_metrics
            for made in resource.scope_metrics
            for metric in made.metrics
            for point in _otlp_points(metric, _otlp_scope(made))
        ),
        logs=tuple(
            _otlp_log(record, _otlp_scope(made))
            for request in logs
            for resource in request.resource_logs
            for made in resource.scope_logs
            for record in made.log_records
        ),
    )


def _otlp_scope(made: Any) -> Scope:
    return Scope(name=made.scope.name, version=made.scope.version, schema_url=made.schema_url)


def _otlp_span(span: Any, scope: Scope) -> Span:
    return Span(
        name=span.name,
        kind=KINDS[span.kind - 1],
        trace_id=int.from_bytes(span.trace_id),
        span_id=int.from_bytes(span.span_id),
        parent_id=int.from_bytes(span.parent_span_id) if span.parent_span_id else None,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_otlp_attributes(span.attributes),
        status=STATUSES[span.status.code],
        message=span.status.message,
        events=tuple(Happened(name=e.name, attributes=_otlp_attributes(e.attributes)) for e in span.events),
        links=tuple((int.from_bytes(link.trace_id), int.from_bytes(link.span_id)) for link in span.links),
        scope=scope,
    )


def _otlp_points(metric: Any, scope: Scope) -> Iterable[Point]:
    instrument = metric.WhichOneof("data")
    for point in getattr(metric, instrument).data_points:
        histogram = instrument == "histogram"
        yield Point(
            name=metric.name,
            unit=metric.unit,
            instrument=instrument,
            attributes=_otlp_attributes(point.attributes),
            bounds=tuple(point.explicit_bounds) if histogram else (),
            count=point.count if histogram else 1,
            sum=point.sum if histogram else getattr(point, point.WhichOneof("value")),
            scope=scope,
        )


def _otlp_log(record: Any, scope: Scope) -> Log:
    return Log(
        name=record.event_name,
        severity=record.severity_number,
        attributes=_otlp_attributes(record.attributes),
        body=_otlp_value(record.body),
        trace_id=int.from_bytes(record.trace_id),
        span_id=int.from_bytes(record.span_id),
        scope=scope,
    )


def _otlp_attributes(attributes: Any) -> Attributes:
    return {each.key: _otlp_value(each.value) for each in attributes}


def _otlp_value(value: Any) -> Any:
    match kind := value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return tuple(_otlp_value(each) for each in value.array_value.values)
        case "kvlist_value":
            return _otlp_attributes(value.kvlist_value.values)
    return getattr(value, kind)

"""One thing that a run does, from its beginning to its end: a span, and what is measured and told of it."""

from collections.abc import Mapping, Sequence
from contextvars import Token
from time import perf_counter
from types import MappingProxyType
from typing import Any, Self, TypeAlias

from opentelemetry import context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation import set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agentkit.errors import (
    ConnectionFailed,
    LimitExceeded,
    ModelError,
    ModelTimeout,
    RunPaused,
    ToolTimeout,
    Truncated,
    said,
)
from agentkit.messages import clean

from . import semconv as s
from .quiet import survived
from .sinks import Sinks

Attributes: TypeAlias = Mapping[str, Any]

_OUR_WORDS = (LimitExceeded, RunPaused, ModelTimeout, ConnectionFailed, Truncated, ToolTimeout)
"""Errors that say only what agentkit itself knows."""
_LONGEST = 4000
"""Characters of an attribute, but for content: a server can make its ids of any length."""
_LARGEST = 2**63 - 1


class Operation:
    """A span around a block; whatever leaves the block as an exception, a cancellation too, is the span's error.

    A class and not a generator: thousands of runs wait inside of it, and each object costs the garbage collector time.
    """

    __slots__ = ("_began", "_learnt", "_sinks", "_token", "attributes", "context", "span")

    def __init__(
        self,
        sinks: Sinks,
        name: str,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> None:
        self.attributes: dict[str, Any] = known(attributes)
        self.span = _begun(sinks, clean(name[:_LONGEST]), kind, self.attributes, links)
        self.context = set_span_in_context(self.span)
        self._sinks = sinks
        self._learnt: dict[str, Any] = {}
        self._token: Token[context.Context] | None = None
        self._began = perf_counter()

    def __enter__(self) -> Self:
        if self.span.get_span_context() != get_current_span().get_span_context():  # else there are no spans
            self._token = context.attach(self.context)
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if error is not None:
                self.fail(error, words(error))
            self.end(perf_counter() - self._began)
            if self._learnt and self.span.is_recording():
                self.span.set_attributes(self._learnt)
        except Exception as broken:
            survived(broken)
        finally:
            if self._token is not None:
                context.detach(self._token)
            _ended(self.span)

    def learn(self, attributes: Attributes) -> None:
        """Note what was not known when it began."""
        found = known(attributes)
        self.attributes |= found
        self._learnt |= found

    def fail(self, error: BaseException, description: str | None) -> None:
        """Note what has gone wrong; the first thing counts."""
        if s.ERROR_TYPE not in self.attributes:
            self.learn({s.ERROR_TYPE: kind_of(error)})
            self.span.set_status(Status(StatusCode.ERROR, description))

    def happened(self, event: str, attributes: Attributes) -> None:
        """Note what happens in the middle."""
        if self.span.is_recording():
            self.span.add_event(event, known(attributes))

    def measure(self, metric: str, amount: float, more: Attributes = MappingProxyType({})) -> None:
        """Add a value to a metric, with what is known, and more."""
        try:
            if (instruments := self._sinks.instruments) is not None:
                instruments.measure(metric, amount, (self.attributes, more), self.context)
        except Exception as broken:
            survived(broken)

    def end(self, seconds: float) -> None:
        """Measure it, once all is known."""
        raise NotImplementedError


def _begun(sinks: Sinks, name: str, kind: SpanKind, attributes: Attributes, links: Sequence[Link]) -> Span:
    """A new span; where a sampler or a processor of the application's raises, the run goes on in the one around it."""
    try:
        return sinks.tracer.start_span(name, kind=kind, attributes=attributes, links=links)
    except Exception as broken:
        survived(broken)
        return NonRecordingSpan(get_current_span().get_span_context())


def _ended(span: Span) -> None:
    try:
        span.end()
    except Exception as broken:
        survived(broken)


def kind_of(error: BaseException) -> str:
    """What `error.type` says: the name of the class."""
    if isinstance(error, BaseExceptionGroup) and not isinstance(error, Exception):  # of a trio nursery
        kinds = {kind_of(each) for each in error.exceptions}
        if len(kinds) == 1:
            return kinds.pop()
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def words(error: BaseException) -> str | None:
    """What may be read of an error: never the words of the user, a model, a server, a tool or a guardrail."""
    if isinstance(error, ModelError) and error.status is not None:
        return f"HTTP {error.status}"
    return said(error)[:200] if isinstance(error, _OUR_WORDS) else None


def known(attributes: Attributes) -> dict[str, Any]:
    """What is unknown is left out, as the conventions ask, and what no exporter takes is made so that they do."""
    taken: dict[str, Any] = {}
    for name, value in attributes.items():
        if value is None or value == "":
            continue
        if type(value) is str:
            if len(value) > _LONGEST or not value.isprintable():
                value = clean(value[:_LONGEST])
        elif type(value) is int:
            if not -_LARGEST <= value <= _LARGEST:
                value = max(-_LARGEST, min(value, _LARGEST))
        elif type(value) is list:
            value = [clean(str(each)[:_LONGEST]) for each in value]
        taken[name] = value
    return taken


def traceparent(around: context.Context) -> str | None:
    """The span of a context, as another process may be told of it."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, around)
    return carrier.get("traceparent")


def link_to(traceparent: str | None) -> list[Link]:
    """A link to a span of another process, if there is one."""
    if traceparent is None:
        return []
    found = TraceContextTextMapPropagator().extract({"traceparent": traceparent}, context.Context())
    span = get_current_span(found).get_span_context()
    return [Link(span)] if span.is_valid else []

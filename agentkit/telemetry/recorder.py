"""Runs' spans, kept in memory to be shown: what the command line's `--trace` prints."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from . import Telemetry
from .semconv import ERROR_TYPE


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanNode:
    """A span that has ended, and the spans inside it."""

    name: str
    start: float
    """Seconds since 1970-01-01 UTC."""
    seconds: float
    """How long it took."""
    error: str | None
    """`error.type`: what it failed with, if it did."""
    attributes: Mapping[str, Any]
    """By their names in the conventions: text, numbers, booleans, and tuples of these."""
    children: tuple["SpanNode", ...]
    """In the order in which they began."""


class SpanRecorder:
    """Keeps the spans of the agents it is given to, and gives them back as plain data.

        recorder = SpanRecorder()
        await replace(agent, telemetry=recorder.telemetry).run("...")
        recorder.tree()

    It is apart from the application's own OpenTelemetry set-up, which it neither reads nor changes: spans that are
    recorded here do not go there. It keeps all that it is given as long as it lives. Where the environment switches
    OpenTelemetry off (`OTEL_SDK_DISABLED=true`), there are no spans here either.
    """

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []
        provider = TracerProvider(
            sampler=ALWAYS_ON,  # by default, these two are what the application's environment says
            resource=Resource.get_empty(),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(_Keep(self._spans))
        self.telemetry = Telemetry(tracer_provider=provider)
        """What an agent needs for its spans to be recorded: `replace(agent, telemetry=recorder.telemetry)`."""

    def tree(self) -> tuple[SpanNode, ...]:
        """The spans that have ended so far, each inside the one it was started in; runs in the order they began.

        A span is at the top where the one around it has not ended, or is not recorded here.
        """
        spans = sorted(self._spans, key=lambda span: span.start_time or 0)
        known = {span.context.span_id for span in spans if span.context}
        inside: dict[int | None, list[ReadableSpan]] = {}
        for span in spans:
            parent = span.parent.span_id if span.parent else None
            inside.setdefault(parent if parent in known else None, []).append(span)
        return _nodes(inside.get(None, ()), inside)


class _Keep(SpanProcessor):
    def __init__(self, spans: list[ReadableSpan]) -> None:
        self._spans = spans

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)


def _nodes(spans: Iterable[ReadableSpan], inside: Mapping[int | None, list[ReadableSpan]]) -> tuple[SpanNode, ...]:
    return tuple(_node(span, inside) for span in spans)


def _node(span: ReadableSpan, inside: Mapping[int | None, list[ReadableSpan]]) -> SpanNode:
    attributes = dict(span.attributes or {})
    error = attributes.get(ERROR_TYPE)
    start, end = span.start_time or 0, span.end_time or 0
    return SpanNode(
        name=span.name,
        start=start / 1e9,
        seconds=(end - start) / 1e9,
        error=None if error is None else str(error),
        attributes=attributes,
        children=_nodes(inside.get(span.context.span_id, ()) if span.context else (), inside),
    )

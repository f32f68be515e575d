"""Spans that have begun and not ended: what tests want to know of a run that was cut short."""

import sys
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from . import Telemetry

_lock = Lock()
_watched: "WeakKeyDictionary[Any, dict[object, str]]" = WeakKeyDictionary()
"""The spans of each provider that are open, by their ids."""


def open_spans(telemetry: Telemetry | None = None) -> dict[object, str]:
    """The names of spans that are open now, by their ids; those that began before this was first asked are not known.

    Args:
        telemetry: Where they go; the application's own OpenTelemetry set-up, if not given.
    """
    if "opentelemetry.sdk.trace" not in sys.modules:
        return {}  # nothing is recorded
    from opentelemetry import trace

    given = telemetry.tracer_provider if telemetry is not None else None
    provider = given or trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        return {}  # nothing is recorded
    with _lock:
        if provider not in _watched:
            _watched[provider] = _watch(provider)
        return dict(_watched[provider])


def _watch(provider: Any) -> dict[object, str]:
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

    spans: dict[object, str] = {}

    class Watch(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            if (context := span.get_span_context()) is not None:
                spans[context.span_id] = span.name

        def on_end(self, span: ReadableSpan) -> None:
            if (context := span.get_span_context()) is not None:
                spans.pop(context.span_id, None)

    provider.add_span_processor(Watch())
    return spans

"""Traces that were written to a file: read back, and shown. OpenTelemetry is not needed for it."""

from .page import trace_page
from .reading import Flaw, TraceFile, read_traces
from .span import SpanEvent, SpanLink, SpanNode
from .tree import Totals, Trace, traces, walk

__all__ = [
    "Flaw",
    "SpanEvent",
    "SpanLink",
    "SpanNode",
    "Totals",
    "Trace",
    "TraceFile",
    "read_traces",
    "trace_page",
    "traces",
    "walk",
]

"""Runs' spans, kept in memory to be shown: what the command line's `--trace` prints."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from agentkit.traces.otlp_json import spans_of
from agentkit.traces.span import SpanNode
from agentkit.traces.tree import traces

from . import Telemetry
from .otlp_json import request_of
from .provider import provider_apart
from .trace_file import TraceFileExporter

__all__ = ["SpanNode", "SpanRecorder"]


class SpanRecorder:
    """Keeps the spans of the agents it is given to, and gives them back as plain data.

        recorder = SpanRecorder()
        await replace(agent, telemetry=recorder.telemetry).run("...")
        recorder.tree()

    It is apart from the application's own OpenTelemetry set-up, which it neither reads nor changes: spans that are
    recorded here do not go there. It keeps all that it is given as long as it lives, and writes it to a file too, if
    there is one. Where the environment switches OpenTelemetry off (`OTEL_SDK_DISABLED=true`), there are no spans here
    either.
    """

    def __init__(self, file: TraceFileExporter | None = None) -> None:
        self._spans: list[ReadableSpan] = []
        provider = provider_apart(_Keep(self._spans), Resource.get_empty() if file is None else Resource.create())
        if file is not None:
            provider.add_span_processor(SimpleSpanProcessor(file))
        self.telemetry = Telemetry(tracer_provider=provider)
        """What an agent needs for its spans to be recorded: `replace(agent, telemetry=recorder.telemetry)`."""

    def tree(self) -> tuple[SpanNode, ...]:
        """The spans that have ended so far, each inside the one it was started in; runs in the order they began.

        A span is at the top where the one around it has not ended, or is not recorded here.
        """
        found = traces(spans_of(request_of(list(self._spans))))
        return tuple(sorted((root for trace in found for root in trace.roots), key=lambda node: node.start))


class _Keep(SpanProcessor):
    def __init__(self, spans: list[ReadableSpan]) -> None:
        self._spans = spans

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)

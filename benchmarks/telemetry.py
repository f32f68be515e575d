"""What telemetry costs: set up as in production but for the collector, and not set up at all."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from . import task
from .scenarios import Scenario


def set_up(*, metrics: bool) -> Callable[[], object]:
    """The SDK, a batch processor, an exporter that drops, and perhaps metrics; content stays off.

    Returns:
        What belongs to the end of a repetition.
    """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Dropping(SpanExporter):
        spans = 0

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            self.spans += len(spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    exporter = Dropping()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    if metrics:
        _measure()

    def flush() -> None:
        provider.force_flush()
        assert exporter.spans, "tracing was on, but no span came out"

    return flush


def _measure() -> None:
    from opentelemetry.metrics import set_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    set_meter_provider(MeterProvider([InMemoryMetricReader()]))


def alone(scenario: Scenario, url: str) -> Callable[[], Callable[[], Awaitable[str]]]:
    """All that an agent of the task tells telemetry, where nobody has set that up, and nothing else."""
    from agentkit import Agent, Telemetry, ToolResult, tool
    from agentkit.events import RunResult
    from agentkit.messages import AssistantMessage, ToolCall, Usage
    from agentkit.models.base import ModelResponse
    from agentkit.testing import ScriptedModel

    telemetry = Telemetry()
    role = Agent(ScriptedModel([]), tools=[tool(task.forecast)])._role
    info, forecast = role.model.info, role.tools.by_name["forecast"]
    usage = Usage(input_tokens=100, output_tokens=10)
    response = ModelResponse(message=AssistantMessage(text=task.ANSWER), usage=usage, model=task.MODEL, id="1")
    end: RunResult[str] = RunResult(
        messages=(), usage=usage, iterations=1, tool_calls=0, finish_reason="stop", run_id="1"
    )
    call, result = (
        ToolCall(id="1", name="forecast", arguments="{}"),
        ToolResult(call_id="1", name="forecast", content=""),
    )

    def ask(spans: Any) -> None:
        with spans.chat(info, role.request, stream=False, compacted=False) as span:
            span.answered(response, lambda: None)

    async def converse() -> str:
        spans = telemetry.run()
        with spans.begin(role, None, follows=None):
            spans.speaks(role)
            for _ in range(scenario.rounds):
                ask(spans)
                for _ in range(scenario.calls):
                    with spans.tool(call, forecast, asked_by_model=True) as span:
                        span.gave(result)
                    task.called += 1
            ask(spans)
            spans.came_to(end)
        return task.ANSWER

    return lambda: converse

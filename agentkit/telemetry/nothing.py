"""The spans of a run that nobody sees: where no OpenTelemetry is set up, telemetry is this."""

from typing import Any, Self

from agentkit.models.base import OnDelta

UPLOADS = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"
"""The variable that asks for content, even where no OpenTelemetry is set up."""


class NoSpans:
    """A run, an agent, a model call and a tool call in one: all that it is told is forgotten."""

    __slots__ = ()

    trace_id: str | None = None
    traceparent: str | None = None

    def begin(self, *given: object, **more: object) -> Self:
        """See `RunSpans`, also for the others."""
        return self

    chat = summary = tool = begin

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def watching(self, on_delta: OnDelta | None) -> OnDelta | None:
        """See `ChatSpan`."""
        return on_delta

    def ignore(self, *given: Any, **more: Any) -> None:
        """Nothing is done."""

    speaks = released = came_to = answered = used = failed = gave = approved = cached = ignore


NOTHING = NoSpans()

"""Where runs are seen from outside: OpenTelemetry, of which this package is the only importer."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentkit.messages import ToolCall
from agentkit.models.base import ModelInfo, ModelRequest

from .propagation import inject

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

    from .setup import configure
    from .spans import AgentSpan, ChatSpan, ToolSpan

__all__ = ["Telemetry", "configure", "inject"]


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """Where an agent's spans go: to the application's own OpenTelemetry set-up, unless a provider is given."""

    tracer_provider: "TracerProvider | None" = field(default=None, repr=False)

    @cached_property
    def _tracer(self) -> "Tracer":
        from importlib.metadata import version  # both on first use: they cost as much as all of `import agentkit`

        from opentelemetry import trace

        from .semconv import SCHEMA_URL

        return trace.get_tracer("agentkit", version("agentkit"), self.tracer_provider, SCHEMA_URL)

    def agent(self, agent: str, model: ModelInfo, request: ModelRequest, conversation: str | None) -> "AgentSpan":
        """A span around a run."""
        from .spans import agent_span

        return agent_span(self._tracer, agent, model, request, conversation)

    def chat(self, model: ModelInfo, request: ModelRequest, conversation: str | None, *, stream: bool) -> "ChatSpan":
        """A span around a model call."""
        from .spans import chat_span

        return chat_span(self._tracer, model, request, conversation, stream)

    def tool(self, agent: str, call: ToolCall, description: str) -> "ToolSpan":
        """A span around a tool call."""
        from .spans import tool_span

        return tool_span(self._tracer, agent, call, description)


def __getattr__(name: str) -> Any:
    """`configure`, on first use: with all that it needs it costs a twentieth of `import agentkit`."""
    if name != "configure":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .setup import configure

    return configure

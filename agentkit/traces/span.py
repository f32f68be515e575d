"""A span as plain data, wherever it comes from: memory or a file. What it means is read from its attributes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agentkit.telemetry import semconv as s

Role: TypeAlias = Literal["agent", "model", "tool", "other"]

_ROLES: Mapping[str, Role] = {
    s.INVOKE_AGENT: "agent",
    s.INVOKE_WORKFLOW: "agent",
    "create_agent": "agent",
    s.CHAT: "model",
    "text_completion": "model",
    "generate_content": "model",
    "embeddings": "model",
    s.EXECUTE_TOOL: "tool",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanEvent:
    """Something that happened at a moment of a span."""

    name: str
    at: float
    """Seconds since the span began."""
    attributes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanLink:
    """Another span that this one has to do with: of a run that was resumed, the one that was paused."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanNode:
    """A span that has ended, and the spans inside it."""

    name: str
    start: float
    """Seconds since 1970-01-01 UTC."""
    seconds: float
    """How long it took."""
    error: str | None
    """`error.type`: what it failed with, if it did; `error` where a failed span does not say."""
    attributes: Mapping[str, Any]
    """By their names in the conventions: text, numbers, booleans, and tuples and mappings of these."""
    children: tuple["SpanNode", ...] = ()
    """In the order in which they began."""
    message: str = ""
    """What is said of the error."""
    events: tuple[SpanEvent, ...] = ()
    links: tuple[SpanLink, ...] = ()
    trace_id: str = ""
    """32 hex digits."""
    span_id: str = ""
    """16 hex digits."""
    parent_id: str = ""
    """The span around it, if there is one, here or elsewhere."""
    kind: str = "internal"
    """`internal`, `server`, `client`, `producer` or `consumer`."""
    scope: str = ""
    """What made it, and its version: `agentkit 0.1.0`."""
    resource: Mapping[str, Any] = field(default_factory=dict)
    """Which program it is from: `service.name` ..."""

    @property
    def role(self) -> Role:
        """What it is in a run."""
        operation = self.attributes.get(s.OPERATION_NAME)
        return _ROLES.get(operation, "other") if isinstance(operation, str) else "other"

    @property
    def input_tokens(self) -> int | None:
        """Tokens of the request, if they are known; of an agent, of all its model calls."""
        return _whole(self.attributes.get(s.USAGE_INPUT_TOKENS))

    @property
    def output_tokens(self) -> int | None:
        """Tokens of the answer, likewise."""
        return _whole(self.attributes.get(s.USAGE_OUTPUT_TOKENS))

    @property
    def cost(self) -> float | None:
        """US dollars, if they are known."""
        value = self.attributes.get(s.COST_USD)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

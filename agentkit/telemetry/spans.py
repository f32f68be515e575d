"""The spans of a run: `invoke_agent`, and inside it one `chat` per model call and one `execute_tool` per tool call.

A span changes nothing: with no OpenTelemetry SDK set up, or with all of these calls deleted, a run is the same.
"""

from contextvars import Token
from typing import Any, Self, TypeAlias

from opentelemetry import context
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)

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
from agentkit.messages import ToolCall, Usage
from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse

from . import semconv as s
from .doubles import alone

Attributes: TypeAlias = dict[str, Any]

_OUR_WORDS = (LimitExceeded, RunPaused, ModelTimeout, ConnectionFailed, Truncated, ToolTimeout)
"""Errors that say only what agentkit itself knows."""


def agent_span(
    tracer: Tracer, agent: str, model: ModelInfo, request: ModelRequest, conversation: str | None
) -> "AgentSpan":
    """A span around a run."""
    attributes = {
        s.OPERATION_NAME: s.INVOKE_AGENT,
        s.AGENT_NAME: agent,
        s.REQUEST_MODEL: model.model,
        **_request_attributes(request, conversation),
    }
    return AgentSpan(_start(tracer, f"{s.INVOKE_AGENT} {agent}".rstrip(), SpanKind.INTERNAL, attributes))


def chat_span(
    tracer: Tracer, model: ModelInfo, request: ModelRequest, conversation: str | None, stream: bool
) -> "ChatSpan":
    """A span around a model call."""
    attributes = {
        s.OPERATION_NAME: s.CHAT,
        s.PROVIDER_NAME: model.provider,
        s.REQUEST_MODEL: model.model,
        s.SERVER_ADDRESS: model.address,
        s.SERVER_PORT: model.port,
        s.REQUEST_STREAM: stream or None,
        **_request_attributes(request, conversation),
    }
    kind = SpanKind.INTERNAL if model.in_process else SpanKind.CLIENT
    return ChatSpan(_start(tracer, f"{s.CHAT} {model.model}", kind, attributes), conversation)


def tool_span(tracer: Tracer, agent: str, call: ToolCall, description: str) -> "ToolSpan":
    """A span around a tool call."""
    attributes = {
        s.OPERATION_NAME: s.EXECUTE_TOOL,
        s.TOOL_NAME: call.name or "unnamed",
        s.TOOL_TYPE: "function",
        s.TOOL_CALL_ID: call.id,
        s.TOOL_DESCRIPTION: description,
        s.AGENT_NAME: agent,
    }
    return ToolSpan(_start(tracer, f"{s.EXECUTE_TOOL} {attributes[s.TOOL_NAME]}", SpanKind.INTERNAL, attributes))


class _Around:
    """A span around a block; whatever leaves the block as an exception, a cancellation too, is the span's error.

    A class and not a generator: thousands of runs wait inside of it, and each object costs the garbage collector time.
    """

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token: Token[context.Context] | None = None

    def __enter__(self) -> Self:
        if self._span.get_span_context() != get_current_span().get_span_context():  # else nothing is set up
            self._token = context.attach(set_span_in_context(self._span))
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and self._span.is_recording():
            _failed(self._span, error, _words(error))
        if self._token is not None:
            context.detach(self._token)
        self._span.end()


class AgentSpan(_Around):
    """The span of a run."""

    __slots__ = ()

    @property
    def trace_id(self) -> str | None:
        """The trace as 32 hex digits, if there is one."""
        found = self._span.get_span_context()
        return format_trace_id(found.trace_id) if found.is_valid else None

    def spent(self, usage: Usage, finish_reason: str | None, conversation: str | None) -> None:
        """Note what the run's model calls used together, why the last answer ended, and whose conversation it was."""
        if self._span.is_recording():
            reasons = [finish_reason] if finish_reason else None
            own = {s.RESPONSE_FINISH_REASONS: reasons, s.CONVERSATION_ID: conversation}
            _set(self._span, own | _usage_attributes(usage))


class ChatSpan(_Around):
    """The span of a model call; while it goes on, nobody else makes one of the same call."""

    __slots__ = ("_alone", "_conversation")

    def __init__(self, span: Span, conversation: str | None) -> None:
        super().__init__(span)
        self._conversation = conversation
        self._alone = alone()

    def __enter__(self) -> Self:
        super().__enter__()
        if self._alone is not None:
            self._alone.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._alone is not None:
            self._alone.__exit__(None, None, None)
        super().__exit__(kind, error, traceback)

    def answered(self, response: ModelResponse) -> None:
        """Note what the answer says of itself."""
        if self._span.is_recording():
            attributes = {
                s.CONVERSATION_ID: self._conversation or response.conversation,
                s.RESPONSE_ID: response.id,
                s.RESPONSE_MODEL: response.model,
                s.RESPONSE_FINISH_REASONS: [response.finish_reason],
                s.USAGE_CACHE_READ_TOKENS: response.usage.cache_read_tokens or None,
                s.USAGE_CACHE_WRITE_TOKENS: response.usage.cache_write_tokens or None,
                s.USAGE_REASONING_TOKENS: response.usage.reasoning_tokens or None,
            }
            _set(self._span, attributes | _usage_attributes(response.usage))


class ToolSpan(_Around):
    """The span of a tool call."""

    __slots__ = ()

    def failed(self, error: BaseException) -> None:
        """Note an error that is told to the model: the run goes on, but this call has failed.

        Its words are left out, since they may repeat an argument or what the tool has read.
        """
        if self._span.is_recording():
            _failed(self._span, error, None)


def _start(tracer: Tracer, name: str, kind: SpanKind, attributes: Attributes) -> Span:
    return tracer.start_span(name, kind=kind, attributes=_known(attributes))


def _words(error: BaseException) -> str | None:
    """What may be read of an error: never the words of the user, a model, a server, a tool or a guardrail."""
    if isinstance(error, ModelError) and error.status is not None:
        return f"HTTP {error.status}"
    return said(error)[:200] if isinstance(error, _OUR_WORDS) else None


def _failed(span: Span, error: BaseException, description: str | None) -> None:
    """Mark a span as failed."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.set_attribute(s.ERROR_TYPE, name)
    span.set_status(Status(StatusCode.ERROR, description))


def _request_attributes(request: ModelRequest, conversation: str | None) -> Attributes:
    settings = request.settings
    return {
        s.CONVERSATION_ID: conversation,
        s.OUTPUT_TYPE: "json" if request.output else None,
        s.REQUEST_TEMPERATURE: None if settings.temperature is None else float(settings.temperature),
        s.REQUEST_TOP_P: None if settings.top_p is None else float(settings.top_p),
        s.REQUEST_MAX_TOKENS: settings.max_tokens,
        s.REQUEST_STOP_SEQUENCES: list(settings.stop) or None,
        s.REQUEST_SEED: settings.seed,
        s.REQUEST_REASONING_LEVEL: settings.reasoning_effort,
    }


def _usage_attributes(usage: Usage) -> Attributes:
    return {s.USAGE_INPUT_TOKENS: usage.input_tokens, s.USAGE_OUTPUT_TOKENS: usage.output_tokens}


def _set(span: Span, attributes: Attributes) -> None:
    span.set_attributes(_known(attributes))


def _known(attributes: Attributes) -> Attributes:
    """What is unknown is left out, as the conventions ask."""
    return {name: value for name, value in attributes.items() if value is not None and value != ""}

"""The spans of one run, from whoever begins it to whoever ends it."""

from typing import Any, Self

from opentelemetry.trace import format_trace_id

from agentkit.cancellation import is_cancelled
from agentkit.errors import GuardrailTripped, LimitExceeded, RunPaused
from agentkit.events import RunResult
from agentkit.messages import ToolCall, Usage
from agentkit.models.base import ModelInfo, ModelRequest
from agentkit.tool import Tool

from . import semconv as s
from .operation import known, link_to, traceparent
from .sinks import Sinks
from .spans import AgentSpan, ChatSpan, Speaker, ToolSpan, WorkflowSpan


class RunSpans:
    """One `invoke_agent` span, or where agents may hand over, an `invoke_workflow` span with one for each of them."""

    __slots__ = ("_agent", "_name", "_run", "_sinks", "_stopped")

    def __init__(self, sinks: Sinks) -> None:
        self._sinks = sinks
        self._stopped: BaseException | None = None

    def begin(self, who: Speaker, conversation: str | None, *, follows: str | None) -> Self:
        """The run begins with the block that this stands around.

        Args:
            who: Whose run it is. Where others may take over, `speaks` says who has the word.
            conversation: What traces call the conversation.
            follows: The `traceparent` of the paused run that this one goes on from.
        """
        self._name = who.agent
        self._agent: AgentSpan | None = None
        self._run: WorkflowSpan | AgentSpan
        links = link_to(follows)
        if who.handoffs:
            self._run = WorkflowSpan(self._sinks, who.agent, conversation, links)
        else:
            self._run = self._agent = AgentSpan(self._sinks, who, conversation, links)
        return self

    def __enter__(self) -> Self:
        self._run.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        came_to = self._came_to(error or self._stopped)
        if self._agent is not None and self._agent is not self._run:
            self._agent.learn(came_to)
            self._agent.__exit__(kind, error, traceback)
        self._run.learn(came_to)
        self._run.measure(s.RUNS, 1, known({s.AGENT_NAME: self._name, **came_to}))
        self._run.__exit__(kind, error, traceback)

    def _came_to(self, error: BaseException | None) -> dict[str, str]:
        outcome: s.Outcome = "completed"
        match error:
            case LimitExceeded():
                return {s.OUTCOME: "limit", s.LIMIT: error.which}
            case RunPaused():
                outcome = "paused"
            case GuardrailTripped():
                outcome = "guardrail"
            case BaseException():
                outcome = "cancelled" if is_cancelled(error) else "failed"
        return {s.OUTCOME: outcome}

    @property
    def trace_id(self) -> str | None:
        """The trace as 32 hex digits, if there is one."""
        found = self._run.span.get_span_context()
        return format_trace_id(found.trace_id) if found.is_valid else None

    @property
    def traceparent(self) -> str | None:
        """The run's span, as another process may be told of it."""
        return traceparent(self._run.context)

    def speaks(self, who: Speaker) -> None:
        """An agent has the word from here on, where agents may hand over."""
        if self._agent is self._run:
            return
        if self._agent is not None:
            self._agent.learn({s.OUTCOME: "handed_over"})
            self._agent.__exit__(None, None, None)
        self._agent = AgentSpan(self._sinks, who, self._run.attributes.get(s.CONVERSATION_ID)).__enter__()

    def chat(self, info: ModelInfo, request: ModelRequest, *, stream: bool, compacted: bool) -> ChatSpan:
        """A model call.

        Args:
            info: Who is asked.
            request: What.
            stream: Whether somebody watches.
            compacted: Whether the request has less than all of the conversation.
        """
        assert self._agent is not None
        self._agent.asked(request)
        return ChatSpan(self._sinks, self._agent, info, request, stream=stream, compacted=compacted)

    def summary(self, info: ModelInfo, request: ModelRequest) -> ChatSpan:
        """A model call that sums up the conversation."""
        assert self._agent is not None
        return ChatSpan(self._sinks, self._agent, info, request, stream=False, compacted=False)

    def tool(self, call: ToolCall, tool: Tool | None, *, asked_by_model: bool) -> ToolSpan:
        """A tool call: the model's, or one that another tool makes."""
        assert self._agent is not None
        self._agent.tools += asked_by_model
        return ToolSpan(self._sinks, self._agent, call, tool)

    def released(self, usage: Usage) -> None:
        """A server has said what an answer used that nobody goes on from; its span has ended before."""
        used = {s.USAGE_INPUT_TOKENS: usage.input_tokens, s.USAGE_OUTPUT_TOKENS: usage.output_tokens}
        self._speaking.happened(s.RELEASED, used)

    def came_to(self, result: RunResult[Any]) -> None:
        """The run ends with a result: at its end, at a limit, or because calls wait for somebody."""
        self._stopped = result.stopped
        for each in result.paused.waiting if result.paused else ():
            self._speaking.happened(s.WAITS, {s.TOOL_NAME: each.tool, s.WAITS_FOR: each.kind})

    @property
    def _speaking(self) -> WorkflowSpan | AgentSpan:
        return self._agent or self._run

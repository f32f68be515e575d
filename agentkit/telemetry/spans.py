"""What a run does: `invoke_agent`, and inside it one `chat` for each model call and one `execute_tool` per tool call.

They change nothing: with no OpenTelemetry SDK set up, or with all of these calls deleted, a run is the same.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol, Self, TypeAlias

from opentelemetry.trace import Link, SpanKind

from agentkit.errors import ModelError
from agentkit.messages import ToolCall, ToolResult, Usage
from agentkit.models.base import (
    Delta,
    HostedToolFinished,
    ModelBackend,
    ModelInfo,
    ModelRequest,
    ModelResponse,
    OnDelta,
    Retrying,
)
from agentkit.tool import Tool

from . import events
from . import semconv as s
from .doubles import alone
from .operation import Operation, kind_of
from .sinks import Sinks

Price: TypeAlias = Callable[[], float | None]
"""What something costs in US dollars, if that is known; only asked where somebody sees it."""

_SENT: dict[str, tuple[str, type]] = {
    "frequency_penalty": (s.REQUEST_FREQUENCY_PENALTY, float),
    "presence_penalty": (s.REQUEST_PRESENCE_PENALTY, float),
    "n": (s.REQUEST_CHOICE_COUNT, int),
}
"""What fields of `ModelSettings.extra` are called in the conventions, and of which type they are there."""
_SENT_IN_A_CALL: dict[str, tuple[str, type]] = {"top_k": (s.REQUEST_TOP_K, int)}
"""Those that only a model call has."""
_SENT_TO_OPENAI: dict[str, tuple[str, type]] = {"service_tier": (s.OPENAI_REQUEST_SERVICE_TIER, str)}
_NOT_TOLD = {"n": 1, "service_tier": "auto"}
"""What is the same as nothing."""
_NAME_CHARS = 100
"""Of a tool's name: those that models make up may be of any length."""


class Speaker(Protocol):
    """Who has the word in a run."""

    @property
    def agent(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def model(self) -> ModelBackend: ...
    @property
    def request(self) -> ModelRequest: ...
    @property
    def handoffs(self) -> Mapping[str, object]: ...


class WorkflowSpan(Operation):
    """A run in which agents may hand over to one another."""

    __slots__ = ()

    def __init__(self, sinks: Sinks, name: str, conversation: str | None, links: Sequence[Link]) -> None:
        attributes = {s.OPERATION_NAME: s.INVOKE_WORKFLOW, s.WORKFLOW_NAME: name, s.CONVERSATION_ID: conversation}
        super().__init__(sinks, f"{s.INVOKE_WORKFLOW} {name}".rstrip(), attributes, links=links)

    def end(self, seconds: float) -> None:
        """See `Operation`."""
        self.measure(s.WORKFLOW_DURATION, seconds)


class AgentSpan(Operation):
    """The time in which one agent has the word, and what its own model calls come to."""

    __slots__ = ("_asking", "_kept", "_request", "_response", "chats", "conversation", "cost", "tools", "usage")

    def __init__(self, sinks: Sinks, who: Speaker, conversation: str | None, links: Sequence[Link] = ()) -> None:
        attributes = {
            s.OPERATION_NAME: s.INVOKE_AGENT,
            s.AGENT_NAME: who.agent,
            s.AGENT_DESCRIPTION: who.description,
            s.REQUEST_MODEL: who.model.info.model,
            s.CONVERSATION_ID: conversation,
            **_asked(who.request),
        }
        super().__init__(sinks, f"{s.INVOKE_AGENT} {who.agent}".rstrip(), attributes, links=links)
        self.conversation = self._kept = conversation
        self._request = self._asking = who.request
        self._response: ModelResponse | None = None
        self.chats = self.tools = 0
        self.usage = Usage()
        self.cost: float | None = None

    def end(self, seconds: float) -> None:
        """See `Operation`."""
        self.learn({s.CONVERSATION_ID: self.conversation, s.COST_USD: self.cost, **_used(self.usage)})
        self.measure(s.AGENT_DURATION, seconds)
        self.measure(s.AGENT_INFERENCE_CALLS, self.chats)
        self.measure(s.AGENT_TOOL_CALLS, self.tools)
        self._sinks.content.run(self.span, self._request, self._response, last=self._asking)

    @property
    def said(self) -> tuple[ModelRequest, ModelResponse | None]:
        """The last question, and the last answer."""
        return self._asking, self._response

    def asked(self, request: ModelRequest) -> None:
        """Note a question to the agent's model, and no other's; the first one is what the run was asked."""
        self._asking = request
        if not self._request.messages:
            self._request = request

    def answered(self, request: ModelRequest, response: ModelResponse) -> None:
        """Note an answer; the last one is the run's."""
        self.conversation = self._kept or response.conversation or self.conversation
        if request is self._asking:
            self._response = response


class ChatSpan(Operation):
    """A model call with all its attempts; while it goes on, nobody else makes a span of the same call."""

    __slots__ = ("_agent", "_alone", "_attempts", "_last_chunk", "_request", "_response")

    def __init__(
        self, sinks: Sinks, agent: AgentSpan, info: ModelInfo, request: ModelRequest, *, stream: bool, compacted: bool
    ) -> None:
        attributes = {
            s.OPERATION_NAME: s.CHAT,
            s.PROVIDER_NAME: info.provider,
            s.REQUEST_MODEL: info.model,
            s.SERVER_ADDRESS: info.address,
            s.SERVER_PORT: info.port,
            s.OPENAI_API_TYPE: info.api,
            s.REQUEST_STREAM: stream or None,
            s.CONVERSATION_ID: agent.conversation,
            s.CONVERSATION_COMPACTED: compacted or None,
            **_asked(request),
            **_sent(request, _SENT_IN_A_CALL | (_SENT_TO_OPENAI if info.api else {})),
        }
        kind = SpanKind.INTERNAL if info.in_process else SpanKind.CLIENT
        super().__init__(sinks, f"{s.CHAT} {info.model}", attributes, kind=kind)
        agent.chats += 1
        self._agent = agent
        self._request = request
        self._response: ModelResponse | None = None
        self._attempts = 0
        self._last_chunk: float | None = None
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

    def watching(self, on_delta: OnDelta | None) -> OnDelta | None:
        """Time the pieces of a streamed answer, which are told on."""
        if on_delta is None:
            return None

        async def tell(delta: Delta) -> None:
            if isinstance(delta, Retrying):
                self._tried_again([delta])
            elif not isinstance(delta, HostedToolFinished):
                self._chunk(perf_counter())
            await on_delta(delta)

        return tell

    def _chunk(self, now: float) -> None:
        if self._last_chunk is None:
            self.learn({s.RESPONSE_TIME_TO_FIRST_CHUNK: now - self._began})
        else:
            self.measure(s.TIME_PER_OUTPUT_CHUNK, now - self._last_chunk)
        self._last_chunk = now

    def _tried_again(self, retries: Sequence[Retrying]) -> None:
        """Note the attempts that failed, each once: whoever watches hears of them at once, and others in the end."""
        for retry in retries:
            if retry.attempt > self._attempts:
                self._attempts = retry.attempt
                self.happened(
                    s.RETRY,
                    {s.ERROR_TYPE: retry.error, s.RETRY_ATTEMPT: retry.attempt, s.RETRY_SECONDS: float(retry.seconds)},
                )

    def answered(self, response: ModelResponse, price: Price) -> None:
        """Note what the answer says of itself, and what it costs."""
        self._response = response
        self._agent.answered(self._request, response)
        self._tried_again(response.retries)
        reasons = {s.RESPONSE_FINISH_REASONS: [response.finish_reason] if response.finish_reason else None}
        self._agent.learn(reasons)
        self.learn(
            {
                s.CONVERSATION_ID: self._agent.conversation,
                s.RESPONSE_ID: response.id,
                s.RESPONSE_MODEL: response.model,
                **reasons,
            }
        )
        if s.OPENAI_API_TYPE in self.attributes:
            tier, fingerprint = response.service_tier, response.system_fingerprint
            self.learn({s.OPENAI_RESPONSE_SERVICE_TIER: tier, s.OPENAI_RESPONSE_SYSTEM_FINGERPRINT: fingerprint})
        self.used(response.usage, price)

    def used(self, usage: Usage, price: Price) -> None:
        """Note what the call used, and what that costs, also if it has failed."""
        self._agent.usage += usage
        cost = price()
        if cost is not None:
            self._agent.cost = (self._agent.cost or 0.0) + cost
        self.learn(
            {
                s.COST_USD: cost,
                s.USAGE_CACHE_READ_TOKENS: usage.cache_read_tokens or None,
                s.USAGE_CACHE_WRITE_TOKENS: usage.cache_write_tokens or None,
                s.USAGE_REASONING_TOKENS: usage.reasoning_tokens or None,
                **_used(usage),
            }
        )

    def fail(self, error: BaseException, description: str | None) -> None:
        """See `Operation`; an event says so too, unless the call was cancelled."""
        super().fail(error, description)
        if isinstance(error, ModelError):
            self._tried_again(error.retries)
        if isinstance(error, Exception) and (logger := self._sinks.logger) is not None:
            events.failed(logger, self.context, kind_of(error), description or _about(error))

    def end(self, seconds: float) -> None:
        """See `Operation`."""
        known = self.attributes
        self.measure(s.OPERATION_DURATION, seconds)
        if (first := known.get(s.RESPONSE_TIME_TO_FIRST_CHUNK)) is not None:
            self.measure(s.TIME_TO_FIRST_CHUNK, first)
        for kind, name in (("input", s.USAGE_INPUT_TOKENS), ("output", s.USAGE_OUTPUT_TOKENS)):
            if name in known:
                self.measure(s.TOKEN_USAGE, known[name], {s.TOKEN_TYPE: kind})
        if (cost := known.get(s.COST_USD)) is not None:
            self.measure(s.SPENT, cost, {s.AGENT_NAME: self._agent.attributes.get(s.AGENT_NAME)})
        content, logger = self._sinks.content, self._sinks.logger
        emits = content.emits and logger is not None
        shown = content.model_call(self.span, self._request, self._response, event=emits)
        if emits and logger is not None:
            events.details(logger, self.context, known | shown)


class ToolSpan(Operation):
    """A tool call."""

    __slots__ = ("_asked", "_call", "_result", "_tool")

    def __init__(self, sinks: Sinks, agent: AgentSpan, call: ToolCall, tool: Tool | None) -> None:
        name = call.name[:_NAME_CHARS] or "unnamed"
        attributes = {
            s.OPERATION_NAME: s.EXECUTE_TOOL,
            s.TOOL_NAME: name,
            s.TOOL_TYPE: "function",
            s.TOOL_CALL_ID: call.id,
            s.TOOL_DESCRIPTION: tool.description if tool else None,
            s.AGENT_NAME: agent.attributes.get(s.AGENT_NAME),
        }
        super().__init__(sinks, f"{s.EXECUTE_TOOL} {name}", attributes)
        self._call = call
        self._tool = tool
        self._asked = agent.said
        self._result: ToolResult | None = None

    def failed(self, error: BaseException) -> None:
        """Note an error that is told to the model: the run goes on, but this call has failed.

        Its words are left out, since they may repeat an argument or what the tool has read.
        """
        self.fail(error, None)

    def gave(self, result: ToolResult) -> None:
        """Note what the model is told."""
        self._result = result

    def cached(self) -> None:
        """Note that the tool itself was not called: its cache had the result."""
        self.learn({s.CACHED: True})

    def approved(self, seconds: float) -> None:
        """Note how long somebody took to say yes or no."""
        self.learn({s.APPROVAL_SECONDS: seconds})

    def end(self, seconds: float) -> None:
        """See `Operation`."""
        made_up = {s.TOOL_NAME: s.UNKNOWN_TOOL} if self._tool is None else {}
        self.measure(s.TOOL_DURATION, seconds, made_up)
        self._sinks.content.tool_call(self.span, self._call, self._tool, self._result, asked=self._asked)


def _about(error: Exception) -> str:
    """What the class of an error says of itself, which is nobody's secret."""
    told: object = type(error).__doc__
    return (told.strip().partition("\n")[0] if isinstance(told, str) else "") or kind_of(error)


def _asked(request: ModelRequest) -> dict[str, Any]:
    """What a request asks for."""
    settings = request.settings
    return {
        s.OUTPUT_TYPE: "json" if request.output else None,
        s.REQUEST_TEMPERATURE: None if settings.temperature is None else float(settings.temperature),
        s.REQUEST_TOP_P: None if settings.top_p is None else float(settings.top_p),
        s.REQUEST_MAX_TOKENS: settings.max_tokens,
        s.REQUEST_STOP_SEQUENCES: list(settings.stop) or None,
        s.REQUEST_SEED: settings.seed,
        s.REQUEST_REASONING_LEVEL: settings.reasoning_effort,
        **_sent(request, _SENT),
    }


def _sent(request: ModelRequest, fields: Mapping[str, tuple[str, type]]) -> dict[str, Any]:
    """Further fields of the request, where they are what they should be."""
    found: dict[str, Any] = {}
    for field in request.settings.extra.keys() & fields.keys():
        (name, kind), value = fields[field], request.settings.extra[field]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is kind and value != _NOT_TOLD.get(field):
            found[name] = value
    return found


def _used(usage: Usage) -> dict[str, Any]:
    return {s.USAGE_INPUT_TOKENS: usage.input_tokens, s.USAGE_OUTPUT_TOKENS: usage.output_tokens}

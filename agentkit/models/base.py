"""The seam to whoever answers: a `ModelRequest` goes in, a `ModelResponse` comes out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage, HostedCall, Message, Usage
from agentkit.registry import ToolRegistry
from agentkit.turns import Places


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """How to sample. What is `None` is not sent, and the provider's default applies."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Tokens of one answer."""
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: str | None = None
    """How long to think: `"low"`, `"medium"`, `"high"`, or what else the provider knows."""
    tool_choice: str | None = None
    """`"auto"`, `"none"`, `"required"`, or the name of the one tool to call."""
    parallel_tool_calls: bool | None = None
    timeout: float | None = None
    """Seconds until the server begins to answer, instead of the backend's default."""
    idle_timeout: float | None = None
    """Seconds that an answer which has begun may come to a stop; if not given, as `timeout`."""
    deadline: float | None = None
    """Seconds for one request with all its attempts, instead of an hour."""
    max_response_bytes: int | None = None
    """How large an answer may be, instead of 16 MB; what follows is not read."""
    strict_finish: bool = False
    """Whether a text that was cut at the token limit is the error `Truncated`, and not an answer."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request body, in the provider's own spelling."""


OutputMode: TypeAlias = Literal["native", "tool", "prompted"]
"""How a model is brought to answer in a form: by the wire's own JSON Schema, by a tool it must call, or by words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFormat:
    """The form the answer must have: JSON that fits a JSON Schema."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRequest:
    """All a backend needs for one answer."""

    messages: Sequence[Message]
    instructions: str = ""
    tools: ToolRegistry = field(default_factory=ToolRegistry)
    output: OutputFormat | None = None
    settings: ModelSettings = ModelSettings()
    longest_answer: int | None = None
    """Tokens that `Limits` leave for this answer, where servers should keep to that."""
    tokens_left: int | None = None
    """What is left of `Limits.tokens`, for servers that can keep to it themselves."""

    def without_hosted_tools(self, wire: str) -> None:
        """Make sure that no tool is to be run by the server.

        Raises:
            ConfigError: one is.
        """
        if self.tools.hosted:
            names = ", ".join(type(tool).__name__ for tool in self.tools.hosted)
            raise ConfigError(f'no server runs {names} on the wire {wire!r}; use "assistants:...", or leave it out')


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelResponse:
    """One answer."""

    message: AssistantMessage
    finish_reason: str = "stop"
    """In the provider's words: `stop`, `tool_calls`, `length` ..."""
    usage: Usage = Usage()
    usage_pending: bool = False
    """Whether what this answer used will be part of a later answer's usage, since the server does not know it yet."""
    model: str = ""
    """The model that answered, as the provider calls it."""
    id: str = ""
    conversation: str | None = None
    """What the server calls the conversation, where it keeps it: a thread's id."""
    retries: "tuple[Retrying, ...]" = ()
    """The attempts that failed before this answer came."""
    results_within: float | None = None
    """Seconds that the results of this answer's tool calls may take; later, the server has given up waiting."""
    service_tier: str | None = None
    """How the server says that it was processed: `default`, `priority` ..."""
    system_fingerprint: str | None = None
    """What the server's set-up is known by: with another one, the same request may be answered otherwise."""
    raw: Mapping[str, Any] | None = None
    """What the answer says that has no name here, in the provider's own spelling; of a stream, what came last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """Who answers, for traces and messages."""

    provider: str
    """`openai`, `azure.ai.openai`, `groq` ... as the OpenTelemetry GenAI conventions spell it."""
    model: str
    address: str | None = None
    port: int | None = None
    in_process: bool = False
    output_modes: tuple[OutputMode, ...] = ("native", "tool", "prompted")
    """How it can be brought to answer in a given form, the best way first."""
    api: str | None = None
    """Which of OpenAI's APIs it is asked through, as the conventions spell it: `chat_completions`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextDelta:
    """A piece of the answer, as it arrives."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasoningDelta:
    """A piece of what the model thinks aloud."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call that the model is writing."""

    index: int
    """Which call of this answer."""
    name: str
    """The tool's name so far."""
    arguments: str
    """The next piece of the arguments' JSON text."""
    id: str = ""
    """The call's id, where it is known already; the answer has the one that counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostedToolFinished:
    """A tool that the server runs has done its work for this answer."""

    call: HostedCall


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrying:
    """A request has failed and will be sent again after a pause; nothing of its answer was seen."""

    error: str
    """The failed attempt's error, by its class: `RateLimited`."""
    attempt: int
    """Which attempt failed, from 1."""
    seconds: float
    """How long the pause is."""


Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | HostedToolFinished | Retrying
OnDelta: TypeAlias = Callable[[Delta], Awaitable[None]]


class ModelBackend(Protocol):
    """Answers one request. It knows nothing of loops, tools being run, retries, sessions or spans."""

    @property
    def info(self) -> ModelInfo:
        """Who will answer; known before the first request."""
        ...

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Answer a request; with `on_delta`, stream: await it with each piece, then return the whole.

        Raises:
            ModelError: there was no answer, or none that can be used.
        """
        ...


@runtime_checkable
class HasPlaces(Protocol):
    """A backend that sends only so many requests at once: where there are none left, runs begin later."""

    @property
    def places(self) -> Places:
        """Those of this event loop."""
        ...


def in_turn(model: ModelBackend) -> AbstractAsyncContextManager[None]:
    """Where a run does its first model call: behind what others, that have begun, ask of the model."""
    return model.places.beginning() if isinstance(model, HasPlaces) else nullcontext()


@runtime_checkable
class HoldsAnswers(Protocol):
    """A backend whose server goes on holding an answer that asks for tools, until it is told the results."""

    async def release(self, answer: AssistantMessage) -> Usage:
        """Tell the server that nobody will go on from an answer; what it used that no response has told yet.

        Raises:
            ModelError: the server could not be told.
        """
        ...

"""What a run emits while it goes on, and what it comes to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, cast

from typing_extensions import TypeVar

from .errors import AgentError, LimitExceeded
from .messages import AssistantMessage, Message, ToolCall, ToolResult, Usage
from .models.base import HostedToolFinished as HostedToolFinished
from .models.base import ModelResponse
from .models.base import ReasoningDelta as ReasoningDelta
from .models.base import Retrying as Retrying
from .models.base import TextDelta as TextDelta
from .models.base import ToolCallDelta as ToolCallDelta
from .paused import PausedRun

Out = TypeVar("Out", default=str)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult(Generic[Out]):
    """What a run came to."""

    value: Out | None = None
    """The output; None where the run was stopped before there was one."""
    messages: tuple[Message, ...]
    """The whole conversation, what came before this run included; give it as `history=` to go on."""
    usage: Usage
    iterations: int
    """Model calls made."""
    tool_calls: int
    """Tool calls run."""
    finish_reason: str
    """Why the last answer ended, in the provider's words; `length` if it was cut at the token limit."""
    run_id: str
    agent: str = ""
    """Who gave the last answer: another agent than the one that was run, after a hand-off."""
    cost: float | None = None
    """US dollars, as far as the prices are known."""
    stopped: AgentError | None = None
    """What stopped the run, where it ended before its time: a limit, or a call that waits for somebody."""
    paused: PausedRun | None = None
    """What `Agent.resume` goes on with, where the run waits for somebody."""
    conversation: str | None = None
    """What the server calls the conversation, where it keeps it: a thread's id."""
    trace_id: str | None = None
    """The run's trace in OpenTelemetry, as 32 hex digits, where it is recorded."""

    @property
    def output(self) -> Out:
        """What the run was for.

        Raises:
            LimitExceeded: a limit stopped the run before there was an output.
            RunPaused: the run waits for somebody.
        """
        if self.stopped is not None and self.value is None:
            raise self.stopped
        return cast("Out", self.value)

    @property
    def stopped_by(self) -> str | None:
        """Which limit stopped the run, `iterations` for example, or `paused`; None if it came to its end."""
        if self.stopped is None:
            return None
        return self.stopped.which if isinstance(self.stopped, LimitExceeded) else "paused"

    @property
    def truncated(self) -> bool:
        """Whether the last answer was cut at the token limit."""
        return self.finish_reason == "length"

    @property
    def answer(self) -> AssistantMessage:
        """The last answer as the model gave it, with its citations, pictures and what hosted tools did for it."""
        return next(message for message in reversed(self.messages) if isinstance(message, AssistantMessage))


@dataclass(frozen=True, kw_only=True, slots=True)
class PartialOutput:
    """What a structured answer holds so far."""

    value: Any
    """JSON values, not yet validated: what is still missing is missing here too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAnswered:
    """The model has answered, with text, tool calls or both."""

    response: ModelResponse
    iteration: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolStarted:
    """A tool call begins."""

    call: ToolCall


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolProgress:
    """A tool call has come so far."""

    call: ToolCall
    value: Any
    """What the tool says of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolFinished:
    """A tool call has come to its result."""

    call: ToolCall
    result: ToolResult
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalNeeded:
    """A tool call waits for somebody's yes."""

    call: ToolCall


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitReached:
    """The run has come to one of its limits."""

    which: str
    limit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished:
    """The run has come to its end; the last event."""

    result: RunResult[Any]


Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | HostedToolFinished
    | Retrying
    | PartialOutput
    | ModelAnswered
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | ApprovalNeeded
    | LimitReached
    | RunFinished
)
Emit: TypeAlias = Callable[[Event], Awaitable[None]]


async def to_no_one(event: Event) -> None:
    """The listener of a run that nobody watches."""

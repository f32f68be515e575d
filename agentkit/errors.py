"""Everything agentkit raises, in one tree.

    AgentError                     whatever ends a run; carries run_id, history and usage
    ├── ConfigError                the programmer: something is set up wrongly, and what to do about it
    │   └── ToolDefinitionError    a function cannot become a tool (also a TypeError)
    ├── ModelError                 the model's side: the request or its answer failed
    │   ├── RateLimited            asked to slow down (.retry_after, seconds)
    │   │   └── QuotaExceeded      the account has run out; waiting does not help
    │   ├── AuthFailed             the key is missing, wrong or not allowed
    │   ├── RequestRejected        the server refuses this request as it is
    │   │   └── ContextTooLong     the conversation does not fit the model
    │   ├── ServerFailed           the server is at fault
    │   ├── ConnectionFailed       no connection, or it broke before an answer
    │   ├── ModelTimeout           no answer in time (also a TimeoutError)
    │   ├── BadResponse            an answer that cannot be understood (.body, cut)
    │   │   └── StreamBroken       the stream ended in the middle (.partial, the text so far)
    │   ├── ContentFiltered        the provider withheld the answer
    │   ├── Refused                the model declined (.text)
    │   └── Truncated              the answer was cut at the token limit (.partial)
    ├── LimitExceeded              the run has spent what Limits allows (.which, .limit)
    │   ├── RunTimeout             ... of time (also a TimeoutError)
    │   └── LoopDetected           ... of calls that bring nothing new
    ├── GuardrailTripped           a guardrail said no (.guardrail, .stage)
    ├── RunPaused                  the run waits for somebody; it has no output yet
    ├── ApprovalRefused            an answer to a paused run that is not, or no longer, one
    ├── ReplayDiverged             a replayed run does something else than the recorded one (.step, .field)
    ├── OutputError                an answer does not fit the output type; told to the model, which is asked again
    ├── ToolError                  a tool call went wrong; told to the model, and the run goes on
    │   ├── ToolFailed             raise this in a tool to tell the model so, in your own words
    │   ├── ToolTimeout            the tool took longer than it may
    │   ├── InvalidArguments       the arguments do not fit the tool's schema
    │   ├── UnknownTool            the model asked for a tool that is not there
    │   └── ToolDenied             the call is not allowed: a limit, or a person said no
    └── SessionError               the conversation could not be loaded or stored
        ├── SessionBusy            another run holds it
        ├── SessionConflict        another run has changed it
        ├── SessionCorrupt         what is stored is damaged or of a newer format
        └── JournalFailed          what a tool is about to do, or has done, could not be written down

Errors leave a run bare, never inside an ExceptionGroup.
"""

from collections.abc import Sequence
from typing import Any

from .messages import Message, Usage, clean


def said(error: BaseException) -> str:
    """An error's own words; none if it has none, or if its `__str__` raises."""
    try:
        return clean(str(error))
    except Exception:
        return ""


class AgentError(Exception):
    """Whatever ends a run. The attributes are filled in when the error leaves a run."""

    retryable: bool = False
    """Whether the same request may succeed if it is sent again."""
    run_id: str | None = None
    history: Sequence[Message] = ()
    """The conversation so far: always one that a provider accepts."""
    usage: Usage | None = None


class ConfigError(AgentError):
    """Something is set up wrongly; the message says what to do."""


class ToolDefinitionError(ConfigError, TypeError):
    """A function cannot become a tool: `tool 'f', parameter 'p': <why>; <what to do>`."""


class ModelError(AgentError):
    """A model request, or the answer to it, failed."""

    retry_after: float | None = None
    """Seconds after which the server wants to be asked again, where it says so."""
    spent: Usage = Usage()
    """What the answer used that cannot be used itself, where the provider says so; the run's usage includes it."""
    retries: Sequence[Any] = ()
    """The attempts that failed before, each as `Retrying`."""

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class RateLimited(ModelError):
    """The provider asks to slow down."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_after = retry_after


class QuotaExceeded(RateLimited):
    """The account has run out; waiting does not help."""

    retryable = False


class AuthFailed(ModelError):
    """The key is missing, wrong, or not allowed to do this."""


class RequestRejected(ModelError):
    """The server refuses this request as it is; sending it again does not help."""


class ContextTooLong(RequestRejected):
    """The conversation does not fit the model's context window."""


class ServerFailed(ModelError):
    """The server is at fault."""

    retryable = True


class ConnectionFailed(ModelError):
    """There was no connection, or it broke before the answer was there."""

    retryable = True


class ModelTimeout(ModelError, TimeoutError):
    """The model did not answer in time."""

    retryable = True


class BadResponse(ModelError):
    """The answer cannot be understood."""

    def __init__(
        self, message: str, *, body: str = "", status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.body = body[:2000]


class StreamBroken(BadResponse):
    """The stream ended in the middle."""

    def __init__(self, message: str, *, partial: str = "") -> None:
        super().__init__(message)
        self.partial = partial


class ContentFiltered(ModelError):
    """The provider withheld the answer."""


class Refused(ModelError):
    """The model declined to answer."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the model refused: {text}")
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.text,), self.__dict__


class Truncated(ModelError):
    """The answer was cut off at the token limit, and what is there cannot be used."""

    def __init__(self, message: str, *, partial: str = "") -> None:
        super().__init__(message)
        self.partial = partial


class LimitExceeded(AgentError):
    """The run has spent what its `Limits` allow."""

    def __init__(self, which: str, limit: float) -> None:
        super().__init__(f"the run reached its limit of {limit:g} {which}; raise it with Limits({which}=...)")
        self.which = which
        self.limit = limit

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.which, self.limit), self.__dict__


class RunTimeout(LimitExceeded, TimeoutError):
    """The run took longer than `Limits.seconds`."""


class LoopDetected(LimitExceeded):
    """The run goes in circles: its calls bring nothing new."""


class GuardrailTripped(AgentError):
    """A guardrail has stopped the run."""

    def __init__(self, guardrail: str, stage: str, reason: str) -> None:
        super().__init__(f"the guardrail {guardrail!r} stopped the run at the {stage}: {reason}")
        self.guardrail = guardrail
        self.stage = stage
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.guardrail, self.stage, self.reason), self.__dict__


class RunPaused(AgentError):
    """The run waits for an approval, or for a tool that is run elsewhere, and so has no output."""


class ApprovalRefused(AgentError):
    """An answer to a paused run that cannot be used: for another run or call, too late, or given before."""


class ReplayDiverged(AgentError):
    """A replayed run does something else than the one that was recorded."""

    def __init__(self, step: str, field: str, recorded: str, now: str) -> None:
        super().__init__(f"the replay diverges at {step}, in its {field}: recorded was {recorded}, now it is {now}")
        self.step = step
        self.field = field
        self.recorded = recorded
        self.now = now

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.step, self.field, self.recorded, self.now), self.__dict__


class OutputError(AgentError):
    """The model's answer does not fit the output type. The text is meant for the model."""


class ToolError(AgentError):
    """A tool call went wrong. The text is meant for the model, and the run goes on."""


class ToolFailed(ToolError):
    """Raise this in a tool to tell the model, in your own words, that it did not work."""


class ToolTimeout(ToolError):
    """The tool took longer than it may."""


class InvalidArguments(ToolError):
    """The arguments the model wrote do not fit the tool's schema."""


class UnknownTool(ToolError):
    """The model asked for a tool that is not there."""


class ToolDenied(ToolError):
    """The call is not allowed."""


class SessionError(AgentError):
    """A conversation could not be loaded or stored."""


class SessionBusy(SessionError):
    """Another run holds this conversation."""


class SessionConflict(SessionError):
    """Another run has changed this conversation since it was loaded."""


class SessionCorrupt(SessionError):
    """What is stored is damaged, or of a newer format; it was left as it is."""


class JournalFailed(SessionError):
    """What a tool is about to do, or has done, could not be written down."""

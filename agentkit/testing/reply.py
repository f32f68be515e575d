"""What a scripted model says, and how badly the server delivers it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import anyio

from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage, ToolCall, Usage

Says: TypeAlias = str | Sequence[ToolCall] | AssistantMessage
"""A text, a list of parallel tool calls, or a whole message.

The calls of a list get the ids a provider would give them: new to the conversation, at most 40 characters.
Those of a message keep their own.
"""

Fault: TypeAlias = Literal["close_before_head", "reset_before_head", "close", "reset", "end"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One answer of a scripted server, where there is more to say than what the model says.

    What is sent is cut into *pieces*: the events of a stream, or with `drip`, so many bytes at a time.
    A body that is not streamed is one piece.

    Raises:
        ConfigError: the fields do not go together.
    """

    message: Says = ""
    finish_reason: str | None = None
    """`None`: `tool_calls` if the message has any, else `stop`."""
    usage: Usage | None = None
    """`None`: counted from the lengths of what was said. `Usage()`: the server does not say."""
    status: int = 200
    """From 300 on, the answer is an error in the provider's form, and `message` is not sent."""
    error: str = ""
    """What an error says."""
    error_code: str | None = None
    """`context_length_exceeded`, `insufficient_quota` ...; `None`: what is usual for the status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """This instead of any answer, sent as JSON unless `headers` has another `content-type`."""
    delay_until: anyio.Event | Literal["never"] | None = None
    """Wait for this event; `"never"` is a server that hangs until the client has had enough."""
    delay_after: int | None = None
    """How many pieces to send before waiting; `None`: wait before the response head."""
    drip: int | None = None
    """Send the body so many bytes at a time."""
    fault: Fault | None = None
    """How the answer breaks off: the connection is closed or reset before the response head (`close_before_head`,
    `reset_before_head`), is closed or reset in the body (`close`, `reset`), or the body ends as if all was sent
    (`end`)."""
    fault_after: int = 0
    """How many pieces of the body are still sent before the fault; at most all of them."""

    def __post_init__(self) -> None:
        as_message(self.message)
        if not 200 <= self.status <= 599:
            raise ConfigError(f"status {self.status} is not a final HTTP status; use one from 200 to 599")
        if self.status < 300 and (self.error or self.error_code):
            raise ConfigError(f"an error needs an error status, and status is {self.status}; set status=400 or above")
        if self.drip is not None and self.drip < 1:
            raise ConfigError(f"drip={self.drip} would send nothing; use 1 or more bytes")
        if self.fault_after < 0 or (self.delay_after or 0) < 0:
            raise ConfigError("fault_after and delay_after count pieces; use 0 or more")
        if self.delay_after is not None and self.delay_until is None:
            raise ConfigError("delay_after says where to wait; say for what with delay_until=")


ScriptedReply: TypeAlias = Says | Reply
Script: TypeAlias = (
    Sequence[ScriptedReply]
    | Callable[[dict[str, Any]], ScriptedReply]
    | Callable[[dict[str, Any]], Awaitable[ScriptedReply]]
)
"""The replies in order, one per request; or a function, sync or async, from a request's body to the reply to it."""


def as_message(says: object) -> AssistantMessage:
    """What the model says, as a message.

    Raises:
        ConfigError: it is none of the things that `Says` lists.
    """
    if isinstance(says, AssistantMessage):
        return says
    if isinstance(says, str):
        return AssistantMessage(text=says)
    if isinstance(says, Sequence) and all(isinstance(call, ToolCall) for call in says):
        return AssistantMessage(tool_calls=tuple(says))
    raise ConfigError(
        f"a model cannot say a {type(says).__name__}; script a str, a list of ToolCall, an AssistantMessage or a Reply"
    )


def as_reply(scripted: ScriptedReply) -> Reply:
    """A reply of a script in its long form.

    Raises:
        ConfigError: it is not a reply.
    """
    return scripted if isinstance(scripted, Reply) else Reply(message=scripted)

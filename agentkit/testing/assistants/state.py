"""What is alive on the Assistants server: a thread with its conversation, and a run on it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio

from agentkit.messages import AssistantMessage, ToolCall, Usage
from agentkit.testing.reply import Reply

from .quirks import Event
from .store import Shelf, Store

LOCKING = frozenset({"queued", "in_progress", "requires_action", "cancelling"})
"""A run in one of these states has its thread for itself."""
EXPIRING = LOCKING - {"cancelling"}


@dataclass(kw_only=True, slots=True, eq=False)
class Said:
    """One thing that was said on a thread, as a Chat Completions request would say it again."""

    encoded: bytes = b""
    message_id: str | None = None
    """The thread's message that says it; calls and their outputs are in none."""
    calls: tuple[ToolCall, ...] = ()
    """What was called with these words, once the outputs were there."""


@dataclass(kw_only=True, slots=True, eq=False)
class Turn:
    """One answer of the model."""

    reply: Reply
    message: AssistantMessage
    usage: Usage

    @property
    def held(self) -> bool:
        """Whether the script still keeps it waiting."""
        until = self.reply.delay_until
        return until is not None and (until == "never" or not until.is_set())


@dataclass(kw_only=True, slots=True, eq=False)
class Run:
    """A run between its requests: what has happened, and what comes next."""

    store: Store
    thread: "Thread"
    object: dict[str, Any]
    steps: Shelf
    log: list[Event] = field(default_factory=list)
    """All events so far, whether or not anybody was sent them."""
    coming: Iterator[Event] = field(default_factory=lambda: iter(()))
    """The events that come next; each takes effect when it is drawn."""
    turn: Turn | None = None
    """What the model says, once it was asked."""
    asking: anyio.CancelScope | None = None
    """The question to the model while it is open."""
    step: dict[str, Any] | None = None
    """The step in progress."""
    message: dict[str, Any] | None = None
    """The message in progress."""
    spoken: Said | None = None
    """What the turn has said in words."""
    due: Usage | None = None
    """What the turn has used, from its end until a step is charged with it."""
    usages: list[Usage] = field(default_factory=list)
    """What the steps were charged with."""
    streamed: bool = False
    """Whether it goes on by itself, and not when it is read."""
    opened: int = 0
    """Where in the log the answer to the latest request begins."""
    followed: int | None = None
    """Where the answer begins that a stream follows."""
    _changed: anyio.Event = field(default_factory=anyio.Event)

    @property
    def id(self) -> str:
        """The run's id."""
        return str(self.object["id"])

    @property
    def status(self) -> str:
        """The state it is in."""
        return str(self.object["status"])

    @property
    def is_followed(self) -> bool:
        """Whether a stream follows the latest answer, and moves the run on."""
        return self.followed == self.opened

    @property
    def held(self) -> bool:
        """Whether its next event waits for the script."""
        if self.turn is None or not self.turn.held:
            return False
        return len(self.log) - self.opened >= (self.turn.reply.delay_after or 0)

    def ring(self) -> None:
        """Wake up all who wait for the run."""
        self._changed.set()
        self._changed = anyio.Event()

    async def wait(self) -> None:
        """Wait until something may have changed."""
        held_by = self.turn.reply.delay_until if self.turn is not None and self.held else None
        async with anyio.create_task_group() as tasks:

            async def first(event: anyio.Event) -> None:
                await event.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(first, self._changed)
            if isinstance(held_by, anyio.Event):
                tasks.start_soon(first, held_by)


@dataclass(kw_only=True, slots=True, eq=False)
class Thread:
    """A thread, its messages, its runs, and what was said on it."""

    object: dict[str, Any]
    messages: Shelf
    runs: Shelf
    live: dict[str, Run] = field(default_factory=dict)
    """The runs by id, oldest first."""
    said: list[Said] = field(default_factory=list)

    @property
    def active(self) -> Run | None:
        """The run that has the thread locked; only the newest can."""
        newest = next(reversed(self.live.values()), None)
        return newest if newest is not None and newest.status in LOCKING else None

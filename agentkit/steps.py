"""How a run does what is not deterministic: model calls, tool calls, a session's store.

The loop and the executor draw a step for each such effect, in program order and before they wait for anything, and
then run it. Here a step is run as it is. A recorder, a replay or a durable engine is another `Steps`, and the loop
knows none of them. So: what a step returns is JSON that round-trips exactly, and between steps the loop reads no
clock, no randomness and no environment.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from .budget import Budget
from .events import Emit
from .messages import Message, UserMessage
from .models.base import ModelInfo
from .registry import ToolRegistry

T = TypeVar("T")


class Steps(Protocol):
    """Draws steps."""

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        """The next step, synchronously.

        Args:
            name: What it does: `load`, `resume`, `model`, `summary`, `gate`, `tool:NAME`, `session` or `release`.
                Engines keep it, so it stays the same.
            kind: The type of what it returns.

        Returns:
            What runs the step's work, a `Work` where something goes in; it may be called later, and at the same time
            as others.
        """
        ...


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """What a step does, and what goes into it: for those who write that down, or compare it."""

    given: object
    """The `ModelRequest`, the `ToolCall`, the messages that are stored ..."""
    do: Callable[[], Awaitable[T]]

    def __call__(self) -> Awaitable[T]:
        """Do it."""
        return self.do()


@dataclass(frozen=True, kw_only=True, slots=True)
class Beginning:
    """A run that is about to begin."""

    agent: str
    info: ModelInfo
    """Who will answer."""
    prompt: UserMessage | None
    history: tuple[Message, ...]
    """What was said before, where there is no session."""
    session: bool
    """Whether the conversation is kept."""
    tools: ToolRegistry
    budget: Budget
    emit: Emit


@runtime_checkable
class FollowsRuns(Protocol):
    """Steps that stand beside a run from its beginning to its end."""

    async def follow(self, run: Beginning, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, which is the run, and give what it came to."""
        ...


@runtime_checkable
class NamesRuns(Protocol):
    """Steps that know what their run is called: one that is taken up again has the name that it had before."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        ...


class Inline:
    """Runs each step as it is."""

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        """The work itself, to be awaited."""
        return _as_it_is


def _as_it_is(work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
    return work()

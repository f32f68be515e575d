"""How a run does what is not deterministic: model calls, tool calls, a session's store.

The loop and the executor draw a step for each such effect, in program order and before they wait for anything, and
then run it. Here a step is run as it is. A recorder, a replay or a durable engine is another `Steps`, and the loop
knows none of them. So: what a step returns is JSON that round-trips exactly, and between steps the loop reads no
clock, no randomness and no environment.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Steps(Protocol):
    """Draws steps."""

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        """The next step, synchronously.

        Args:
            name: What it does: `load`, `model`, `tool:NAME`, `session` or `release`. Engines keep it, so it stays
                the same.
            kind: The type of what it returns.

        Returns:
            What runs the step's work; it may be called later, and at the same time as others.
        """
        ...


class Inline:
    """Runs each step as it is."""

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        """The work itself, to be awaited."""
        return _as_it_is


def _as_it_is(work: Callable[[], Awaitable[T]]) -> Awaitable[T]:
    return work()

"""Who goes first where thousands of runs want to go on at once."""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType

import anyio
import anyio.lowlevel

AT_ONCE = 16
"""Runs that begin, and answers that are read, in one turn of the event loop: together some ten milliseconds."""

SHARE = 16
"""Of so many places one goes to who has not begun, however many wait: nobody is held back for ever."""

_turns: anyio.lowlevel.RunVar[anyio.Semaphore] = anyio.lowlevel.RunVar("agentkit_turns")


async def turn() -> None:
    """Wait until it is one's turn in this event loop; others may do something before that."""
    try:
        turns = _turns.get()
    except LookupError:
        turns = anyio.Semaphore(AT_ONCE, fast_acquire=True)
        _turns.set(turns)
    async with turns:
        await anyio.lowlevel.checkpoint()


class Places:
    """A limit on what is done at once, in which those who have begun go before those who have not.

    `async with places:` takes a place, in the order of coming. Were all let in who come, all would be in the middle
    of what they do for as long as the whole takes; `beginning` holds those back for whom there is no place.

    Args:
        number: How many there are.
    """

    def __init__(self, number: int) -> None:
        self._limit = anyio.Semaphore(number, fast_acquire=True)
        self._held_back = deque[anyio.Event]()
        self._taken = 0

    async def __aenter__(self) -> None:
        await self._limit.acquire()
        self._taken += 1
        if self._taken % SHARE == 0:
            self._let_one_in()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.release()
        self._offer()

    @asynccontextmanager
    async def beginning(self) -> AsyncGenerator[None]:
        """What is done first, once there is a place, which it need not take."""
        try:
            if self._held_back or not self._limit.value:
                await self._hold_back()
            yield
        finally:
            self._offer()

    async def _hold_back(self) -> None:
        event = anyio.Event()
        self._held_back.append(event)
        try:
            await event.wait()
        finally:
            if not event.is_set():
                self._held_back.remove(event)

    def _offer(self) -> None:
        """A place that nobody waits for lets one in, and who leaves it to others lets in the next."""
        if self._limit.value:
            self._let_one_in()

    def _let_one_in(self) -> None:
        if self._held_back:
            self._held_back.popleft().set()

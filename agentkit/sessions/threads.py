"""Work that waits for a database, in threads of its own, so that it never takes those that tools run in."""

import math
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from agentkit.errors import SessionError

T = TypeVar("T")

_DECIDED_WITHIN = 1.5  # seconds; a run that is cancelled gives its store two to come to an end


class GivenUp(Exception):
    """Nobody waits for this work any more; it leaves everything as it was."""


class Ticket(Generic[T]):
    """One piece of work in a thread: whether it may still be called off, and what became of it."""

    def __init__(self, work: "Callable[[Ticket[T]], T]") -> None:
        self.ended = threading.Event()
        self.done: list[T] = []
        self._work = work
        self._lock = threading.Lock()
        self._given_up = self._final = False

    def run(self) -> T:
        """Do the work; in the thread."""
        try:
            self.done.append(result := self._work(self))
            return result
        finally:
            self.ended.set()

    def check(self) -> None:
        """Go on only if somebody waits; the work calls this while it waits itself."""
        if self._given_up:
            raise GivenUp

    def last_step(self) -> None:
        """The work calls this before it does what cannot be called off."""
        with self._lock:
            self.check()
            self._final = True

    def give_up(self) -> bool:
        """Call the work off; whether that was still possible. If so, it changes nothing."""
        with self._lock:
            self._given_up = not self._final
            return self._given_up


class Threads:
    """So many pieces of work at once, in each event loop."""

    def __init__(self, at_once: int, seconds: float) -> None:
        self.at_once = at_once
        self.seconds = seconds

    async def run(self, work: Callable[[Ticket[T]], T]) -> T:
        """The work's result.

        A cancellation that comes before the work's last step calls it off. One that comes later waits until it is
        known what became of it, for a moment at most.

        Raises:
            SessionError: it takes longer than it may, or what the work itself raises.
        """
        ticket = Ticket(work)
        async with self._limiter:
            try:
                with anyio.fail_after(self.seconds):
                    return await anyio.to_thread.run_sync(
                        ticket.run, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                    )
            except TimeoutError:
                known = "nothing was written" if ticket.give_up() else "load the session to see what was written"
                raise SessionError(f"the store did not answer within {self.seconds:g} seconds; {known}") from None
            except anyio.get_cancelled_exc_class():
                if not ticket.give_up():
                    await _decided(ticket)
                    if ticket.done and anyio.current_effective_deadline() == -math.inf:
                        return ticket.done[0]  # the cancellation comes again, at the next checkpoint
                raise

    @property
    def _limiter(self) -> anyio.CapacityLimiter:
        limiters = _limiters.get(None)
        if limiters is None:
            _limiters.set(limiters := WeakKeyDictionary())
        return limiters.setdefault(self, anyio.CapacityLimiter(self.at_once))


_limiters: "RunVar[WeakKeyDictionary[Threads, anyio.CapacityLimiter] | None]" = RunVar("session stores")


async def _decided(ticket: Ticket[T]) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(
            ticket.ended.wait, _DECIDED_WITHIN, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
        )

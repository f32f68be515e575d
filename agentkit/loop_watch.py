"""Tools that harm what goes on around them: each is named once in the log.

One holds up the event loop, so that all runs of the process stand still. Another does not end when it is cancelled, and
is waited for: a task cannot be left behind without the promise that nothing goes on.
"""

import threading
import time
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import anyio

T = TypeVar("T")

HELD_SECONDS = 0.25
CANCEL_SECONDS = 5.0
"""What a tool may take to end once it is cancelled, before the log names it."""

_told: "WeakSet[object]" = WeakSet()
_waited_for: "WeakSet[object]" = WeakSet()
_blamed = 0
"""How often somebody has been blamed: a call inside another is, and then not the outer one."""


class Watched(Generic[T]):
    """Awaits something, and measures each of its steps from one wait to the next, and its end once it is cancelled."""

    __slots__ = ("_alarm", "_name", "_tool", "_work")

    def __init__(self, work: Awaitable[T], tool: object, name: str) -> None:
        self._work = work
        self._tool = tool
        self._name = name
        self._alarm: threading.Timer | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        step: Any = steps.send
        sent: Any = None
        clock = time.perf_counter
        try:
            while True:
                blamed, began = _blamed, clock()
                try:
                    waits_for = step(sent)
                except StopIteration as end:
                    value: T = end.value
                    return value
                finally:
                    if clock() - began > HELD_SECONDS and blamed == _blamed:
                        self._blame(clock() - began)
                if sent is not None and self._alarm is None:
                    self._outlives(getattr(sent, "error", sent))  # trio sends what asyncio throws
                try:
                    step, sent = steps.send, (yield waits_for)
                except BaseException as error:  # also a cancellation: it is the tool's to see
                    step, sent = steps.throw, error
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    def _outlives(self, error: object) -> None:
        """It goes on although it was told something; where that was a cancellation, it has a while to end."""
        if isinstance(error, anyio.get_cancelled_exc_class()) and self._tool not in _waited_for:
            self._alarm = threading.Timer(CANCEL_SECONDS, self._wait_for)
            self._alarm.daemon = True
            self._alarm.start()

    def _wait_for(self) -> None:
        _waited_for.add(self._tool)
        _warn(
            "the tool %r goes on, %g seconds after it was cancelled, and its run waits for it; "
            "let the cancellation through, or make it a plain function with isolation='process', which can be killed",
            self._name,
            CANCEL_SECONDS,
        )

    def _blame(self, seconds: float) -> None:
        global _blamed
        _blamed += 1
        if self._tool in _told:
            return
        _told.add(self._tool)
        _warn(
            "the tool %r has held up the event loop for %.2f seconds, and every run with it; "
            "make it a plain function, which runs in a thread, or await what takes so long",
            self._name,
            seconds,
        )


def _warn(told: str, *about: object) -> None:
    from logging import getLogger  # on first use: it costs a part of `import agentkit`

    getLogger("agentkit").warning(told, *about)

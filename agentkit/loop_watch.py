"""Whether a tool holds up the event loop, so that all runs of the process stand still: said once, with its name."""

import time
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")

HELD_SECONDS = 0.25

_told: "WeakSet[object]" = WeakSet()
_blamed = 0
"""How often somebody has been blamed: a call inside another is, and then not the outer one."""


class Watched(Generic[T]):
    """Awaits something, and measures each of its steps from one wait to the next."""

    __slots__ = ("_name", "_tool", "_work")

    def __init__(self, work: Awaitable[T], tool: object, name: str) -> None:
        self._work = work
        self._tool = tool
        self._name = name

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        step: Any = steps.send
        sent: Any = None
        clock = time.perf_counter
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
            try:
                step, sent = steps.send, (yield waits_for)
            except BaseException as error:  # also a cancellation: it is the tool's to see
                step, sent = steps.throw, error

    def _blame(self, seconds: float) -> None:
        global _blamed
        _blamed += 1
        if self._tool in _told:
            return
        _told.add(self._tool)
        from logging import getLogger  # on first use: it costs a part of `import agentkit`

        getLogger("agentkit").warning(
            "the tool %r has held up the event loop for %.2f seconds, and every run with it; "
            "make it a plain function, which runs in a thread, or await what takes so long",
            self._name,
            seconds,
        )

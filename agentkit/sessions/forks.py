"""What must not be open when a process forks.

SQLite keeps book, in each process, of the locks it holds. A child has the book, but not the locks; if it opens the file
as well, both processes write as if they were alone. So what is open is closed before each fork.
"""

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache, partial
from weakref import WeakSet

_SECONDS = 1.0  # that a fork waits for what is in use


class Closable:
    """Something that is closed before each fork, once nobody is using it."""

    def __init__(self, close: Callable[[], None]) -> None:
        self.torn = False
        """Whether this process was forked while it was in use, so that it can never be used here."""
        self._close = close
        self._idle = threading.Condition()
        self._users = 0
        _watched.add(self)
        _register()

    @contextmanager
    def using(self) -> Generator[None]:
        """A fork waits for the end of the block, though not for long."""
        with self._idle:
            self._users += 1
        try:
            yield
        finally:
            with self._idle:
                self._users -= 1
                self._idle.notify_all()

    def before(self) -> None:
        """From here on, nobody else can begin to use it."""
        self._idle.acquire()
        self._idle.wait_for(lambda: not self._users, _SECONDS)
        self._close()

    def after(self, *, child: bool) -> None:
        """The fork is over."""
        if child:
            self.torn = self.torn or self._users > 0
            self._users = 0
        self._idle.release()


_watched: WeakSet[Closable] = WeakSet()
_closed: list[Closable] = []


@cache
def _register() -> None:
    if hasattr(os, "register_at_fork"):
        parent, child = partial(_after, child=False), partial(_after, child=True)
        os.register_at_fork(before=_before, after_in_parent=parent, after_in_child=child)


def _before() -> None:
    for closable in list(_watched):
        closable.before()
        _closed.append(closable)


def _after(*, child: bool) -> None:
    while _closed:
        _closed.pop().after(child=child)

"""One conversation in a store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.lowlevel import RunVar

from agentkit.errors import ConfigError, SessionBusy

from .base import SessionStore, check_id
from .memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation: `agent.run(..., session=Session("alice"))` goes on where the last run with it ended.

    Args:
        id: Whose or which conversation it is: at most 256 bytes, no control characters.
        store: Where it is kept; in the memory of this object if not given.
        lock_timeout: Seconds that a run waits until another one in this event loop, with the same conversation in the
            same store object, has ended; 0 does not wait. If not given, both go on, and the one that stores last is the
            error SessionConflict; so it is between processes always.

    Raises:
        ConfigError: the id is not one, or the store, or the time.
    """

    id: str
    store: SessionStore = field(default_factory=MemoryStore, repr=False)
    lock_timeout: float | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        store: object = self.store
        if isinstance(store, str):
            raise ConfigError(f"Session({self.id!r}, ...): the store is a text; give SqlStore(...) or RedisStore(...)")
        if isinstance(store, type) or not (hasattr(store, "load") and hasattr(store, "append")):
            raise ConfigError(f"Session({self.id!r}, {store!r:.80}): the store must have `load` and `append`")
        seconds: object = self.lock_timeout
        if seconds is not None and (
            isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0
        ):
            raise ConfigError(f"Session({self.id!r}, lock_timeout={seconds!r:.60}): must be seconds from 0 on, or None")

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[None]:
        """The conversation, for one run at a time.

        Raises:
            SessionBusy: another run holds it for longer than `lock_timeout`.
        """
        if self.lock_timeout is None:
            yield
            return
        try:
            lines = _lines.get()
        except LookupError:
            lines = {}
            _lines.set(lines)
        place = id(self.store), self.id
        line = lines.setdefault(place, _Line(store=self.store))
        line.runs += 1
        try:
            if line.runs > 1:
                with anyio.move_on_after(self.lock_timeout) as waiting:
                    await line.lock.acquire()
                if waiting.cancelled_caught:
                    raise SessionBusy(f"another run has held the session {self.id!r} for {self.lock_timeout:g} seconds")
            else:
                line.lock.acquire_nowait()
            try:
                yield
            finally:
                line.lock.release()
        finally:
            line.runs -= 1
            if not line.runs:
                del lines[place]


@dataclass(kw_only=True, slots=True)
class _Line:
    """The runs that hold a conversation, or wait for it."""

    store: SessionStore
    """Kept, so that no other store gets its id in the meantime."""
    lock: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    runs: int = 0


_lines: RunVar[dict[tuple[int, str], _Line]] = RunVar("agentkit_session_lines")

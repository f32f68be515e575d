"""Which effects were begun, and which came to an end: written down before and after each, so that a crash loses none.

A call that is found here when a broken run is taken up again is not made a second time, unless its tool may repeat.
"""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import anyio.to_thread

from .errors import JournalFailed
from .messages import ToolCall, ToolResult, dump_messages, load_messages
from .sessions.forks import Closable

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One call of a tool that may change something."""

    key: str
    """`Context.idempotency_key` of the call."""
    tool: str
    arguments: str
    """SHA-256 of the arguments: they may hold what should not be kept."""
    state: Literal["attempted", "completed", "unknown"] = "attempted"
    """Begun; ended by itself; or stopped, so that nobody knows whether it took effect."""
    result: ToolResult | None = None
    """What the model was told, where that may be kept."""

    @classmethod
    def of(cls, call: ToolCall, key: str) -> "Effect":
        """The effect of a call that is about to be made."""
        from hashlib import sha256  # on first use, as sqlite3 below: they cost a good part of `import agentkit`

        return cls(key=key, tool=call.name, arguments=sha256(call.arguments.encode("utf-8", "replace")).hexdigest())


class Journal(Protocol):
    """Keeps effects by their keys. What it raises ends the run: without it, nothing is done."""

    async def begin(self, effect: Effect) -> Effect | None:
        """Write it down, unless its key is there already; then give what is there, and change nothing.

        Of several that begin one effect at the same time, exactly one is given None.
        """
        ...

    async def end(self, effect: Effect) -> None:
        """Write down how it ended."""
        ...


class MemoryJournal:
    """Keeps effects for as long as the process lives."""

    def __init__(self) -> None:
        self.effects: dict[str, Effect] = {}

    async def begin(self, effect: Effect) -> Effect | None:
        """See `Journal`."""
        own = replace(effect)  # one that is begun twice is no other the second time
        known = self.effects.setdefault(effect.key, own)
        return None if known is own else known

    async def end(self, effect: Effect) -> None:
        """See `Journal`."""
        self.effects[effect.key] = effect


class FileJournal:
    """Keeps effects in a file, an SQLite database that any number of processes share.

    What `begin` has written is on the disk before the tool is called.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._forks = Closable(self.close)
        self._connection: sqlite3.Connection | None = None

    async def begin(self, effect: Effect) -> Effect | None:
        """See `Journal`."""
        return await anyio.to_thread.run_sync(self._begin, effect)

    async def end(self, effect: Effect) -> None:
        """See `Journal`."""
        await anyio.to_thread.run_sync(self._end, effect)

    def read(self) -> list[Effect]:
        """All effects, in the order in which they began."""
        with self._opened() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM effects ORDER BY rowid").fetchall()
        return [_effect(row) for row in rows]

    def close(self) -> None:
        """Close the file; it is opened again where it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _begin(self, effect: Effect) -> Effect | None:
        with self._opened() as connection:
            fresh = connection.execute(
                f"INSERT INTO effects ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING", _row(effect)
            ).rowcount
            if fresh:
                return None
            [row] = connection.execute(f"SELECT {_COLUMNS} FROM effects WHERE key = ?", (effect.key,)).fetchall()
        return _effect(row)

    def _end(self, effect: Effect) -> None:
        with self._opened() as connection:
            known = connection.execute(
                "UPDATE effects SET state = ?, result = ? WHERE key = ?", (*_row(effect)[3:], effect.key)
            ).rowcount
        if not known:
            raise JournalFailed(f"the journal {str(self.path)!r} has lost the effect {effect.key!r}")

    @contextmanager
    def _opened(self) -> "Generator[sqlite3.Connection]":
        import sqlite3

        with self._forks.using(), self._lock:
            try:
                if self._forks.torn:
                    raise JournalFailed(
                        f"the journal {str(self.path)!r} was in use when the process forked; open it anew"
                    )
                if self._connection is None:
                    self._connection = _connected(self.path)
                yield self._connection
            except sqlite3.Error as error:
                raise JournalFailed(f"the journal {str(self.path)!r} cannot be used: {error}") from error


_BUSY_SECONDS = 30.0
_COLUMNS = "key, tool, arguments, state, result"


def _connected(path: Path) -> "sqlite3.Connection":
    import os
    import sqlite3

    with suppress(OSError):  # it is there, or SQLite says what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # results are nobody else's business
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False)
    try:
        _wait_for_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
        connection.execute(
            "CREATE TABLE IF NOT EXISTS effects "
            "(key TEXT PRIMARY KEY, tool TEXT NOT NULL, arguments TEXT NOT NULL, state TEXT NOT NULL, result TEXT)"
        )
    except BaseException:
        connection.close()
        raise
    return connection


def _wait_for_wal(connection: "sqlite3.Connection") -> None:
    """Set the mode in which readers and a writer do not meet. SQLite does not wait here when others do the same."""
    import sqlite3

    ends = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
        time.sleep(0.01)


def _row(effect: Effect) -> tuple[str, str, str, str, str | None]:
    result = None if effect.result is None else dump_messages([effect.result]).decode()
    return effect.key, effect.tool, effect.arguments, effect.state, result


def _effect(row: tuple[str, str, str, Literal["attempted", "completed", "unknown"], str | None]) -> Effect:
    key, tool, arguments, state, result = row
    message = load_messages(result)[0] if result is not None else None
    return Effect(
        key=key,
        tool=tool,
        arguments=arguments,
        state=state,
        result=message if isinstance(message, ToolResult) else None,
    )

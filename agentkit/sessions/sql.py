"""Conversations in an SQL database: an SQLite file, or PostgreSQL."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from random import uniform
from typing import TYPE_CHECKING, Any, TypeVar

from agentkit.errors import AgentError, ConfigError, SessionBusy, SessionCorrupt, SessionError
from agentkit.messages import Message

from .base import Stored, check_id, conflict, next_revision
from .forks import Closable
from .form import corrupt, decode, encode
from .place import shown, without_secrets
from .threads import Threads, Ticket

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine
    from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

_INSTALL = 'SqlStore needs SQLAlchemy, and psycopg for PostgreSQL: pip install sqlalchemy "psycopg[binary]"'
_AT_ONCE = 8
_GRACE = 1.0  # seconds after which a database that has not kept to its time limit is left
_VERSION = 1
_LOCK = 6_240_107_311  # names the making of the tables among PostgreSQL's advisory locks
_OF_IT = 0.9  # of the time of a statement, it may wait so much for a lock: that is the one to be told of
_POLL = 0.1  # seconds that SQLite waits by itself, where nobody can call it off
_BUSY = 5
_IN_USE = {_BUSY, "55P03", "40P01", "40001"}
_DAMAGED = {11, 26, "XX001", "XX002"}
_NO_TEXT = "Could not decode to UTF-8"

_TABLES = (
    "CREATE TABLE IF NOT EXISTS agentkit_sessions"
    " (id TEXT COLLATE {exact} PRIMARY KEY, revision BIGINT NOT NULL, steps BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS agentkit_session_steps"
    " (session_id TEXT COLLATE {exact} NOT NULL, revision BIGINT NOT NULL, data TEXT NOT NULL,"
    " PRIMARY KEY (session_id, revision))",
    "CREATE TABLE IF NOT EXISTS agentkit_session_tables (version BIGINT PRIMARY KEY)",
    "INSERT INTO agentkit_session_tables (version) SELECT {version}"
    " WHERE NOT EXISTS (SELECT 1 FROM agentkit_session_tables)",
)
_LIMITS = (
    "SELECT set_config('lock_timeout', :lock, false), set_config('statement_timeout', :limit, false),"
    " set_config('idle_in_transaction_session_timeout', :limit, false)"
)
_LOAD = (
    "SELECT s.revision, s.steps, t.data FROM agentkit_sessions s"
    " LEFT JOIN agentkit_session_steps t ON t.session_id = s.id WHERE s.id = :id ORDER BY t.revision"
)
_CREATE = "INSERT INTO agentkit_sessions (id, revision, steps) VALUES (:id, :new, :count) ON CONFLICT (id) DO NOTHING"
_GROW = "UPDATE agentkit_sessions SET revision = :new, steps = steps + :count WHERE id = :id AND revision = :old"
_RENEW = "UPDATE agentkit_sessions SET revision = :new, steps = :count WHERE id = :id AND revision = :old"
_NOW = "SELECT revision FROM agentkit_sessions WHERE id = :id"
_CLEAR = "DELETE FROM agentkit_session_steps WHERE session_id = :id"
_STEP = "INSERT INTO agentkit_session_steps (session_id, revision, data) VALUES (:id, :new, :data)"
_FORGET = "DELETE FROM agentkit_sessions WHERE id = :id"
_LIST = "SELECT id FROM agentkit_sessions WHERE id > :after ORDER BY id LIMIT :limit"


class SqlStore:
    """Keeps conversations in an SQLite file that any number of processes of one machine share, or in PostgreSQL.

    What it has written is on the disk before it says so. The tables are made on first use.

    Args:
        url: A file's path, or `postgresql://user:password@host/database`.
        timeout: Seconds that anything may take, waiting for other writers included.

    Raises:
        ConfigError: the URL is none, or SQLAlchemy is not installed.
    """

    def __init__(self, url: str | Path, *, timeout: float = 30.0) -> None:
        self._where = str(url) if "://" in str(url) else f"sqlite:///{url}"
        self._url = _parsed(self._where)
        self._file = Path(self._url.database or "") if self._url.drivername == "sqlite" else None
        self._timeout = timeout
        self._reading = Threads(_AT_ONCE, timeout + _GRACE)
        self._writing = Threads(1, timeout + _GRACE) if self._file else self._reading  # SQLite has one writer at a time
        self._making = threading.Lock()
        self._engine: Engine | None = None
        self._process = os.getpid()
        self._forks = Closable(self.close) if self._file else None

    def __repr__(self) -> str:
        return f"SqlStore({shown(self._where)!r})"

    async def load(self, session_id: str) -> Stored:
        """The conversation; see `SessionStore`."""
        asked = {"id": check_id(session_id)}
        return await self._read(lambda connection: _stored(session_id, _execute(connection, _LOAD, asked).all()))

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Add messages to the end; see `SessionStore`.

        A cancellation leaves it made whole or not at all, and that is decided when the cancellation arrives.
        """
        return await self._change(session_id, messages, revision, whole=False)

    async def replace(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Put messages in the place of all that there are; see `SessionStore`."""
        return await self._change(session_id, messages, revision, whole=True)

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """The ids, in order; see `SessionStore`."""
        asked = {"after": after, "limit": limit}
        return await self._read(lambda connection: [row[0] for row in _execute(connection, _LIST, asked)])

    async def delete(self, session_id: str) -> bool:
        """Forget a conversation; see `SessionStore`."""
        asked = {"id": check_id(session_id)}

        def forget(connection: "Connection") -> bool:
            known = _execute(connection, _FORGET, asked).rowcount > 0
            _execute(connection, _CLEAR, asked)
            return known

        return await self._write(forget)

    def close(self) -> None:
        """Close all connections that are idle; they are made again where they are needed."""
        if self._engine is not None:
            self._engine.dispose()

    async def _change(self, session_id: str, messages: Sequence[Message], revision: int, *, whole: bool) -> int:
        new = next_revision(revision)
        asked = {"id": check_id(session_id), "old": revision, "new": new, "count": int(bool(messages))}
        step = {"id": session_id, "new": new, "data": encode(messages)}
        how = _CREATE if revision == 0 else _RENEW if whole else _GROW

        def change(connection: "Connection") -> int:
            if not _execute(connection, how, asked).rowcount:
                if _execute(connection, _NOW, asked).scalar() != new:  # it is, where a broken connection was in time
                    raise conflict(session_id)
                return new
            if whole:
                _execute(connection, _CLEAR, asked)
            if messages:
                _execute(connection, _STEP, step)
            return new

        return await self._write(change)

    async def _read(self, work: "Callable[[Connection], T]") -> T:
        return await self._reading.run(lambda ticket: self._persist(work, ticket, write=False))

    async def _write(self, work: "Callable[[Connection], T]") -> T:
        return await self._writing.run(lambda ticket: self._persist(work, ticket, write=True))

    def _persist(self, work: "Callable[[Connection], T]", ticket: Ticket[T], *, write: bool) -> T:
        """Do the work: again where others are writing, and once more where the connection has turned out broken."""
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        ends, fresh = time.monotonic() + self._timeout, False
        while True:
            ticket.check()
            try:
                with self._forks.using() if self._forks else nullcontext():
                    return self._attempt(work, ticket, write=write)
            except DBAPIError as error:
                failed: Exception = error
                if error.connection_invalidated and not fresh:
                    fresh = True
                    continue
                if _code(error) == _BUSY and time.monotonic() < ends:
                    time.sleep(uniform(0.001, 0.01))
                    continue
            except AgentError:
                raise
            except (SQLAlchemyError, OSError, ValueError, TypeError) as error:
                failed = error
            break
        raise self._told(failed)

    def _attempt(self, work: "Callable[[Connection], T]", ticket: Ticket[T], *, write: bool) -> T:
        if self._file:
            if self._forks and self._forks.torn:
                raise SessionError(f"{self!r} was in use when this process was forked; start processes without fork")
            _touch(self._file)
        with self._pool().connect() as connection:
            self._prepare(connection)
            if write and self._file:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            result = work(connection)
            if write:
                ticket.last_step()
                _commit(connection)
            return result

    def _pool(self) -> "Engine":
        if self._engine is not None and self._process != os.getpid():
            self._engine.dispose(close=False)  # its connections are those of the process that this was forked from
            self._engine = None
        with self._making:
            if self._engine is None:
                self._engine, self._process = _engine(self._url, self._timeout), os.getpid()
            return self._engine

    def _prepare(self, connection: "Connection") -> None:
        """Make the connection ready, if it is new; if its file is not where it was, it is made anew."""
        file = self._file and _identity(self._file)
        if connection.info.get("file", file) != file:
            connection.invalidate()  # what would be written there, nobody would find
        if "file" in connection.info:
            return
        if self._file:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
        else:
            milliseconds = self._timeout * 1000
            _execute(connection, _LIMITS, {"limit": f"{milliseconds:.0f}", "lock": f"{milliseconds * _OF_IT:.0f}"})
        version = self._version(connection)
        _commit(connection)
        if version != _VERSION:
            raise SessionCorrupt(
                f"the tables of {self!r} are of version {version}, and this version of agentkit knows {_VERSION}; "
                "they were left as they are"
            )
        connection.info["file"] = file

    def _version(self, connection: "Connection") -> object:
        """Which version the tables are of; they are made if there are none."""
        there = "SELECT count(*) FROM sqlite_master WHERE name = '{0}'" if self._file else "SELECT to_regclass('{0}')"
        if not connection.exec_driver_sql(there.format("agentkit_session_tables")).scalar():
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self._file else f"SELECT pg_advisory_xact_lock({_LOCK})")
            for statement in _TABLES:
                exact = "BINARY" if self._file else '"C"'
                connection.exec_driver_sql(statement.format(exact=exact, version=_VERSION))
        return connection.exec_driver_sql("SELECT max(version) FROM agentkit_session_tables").scalar()

    def _told(self, error: Exception) -> SessionError:
        """What the caller is told of an error: no passwords, and nothing of what was said in the conversation."""
        from sqlalchemy.exc import DBAPIError

        if not isinstance(error, DBAPIError):
            said = without_secrets(str(error).partition("\n")[0], self._where)
            return SessionError(f"{self!r} failed: {type(error).__name__}: {said}")
        code, said = _code(error), without_secrets(_words(error), self._where)
        if code in _IN_USE:
            return SessionBusy(f"{self!r} is in use: somebody has kept it locked for {self._timeout:g} seconds")
        if code in _DAMAGED or said.startswith(_NO_TEXT):
            said = said.partition(_NO_TEXT)[1] or said
            return SessionCorrupt(f"{self!r} is damaged: {said}; it was left as it is")
        return SessionError(f"{self!r} failed: {said}")


def _parsed(where: str) -> "URL":
    try:
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError as error:
        raise ConfigError(_INSTALL) from error
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        url = None  # their words would tell the password
    name = url.get_backend_name() if url is not None else ""
    if url is not None and name == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(drivername="sqlite")
    if url is not None and name in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
        try:
            url.get_dialect().import_dbapi()
        except ImportError as error:
            raise ConfigError(_INSTALL) from error
        return url
    raise ConfigError(
        f"SqlStore cannot use {shown(where)!r}; give it the path of a file, or "
        "'postgresql://user:password@host/database' (percent-encode what is special in the password)"
    )


def _engine(url: "URL", timeout: float) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.pool import QueuePool

    options: dict[str, Any] = {"hide_parameters": True}
    if url.drivername == "sqlite":
        arguments: dict[str, Any] = {"check_same_thread": False, "isolation_level": None, "timeout": _POLL}
    else:
        # no prepared statements: a pool between here and the server may not know them
        arguments = {"connect_timeout": max(2, round(timeout)), "client_encoding": "utf8", "prepare_threshold": None}
        options["isolation_level"] = "READ COMMITTED"
    return create_engine(
        url,
        poolclass=QueuePool,
        pool_size=_AT_ONCE + 1,
        max_overflow=0,
        pool_timeout=timeout,
        connect_args=arguments,
        **options,
    )


def _stored(session_id: str, rows: Sequence[Any]) -> Stored:
    if not rows:
        return Stored()
    revision, count, _ = rows[0]
    steps = [data for *_, data in rows if data is not None]
    if len(steps) != count:
        raise corrupt(session_id, f"is damaged: {len(steps)} of its {count} steps are there")
    return Stored(messages=tuple(m for step in steps for m in decode(step, session_id)), revision=revision)


def _execute(connection: "Connection", statement: str, values: Mapping[str, object]) -> "CursorResult[Any]":
    from sqlalchemy import text

    return connection.execute(text(statement), values)


def _commit(connection: "Connection") -> None:
    try:
        connection.commit()
    except BaseException:
        connection.invalidate()  # its transaction may still be open
        raise


def _code(error: "DBAPIError") -> int | str:
    """What the database calls the error: SQLite a number, PostgreSQL five characters."""
    number = getattr(error.orig, "sqlite_errorcode", None)
    return number & 0xFF if number is not None else str(getattr(error.orig, "sqlstate", ""))


def _words(error: "DBAPIError") -> str:
    """The first line: in the others, PostgreSQL tells what a row holds."""
    return str(error.orig).partition("\n")[0]


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file it is, whatever it is called."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _touch(file: Path) -> None:
    """Make a file that nobody else reads; SQLite makes the files beside it alike."""
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError:
        pass  # it is there, or SQLite says what is wrong

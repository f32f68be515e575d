"""Transactions in an SQLite file or in PostgreSQL, and the tables they find there.

SQLite is asked in the event loop itself: its statements take less time than a way to a thread and back. What may wait
or take long goes to a thread: to begin to write, where another process writes, and what is marked as `heavy`.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import uniform
from typing import Any, TypeAlias

import anyio
import anyio.to_thread
from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Engine,
    Executable,
    create_engine,
    event,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from agentkit.errors import ConfigError
from agentkit.sessions.place import shown, without_secrets

from .tables import METADATA, MIGRATIONS, VERSION, VERSIONS

_LOCK = 6_240_107_312  # names the making of the tables among PostgreSQL's advisory locks
_CONNECTIONS = 16
_BUSY_SECONDS = 0.1
"""How long SQLite itself may wait for another process, in the event loop."""

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Transaction:
    """What goes on between the beginning and the end of a transaction."""

    def __init__(self, connection: Connection | AsyncConnection) -> None:
        self._connection = connection
        self.is_sqlite = isinstance(connection, Connection)

    async def execute(
        self, statement: Executable, parameters: Parameters = None, *, heavy: bool = False
    ) -> CursorResult[*tuple[Any, ...]]:
        """Execute a statement, for each of several parameters.

        Args:
            statement: What to do.
            parameters: What with.
            heavy: Whether it may take long, in SQLite.
        """
        if not isinstance(self._connection, Connection):
            return await self._connection.execute(statement, parameters)
        if heavy or isinstance(parameters, Sequence):
            return await anyio.to_thread.run_sync(partial(self._connection.execute, statement, parameters))
        return self._connection.execute(statement, parameters)


class Database:
    """Where all is kept.

    Args:
        url: A file's path, or `postgresql://user:password@host/database`.
        timeout: Seconds that a transaction may wait for others.

    Raises:
        ConfigError: the URL is none.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self.shown = shown(url if "://" in url else f"sqlite:///{url}")
        self._where, self._url = url, _parsed(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._timeout = timeout
        self._engine: Engine | AsyncEngine | None = None
        self._writing = anyio.Lock()

    def __repr__(self) -> str:
        return f"Database({self.shown!r})"

    async def open(self) -> None:
        """Connect, and make the tables or bring them up to date.

        Raises:
            ConfigError: it cannot be reached, or the tables are of a newer agentkit.
        """
        self._engine = self._made()
        try:
            await self._prepare_tables()
        except (DBAPIError, OSError) as error:
            await self.close()
            told = str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]
            raise ConfigError(f"{self!r} cannot be used: {without_secrets(told, self._where)}") from None

    async def _prepare_tables(self) -> None:
        engine = self._ready()
        if isinstance(engine, Engine):
            await anyio.to_thread.run_sync(_bring_up_to_date, engine, repr(self))
        else:
            async with engine.begin() as connection:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                await connection.run_sync(_make_tables, repr(self))

    async def close(self) -> None:
        """Close all connections."""
        engine, self._engine = self._engine, None
        if isinstance(engine, Engine):
            engine.dispose()
        elif engine is not None:
            await engine.dispose()

    async def ask(self) -> None:
        """Find out whether it answers.

        Raises:
            DBAPIError: it does not.
        """
        async with self.read() as connection:
            await connection.execute(select(VERSIONS.c.version))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """A transaction that changes nothing. It is short, and not cancelled: a statement that is cancelled would take
        its connection with it."""
        engine = self._ready()
        with anyio.CancelScope(shield=True):
            if isinstance(engine, Engine):
                with engine.connect() as connection:
                    yield Transaction(connection)
            else:
                async with engine.connect() as asked:
                    yield Transaction(asked)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that is committed at the end of the block, or undone if that raises; see `read`."""
        engine = self._ready()
        if not isinstance(engine, Engine):
            with anyio.CancelScope(shield=True):
                async with engine.begin() as begun:
                    yield Transaction(begun)
            return
        async with self._writing:
            with anyio.CancelScope(shield=True), engine.connect() as connection:
                await self._begin(connection)
                try:
                    yield Transaction(connection)
                except BaseException:
                    connection.exec_driver_sql("ROLLBACK")
                    raise
                connection.exec_driver_sql("COMMIT")

    async def _begin(self, connection: Connection) -> None:
        """Begin to write, once no other process does."""
        ends = time.monotonic() + self._timeout
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError:
                if time.monotonic() >= ends:
                    raise
            await anyio.sleep(uniform(0.002, 0.02))

    def _ready(self) -> Engine | AsyncEngine:
        if self._engine is None:
            raise ConfigError(f"{self!r} is not open")
        return self._engine

    def _made(self) -> Engine | AsyncEngine:
        options: dict[str, Any] = {"hide_parameters": True, "pool_size": _CONNECTIONS, "max_overflow": 0}
        if not self.is_sqlite:
            return create_async_engine(self._url, pool_pre_ping=True, **options)
        # transactions are begun by hand: the driver's own way would take no write lock before the first write
        arguments = {"timeout": _BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
        options |= {"max_overflow": -1, "pool_reset_on_return": None}  # to wait for one would hold up the event loop
        engine = create_engine(self._url, poolclass=QueuePool, connect_args=arguments, **options)
        event.listen(engine, "connect", _prepare)
        return engine


def _bring_up_to_date(engine: Engine, name: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 30000")
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            _make_tables(connection, name)
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")


def _make_tables(connection: Connection, name: str) -> None:
    """Make the tables, or bring them up to date.

    Raises:
        ConfigError: they are of a newer agentkit.
    """
    known = 0
    if inspect(connection).has_table(VERSIONS.name):
        known = connection.execute(select(VERSIONS.c.version)).scalar() or 0
    if known > VERSION:
        raise ConfigError(f"{name} is of version {known}, and this agentkit knows {VERSION}; update agentkit")
    METADATA.create_all(connection)
    if not known:
        connection.execute(insert(VERSIONS).values(version=VERSION))
        return
    for statement in (line for each in MIGRATIONS[known - 1 :] for line in each):
        connection.exec_driver_sql(statement)
    connection.execute(VERSIONS.update().values(version=VERSION))


def _prepare(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _parsed(where: str) -> URL:
    try:
        url = make_url(where if "://" in where else f"sqlite:///{where}")
    except (ArgumentError, ValueError):
        url = None  # the error's words would tell the password
    name = url.get_backend_name() if url is not None else ""
    if url is not None and name == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(drivername="sqlite")
    if url is not None and name in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise ConfigError(
        f"the server cannot use {shown(where)!r}; give it the path of a file, or "
        "'postgresql://user:password@host/database' (percent-encode what is special in the password)"
    )

"""Transactions in an SQLite file or in PostgreSQL, and the tables they find there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import anyio
from sqlalchemy import URL, event, insert, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from agentkit.errors import ConfigError
from agentkit.sessions.place import shown, without_secrets

from .tables import METADATA, MIGRATIONS, VERSION, VERSIONS

_LOCK = 6_240_107_312  # names the making of the tables among PostgreSQL's advisory locks
_CONNECTIONS = 16


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
        self._engine: AsyncEngine | None = None
        self._writing: anyio.Lock | nullcontext[None] = anyio.Lock() if self.is_sqlite else nullcontext()

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
        async with self._ready().begin() as connection:
            if self.is_sqlite:
                await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            else:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            await connection.run_sync(METADATA.create_all)
            known = (await connection.execute(select(VERSIONS.c.version))).scalar()
            if known is None:
                await connection.execute(insert(VERSIONS).values(version=VERSION))
            elif known > VERSION:
                raise ConfigError(f"{self!r} is of version {known}, and this agentkit knows {VERSION}; update agentkit")
            else:
                for statement in (line for each in MIGRATIONS[known - 1 :] for line in each):
                    await connection.exec_driver_sql(statement)
                await connection.execute(VERSIONS.update().values(version=VERSION))

    async def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that changes nothing. It is short, and not cancelled: a statement that is cancelled would take
        its connection with it."""
        with anyio.CancelScope(shield=True):
            async with self._ready().connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the end of the block, or undone if that raises; see `read`."""
        async with self._writing:
            with anyio.CancelScope(shield=True):
                async with self._ready().connect() as connection:
                    if self.is_sqlite:
                        await connection.exec_driver_sql("BEGIN IMMEDIATE")
                    try:
                        yield connection
                    except BaseException:
                        await connection.rollback()
                        raise
                    await connection.commit()

    def _ready(self) -> AsyncEngine:
        if self._engine is None:
            raise ConfigError(f"{self!r} is not open")
        return self._engine

    def _made(self) -> AsyncEngine:
        options: dict[str, Any] = {"hide_parameters": True, "pool_size": _CONNECTIONS, "max_overflow": 0}
        if not self.is_sqlite:
            engine = create_async_engine(self._url, pool_pre_ping=True, **options)
        else:
            # transactions are begun by hand: the driver's own way would take no write lock before the first write
            arguments = {"timeout": self._timeout, "isolation_level": None}
            engine = create_async_engine(self._url, connect_args=arguments, **options)
            event.listen(engine.sync_engine, "connect", _prepare)
        return engine


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
        return url.set(drivername="sqlite+aiosqlite")
    if url is not None and name in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise ConfigError(
        f"the server cannot use {shown(where)!r}; give it the path of a file, or "
        "'postgresql://user:password@host/database' (percent-encode what is special in the password)"
    )

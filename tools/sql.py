"""SQL: the tables of a database, and questions to them. Nothing can be written: the database's own engine sees to that.

`Database("shop.db").tools` gives the tools for an SQLite file, `Database("postgresql://reader@host/shop").tools` for
PostgreSQL (`pip install "psycopg[binary]"`); `load_tools("sql")` for what the variable AGENTKIT_DATABASE names.

Rows are told as JSON, one array a line, the names of the columns first. Names are not repeated in each row, NULL,
numbers and texts can be told apart, a decimal keeps its digits, and nothing in a value looks like the next row.

How writing is stopped is told in `_sql_sqlite.py` and `_sql_postgres.py`. No statement is ever searched for words.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
from anyio.abc import Process

from agentkit import ToolFailed, tool

if TYPE_CHECKING:
    from ._sql_postgres import Postgres

_VARIABLE = "AGENTKIT_DATABASE"
_AT_ONCE = 8
_MAX_STATEMENT = 50_000
_STARTING = 10.0  # seconds that a busy machine may take to start a process
_END_SECONDS = 5.0

Value: TypeAlias = str | int | float | bool | None
"""What a placeholder of a statement can stand for."""


@dataclass(frozen=True)
class Database:
    """Tools that read one database: `Agent(tools=Database("shop.db").tools)`.

    Raises:
        ValueError: a limit is none, or the URL is of no database that can be read.
    """

    url: str | Path | None = field(default=None, repr=False)
    """An SQLite file, or a URL with `postgresql://` at its beginning. If not given, AGENTKIT_DATABASE says it."""
    rows: int = field(default=200, kw_only=True)
    """How many rows of a result the model gets to see."""
    bytes: int = field(default=20_000, kw_only=True)
    """How long a result may be."""
    seconds: float = field(default=10, kw_only=True)
    """How long a query may take; then it is stopped where it runs."""
    schemas: Sequence[str] = field(default=(), kw_only=True)
    """PostgreSQL: the schemas that are listed, and searched for names without one. All that the role can read, if none.
    What the role may read is for GRANT to say, not for this."""

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("bytes", 200), ("seconds", 0.001)):
            if not least <= getattr(self, name) < math.inf:
                raise ValueError(f"Database({name}={getattr(self, name)!r}): must be a number, {least} or more")
        if isinstance(self.schemas, str):
            raise ValueError(f"Database(schemas={self.schemas!r}): must be a list of names")
        if self.url is not None and not _is_postgres(self.url) and self.schemas:
            raise ValueError("Database(schemas=...): only PostgreSQL has them")

    @property
    def tools(self) -> list[Callable[..., Any]]:
        """The three tools, for an agent."""
        return [self.list_tables, self.describe_table, self.query]

    @tool(effects="read", concurrency=_AT_ONCE)
    async def list_tables(self, find: str = "") -> str:
        """List the tables and views of the database, and their columns.

        Args:
            find: A part of the names to look for; all if not given.
        """
        if url := self._postgres():
            tables, more = await self._server(url).tables(find)
        else:
            found = await self._told(kind="tables", statement=find)
            tables, more = found["tables"], found["more"]
        lines = [_listed(name, kind, columns) for name, kind, columns in tables]
        return self._cut(lines, more) or ("[no table has that in its name]" if find else "[the database has no tables]")

    @tool(effects="read", concurrency=_AT_ONCE)
    async def describe_table(self, table: str) -> str:
        """Show how a table or view is built: its columns with their types, its keys, what it refers to.

        Args:
            table: The name, as list_tables shows it.
        """
        if url := self._postgres():
            text = await self._server(url).table(table)
        else:
            text = str((await self._told(kind="table", statement=table))["table"])
        return self._cut(text.splitlines(), 0)

    @tool(effects="read", concurrency=_AT_ONCE, trusted=False)
    async def query(self, statement: str, parameters: list[Value] | dict[str, Value] | None = None) -> str:
        """Ask the database with one SQL SELECT. The result is JSON: the columns' names, then a line for each row.

        Args:
            statement: The SELECT, such as SELECT name, price FROM products WHERE price < 10 ORDER BY price LIMIT 20.
            parameters: Values for :name in the statement, as an object, or for $1, $2 ..., as a list.
        """
        if len(statement) > _MAX_STATEMENT:
            raise ToolFailed(f"the statement has {len(statement)} characters; {_MAX_STATEMENT} are allowed")
        if "\0" in statement:
            raise ToolFailed("the statement holds a null character; leave it out")
        if url := self._postgres():
            columns, rows = await self._server(url).query(statement, parameters, self.rows, self.bytes)
        else:
            told = await self._told(kind="query", statement=statement, parameters=parameters)
            columns, rows = told["columns"], told["rows"]
        return self._page(columns, rows)

    def _page(self, columns: list[str], rows: list[str]) -> str:
        """Rows as the model reads them, as many as it may."""
        lines = [json.dumps(columns, ensure_ascii=False)]
        left = self.bytes - len(lines[0].encode("utf-8", "replace"))
        if left < 0:
            raise ToolFailed(f"the result has {len(columns)} columns, too many to show; name those you need")
        for number, row in enumerate(rows):
            left -= len(row.encode("utf-8", "replace")) + 1
            if number == self.rows or left < 0:
                why = "there are more" if number else "the first one is too long"
                lines.append(
                    f"[cut after {number} rows, {why}; name fewer columns, or use WHERE, count(*), LIMIT, OFFSET]"
                )
                break
            lines.append(row)
        return "\n".join(lines if rows else [*lines, "[no rows]"])

    def _cut(self, lines: list[str], more: int) -> str:
        """As many lines as the model may read."""
        left = self.bytes
        for number, line in enumerate(lines):
            left -= len(line.encode("utf-8", "replace")) + 1
            if left < 0:
                more += len(lines) - number
                lines = lines[:number]
                break
        return "\n".join([*lines, f"[cut: {more} more lines; find= looks for names]"] if more else lines)

    def _place(self) -> str | Path:
        place = self.url if self.url is not None else os.environ.get(_VARIABLE)
        if not place:
            raise ToolFailed(
                f"no database is set up; tell the user to set {_VARIABLE} to a file or a postgresql:// URL"
            )
        return place

    def _postgres(self) -> str | None:
        place = self._place()
        return str(place) if _is_postgres(place) else None

    def _server(self, url: str) -> "Postgres":
        from ._sql_postgres import Postgres

        return Postgres(url=url, seconds=self.seconds, schemas=tuple(self.schemas))

    async def _told(self, **request: Any) -> dict[str, Any]:
        """What the process that reads SQLite has to say."""
        limits = {"rows": self.rows, "bytes": self.bytes, "seconds": self.seconds}
        data = json.dumps({"uri": _uri(self._place()), **limits, **request}).encode()
        out = b""
        async with _started() as process:
            with anyio.move_on_after(self.seconds + _STARTING):
                out = await _answer(process, data)
                await process.wait()
        if process.returncode != 0:
            raise ToolFailed("the query took too much time or memory and was stopped; ask for less of the data")
        told: dict[str, Any] = json.loads(out)
        if "error" in told:
            raise ToolFailed(told["error"])
        return told


list_tables, describe_table, query = Database().tools


def _is_postgres(place: str | Path) -> bool:
    if isinstance(place, Path) or "://" not in place:
        return False
    scheme = place.partition("://")[0]
    if scheme not in ("postgresql", "postgres"):
        raise ValueError(
            f"Database({scheme + '://...'!r}): write postgresql://user@host/name, or the path of an SQLite file"
        )
    return True


def _uri(place: str | Path) -> str:
    """A file as SQLite opens it: only to read, whatever characters are in its name."""
    path = Path(place).absolute()
    if not path.is_file():  # the path itself is nothing the model needs, and may hold what was meant to be a URL
        what = "is a folder" if path.is_dir() else "is no file" if path.exists() else "is not there"
        raise ToolFailed(f"the file of the database {what}; tell the user")
    return f"{path.as_uri()}?mode=ro"


def _listed(name: str, kind: str, columns: Sequence[str]) -> str:
    """A table in one line, whatever characters are in its names."""
    line = "view " * (kind == "view") + name + (f"({', '.join(columns)})" if columns else "")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)


@asynccontextmanager
async def _started() -> AsyncGenerator[Process]:
    """A process that waits for a request; it ends with the block."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", str(Path(__file__).with_name("_sql_sqlite.py"))]
    environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    process: Process | None = None
    with anyio.CancelScope(shield=True):  # half started, it could not be stopped
        process = await anyio.open_process(command, stderr=subprocess.DEVNULL, env=environment)
    assert process is not None
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            if process.returncode is None:
                process.kill()
        with anyio.move_on_after(_END_SECONDS, shield=True):
            await process.aclose()


async def _answer(process: Process, data: bytes) -> bytes:
    """All that a process answers to what it is given."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(anyio.BrokenResourceError):  # it has died, as its status will say
        await process.stdin.send(data)
        await process.stdin.aclose()
    return b"".join([chunk async for chunk in process.stdout])

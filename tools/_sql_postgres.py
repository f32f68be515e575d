"""How `sql.py` reads a PostgreSQL database.

Five walls: a transaction that the server keeps READ ONLY; no role that may do what such a transaction lets through;
one statement, by the extended protocol; which the grammar keeps to what has rows, first within DECLARE ... CURSOR FOR,
then in brackets; and time limits that the server keeps. The connection is closed amid its transaction, so whatever
happened in it never did, and nothing is set for a session: a pool in between stays as it was.
"""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Any, LiteralString, TypeAlias, TypeVar

import anyio
import anyio.to_thread

from agentkit import ToolFailed

if TYPE_CHECKING:
    import psycopg

_LOCK_SECONDS = 1.0
_GRACE = 2.0  # seconds after which a server that has not kept to its time limits is left
_MESSAGE = 500
_NAMES = 1_000
_WITH_COLUMNS = 60
_SHORT = 200  # bytes of a cell below which saying how to read on would take more than it tells
_BYTEA = 17

_INSTALL = 'PostgreSQL cannot be read here; tell the user to pip install "psycopg[binary]"'
_ONLY = "only one SELECT, WITH ... SELECT, VALUES or TABLE can be run here"
_ROLE = (
    "tell the user to give this tool a role that can only read: CREATE ROLE reader LOGIN PASSWORD '...'; "
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"
)

_SETTINGS: LiteralString = """
SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('lock_timeout', $2, true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', $1, true),
       CASE WHEN version() ~ 'linux' AND current_setting('server_version_num')::int >= 140000
           THEN pg_catalog.set_config('client_connection_check_interval', '1000', true) END,
       CASE WHEN pg_catalog.cardinality($3::text[]) > 0 THEN pg_catalog.set_config('search_path', (
           SELECT string_agg(quote_ident(name), ', ' ORDER BY place)
           FROM unnest($3::text[]) WITH ORDINALITY AS given(name, place)), true) END
"""

_MAY: LiteralString = """
SELECT CASE WHEN rolsuper THEN 'be the superuser ' WHEN rolreplication THEN 'replicate, as ' ELSE 'act as ' END
       || rolname
FROM pg_catalog.pg_roles
WHERE (rolsuper OR rolreplication OR rolname IN ('pg_read_server_files', 'pg_write_server_files',
       'pg_execute_server_program', 'pg_signal_backend', 'pg_signal_autovacuum_worker'))
  AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER')
UNION ALL
SELECT 'call ' || p.oid::pg_catalog.regprocedure
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE (p.proname LIKE 'dblink%' OR n.nspname = 'pg_catalog' AND p.proacl IS NOT NULL
       AND NOT pg_catalog.has_function_privilege('pg_monitor', p.oid, 'EXECUTE'))
  AND pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE')
  AND pg_catalog.has_function_privilege(session_user, p.oid, 'EXECUTE')
LIMIT 1
"""

_READABLE: LiteralString = """
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND CASE WHEN cardinality($1::text[]) > 0 THEN n.nspname = ANY ($1::text[])
      ELSE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' END
  AND has_schema_privilege(n.oid, 'USAGE')
  AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
"""

_TABLES: LiteralString = (
    """
SELECT c.oid::regclass::text, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
       format('%I.%I', n.nspname, c.relname), c.relname, c.oid
"""
    + _READABLE
    + """
ORDER BY pg_table_is_visible(c.oid) DESC, n.nspname, c.relname
"""
)

_COLUMNS: LiteralString = """
SELECT attrelid, quote_ident(attname), quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
       || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END,
       concat_ws('; ', (SELECT 'one of ' || string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                        FROM pg_enum WHERE enumtypid = atttypid), col_description(attrelid, attnum))
FROM pg_attribute
WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
  AND has_column_privilege(attrelid, attnum, 'SELECT')
ORDER BY attrelid, attnum
"""

_ABOUT: LiteralString = """
SELECT obj_description($1::oid, 'pg_class'),
       ARRAY(SELECT pg_get_constraintdef(oid) FROM pg_constraint
             WHERE conrelid = $1::oid AND contype IN ('p', 'u', 'f', 'c') ORDER BY contype DESC, conname),
       (SELECT pg_get_viewdef(oid, true) FROM pg_class WHERE oid = $1::oid AND relkind IN ('v', 'm'))
"""

_QUOTED_OR = r"""
    [eE]'(?:[^'\\]|\\.|'')*+(?:'|\Z) | '(?:[^']|'')*+(?:'|\Z) | "(?:[^"]|"")*+(?:"|\Z) | --[^\n]*+
    | /\*.*?(?:\*/|\Z) | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z) | ::
"""
_NAMED = re.compile(rf"(?P<kept>{_QUOTED_OR}) | :(?P<name>[A-Za-z_]\w*)", re.DOTALL | re.VERBOSE)
_ENDED = re.compile(
    rf"(?P<kept>{_QUOTED_OR}) | (?P<end>;(?:[\s;]|--[^\n]*+(?:\n|\Z)|/\*.*?\*/)*+\Z)", re.DOTALL | re.VERBOSE
)

Told = TypeVar("Told")
Rows: TypeAlias = "tuple[list[str], list[str]]"
"""The names of the columns, and each row as JSON."""


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A database that is only read."""

    url: str = field(repr=False)
    seconds: float
    schemas: tuple[str, ...]

    async def query(self, statement: str, parameters: Any, rows: int, size: int) -> Rows:
        """The rows of a statement, one more than `rows` if there are more.

        Raises:
            ToolFailed: in words for the model; with no secret of the connection in them.
        """
        return await self._asked(lambda reading: reading.query(statement, parameters, rows, size))

    async def tables(self, part: str) -> tuple[list[tuple[str, str, list[str]]], int]:
        """Tables and views with a text in their names, with their columns if they are few; how many more there are."""
        return await self._asked(lambda reading: reading.tables(part))

    async def table(self, name: str) -> str:
        """What a table or view is made of, as it might have been created."""
        return await self._asked(lambda reading: reading.table(name))

    async def _asked(self, ask: "Callable[[_Reading], Told]") -> Told:
        reading = _Reading(self)
        try:
            with anyio.move_on_after(2 * self.seconds + _GRACE):  # to connect takes as long as to read, at most
                return await anyio.to_thread.run_sync(lambda: reading.ended(ask), abandon_on_cancel=True)
            raise ToolFailed("the database does not answer; try again in a while, or tell the user")
        finally:
            if reading.goes_on:
                with anyio.move_on_after(2 * _GRACE, shield=True):
                    await anyio.to_thread.run_sync(reading.stop, abandon_on_cancel=True)


class _Reading:
    """One connection, and what is read from it, in a worker thread; `stop` may come from another."""

    def __init__(self, database: Postgres) -> None:
        self.database = database
        self.goes_on = True
        self._stopped = self._checked = False
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._secrets: list[str] = []
        self._ends = 0.0

    def stop(self) -> None:
        """End the statement on the server, and the connection, whoever may be waiting for it."""
        with self._lock:
            self._stopped = True
            if self._connection is None:
                return
            with suppress(Exception):
                self._connection.cancel_safe(timeout=_GRACE)
            with suppress(Exception):
                line = socket.socket(fileno=self._connection.fileno())
                try:
                    line.shutdown(socket.SHUT_RDWR)
                finally:
                    line.detach()

    def ended(self, ask: "Callable[[_Reading], Told]") -> Told:
        """What the question gives; when this returns, nothing of it goes on."""
        try:
            try:
                import psycopg
            except ImportError as error:
                raise ToolFailed(f"{_INSTALL} ({error})") from None
            try:
                with self._connected():
                    return ask(self)
            except psycopg.Error as error:
                said = self._said(error)
            except (UnicodeError, ValueError) as error:
                said = f"the statement or a parameter cannot be given to PostgreSQL: {error}"
            raise ToolFailed(said)
        finally:
            self.goes_on = False

    @contextmanager
    def _connected(self) -> Iterator[None]:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        known: Mapping[str, Any] | None = None
        with suppress(psycopg.Error):  # what it says may hold the password
            known = conninfo_to_dict(self.database.url)
        if known is None or "@" in str(known.get("dbname")) or not re.fullmatch(r"[\d,]*", str(known.get("port", ""))):
            raise ToolFailed("the database's URL cannot be read: a part of it may need percent-encoding; tell the user")
        given = [known.get("password"), known.get("sslpassword"), os.environ.get("PGPASSWORD")]
        self._secrets = [str(secret) for secret in given if secret]
        connection = psycopg.connect(
            self.database.url,
            connect_timeout=max(2, round(self.database.seconds)),
            client_encoding="utf8",
            fallback_application_name="agentkit",
        )
        connection.read_only = True  # each transaction begins with BEGIN READ ONLY
        self._ends = time.monotonic() + self.database.seconds
        with self._lock:
            self._connection = connection
        try:
            if self._stopped:
                raise ToolFailed("the run has ended")
            yield
        finally:
            with self._lock:
                self._connection = None
                connection.close()

    def _begun(self) -> "psycopg.RawCursor[Any]":
        """A cursor in a new transaction, in which all limits hold."""
        import psycopg

        assert self._connection is not None
        self._connection.rollback()
        cursor = psycopg.RawCursor(self._connection)
        left = max(1, round((self._ends - time.monotonic()) * 1000))
        cursor.execute(_SETTINGS, [str(left), str(round(_LOCK_SECONDS * 1000)), list(self.database.schemas)])
        if not self._checked:
            if may := cursor.execute(_MAY).fetchone():
                raise ToolFailed(f"refused: this role may {may[0]}, which no transaction stops; {_ROLE}")
            self._checked = True
        return cursor

    def query(self, statement: str, parameters: Any, rows: int, size: int) -> Rows:
        statement, values = _numbered(_without_end(statement), parameters)
        columns = self._described(statement, values)
        cell = size // max(4, 2 * len(columns))
        names = [f"c{number}" for number, _ in enumerate(columns)]
        shown = ", ".join(_json_of(name, kind, cell + 1) for name, (_, kind) in zip(names, columns, strict=True))
        wrapped = f"SELECT {shown} FROM (\n{statement}\n) AS q({', '.join(names)}) LIMIT {rows + 1}"
        found: list[str] = []
        stream: Any = self._begun().stream(wrapped.encode(), values)  # row by row: memory holds one
        with closing(stream):
            for row in stream:
                found.append(f"[{', '.join(_cell(value, cell) for value in row)}]")
                size -= len(found[-1].encode())
                if size < 0:
                    break
        return [name for name, _ in columns], found

    def _described(self, statement: str, values: list[Any]) -> list[tuple[str, int]]:
        """The names and types of a statement's columns; an error unless it is one that gives rows."""
        import psycopg

        assert self._connection is not None
        self._begun()
        with psycopg.RawServerCursor(self._connection, "described") as cursor:
            try:
                cursor.execute(statement.encode(), values)
            except psycopg.errors.UndefinedTable as error:
                missing = str(error.diag.message_primary)
                raise ToolFailed(missing + self._meant(missing)) from None
            if not cursor.description:
                raise ToolFailed("this statement has no columns; name some after SELECT")
            return [(column.name, column.type_code) for column in cursor.description]

    def _meant(self, missing: str) -> str:
        name = missing.partition('"')[2].partition('"')[0]
        return _near(name, [shown for shown, *_ in self._relations()])

    def _relations(self) -> list[tuple[str, str, str, str, int]]:
        return self._begun().execute(_TABLES, [list(self.database.schemas)]).fetchall()

    def tables(self, part: str) -> tuple[list[tuple[str, str, list[str]]], int]:
        found = [each for each in self._relations() if part.lower() in each[2].lower() + each[3].lower()]
        columns: dict[int, list[str]] = {}
        if len(found) <= _WITH_COLUMNS:
            for oid, name, *_ in self._begun().execute(_COLUMNS, [[oid for *_, oid in found]]):
                columns.setdefault(oid, []).append(name)
        named = [(shown, kind, columns.get(oid, [])) for shown, kind, *_, oid in found[:_NAMES]]
        return named, max(0, len(found) - _NAMES)

    def table(self, name: str) -> str:
        found = self._relations()
        plain = name.replace('"', "").lower()
        same = [each for each in found if name in (each[0], *each[2:4])] or [
            each for each in found if plain in [part.replace('"', "").lower() for part in (each[0], *each[2:4])]
        ]
        if not same:
            meant = _near(name, [shown for shown, *_ in found])
            raise ToolFailed(f"there is no table {name[:_MESSAGE]!r}{meant}; list_tables shows what there is")
        shown, kind, *_, oid = same[0]
        columns = self._begun().execute(_COLUMNS, [[oid]]).fetchall()
        about, constraints, definition = self._begun().execute(_ABOUT, [oid]).fetchone() or (None, [], None)
        lines = [(column, note) for _, _, column, note in columns] + [(constraint, "") for constraint in constraints]
        body = "\n".join(
            f"  {line}{',' if number < len(lines) else ''}{f'  -- {_one_line(note)}' if note else ''}"
            for number, (line, note) in enumerate(lines, start=1)
        )
        text = f"CREATE {kind.upper()} {shown} (\n{body}\n)" + (f" AS\n{definition.strip()}" if definition else ";")
        return f"-- {_one_line(about)}\n{text}" if about else text

    def _said(self, error: "psycopg.Error") -> str:
        """What the server says, as far as it helps the model, and without what is secret."""
        import psycopg

        text = error.diag.message_primary or str(error)
        if isinstance(error, psycopg.errors.QueryCanceled) and "timeout" in text:
            text = f"the query took longer than {self.database.seconds:g} seconds and was stopped; ask for less"
        elif isinstance(error, psycopg.errors.LockNotAvailable):
            text = "another program has locked the table; try again in a while"
        elif "multiple commands" in text:
            text = f"this is more than one statement; {_ONLY}"
        elif isinstance(error, psycopg.errors.SyntaxError | psycopg.errors.FeatureNotSupported):
            text = f"{text.replace('DECLARE CURSOR', 'the statement')}; {_ONLY}"
        elif isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            text = f"{text}; {_ONLY}"
        elif error.diag.message_hint:
            text = f"{text}. {error.diag.message_hint}"
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _one_line(text)[:_MESSAGE]


def _numbered(statement: str, parameters: Any) -> tuple[str, list[Any]]:
    """A statement with $1 for each :name, and the values in that order. Values stay apart from it."""
    if not isinstance(parameters, dict):
        return statement, list(parameters or ())
    places: dict[str, int] = {}

    def placed(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None or name not in parameters:
            return match[0]
        return f"${places.setdefault(name, len(places) + 1)}"

    statement = _NAMED.sub(placed, statement)
    return statement, [parameters[name] for name in places]


def _without_end(statement: str) -> str:
    """The statement without the semicolon at its end, and what is said after it."""
    return _ENDED.sub(lambda match: match["kept"] or "", statement)


def _json_of(name: str, kind: int, limit: int) -> str:
    """What gives the value of a column as JSON, or its beginning."""
    if kind == _BYTEA:
        return (
            f"""CASE WHEN {name} IS NULL THEN NULL ELSE pg_catalog.format('"<%s bytes>"', octet_length({name})) END"""
        )
    return f"pg_catalog.left(pg_catalog.to_json({name})::pg_catalog.text, {limit})"


def _cell(text: str | None, limit: int) -> str:
    """A value as JSON; if it is too long, what can be told of its beginning."""
    if text is None:
        return "null"
    data = text.encode()
    if len(data) <= limit:
        return re.sub(r"[\r\n]", " ", text)  # the type json keeps the line breaks between its values
    head = data[:limit].decode(errors="ignore")
    if not head.startswith('"'):
        return json.dumps(f"{head}… [cut]", ensure_ascii=False)
    for end in islice(range(len(head), 0, -1), 8):  # the last escape may be cut in two
        with suppress(ValueError):
            head = json.loads(f'{head[:end]}"')
            break
    more = f" [cut; read on with substr(..., {len(head) + 1})]" if limit > _SHORT else ""
    return json.dumps(f"{head}…{more}", ensure_ascii=False)


def _near(name: str, names: list[str]) -> str:
    last = {each.rpartition(".")[2].strip('"').lower(): each for each in reversed(names)}
    near = get_close_matches(name.rpartition(".")[2].lower()[:_MESSAGE], last, n=3)
    return f"; did you mean {' or '.join(last[each] for each in near)}?" if near else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())

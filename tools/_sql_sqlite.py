"""The process that reads an SQLite database: started by path, for one request, and imported by nobody.

SQLite can be kept from writing, but not from using time and memory: a WITH whose parts each name the one before twice
takes all there is before any handler is asked, and so does one call of trim() or instr(). A process can be stopped.

    in   {"uri", "kind": "query" | "tables" | "table", "statement", "parameters", "rows", "bytes", "seconds"}
    out  {"columns", "rows"} (each row a text, itself JSON), {"tables"}, {"table"} or {"error"}

Four walls, each of which would do alone for what it is against: the file is opened with mode=ro; an authorizer lets
through what reads, and no function with side effects; limits of SQLite; limits that the kernel sets on the process.
"""

import json
import math
import re
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from difflib import get_close_matches
from typing import Any

_MEMORY = 500_000_000
_FILE_SIZE = 64_000_000  # the index beside a database in WAL mode may be made anew; sorting stays in memory
_STEPS = 5_000  # steps of SQLite's machine between two looks at the clock
_BUSY_SECONDS = 2.0
_NAMES = 1_000
_WITH_COLUMNS = 60
_NAMED = 200
_SHORT = 200  # bytes of a cell below which saying how to read on would take more than it tells

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 10_000_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 500,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
# SQLite's own flag, SQLITE_INNOCUOUS, on each function without side effects that tells no secrets.
_FUNCTIONS = f"SELECT lower(name), min(flags & {0x200000}) FROM pragma_function_list GROUP BY 1"
_SEARCHING = {"bm25", "highlight", "match", "matchinfo", "offsets", "snippet", "rtreedepth", "rtreenode"}
_PRAGMAS_ABOUT = {
    "foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"
}  # fmt: skip
_PRAGMAS = {
    "application_id", "collation_list", "compile_options", "data_version", "encoding", "freelist_count",
    "function_list", "journal_mode", "module_list", "page_count", "page_size", "pragma_list", "schema_version",
    "table_list", "user_version",
}  # fmt: skip
_KINDS = {
    getattr(sqlite3, f"SQLITE_{kind}"): kind
    for kind in ("ANALYZE", "ATTACH", "DELETE", "DETACH", "INSERT", "PRAGMA", "REINDEX", "SAVEPOINT", "TRANSACTION",
                 "UPDATE")
}  # fmt: skip

_READ_ONLY = "the database can only be read here; write one SELECT"
_PROBLEMS = {
    # a part of SQLite's message -> what to tell the model
    "interrupted": "",
    "string or blob too big": "a value is larger than 10 MB; use length() or substr() of less",
    "one statement at a time": "this is more than one statement; write one SELECT, without another after the semicolon",
    "database is locked": "the database is busy, another program is writing; try again in a while",
    "not a database": "the file is no SQLite database, or it is encrypted; tell the user",
    "malformed": "the database file is damaged; tell the user",
    "unable to open": "the database cannot be opened; tell the user. If it is in WAL mode, the folder must be "
    "writable, or another program must have it open",
    "readonly database": "the database was not closed properly, and must be opened once by a program that may write; "
    "tell the user",
}


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the request asks for, or an error in words for the model."""
    _confine(request["seconds"])
    if sqlite3.sqlite_version_info < (3, 31):
        return {"error": f"SQLite {sqlite3.sqlite_version} is too old to be kept from writing; tell the user"}
    guard, busy = Guard(request["seconds"]), min(_BUSY_SECONDS, request["seconds"])
    try:
        with closing(sqlite3.connect(request["uri"], busy, isolation_level=None, uri=True)) as connection:
            try:
                guard.watch(connection)
                return _ASKED[request["kind"]](connection, request)
            except sqlite3.Error as error:
                return {"error": guard.said(error) or _said(error, connection, request)}
    except sqlite3.Error as error:
        return {"error": _plain(str(error))}
    except (UnicodeError, ValueError, OverflowError) as error:
        return {"error": f"the statement or a parameter cannot be given to SQLite: {error}"}


def _confine(seconds: float) -> None:
    """Have the kernel end this process where SQLite has no limit of its own."""
    try:
        import resource
    except ImportError:
        return  # not on Windows; who has started this process ends it in time
    for what, limit in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, math.ceil(seconds) + 1),
        (resource.RLIMIT_FSIZE, _FILE_SIZE),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (limit, limit))


class Guard:
    """What a connection may do, and for how long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.ends = time.monotonic() + seconds
        self.refused = ""
        """What was refused first, in words."""
        self.harmless = set(_SEARCHING)

    def watch(self, connection: sqlite3.Connection) -> None:
        """Set the limits; from here on the connection only reads."""
        connection.set_progress_handler(lambda: time.monotonic() > self.ends, _STEPS)
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        for pragma in ("query_only=ON", "temp_store=MEMORY", "mmap_size=0", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {pragma}")
        for name, flag in connection.execute(_FUNCTIONS):
            if flag or name.startswith(("json", "->")):  # those lack the flag in some versions, by a slip
                self.harmless.add(name)
        # When a virtual table is first named, SQLite asks for what it would need to make it and to write into it.
        virtual = connection.execute(f"SELECT name FROM sqlite_master WHERE rootpage = 0 LIMIT {_NAMED}").fetchall()
        for name in (
            "json_each",
            "json_tree",
            *(f"pragma_{name}" for name in _PRAGMAS | _PRAGMAS_ABOUT),
            *(name for (name,) in virtual),
        ):
            with suppress(sqlite3.Error):
                connection.execute(f"SELECT 1 FROM {_quoted(name)} LIMIT 0")
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.set_authorizer(self.allows)

    def allows(self, action: int, first: str | None, second: str | None, *_where: str | None) -> int:
        """SQLite asks this about each thing that a statement would do, before it runs."""
        kind = _KINDS.get(action, "")
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            if str(second).lower() in self.harmless:
                return sqlite3.SQLITE_OK
            kind = f"the function {second}()"
        elif kind in ("INSERT", "UPDATE", "DELETE") and str(first).startswith("sqlite_"):
            kind = "a change of the schema"
        elif kind == "PRAGMA":
            if str(first).lower() in (_PRAGMAS if second is None else _PRAGMAS_ABOUT):
                return sqlite3.SQLITE_OK
            kind = f"PRAGMA {first}"
        self.refused = self.refused or kind or "this statement"
        return sqlite3.SQLITE_DENY

    def said(self, error: sqlite3.Error) -> str:
        """An error in words, if it is the guard's doing."""
        if "interrupted" in str(error):
            return f"the query took longer than {self.seconds:g} seconds and was stopped; ask for less of the data"
        return f"{self.refused} is refused: {_READ_ONLY}" if self.refused else ""


def _query(connection: sqlite3.Connection, request: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of a statement, a little more of them than are wanted if there are more."""
    cursor = _executed(connection, request["statement"], request["parameters"])
    if cursor.description is None:
        return {"error": f"this statement gives no rows: {_READ_ONLY}"}
    rows: list[str] = []
    size, cell = 0, request["bytes"] // max(4, 2 * len(cursor.description))
    for row in cursor:
        rows.append(json.dumps([_cell(value, cell) for value in row], ensure_ascii=False))
        size += len(rows[-1].encode("utf-8", "replace"))
        if len(rows) > request["rows"] or size > request["bytes"]:
            break
    return {"columns": [column[0] for column in cursor.description], "rows": rows}


def _executed(connection: sqlite3.Connection, statement: str, parameters: Any) -> sqlite3.Cursor:
    if isinstance(parameters, list):
        try:  # $1 and ?1 are names to Python, ? is not
            named = {str(number): value for number, value in enumerate(parameters, start=1)}
            return connection.execute(statement, named)
        except sqlite3.ProgrammingError as error:
            if "has no name" not in str(error):
                raise
    return connection.execute(statement, parameters or ())


def _cell(value: object, limit: int) -> object:
    """A value as JSON has it."""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float) and not math.isfinite(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str) and len(data := value.encode("utf-8", "replace")) > limit:
        head = data[:limit].decode("utf-8", "ignore")
        return f"{head}…" + (f" [cut; read on with substr(..., {len(head) + 1})]" if limit > _SHORT else "")
    return value


def _tables(connection: sqlite3.Connection, request: Mapping[str, Any]) -> dict[str, Any]:
    """Tables and views whose names hold a text; if they are few, with their columns."""
    found = [(name, kind) for name, kind in _relations(connection) if request["statement"].lower() in name.lower()]
    few = len(found) <= _WITH_COLUMNS
    named = [
        [_identifier(name), kind, [_identifier(each) for each in _columns(connection, name)] if few else []]
        for name, kind in found[:_NAMES]
    ]
    return {"tables": named, "more": max(0, len(found) - _NAMES)}


def _table(connection: sqlite3.Connection, request: Mapping[str, Any]) -> dict[str, Any]:
    """How a table or view was created, and its indexes."""
    asked = request["statement"].removeprefix("main.")
    wanted = {asked, asked[1:-1].replace('""', '"') if asked[:1] in {'"', "`", "["} else asked}
    names = [name for name, _ in _relations(connection)]
    same = [name for name in names if name in wanted] or [
        name for name in names if name.lower() in {each.lower() for each in wanted}
    ]
    if not same:
        return {"error": f"there is no table {asked[:_NAMED]!r}{_meant(asked, names)}; list_tables shows what there is"}
    created = (
        "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type <> 'trigger' AND sql <> '' ORDER BY type = 'index'"
    )
    return {"table": ";\n".join(sql for (sql,) in connection.execute(created, [same[0]])) + ";"}


def _relations(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The names of tables and views, without those in which SQLite and its full-text search keep their own data."""
    hidden: set[str] = set()
    with suppress(sqlite3.Error):  # since SQLite 3.37
        hidden = {name for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
    listed = connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
    return [(name, kind) for name, kind in listed if name not in hidden and not name.startswith("sqlite_")]


def _columns(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    with suppress(sqlite3.Error):  # a view of something that is gone
        for (name,) in connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1", [table]):
            yield name


def _said(error: sqlite3.Error, connection: sqlite3.Connection, request: Mapping[str, Any]) -> str:
    """What SQLite says, and the names that may have been meant."""
    text = _plain(str(error))
    missing = re.search(r"no such (table|column): (?:.*\.)?(.+)", text)
    if not missing:
        return text
    with suppress(sqlite3.Error):
        names = [name for name, _ in _relations(connection)]
        if missing[1] == "column":
            statement = str(request["statement"]).lower()
            near = [name for name in names if name.lower() in statement][:_NAMED]
            names = [column for name in near for column in _columns(connection, name)]
        return text + _meant(missing[2], names)
    return text


def _plain(text: str) -> str:
    return next((words for part, words in _PROBLEMS.items() if words and part in text), text[:_NAMED])


def _meant(name: str, names: Iterable[str]) -> str:
    by_letters = {each.lower(): each for each in names}
    near = get_close_matches(name.lower()[:_NAMED], by_letters, n=3)
    return f"; did you mean {' or '.join(_identifier(by_letters[each]) for each in near)}?" if near else ""


def _identifier(name: str) -> str:
    """A name as it is written in a statement."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and not _RESERVED.fullmatch(name)
    return name if plain else _quoted(name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_RESERVED = re.compile(
    "ADD|ALL|ALTER|AND|AS|AUTOINCREMENT|BETWEEN|CASE|CHECK|COLLATE|COMMIT|CONSTRAINT|CREATE|DEFAULT|DEFERRABLE|DELETE|"
    "DISTINCT|DROP|ELSE|ESCAPE|EXCEPT|EXISTS|FOREIGN|FROM|GROUP|HAVING|IN|INDEX|INSERT|INTERSECT|INTO|IS|ISNULL|JOIN|"
    "LIMIT|NOT|NOTHING|NOTNULL|NULL|ON|OR|ORDER|PRIMARY|REFERENCES|RETURNING|SELECT|SET|TABLE|THEN|TO|TRANSACTION|"
    "UNION|UNIQUE|UPDATE|USING|VALUES|WHEN|WHERE",
    re.IGNORECASE,
)
_ASKED = {"query": _query, "tables": _tables, "table": _table}

if __name__ == "__main__":
    try:
        told = answer(json.load(sys.stdin))
    except MemoryError:
        told = {"error": "the query needs too much memory; ask for less of the data"}
    sys.stdout.write(json.dumps(told))

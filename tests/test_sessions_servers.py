"""Servers that keep conversations, and their faults: restarts, cut connections, wrong passwords; and killed runs."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import anyio.abc
import pytest
import session_stores
from session_stores import Place, told

from agentkit import Agent, ConfigError, Message, Session, SessionError, UserMessage, tool
from agentkit.journal import FileJournal
from agentkit.messages import ToolResult, unanswered
from agentkit.models.chat import ChatBackend
from agentkit.sessions import RedisStore, SqlStore
from agentkit.testing import ChatServer

pytestmark = pytest.mark.anyio

HELLO: list[Message] = [UserMessage(content="Hello.")]
SERVERS = ["postgres", "valkey"]


# connections


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", SERVERS)
async def test_a_store_goes_on_after_its_server_was_restarted(kind: str, at: Callable[[str], Place]) -> None:
    """While the server is away, that is told; afterwards all is as it was, and nobody has to be asked twice."""
    place = at(kind)
    store = place.make()
    revision = await store.append("a", HELLO, revision=0)
    await anyio.to_thread.run_sync(place.server.stop)
    try:
        for work in (store.load("a"), store.append("a", HELLO, revision=revision), store.list(), store.delete("a")):
            with pytest.raises(SessionError, match="failed"):
                await work
    finally:
        await anyio.to_thread.run_sync(place.server.start)
    assert (await store.load("a")).revision == revision
    await store.append("a", HELLO, revision=revision)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", SERVERS)
async def test_connections_that_were_closed_meanwhile_are_made_again(kind: str, at: Callable[[str], Place]) -> None:
    """Nobody notices, whatever is asked first."""
    place = at(kind)
    store = place.make()
    revision = await store.append("a", HELLO, revision=0)
    place.server.hang_up()
    revision = await store.append("a", HELLO, revision=revision)
    place.server.hang_up()
    assert (await store.load("a")).revision == revision
    place.server.hang_up()
    assert await store.list() == ["a"]
    place.server.hang_up()
    assert await store.delete("a")


@asynccontextmanager
async def cut(place: Place, folder: Path, sign: bytes, *, after: bool) -> AsyncIterator[tuple[str, list[int]]]:
    """A way to the server that breaks once: before what holds `sign` arrives, or after, before it is answered."""
    real = f"{place.server.host}/.s.PGSQL.5432" if place.kind == "postgres" else place.server.socket
    way, cuts = folder / Path(real).name, list[int]()

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client, await anyio.connect_unix(real) as server, anyio.create_task_group() as group:

            async def back() -> None:
                async for data in server:
                    if cuts == [0]:
                        cuts[0] = 1
                        break
                    await client.send(data)
                group.cancel_scope.cancel()

            group.start_soon(back)
            async for data in client:
                if sign in data and not cuts:
                    cuts.append(0 if after else 1)
                    if not after:
                        break
                await server.send(data)
            group.cancel_scope.cancel()

    async def careless(client: anyio.abc.SocketStream) -> None:
        try:
            await serve(client)
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    async with await anyio.create_unix_listener(way) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, careless)
        url = place.url.replace(place.server.host, str(folder)) if place.kind == "postgres" else f"unix://{way}"
        yield url, cuts
        group.cancel_scope.cancel()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("kind", "sign"), [("postgres", b"COMMIT\0"), ("valkey", b"EVAL")], ids=SERVERS)
async def test_a_connection_that_breaks_leaves_no_doubt(
    kind: str, sign: bytes, after: bool, at: Callable[[str], Place], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The append is made, and made once, whether the server has heard of it before or not."""
    place = at(kind)
    known = place.make()
    revision = await known.append("a", HELLO, revision=0)
    with anyio.fail_after(20):
        async with cut(place, tmp_path_factory.mktemp("c"), sign, after=after) as (url, cuts):
            made = SqlStore(url) if kind == "postgres" else RedisStore(url, prefix=place.prefix)
            with closing(made) as store:
                await store.load("a")
                cuts.clear()
                later = await store.append("a", [UserMessage(content="Once.")], revision=revision)
                assert cuts == [1]
    found = await known.load("a")
    assert [m.text for m in found.messages if isinstance(m, UserMessage)] == ["Hello.", "Once."]
    assert found.revision == later


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_rival_that_hangs_is_not_waited_for_for_ever(at: Callable[[str], Place]) -> None:
    """Somebody has begun to change the session, and does not come to an end."""
    import psycopg

    place = at("postgres")
    with closing(SqlStore(place.url, timeout=0.5)) as store:
        revision = await store.append("a", HELLO, revision=0)
        with psycopg.connect(place.url) as rival:
            rival.execute("UPDATE agentkit_sessions SET revision = 1")
            with pytest.raises(SessionError, match="somebody has kept it locked"):
                await store.append("a", HELLO, revision=revision)
            rival.rollback()
        await store.append("a", HELLO, revision=revision)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_role_that_cannot_make_tables_uses_those_that_are_there(at: Callable[[str], Place]) -> None:
    """Somebody else has made them."""
    place = at("postgres")
    await place.make().append("a", HELLO, revision=0)
    schema = place.url.rpartition("%3D")[2]
    place.server.run(
        f"CREATE ROLE clerk_{schema} LOGIN",
        f"GRANT USAGE ON SCHEMA {schema} TO clerk_{schema}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO clerk_{schema}",
    )
    with closing(SqlStore(place.url.replace("postgres:a-secret", f"clerk_{schema}"))) as store:
        assert (await store.load("a")).messages == tuple(HELLO)
        await store.append("b", HELLO, revision=0)


@pytest.mark.parametrize("kind", session_stores.KINDS)
async def test_a_thousand_at_once_are_all_served(kind: str, at: Callable[[str], Place]) -> None:
    """With a few threads and connections, which tools do not share."""
    store, threads = at(kind).make(), anyio.to_thread.current_default_thread_limiter()
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(300):
                group.start_soon(say, store, str(number))
            await anyio.lowlevel.checkpoint()
            assert threads.borrowed_tokens == 0
    assert len(await store.list(limit=1000)) == 300


async def say(store: session_stores.SessionStore, id: str) -> None:
    await store.append(id, HELLO, revision=(await store.load(id)).revision)


# what is told


SECRET = "hunter2/@:%41 ü"
QUOTED = "hunter2%2F%40%3A%2541%20%C3%BC"
BROKEN = [
    f"postgresql://ada:{QUOTED}@127.0.0.1:1/shop",
    f"postgresql://ada:{QUOTED}@127.0.0.1:1/shop?sslpassword={QUOTED}",
    f"postgresql://ada:{QUOTED}@127.0.0.1:1/shop?nonsense={QUOTED}",
    f"postgresql://ada:{SECRET}@127.0.0.1:1/shop",
    f"postgresql://ada:{QUOTED}@host:{SECRET}/shop",
    f"redis://ada:{QUOTED}@127.0.0.1:1/0",
    f"redis://:{QUOTED}@127.0.0.1:1/{SECRET}",
    f"redis://127.0.0.1:1/0?password={QUOTED}",
    f"redis://ada:{SECRET}@127.0.0.1:1",
    f"redis://ada:{QUOTED}@127.0.0.1:{SECRET}",
    f"mysql://ada:{QUOTED}@127.0.0.1:1/shop",
    f"nonsense://{SECRET}@{SECRET}",
]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("url", BROKEN, ids=range(len(BROKEN)))
async def test_no_error_tells_the_password(url: str) -> None:
    """Nor does what is shown of a store."""
    for make in (SqlStore, RedisStore):
        shown: list[str] = []
        try:
            with closing(make(url, timeout=2)) as store:
                shown = [repr(store), str(store), f"{store!r:>5}"]
                await store.load("a")
        except (ConfigError, SessionError) as error:
            shown.append(told(error))
        assert shown
        assert "hunter2" not in " ".join(shown)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_wrong_password_is_told_without_it(at: Callable[[str], Place]) -> None:
    """Who is refused learns by whom."""
    import redis

    place = at("valkey")
    with closing(redis.Redis.from_url(place.url)) as admin:
        admin.config_set("requirepass", "the-right-one")
        try:
            url = place.url.replace("unix://", "unix://:the-wrong-one@")
            with closing(RedisStore(url)) as store, pytest.raises(SessionError, match="AuthenticationError") as caught:
                await store.load("a")
            with closing(RedisStore(url.replace("wrong", "right"))) as store:
                await store.load("a")
        finally:
            admin.config_set("requirepass", "")
    assert "the-wrong-one" not in told(caught.value)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_error_tells_what_was_said(at: Callable[[str], Place]) -> None:
    """Of a row that a database refuses, its words are not shown."""
    place = at("postgres")
    await place.make().append("a", HELLO, revision=0)
    schema = place.url.rpartition("%3D")[2]
    place.server.run(f"ALTER TABLE {schema}.agentkit_session_steps ADD CHECK (data NOT LIKE '%my diagnosis%')")
    with pytest.raises(SessionError, match="check constraint") as caught:
        await place.make().append("b", [UserMessage(content="my diagnosis")], revision=0)
    assert "diagnosis" not in told(caught.value)


@pytest.mark.parametrize("url", ["mysql://a/b", "sqlite://", "sqlite:///:memory:", "postgresql://h:x/", "no://"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    """At once, with one that can be."""
    with pytest.raises(ConfigError, match="give it the path of a file"):
        SqlStore(url)


@pytest.mark.parametrize("prefix", ["", "a:b", "a*", "ä", "a b"])
def test_a_prefix_that_could_meet_another_is_refused(prefix: str) -> None:
    """Whatever an id looks like, it stays below its own prefix."""
    with pytest.raises(ConfigError, match="letters, digits"):
        RedisStore("redis://localhost", prefix=prefix)


# processes


def python(program: str) -> str:
    """What a program prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, encoding="utf-8")
    assert not done.returncode, done.stderr
    return done.stdout


def test_the_libraries_are_loaded_when_they_are_used() -> None:
    """Whoever keeps conversations in memory does not pay for databases."""
    loaded = python("import sys, agentkit.sessions; print(sorted({'sqlalchemy', 'redis', 'psycopg'} & {*sys.modules}))")
    assert loaded == "[]\n"


@pytest.mark.parametrize(
    ("library", "store", "wanted"),
    [
        ("sqlalchemy", "SqlStore('x.db')", "sqlalchemy"),
        ("psycopg", "SqlStore('postgresql://h/d')", '"psycopg[binary]"'),
        ("redis", "RedisStore('redis://h')", "redis"),
    ],
)
def test_a_library_that_is_missing_is_named(library: str, store: str, wanted: str) -> None:
    """With what to install."""
    program = f"import sys\nsys.modules[{library!r}] = None\nfrom agentkit.sessions import *\nfrom agentkit import *\n"
    said = python(f"{program}try:\n    {store}\nexcept ConfigError as error:\n    print(error)")
    assert wanted in said.partition("pip install ")[2].split()


FORKED = """
import os
import anyio
from agentkit import UserMessage

store = make()

async def say(id, times):
    for _ in range(times):
        known = await store.load(id)
        await store.append(id, [UserMessage(content=id)], revision=known.revision)

anyio.run(say, "before", 1)
child = os.fork()
if child == 0 and os.path.isdir("/proc/self/fd"):
    files = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    if any(".db" in os.readlink(file) for file in files if os.path.exists(file)):
        os._exit(9)  # SQLite thinks that it holds locks on it
anyio.run(say, "child" if child == 0 else "parent", 40)
store.close()
if child == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
async def test_a_process_that_was_forked_has_connections_of_its_own(kind: str, at: Callable[[str], Place]) -> None:
    """A web server that forks its workers after it has opened the store mixes nothing up."""
    place = at(kind)
    program = place.program + FORKED
    done = await anyio.run_process([sys.executable, "-W", "ignore::DeprecationWarning", "-c", program])
    assert done.stdout.decode() == "0\n", done.stderr.decode()
    store = place.make()
    assert [len((await store.load(id)).messages) for id in ("before", "child", "parent")] == [1, 40, 40]


RUN = """
import os, sys
from pathlib import Path
import anyio
from agentkit import Agent, Session, tool
from agentkit.journal import FileJournal
from agentkit.testing import ScriptedModel, call

@tool
def pay(to: str) -> str:
    "Pay somebody."
    os.write(1, f"{to}\\n".encode())
    return f"paid {to}"

script = [[call("pay", to=f"{n}a"), call("pay", to=f"{n}b")] for n in range(8)]
agent = Agent(ScriptedModel([*script, "All paid."]), tools=[pay], journal=FileJournal(Path(sys.argv[1])))
print(anyio.run(lambda: agent.run("Pay.", session=Session("s", make()))).output)
"""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
@pytest.mark.parametrize("moments", [(5,), pytest.param(range(1, 17), marks=pytest.mark.sweep)], ids=["one", "all"])
async def test_a_run_that_was_killed_is_gone_on_with(
    moments: range, kind: str, at: Callable[[str], Place], tmp_path: Path
) -> None:
    """Killed at its n-th payment: the strictest provider takes the history, and nobody is paid twice."""
    paid: list[str] = []

    @tool
    def pay(to: str) -> str:
        """Pay somebody."""
        paid.append(to)
        return f"paid {to}"

    for moment in moments:
        place, journal = at(kind), tmp_path / f"{moment}.db"
        paid.clear()
        command = [sys.executable, "-c", place.program + RUN, str(journal)]
        async with await anyio.open_process(command, stderr=None) as process:
            assert process.stdout is not None
            said = b""
            while said.count(b"\n") < moment:
                said += await process.stdout.receive()
            process.kill()
            async for more in process.stdout:
                said += more
        store = place.make()
        before = (await store.load("s")).messages
        async with ChatServer(["I see."]) as server:
            model = ChatBackend("m", base_url=server.base_url, api_key="k")
            with closing(FileJournal(journal)) as kept:
                result = await Agent(model, tools=[pay], journal=kept).run(
                    "What was paid?", session=Session("s", store)
                )
        assert result.output == "I see."
        assert result.messages[: len(before)] == before
        assert unanswered(result.messages) == ()
        assert (await store.load("s")).messages == result.messages
        everybody = re.findall(r"^(\d[ab])$", said.decode(), re.MULTILINE) + paid
        assert len(everybody) == len(set(everybody))
        results = [m.content for m in result.messages if isinstance(m, ToolResult)]
        assert len(results) >= len(before) // 2 - 1

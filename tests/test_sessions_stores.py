"""What goes wrong where conversations are kept: nothing is lost without a word, and nothing overwritten."""

import asyncio
import json
import os
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import session_stores
from session_stores import Place

from agentkit import ConfigError, SessionError, UserMessage
from agentkit.errors import SessionBusy, SessionConflict, SessionCorrupt
from agentkit.messages import AssistantMessage, Message
from agentkit.sessions import SessionStore, SqlStore, Stored
from agentkit.testing.session_suite import EVERY_KIND

pytestmark = pytest.mark.anyio

HELLO: list[Message] = [UserMessage(content="Hello.")]
GOLDEN = Path(__file__).parent / "session_format_1.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a conversation is kept."""
    return tmp_path / "sessions.db"


@pytest.fixture
def store(file: Path) -> Iterator[SqlStore]:
    """A store in a file."""
    with closing(SqlStore(file, timeout=5)) as store:
        yield store


def redis_of(place: Place) -> tuple[SessionStore, Any, str]:
    """A store, a client of its server, and what its keys begin with."""
    import redis

    return place.make(), redis.Redis.from_url(place.url), place.prefix


def dump(file: Path) -> list[str]:
    """All that is in a database."""
    with closing(sqlite3.connect(file)) as connection:
        connection.text_factory = bytes
        tables = ("agentkit_sessions", "agentkit_session_steps", "agentkit_session_tables")
        return [repr(row) for table in tables for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]


def edit(file: Path, statement: str, values: list[object] | None = None) -> None:
    """Change something by hand."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute(statement, values or []).rowcount
        connection.commit()


@contextmanager
def at_each_commit(look: Callable[[Any], None]) -> Iterator[None]:
    """Call a function before each commit of SQLAlchemy."""
    from sqlalchemy import Engine, event

    looking = [look]
    event.listen(Engine, "commit", lambda connection: [each(connection) for each in looking])
    yield
    looking.clear()  # the listener stays: SQLAlchemy does not let one go while another thread is in it


# what is written


async def test_what_was_ever_written_can_be_read(store: SqlStore, file: Path) -> None:
    """The file of the first format holds each kind of message; it is never changed."""
    await store.append("a", EVERY_KIND, revision=0)
    edit(file, "UPDATE agentkit_session_steps SET data = ?", [GOLDEN.read_text(encoding="utf-8")])
    assert (await store.load("a")).messages == tuple(EVERY_KIND)


async def test_what_is_written_is_what_was_ever_written(store: SqlStore, file: Path) -> None:
    """An older agentkit reads what this one writes, as long as the format has the same number."""
    await store.append("a", EVERY_KIND, revision=0)
    with closing(sqlite3.connect(file)) as connection:
        [(data,)] = connection.execute("SELECT data FROM agentkit_session_steps").fetchall()
    assert json.loads(data) == json.loads(GOLDEN.read_text(encoding="utf-8"))


DAMAGE = {
    "no JSON": "{",
    "nothing": "",
    "no object": "[]",
    "no messages": '{"format": 1}',
    "more than messages": '{"format": 1, "messages": [], "more": 1}',
    "no format": '{"messages": []}',
    "a newer format": '{"format": 2, "messages": []}',
    "a message of another kind": '{"format": 1, "messages": [{"role": "system", "content": "x"}]}',
    "half a message": '{"format": 1, "messages": [{"role": "user"}]}',
    "a field of the future": '{"format": 1, "messages": [{"role": "user", "content": "x", "mood": "sad"}]}',
    "deep": '{"format": 1, "messages": ' + "[" * 100_000,
    "a class's name": '{"format": 1, "messages": [{"lc": 1, "type": "constructor", "id": ["os", "system"]}]}',
    "a pickle": b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "no UTF-8": b'{"format": 1, "messages": [{"role": "user", "content": "\xff"}]}',
    "a number": 5,
}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_damaged_or_newer_data_is_left_as_it_is(store: SqlStore, file: Path, damage: object) -> None:
    """Whoever repairs it, or has the newer version, finds all of it."""
    revision = await store.append("a", HELLO, revision=0)
    await store.append("a", HELLO, revision=revision)
    await store.append("whole", HELLO, revision=0)
    edit(file, "UPDATE agentkit_session_steps SET data = ? WHERE revision = ?", [damage, revision])
    before = dump(file)
    with pytest.raises(SessionCorrupt, match="left as it is"):
        await store.load("a")
    with pytest.raises(SessionConflict):
        await store.append("a", HELLO, revision=0)
    assert dump(file) == before
    assert (await store.load("whole")).messages == tuple(HELLO)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("damage", [value for value in DAMAGE.values() if value != 5])
async def test_damage_in_valkey_is_left_as_it_is(at: Callable[[str], Place], damage: str | bytes) -> None:
    """The same there."""
    store, client, name = redis_of(at("valkey"))
    revision = await store.append("a", HELLO, revision=0)
    client.hset(f"{name}:session:a", str(revision), damage)
    before = client.hgetall(f"{name}:session:a")
    with pytest.raises(SessionCorrupt, match="session 'a'"):
        await store.load("a")
    assert client.hgetall(f"{name}:session:a") == before
    client.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "fields",
    [
        {"format": "2", "revision": "5", "steps": "0"},
        {"format": "1", "revision": "5", "steps": "1"},
        {"format": "x", "revision": "5", "steps": "0"},
        {"format": "1", "revision": "5", "steps": "0", "note": "x"},
        {"format": "1"},
        None,
    ],
)
async def test_a_strange_hash_in_valkey_is_left_as_it_is(at: Callable[[str], Place], fields: Any) -> None:
    """A newer version has written it, or somebody else altogether."""
    store, client, name = redis_of(at("valkey"))
    key = f"{name}:session:a"
    if fields:
        client.hset(key, mapping=fields)
    else:
        client.set(key, "somebody's")
    before = client.dump(key)
    with pytest.raises(SessionCorrupt):
        await store.load("a")
    for revision in (0, 7):
        with pytest.raises(SessionError):
            await store.append("a", HELLO, revision=revision)
    assert client.dump(key) == before
    client.close()


async def test_a_step_that_was_lost_is_missed(store: SqlStore, file: Path) -> None:
    """A history with a hole is not shown as if it had none."""
    revision = await store.append("a", HELLO, revision=0)
    await store.append("a", HELLO, revision=revision)
    edit(file, "DELETE FROM agentkit_session_steps WHERE revision = ?", [revision])
    with pytest.raises(SessionCorrupt, match="1 of its 2 steps"):
        await store.load("a")


async def test_a_file_that_is_no_database_is_left_as_it_is(store: SqlStore, file: Path) -> None:
    """It may be somebody's letter."""
    letter = b"Dear Ada, " * 1000
    await anyio.Path(file).write_bytes(letter)
    for work in (store.load("a"), store.append("a", HELLO, revision=0), store.list(), store.delete("a")):
        with pytest.raises(SessionCorrupt, match="not a database"):
            await work
    assert await anyio.Path(file).read_bytes() == letter


async def test_tables_of_a_newer_version_are_left_as_they_are(store: SqlStore, file: Path) -> None:
    """An older program beside a newer one does no harm."""
    await store.append("a", HELLO, revision=0)
    store.close()
    edit(file, "UPDATE agentkit_session_tables SET version = 2")
    before = dump(file)
    for work in (store.load("a"), store.append("a", HELLO, revision=0), store.delete("a")):
        with pytest.raises(SessionCorrupt, match="version 2"):
            await work
    assert dump(file) == before


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_what_is_no_json_is_refused(at: Callable[[str], Place], kind: str) -> None:
    """Before anything is written, since it could not be read again."""
    store, deep = at(kind).make(), dict[str, Any]()
    inner = deep
    for _ in range(300):
        inner["a"] = inner = {}
    for state in (deep, {"a": object()}):
        with pytest.raises(SessionError, match="cannot be stored"):
            await store.append("a", [*HELLO, AssistantMessage(state=state)], revision=0)
    assert await store.load("a") == Stored()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_what_is_as_deep_as_can_be_read_is_stored(at: Callable[[str], Place], kind: str) -> None:
    """At whichever depth the end comes, what was stored can be read."""
    store = at(kind).make()
    for depth in range(170, 210):
        state: dict[str, Any] = {}
        for _ in range(depth):
            state = {"a": state}
        said = [AssistantMessage(state=state)]
        try:
            await store.append(str(depth), said, revision=0)
        except SessionError:
            continue
        assert (await store.load(str(depth))).messages == tuple(said)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("bad", ["", "a\x00b", "a\nb", "x" * 257, "\ud800"])
@pytest.mark.parametrize("kind", session_stores.KINDS)
async def test_an_id_that_is_none_is_refused(at: Callable[[str], Place], kind: str, bad: str) -> None:
    """Also where no Session stands before the store."""
    store = at(kind).make()
    for work in (
        store.load(bad),
        store.append(bad, HELLO, revision=0),
        store.replace(bad, HELLO, revision=0),
        store.delete(bad),
    ):
        with pytest.raises(ConfigError, match="session id"):
            await work


# the file


async def test_the_file_is_nobody_elses_business(store: SqlStore, file: Path) -> None:
    """Nor are those that SQLite lays beside it."""
    await store.append("a", HELLO, revision=0)
    files = list(file.parent.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_what_was_written_is_on_the_disk(store: SqlStore) -> None:
    """With each commit, in a log that readers do not wait for."""
    seen: list[tuple[Any, Any]] = []

    def look(connection: Any) -> None:
        pragma = ("PRAGMA journal_mode", "PRAGMA synchronous")
        seen.append(tuple(connection.connection.driver_connection.execute(one).fetchone()[0] for one in pragma))

    with at_each_commit(look):
        await store.append("a", HELLO, revision=0)
        await store.append("b", HELLO, revision=0)
    assert seen[1:] == [("wal", 2)] * 2  # the first makes the tables


async def test_a_file_that_was_moved_away_is_not_written_to(store: SqlStore, file: Path) -> None:
    """What is written goes where the next process will look for it."""
    revision = await store.append("a", HELLO, revision=0)
    for path in list(file.parent.iterdir()):
        path.rename(file.parent / f"old-{path.name}")
    with pytest.raises(SessionConflict):
        await store.append("a", HELLO, revision=revision)
    await store.append("b", HELLO, revision=0)
    with closing(SqlStore(file)) as other:
        assert await other.list() == ["b"]


async def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """It is told, and what was there stays."""
    place = tmp_path / "small"
    await anyio.Path(place).mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0 or (await anyio.run_process(mounted, check=False)).returncode:
        pytest.skip("it mounts a small file system, which only root can do")
    try:
        with closing(SqlStore(place / "s.db")) as store:
            revision, written = 0, 0
            with pytest.raises(SessionError, match="full"):
                while True:
                    revision = await store.append("a", [UserMessage(content=str(written) * 3000)], revision=revision)
                    written += 1
            assert written > 3
            assert (await store.load("a")).revision == revision
        with closing(SqlStore(place / "s.db")) as again:
            assert len((await again.load("a")).messages) == written
    finally:
        await anyio.run_process(["umount", str(place)])


async def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """Which place it is, and why."""
    with closing(SqlStore(tmp_path / "none" / "s.db")) as store, pytest.raises(SessionError, match="unable to open"):
        await store.load("a")


async def test_somebody_who_keeps_the_file_locked_is_not_waited_for_for_ever(file: Path) -> None:
    """It is told that the store is busy; reading goes on meanwhile, and writing when the lock is gone."""
    with closing(SqlStore(file, timeout=0.3)) as store, closing(sqlite3.connect(file, isolation_level=None)) as other:
        revision = await store.append("a", HELLO, revision=0)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SessionBusy, match="somebody has kept it locked"):
            await store.append("a", HELLO, revision=revision)
        assert (await store.load("a")).revision == revision
        other.execute("ROLLBACK")
        await store.append("a", HELLO, revision=revision)


async def test_who_waits_for_a_lock_can_be_cancelled(store: SqlStore, file: Path) -> None:
    """At once; nothing was written, and nothing will be."""
    revision = await store.append("a", HELLO, revision=0)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with anyio.fail_after(3):
            with anyio.move_on_after(0.1) as scope:
                await store.append("a", HELLO, revision=revision)
        assert scope.cancelled_caught
        other.execute("ROLLBACK")
    assert (await store.load("a")).revision == revision
    await store.append("a", HELLO, revision=revision)


async def test_a_commit_that_fails_leaves_nothing_open(store: SqlStore) -> None:
    """The next change finds the store as it was."""
    revision = await store.append("a", HELLO, revision=0)

    def fail(connection: Any) -> None:
        raise OSError("the disk is on fire")

    with at_each_commit(fail), pytest.raises(SessionError, match="on fire"):
        await store.append("a", HELLO, revision=revision)
    assert (await store.load("a")).revision == revision
    await store.append("a", HELLO, revision=revision)


# cancellation


@contextmanager
def held() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Commits wait: an event that is set when one does, and one that lets all go on."""
    committing, go = threading.Event(), threading.Event()

    def wait(connection: Any) -> None:
        committing.set()
        go.wait(20)

    with at_each_commit(wait):
        try:
            yield committing, go
        finally:
            go.set()


async def test_an_append_that_is_cancelled_at_its_last_step_is_waited_for(store: SqlStore) -> None:
    """It is made, so its revision is returned; the cancellation comes at the next checkpoint."""
    before, made = await store.append("a", HELLO, revision=0), list[int]()
    async with anyio.create_task_group() as group:
        with held() as (committing, go):

            async def append() -> None:
                made.append(await store.append("a", HELLO, revision=before))
                await anyio.sleep_forever()

            group.start_soon(append)
            await anyio.to_thread.run_sync(committing.wait, 20)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                assert not made
                go.set()
    assert [(await store.load("a")).revision] == made


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_asyncio_cancels_knows_what_became_of_its_append(store: SqlStore) -> None:
    """When CancelledError arrives, the append is made or not, and stays so."""
    before = await store.append("a", HELLO, revision=0)
    with held() as (committing, go):
        task = asyncio.create_task(store.append("a", HELLO, revision=before))
        await anyio.to_thread.run_sync(committing.wait, 20)
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len((await store.load("a")).messages) == 2


async def test_a_last_step_that_does_not_end_is_left_in_time(file: Path) -> None:
    """A run that is cancelled does not wait for a dead disk; and one that is not is told that nobody knows."""
    with closing(SqlStore(file, timeout=0.5)) as store:
        before = await store.append("a", HELLO, revision=0)
        with held(), anyio.fail_after(10), pytest.raises(SessionError, match="load the session to see"):
            await store.append("a", HELLO, revision=before)
        with held() as (committing, _), anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(partial(store.append, "b", HELLO, revision=0))
                await anyio.to_thread.run_sync(committing.wait, 20)
                group.cancel_scope.cancel()

"""Files and vector stores over real HTTP, against a strict server on this machine."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
import openai
import pytest

from agentkit.errors import ConfigError, ModelError, RequestRejected
from agentkit.messages import SearchHit
from agentkit.models.assistants.file_wire import Chunks, read_answer
from agentkit.models.assistants.files import Files
from agentkit.models.http import Server
from agentkit.testing import QUIRKS, AssistantsRequest, AssistantsServer, Fault

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
HANDBOOK = "Holidays are thirty days a year. The canteen opens at noon.\n"


def files_of(server: AssistantsServer) -> Files:
    return Files(base_url=server.base_url, api_key=KEY)


def server_with(on_request: Callable[[AssistantsRequest], Fault | None] | None = None, **more: Any) -> AssistantsServer:
    return AssistantsServer([], on_request=on_request, **more)


def once(fault: Fault, method: str, path: str) -> Callable[[AssistantsRequest], Fault | None]:
    """The first such request fares badly."""
    coming = [fault]

    def on_request(request: AssistantsRequest) -> Fault | None:
        return coming.pop() if coming and request.method == method and request.path.startswith(path) else None

    return on_request


def asked(server: AssistantsServer, method: str, path: str) -> list[AssistantsRequest]:
    return [request for request in server.requests if (request.method, request.path) == (method, path)]


LARGE = bytes(range(250)) * 2800


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that is sent in many pieces."""
    path = tmp_path / "large.txt"
    path.write_bytes(LARGE)
    return path


async def test_a_file_arrives_as_it_is(large: Path) -> None:
    """Every byte, under its own name, with its length told beforehand, as upload limits want it."""
    async with server_with() as server:
        files = files_of(server)
        id = await files.upload(large)
        info = await files.info(id)
        assert (info.id, info.name, info.size, info.purpose) == (id, "large.txt", 700_000, "assistants")
        assert await files.read(id) == LARGE
        headers = server.requests[0].headers
        assert headers["content-length"] == str(len(server.requests[0].raw))
        assert "transfer-encoding" not in headers
        assert all(request.headers["openai-beta"] == "assistants=v2" for request in server.requests)


async def test_it_works_with_a_client_of_the_users_own(large: Path) -> None:
    """An httpx2 client streams a file as the SDK's faster one does."""
    async with server_with() as server, openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
        files = Files(client=client)
        assert await files.read(await files.upload(large)) == LARGE


@pytest.mark.parametrize(
    "name", ['a "quoted".txt', "two\r\nlines: x.txt", "Größe 🎉.md", 'data:a/b\r\nX-Evil: 1,".x', "%22"]
)
async def test_a_name_is_only_a_name(name: str) -> None:
    """Nothing that a file is called can become a header or another field of the form."""
    async with server_with() as server:
        files = files_of(server)
        id = await files.upload(b"content", name=name, purpose="user_data")
        assert (await files.info(id)).name == name.replace("%22", '"')
        assert await files.read(id) == b"content"


async def test_a_name_that_is_no_unicode_is_sent_all_the_same() -> None:
    """File systems hold names that no encoding has; what cannot be said is marked."""
    async with server_with() as server:
        id = await files_of(server).upload(b"content", name=os.fsdecode(b"caf\xe9.txt"))
        assert (await files_of(server).info(id)).name == "caf\ufffd.txt"


async def test_progress_is_told_as_bytes_go_out(large: Path) -> None:
    """It never falls, and says that all is there only once it is, also where a request was lost on its way."""
    told: list[tuple[int, int]] = []
    async with server_with(once(Fault("lost_after"), "POST", "/files")) as server:
        await files_of(server).upload(large, on_progress=lambda *step: told.append(step))
    assert len(asked(server, "POST", "/files")) == 2
    assert len(told) > 5
    assert told == sorted(set(told))
    assert told[-1] == (700_000, 700_000)


async def test_what_cannot_be_uploaded_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    """The error says which file it is and what is wrong with it."""
    (tmp_path / "empty.txt").touch()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge.bin").open("wb") as huge:
        huge.truncate(512 * 2**20 + 1)
    bad: list[tuple[Any, dict[str, Any], str]] = [
        (tmp_path / "missing.txt", {}, "there is no file '.*missing.txt'"),
        (str(tmp_path), {}, "is a directory"),
        (tmp_path / "pipe", {}, "pipe' is no regular file"),
        (tmp_path / "empty.txt", {}, "'empty.txt' is empty"),
        (tmp_path / "huge.bin", {}, "'huge.bin' has 536870913 bytes; 536870912 are the most"),
        ("nul\0.txt", {}, "cannot be read"),
        (b"content", {}, "bytes have no name"),
        (b"", {"name": "a.txt"}, "'a.txt' is empty"),
        (3, {}, "not as 'int'"),
        (tmp_path / "empty.txt", {"name": ""}, "is empty; leave it out"),
        (tmp_path / "empty.txt", {"purpose": "assistant"}, "no purpose 'assistant'; there are assistants, batch"),
    ]
    async with server_with() as server:
        for file, options, why in bad:
            with anyio.fail_after(5), pytest.raises(ConfigError, match=why):
                await files_of(server).upload(file, **options)
    assert server.requests == []


@pytest.mark.parametrize("size", [10, 700_001])
async def test_a_file_that_changes_its_size_meanwhile_is_an_error(large: Path, size: int) -> None:
    """Neither half a file nor a garbled one comes to lie on the server."""
    async with server_with() as server:
        with pytest.raises(ConfigError, match=r"'large.txt' changed its size while it was sent; upload it again"):
            await files_of(server).upload(large, on_progress=lambda *_: os.truncate(large, size))
    assert server.requests == []


async def test_an_error_of_the_listener_is_the_callers(large: Path) -> None:
    """What `on_progress` raises ends the upload as itself, and not as a broken connection."""

    def broken(done: int, total: int) -> None:
        raise LookupError("mine")

    async with server_with() as server:
        with pytest.raises(LookupError, match="mine"):
            await files_of(server).upload(large, on_progress=broken)


async def test_an_upload_can_be_cancelled(large: Path) -> None:
    """In the middle of a file, which is closed then; the next one goes through."""
    async with server_with() as server:
        files = files_of(server)
        with anyio.fail_after(5), anyio.CancelScope() as scope:
            await files.upload(large, on_progress=lambda *_: scope.cancel())
        assert scope.cancelled_caught
        assert await files.read(await files.upload(large)) == LARGE


@pytest.mark.parametrize("fault", [Fault("lost_before"), Fault("lost_after"), Fault("status_after", status=503)])
async def test_what_is_lost_on_its_way_is_sent_again(fault: Fault) -> None:
    """The caller notices nothing: neither an error, nor a second vector store."""
    for method, path in [("POST", "/files"), ("GET", "/files"), ("DELETE", "/files"), ("POST", "/vector_stores")]:
        async with server_with(once(fault, method, path)) as server:
            files = files_of(server)
            id = await files.upload(HANDBOOK.encode(), name="handbook.txt")
            assert await files.read(id) == HANDBOOK.encode()
            store = await files.create_store([id])
            await files.add_to_store(store, [id])
            assert len(await files.search(store, "holidays")) == 1
            await files.delete(id)
            await files.delete_store(store)
            await _assert_that_no_store_is_left(server)


async def _assert_that_no_store_is_left(server: AssistantsServer) -> None:
    headers = {"authorization": "Bearer test", "openai-beta": "assistants=v2"}
    async with httpx2.AsyncClient(base_url=server.base_url, headers=headers) as client:
        assert (await client.get("/vector_stores")).json()["data"] == []


async def test_what_is_not_there_cannot_be_deleted() -> None:
    """An id that was never there is an error, and not a success as for a deletion that was lost."""
    async with server_with() as server:
        with pytest.raises(RequestRejected, match="No such File object: file-x"):
            await files_of(server).delete("file-x")
        with pytest.raises(RequestRejected, match="No vector store found with id 'vs_x'"):
            await files_of(server).delete_store("vs_x")


@pytest.mark.parametrize("quirks", [(), [quirk for quirk in QUIRKS if quirk != "no_poll_header"]])
async def test_a_vector_store_can_be_searched_once_it_is_there(quirks: list[str]) -> None:
    """It is waited for until its files are processed, each is counted once, and the best passage comes first."""
    told: list[tuple[int, int]] = []
    async with server_with(quirks=quirks) as server:
        files = files_of(server)
        handbook = await files.upload(HANDBOOK.encode(), name="handbook.txt")
        menu = await files.upload(b"On Mondays the canteen has soup.", name="menu.txt")
        store = await files.create_store([handbook, menu, handbook], on_progress=lambda *step: told.append(step))
        assert told == [(2, 2)]
        hits = await files.search(store, "canteen soup", max_results=5)
        assert hits[0] == SearchHit(
            file_id=menu, filename="menu.txt", score=1.0, text="On Mondays the canteen has soup."
        )
        assert [hit.file_id for hit in hits] == [menu, handbook]
        assert len(await files.search(store, "canteen", max_results=1)) == 1
        await files.delete(menu)
        assert [hit.file_id for hit in await files.search(store, "canteen")] == [handbook]


async def test_a_new_store_is_as_it_was_asked_for() -> None:
    """Name, expiry, metadata and passages reach the server."""
    async with server_with() as server:
        files = files_of(server)
        id = await files.upload(HANDBOOK.encode(), name="handbook.txt")
        chunks = Chunks(tokens=100, overlap=50)
        await files.create_store([id], name="n", expires_days=7, metadata={"team": "ops"}, chunks=chunks)
        [request] = asked(server, "POST", "/vector_stores")
        body = request.body or {}
        assert body.pop("metadata").items() > {"team": "ops"}.items()
        assert body == {
            "name": "n",
            "expires_after": {"anchor": "last_active_at", "days": 7},
            "file_ids": [id],
            "chunking_strategy": {
                "type": "static",
                "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50},
            },
        }


async def test_files_that_cannot_be_processed_are_named() -> None:
    """The error says which, and why, so that one can mend them; the others are in the store."""
    async with server_with() as server:
        files = files_of(server)
        good = await files.upload(HANDBOOK.encode(), name="handbook.txt")
        bad = [await files.upload(b"FAIL-PROCESSING", name=f"{n}.bin") for n in range(2)]
        with pytest.raises(RequestRejected) as raised:
            await files.create_store([bad[0], good, bad[1]])
        assert all(repr(id) in str(raised.value) for id in bad)
        assert repr(good) not in str(raised.value)
        assert "invalid_file: The file could not be parsed" in str(raised.value)
        store = await files.create_store([])
        told: list[tuple[int, int]] = []
        with pytest.raises(RequestRejected, match=f"{bad[1]}.* {store!r}|{store!r}.*{bad[1]}"):
            await files.add_to_store(store, [good, bad[1]], on_progress=lambda *step: told.append(step))
        assert told == []
        assert [hit.file_id for hit in await files.search(store, "canteen")] == [good]


async def test_a_store_takes_more_files_than_a_request() -> None:
    """The first 500 come with the store, the others by batches of 2000, and all are counted together."""
    told: list[tuple[int, int]] = []
    async with server_with() as server:
        ids = [server.files.add_file(f"{n}.txt", b"some words")["id"] for n in range(2600)]
        store = await files_of(server).create_store(ids, on_progress=lambda *step: told.append(step))
        batches = asked(server, "POST", f"/vector_stores/{store}/file_batches")
        posted = asked(server, "POST", "/vector_stores") + batches
    assert [len((request.body or {})["file_ids"]) for request in posted] == [500, 2000, 100]
    assert told == [(500, 2600), (2500, 2600), (2600, 2600)]


async def test_what_no_server_takes_is_refused_at_home() -> None:
    """The error names the argument and what it may be, and nothing is sent."""
    bad: list[tuple[Callable[[Files], Any], str]] = [
        (lambda files: files.create_store("file-a"), r"write \['file-a'\]"),
        (lambda files: files.create_store(["file-a", ""]), "'' is no id"),
        (lambda files: files.create_store([], expires_days=0), "expires_days=0"),
        (lambda files: files.create_store([], metadata={"k": "v" * 513}), "'k'"),
        (lambda files: files.add_to_store("..", ["file-a"]), "'..' is no id"),
        (lambda files: files.search("vs_1", " "), "the query is empty"),
        (lambda files: files.search("vs_1", "q", max_results=51), "max_results=51"),
        (lambda files: files.delete(".."), "'..' is no id"),
    ]
    async with server_with() as server:
        for ask, why in bad:
            with pytest.raises(ConfigError, match=why):
                await ask(files_of(server))
    assert server.requests == []


@pytest.mark.parametrize(("tokens", "overlap"), [(99, 0), (4097, 0), (100, 51), (100, -1)])
def test_passages_have_their_limits(tokens: int, overlap: int) -> None:
    """From 100 to 4096 tokens, and at most half of them overlap."""
    with pytest.raises(ConfigError, match=r"Chunks\("):
        Chunks(tokens=tokens, overlap=overlap)


async def test_an_id_cannot_lead_elsewhere() -> None:
    """Ids are the server's own, and may be anything; none changes what a request is about."""
    async with server_with() as server:
        with pytest.raises(RequestRejected):
            await files_of(server).info("../vector_stores?limit=1#")
    assert [(request.path, request.query) for request in server.requests] == [("/files/../vector_stores?limit=1#", {})]


@pytest.mark.parametrize(
    ("told", "seconds"), [("20", 0.02), ("0", 1), ("9999999", 10), ("-1", 1), ("nan", 1), ("soon", 1), (None, 1)]
)
def test_the_server_says_how_often_it_wants_to_be_asked(told: str | None, seconds: float) -> None:
    """In `openai-poll-after-ms`, within reason; once a second if it does not say."""
    headers = {} if told is None else {"openai-poll-after-ms": told}
    assert read_answer(b"{}", headers).pause == seconds


async def test_a_server_that_is_away_is_an_error_without_the_key() -> None:
    """The caller learns that nothing answers there, and no log learns the key."""
    async with server_with(lambda _: Fault("status_before", status=401)) as server:
        files = files_of(server)
        with pytest.raises(ModelError) as raised:
            await files.upload(b"content", name="a.txt")
        assert KEY not in f"{raised.value!r} {files!r}"
        assert len(server.requests) == 1


async def test_files_of_a_backends_server_share_its_connections() -> None:
    """The limit on requests to a server holds for its files too."""
    server = Server(base_url="http://127.0.0.1:1/v1", api_key=KEY, concurrency=3)
    assert Files.of(server).server.door() is server.door()

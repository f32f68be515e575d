"""Vector stores: files that are read beside the requests, and can be searched."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import openai
import pytest
from made_documents import bomb, pdf, word
from openai import AsyncOpenAI
from serving import Clock, serving
from session_stores import Place

from agentkit.server.store import Database
from agentkit.server.store.chunks import claim

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

EACH = {"poll_interval_ms": 10}


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, at: Callable[[str], Place]) -> Place:
    """Where the server keeps what it is given: what is promised of one database is promised of both."""
    return at(request.param)


async def put(client: AsyncOpenAI, store: str, filename: str, content: bytes, **options: Any) -> Any:
    """Upload a file, put it into a vector store, and wait until it was read."""
    file = await client.files.create(file=(filename, content), purpose="assistants")
    return await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store, **EACH, **options)


async def text_of(client: AsyncOpenAI, store: str, file: str) -> str:
    """What a file is found by."""
    found = await client.vector_stores.files.content(file, vector_store_id=store)
    return "\n".join(part.text or "" for part in found.data)


async def test_documents_of_each_kind_are_read(tmp_path: Path, place: Place) -> None:
    """Text, Markdown, HTML, PDF, Word, and code; in any usual encoding."""
    page = b"<html><head><title>T</title><style>p{}</style></head><body><h2>Pears</h2><p>Pears are <b>gre</b>en.</p>"
    page += b"<script>evil()</script><ul><li>one<li>two</ul><table><tr><td>a<td>b</table></body></html>"
    documents = {
        "a.md": (b"# Apples\n\nApples are red.", ["# Apples", "Apples are red."]),
        "b.html": (page, ["## Pears", "Pears are green.", "- one", "a | b"]),
        "c.pdf": (pdf("Plums are blue.", "Quinces are yellow."), ["Plums are blue.", "Quinces are yellow."]),
        "d.docx": (word("Cherries", "Cherries are dark.", "kg", "7"), ["# Cherries", "Cherries are dark.", "kg | 7"]),
        "e.py": (b"def lemon() -> str:\n    return 'sour'\n", ["def lemon()", "    return 'sour'"]),
        "f.txt": ("Äpfel".encode("utf-16"), ["Äpfel"]),
        "g.txt": ("Äpfel « süß".encode("cp1252"), ["Äpfel « süß"]),
        "h.json": (b'{"fruit": "fig"}', ['"fig"']),
    }
    async with serving(tmp_path, database=place.url) as served, served.client() as client:
        store = await client.vector_stores.create(name="Fruit")
        for filename, (content, parts) in documents.items():
            file = await put(client, store.id, filename, content)
            assert (file.status, file.last_error) == ("completed", None), filename
            text = await text_of(client, store.id, file.id)
            assert all(part in text for part in parts), text
            assert "evil" not in text
            assert file.usage_bytes == len(text.encode())
        found = await client.vector_stores.retrieve(store.id)
        assert (found.status, found.file_counts.completed, found.file_counts.total) == ("completed", 8, 8)
        assert found.usage_bytes > 0


async def test_a_file_that_cannot_be_read_fails_with_words_and_harms_nobody(tmp_path: Path) -> None:
    """What a stranger has made must not stop the server, nor the files beside it."""
    broken = {
        "noise.bin": (bytes(range(256)), "unsupported_file"),
        "archive.zip": (b"PK\3\4" + bytes(40), "unsupported_file"),
        "fake.docx": (b"PK\3\4" + bytes(40), "invalid_file"),
        "cut.pdf": (pdf("Plums.")[:200], "invalid_file"),
        "noise.pdf": (b"%PDF-1.7\n" + bytes(range(256)) * 20, "invalid_file"),
        "bomb.docx": (bomb(), "invalid_file"),
        "blank.txt": (b" \n\n ", "invalid_file"),
        "blank.pdf": (pdf(""), "invalid_file"),
    }
    async with serving(tmp_path) as served, served.client() as client:
        store = await client.vector_stores.create()
        for filename, (content, code) in broken.items():
            file = await put(client, store.id, filename, content)
            assert file.status == "failed", filename
            assert file.last_error is not None
            assert file.last_error.code == code, (filename, file.last_error)
            assert file.last_error.message.endswith(".")
            assert ("unpacked" in file.last_error.message) == (filename == "bomb.docx")
        assert (await put(client, store.id, "good.txt", b"Plums.")).status == "completed"
        counts = (await client.vector_stores.retrieve(store.id)).file_counts
        assert (counts.failed, counts.completed, counts.in_progress) == (8, 1, 0)


async def test_a_batch_is_read_together(tmp_path: Path, place: Place) -> None:
    """Each with attributes of its own, listed by what has become of it."""
    async with serving(tmp_path, database=place.url) as served, served.client() as client:
        store = await client.vector_stores.create()
        files = [
            (await client.files.create(file=(f"{n}.txt", b"Plums." if n else bytes(64)), purpose="assistants")).id
            for n in range(12)
        ]
        asked: Any = [{"file_id": id, "attributes": {"n": n}} for n, id in enumerate(files)]
        batch = await client.vector_stores.file_batches.create(store.id, files=asked)
        assert batch.file_counts.total == 12
        batch = await client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id, **EACH)
        assert (batch.status, batch.file_counts.completed, batch.file_counts.failed) == ("completed", 11, 1)
        within = {"vector_store_id": store.id, "order": "asc", "limit": 4}
        listed = [each async for each in client.vector_stores.file_batches.list_files(batch.id, **within)]  # type: ignore[arg-type]
        assert [each.id for each in listed] == files
        assert [each.attributes for each in listed] == [{"n": n} for n in range(12)]
        failed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
        assert [each.id async for each in failed] == files[:1]
        done = client.vector_stores.files.list(store.id, filter="completed", order="asc")
        assert [each.id async for each in done] == files[1:]


async def test_a_cancelled_batch_reads_no_more_files(tmp_path: Path) -> None:
    """Those that were read stay."""
    async with serving(tmp_path) as served, served.client() as client:
        store = await client.vector_stores.create()
        slow = pdf(*["Plums."] * 400)
        files = [(await client.files.create(file=(f"{n}.pdf", slow), purpose="assistants")).id for n in range(8)]
        batch = await client.vector_stores.file_batches.create(store.id, file_ids=files)
        batch = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
        assert batch.status == "cancelled"
        assert batch.file_counts.cancelled + batch.file_counts.completed == 8
        assert batch.file_counts.cancelled > 0
        found = await client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
        assert (found.status, found.file_counts) == ("cancelled", batch.file_counts)
        await put(client, store.id, "last.txt", b"Pears.")  # whose turn comes once one of the others has ended
        assert (await client.vector_stores.search(store.id, query="plums")).data == []


async def test_a_deleted_file_is_found_no_more(tmp_path: Path, place: Place) -> None:
    """Whether it is taken out of the store, or deleted, or the store is."""
    async with serving(tmp_path, database=place.url) as served, served.client() as client:
        store = await client.vector_stores.create()
        out = await put(client, store.id, "a.txt", b"Plums.")
        gone = await put(client, store.id, "b.txt", b"Plums.")
        kept = await put(client, store.id, "c.txt", b"Plums.")
        assert len((await client.vector_stores.search(store.id, query="plum")).data) == 3
        assert (await client.vector_stores.files.delete(out.id, vector_store_id=store.id)).deleted
        assert (await client.files.retrieve(out.id)).id == out.id
        await client.files.delete(gone.id)
        found = await client.vector_stores.search(store.id, query="plum")
        assert [hit.file_id for hit in found.data] == [kept.id]
        assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 1
        assert (await client.vector_stores.delete(store.id)).deleted
        for ask in (client.vector_stores.retrieve, client.vector_stores.files.list, client.vector_stores.delete):
            with pytest.raises(openai.NotFoundError):
                await ask(store.id)
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.search(store.id, query="plum")


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_what_was_not_read_when_the_server_ended_is_read_when_it_starts_again(
    tmp_path: Path, place: Place, end: str
) -> None:
    """A file does not stay `in_progress` for ever."""
    clock = Clock()
    async with serving(tmp_path, database=place.url, clock=clock) as served, served.client() as client:
        store = await client.vector_stores.create()
        slow = await client.files.create(file=("a.pdf", pdf(*["Plums."] * 300)), purpose="assistants")
        file = await client.vector_stores.files.create(store.id, file_id=slow.id)
        assert file.status == "in_progress"
    if end == "killed":  # it has said that the file is its own, and cannot take that back
        database = Database(place.url)
        await database.open()
        assert await claim(database, int(clock.now), 300, 10) == [("local", store.id, slow.id)]
        await database.close()
        clock.now += 300 if place.kind == "postgres" else 0  # of PostgreSQL's other servers, one may still read it
    async with serving(tmp_path, database=place.url, clock=clock) as served, served.client() as client:
        done = await client.vector_stores.files.poll(slow.id, vector_store_id=store.id, **EACH)
        assert done.status == "completed"
        assert len((await client.vector_stores.search(store.id, query="plum")).data) > 0


async def test_a_vector_store_expires_after_it_was_last_used(tmp_path: Path) -> None:
    """Each use counts anew; once it has expired, nothing is found in it."""
    clock = Clock()
    day = 86_400
    async with serving(tmp_path, clock=clock) as served, served.client() as client:
        store = await client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
        assert store.expires_at == store.created_at + day
        await put(client, store.id, "a.txt", b"Plums.")
        clock.now += day - 1
        assert len((await client.vector_stores.search(store.id, query="plum")).data) == 1
        clock.now += day - 1
        assert (await client.vector_stores.retrieve(store.id)).status == "completed"
        clock.now += 1
        assert (await client.vector_stores.retrieve(store.id)).status == "expired"
        with pytest.raises(openai.BadRequestError, match=f"Vector store {store.id} has expired"):
            await client.vector_stores.search(store.id, query="plum")
        other = await client.files.create(file=("b.txt", b"Pears."), purpose="assistants")
        with pytest.raises(openai.BadRequestError, match="has expired"):
            await client.vector_stores.files.create(store.id, file_id=other.id)


async def test_a_vector_store_can_be_changed(tmp_path: Path) -> None:
    """What is not said stays; null takes back."""
    async with serving(tmp_path, clock=Clock()) as served, served.client() as client:
        store = await client.vector_stores.create(
            name="A", metadata={"k": "v"}, expires_after={"anchor": "last_active_at", "days": 3}
        )
        store = await client.vector_stores.update(store.id, name="B")
        assert (store.name, store.metadata, store.expires_after is None) == ("B", {"k": "v"}, False)
        store = await client.vector_stores.update(store.id, metadata={"l": "w"}, expires_after=None)
        assert (store.name, store.metadata, store.expires_at) == ("B", {"l": "w"}, None)
        assert await client.vector_stores.retrieve(store.id) == store
        assert [each.id async for each in client.vector_stores.list()] == [store.id]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/vector_stores", {"file_ids": ["file-x"]}, "No such File object: file-x"),
        ("/vector_stores", {"file_ids": ["x"] * 501}, "Invalid 'file_ids'"),
        (
            "/vector_stores",
            {"expires_after": {"anchor": "last_active_at", "days": 366}},
            "Invalid 'expires_after.days'",
        ),
        ("/vector_stores", {"metadata": {"a": 1}}, "Invalid 'metadata.a'"),
        ("/vector_stores/{}/files", {"file_id": "file-x"}, "No such File object: file-x"),
        ("/vector_stores/{}/files", {"file_id": "{file}", "attributes": {"a": "x" * 513}}, "Invalid 'attributes.a"),
        (
            "/vector_stores/{}/files",
            {"file_id": "{file}", "attributes": {str(n): n for n in range(17)}},
            "Invalid 'attr",
        ),
        (
            "/vector_stores/{}/files",
            {
                "file_id": "{file}",
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51},
                },
            },
            "Invalid 'chunking_strategy.static",
        ),
        ("/vector_stores/{}/file_batches", {}, "Invalid 'body': give either 'file_ids' or 'files'."),
        ("/vector_stores/{}/search", {"query": ""}, "Invalid 'query"),
        ("/vector_stores/{}/search", {"query": "x", "max_num_results": 51}, "Invalid 'max_num_results'"),
        (
            "/vector_stores/{}/search",
            {"query": "x", "filters": {"type": "like", "key": "a", "value": 1}},
            "Invalid 'fil",
        ),
    ],
)
async def test_a_request_that_cannot_be_met_is_refused_in_words(
    tmp_path: Path, path: str, body: dict[str, Any], told: str
) -> None:
    """And leaves nothing behind."""
    async with serving(tmp_path) as served, served.client() as client:
        store = await client.vector_stores.create()
        file = await client.files.create(file=("a.txt", b"x"), purpose="assistants")
        if "file_id" in body:
            body = {**body, "file_id": body["file_id"].replace("{file}", file.id)}
        async with httpx.AsyncClient(base_url=served.base_url) as http:
            answer = await http.post(path.replace("{}", store.id), json=body)
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["error"]["message"].startswith(told)
        assert [each.id async for each in client.vector_stores.list()] == [store.id]
        assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 0


async def test_a_file_that_is_put_in_again_is_cut_as_was_said_last(tmp_path: Path, place: Place) -> None:
    """Also while it is still being read; it is in the store once."""
    small: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
    async with serving(tmp_path, database=place.url) as served, served.client() as client:
        store = await client.vector_stores.create()
        file = await client.files.create(file=("a.pdf", pdf(*["Plums are blue."] * 100)), purpose="assistants")
        first = await client.vector_stores.files.create(store.id, file_id=file.id, attributes={"n": 1})
        assert first.status == "in_progress"
        await client.vector_stores.files.create(store.id, file_id=file.id, chunking_strategy=small, attributes={"n": 2})
        done = await client.vector_stores.files.poll(file.id, vector_store_id=store.id, poll_interval_ms=10)
        assert (done.status, done.attributes) == ("completed", {"n": 2})
        assert (await client.vector_stores.retrieve(store.id)).file_counts.total == 1
        content = await client.vector_stores.files.content(file.id, vector_store_id=store.id)
        assert len(content.data) > 3
        done = await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=10)
        assert (done.status, done.attributes) == ("completed", {})
        content = await client.vector_stores.files.content(file.id, vector_store_id=store.id)
        assert len(content.data) == 1


async def test_many_files_at_once_are_all_read(tmp_path: Path, place: Place) -> None:
    """Put in one by one, by clients that do not wait for each other."""
    async with serving(tmp_path, database=place.url) as served, served.client() as client:
        store = await client.vector_stores.create()

        async def put_in(n: int) -> None:
            file = await client.files.create(
                file=(f"{n}.txt", f"Note {n} says word{n}.".encode()), purpose="assistants"
            )
            await client.vector_stores.files.create(store.id, file_id=file.id)
            done = await client.vector_stores.files.poll(file.id, vector_store_id=store.id)
            assert done.status == "completed"
            found = await client.vector_stores.search(store.id, query=f"word{n}")
            assert found.data[0].filename == f"{n}.txt"

        async with anyio.create_task_group() as group:
            for n in range(12):
                group.start_soon(put_in, n)
        assert (await client.vector_stores.retrieve(store.id)).file_counts.completed == 12

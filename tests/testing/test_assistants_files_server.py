"""Files and vector stores of `AssistantsServer`, seen by the SDK in its strictest mode."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from agentkit.testing import AssistantsServer

pytestmark = pytest.mark.anyio

DAY = 86_400


@asynccontextmanager
async def serving(**more: Any) -> AsyncGenerator[tuple[AssistantsServer, AsyncOpenAI]]:
    async with AssistantsServer([], **more) as server:
        strict = not more.get("quirks")
        async with AsyncOpenAI(
            base_url=server.base_url, api_key="test", max_retries=0, _strict_response_validation=strict
        ) as client:
            yield server, client


async def upload(client: AsyncOpenAI, name: str, content: bytes) -> str:
    return (await client.files.create(file=(name, content), purpose="assistants")).id


async def test_a_file_lives() -> None:
    """It is uploaded, found, read and deleted, and then it is not there."""
    async with serving() as (_, client):
        expiry: Any = {"anchor": "created_at", "seconds": 3600}
        file = await client.files.create(file=('"ä".txt', b"\x00words"), purpose="user_data", expires_after=expiry)
        assert (file.filename, file.bytes, file.purpose, file.status) == ('"ä".txt', 6, "user_data", "processed")
        assert file.expires_at == file.created_at + 3600
        assert file.id.startswith("file-")
        assert await client.files.retrieve(file.id) == file
        assert (await client.files.content(file.id)).content == b"\x00words"
        other = await upload(client, "b.txt", b"b")
        assert [found.id async for found in client.files.list()] == [other, file.id]
        assert [found.id async for found in client.files.list(purpose="user_data")] == [file.id]
        assert [found.id async for found in client.files.list(limit=1, order="asc")] == [file.id, other]
        assert (await client.files.delete(file.id)).deleted
        with pytest.raises(openai.NotFoundError, match=f"No such File object: {file.id}"):
            await client.files.retrieve(file.id)


async def test_processing_is_seen_to_go_on() -> None:
    """The first look finds a file in progress, the second one done: a client that does not poll is found out."""
    async with serving() as (_, client):
        good, bad = await upload(client, "a.txt", b"some words"), await upload(client, "b.txt", b"FAIL-PROCESSING")
        store = await client.vector_stores.create(name="n", file_ids=[good, bad], metadata={"k": "v"})
        assert (store.status, store.file_counts.in_progress, store.metadata) == ("in_progress", 2, {"k": "v"})
        assert (await client.vector_stores.retrieve(store.id)).status == "in_progress"
        store = await client.vector_stores.retrieve(store.id)
        assert (store.status, store.file_counts.completed, store.file_counts.failed) == ("completed", 1, 1)
        assert store.usage_bytes == 10
        failed = [file async for file in client.vector_stores.files.list(store.id, filter="failed")]
        assert [(file.id, file.last_error and file.last_error.code) for file in failed] == [(bad, "invalid_file")]


async def test_the_sdks_own_polling_comes_to_an_end() -> None:
    """Its helpers for files and batches find what they wait for, and the header that tells them how long."""
    async with serving() as (_, client):
        store = await client.vector_stores.create()
        file = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=("a.txt", b"red apples"), attributes={"year": 2025}
        )
        assert (file.status, file.attributes, file.usage_bytes) == ("completed", {"year": 2025}, 10)
        other = await upload(client, "b.txt", b"green apples")
        batch = await client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[other])
        assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", 1, 1)
        listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)
        assert [found.id async for found in listed] == [other]


async def test_a_batch_can_be_cancelled() -> None:
    """What was not processed yet is cancelled, and stays so."""
    async with serving() as (_, client):
        store = await client.vector_stores.create()
        id = await upload(client, "a.txt", b"words")
        batch = await client.vector_stores.file_batches.create(store.id, files=[{"file_id": id}])
        batch = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
        assert (batch.status, batch.file_counts.cancelled) == ("cancelled", 1)
        assert (await client.vector_stores.files.retrieve(id, vector_store_id=store.id)).status == "cancelled"


async def test_a_search_finds_passages() -> None:
    """Best first, of files that fit the filter and are processed, with a score from 0 to 1."""
    async with serving() as (_, client):
        store = await client.vector_stores.create()
        texts = {"a.txt": b"red apples and pears", "b.txt": b"green apples", "c.txt": b"cherries"}
        for year, (name, text) in enumerate(texts.items(), 2024):
            await client.vector_stores.files.upload_and_poll(
                vector_store_id=store.id, file=(name, text), attributes={"year": year}
            )
        page = await client.vector_stores.search(store.id, query="Green apples!")
        assert [(hit.filename, hit.score) for hit in page.data] == [("b.txt", 1.0), ("a.txt", 0.5)]
        assert page.data[0].content[0].text == "green apples"
        page = await client.vector_stores.search(store.id, query=["green", "apples"], max_num_results=1)
        assert [hit.filename for hit in page.data] == ["b.txt"]
        page = await client.vector_stores.search(
            store.id,
            query="apples",
            filters={"type": "and", "filters": [{"type": "lt", "key": "year", "value": 2025}]},
            ranking_options={"score_threshold": 0.5},
        )
        assert [(hit.filename, hit.attributes) for hit in page.data] == [("a.txt", {"year": 2024})]


async def test_passages_overlap_as_they_were_asked_to() -> None:
    """A long file is cut, and read again in the same pieces."""
    async with serving() as (_, client):
        store = await client.vector_stores.create()
        words = [f"w{n}" for n in range(250)]
        file = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id,
            file=("a.txt", " ".join(words).encode()),
            chunking_strategy={
                "type": "static",
                "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20},
            },
        )
        read = [part.text or "" async for part in client.vector_stores.files.content(file.id, vector_store_id=store.id)]
        assert [(part.split()[0], part.split()[-1]) for part in read] == [
            ("w0", "w99"),
            ("w80", "w179"),
            ("w160", "w249"),
        ]


async def test_stores_and_their_files_can_be_changed() -> None:
    """What is not told stays; a file that is taken out of a store, or deleted, is not found in it."""
    async with serving() as (_, client):
        id, other = await upload(client, "a.txt", b"words"), await upload(client, "b.txt", b"words")
        store = await client.vector_stores.create(name="old", file_ids=[id, other], metadata={"k": "v"})
        changed = await client.vector_stores.update(store.id, name="new")
        assert (changed.name, changed.metadata) == ("new", {"k": "v"})
        file = await client.vector_stores.files.update(id, vector_store_id=store.id, attributes={"a": True})
        assert file.attributes == {"a": True}
        assert (await client.vector_stores.files.delete(id, vector_store_id=store.id)).deleted
        await client.files.delete(other)
        assert [file.id async for file in client.vector_stores.files.list(store.id)] == []
        assert (await client.files.retrieve(id)).id == id
        assert (await client.vector_stores.delete(store.id)).deleted
        assert [store.id async for store in client.vector_stores.list()] == []


async def test_a_store_expires_when_it_is_not_used() -> None:
    """A search puts the end off, and afterwards nothing is found any more."""
    async with serving() as (server, client):
        store = await client.vector_stores.create(expires_after={"anchor": "last_active_at", "days": 1})
        assert store.expires_at == store.created_at + DAY
        server.clock.advance(DAY - 1)
        await client.vector_stores.search(store.id, query="words")
        server.clock.advance(DAY - 1)
        assert (await client.vector_stores.retrieve(store.id)).status == "completed"
        server.clock.advance(1)
        assert (await client.vector_stores.retrieve(store.id)).status == "expired"
        with pytest.raises(openai.BadRequestError, match="has expired"):
            await client.vector_stores.search(store.id, query="words")


async def test_lists_have_pages() -> None:
    """Newest first, and complete, though all are of the same second."""
    async with serving() as (_, client):
        ids = [(await client.vector_stores.create()).id for _ in range(5)]
        assert [store.id async for store in client.vector_stores.list(limit=2)] == ids[::-1]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/vector_stores", {"files": []}, "files"),
        ("/vector_stores", {"file_ids": ["f"] * 501}, "file_ids"),
        ("/vector_stores", {"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ("/vector_stores", {"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days"),
        ("/vector_stores", {"metadata": {"k": 1}}, "metadata.k"),
        ("/vector_stores", {"chunking_strategy": {"type": "auto"}}, "chunking_strategy"),
        ("/vector_stores/VS/files", {}, "file_id"),
        ("/vector_stores/VS/files", {"file_id": "F", "attributes": {"k": []}}, "attributes.k"),
        ("/vector_stores/VS/files/F", {}, "attributes"),
        ("/vector_stores/VS/file_batches", {}, "file_ids"),
        ("/vector_stores/VS/file_batches", {"file_ids": ["F"], "files": [{"file_id": "F"}]}, "file_ids"),
        ("/vector_stores/VS/file_batches", {"file_ids": ["F"] * 2001}, "file_ids"),
        ("/vector_stores/VS/search", {"query": ""}, "query"),
        ("/vector_stores/VS/search", {"query": "q", "max_num_results": 51}, "max_num_results"),
        ("/vector_stores/VS/search", {"query": "q", "filters": {"type": "eq", "key": "k"}}, "filters.value"),
        ("/vector_stores/VS/search", {"query": "q", "ranking_options": {"ranker": "x"}}, "ranking_options.ranker"),
        *[
            (
                "/vector_stores/VS/files",
                {
                    "file_id": "F",
                    "chunking_strategy": {
                        "type": "static",
                        "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap},
                    },
                },
                f"chunking_strategy.static.{where}",
            )
            for size, overlap, where in [
                (99, 0, "max_chunk_size_tokens"),
                (4097, 0, "max_chunk_size_tokens"),
                (101, 51, "chunk_overlap_tokens"),
            ]
        ],
    ],
)
async def test_what_no_server_takes_is_refused(path: str, body: dict[str, Any], param: str) -> None:
    """With status 400 and the name of the parameter, as a client's author wants to read it."""
    async with serving() as (_, client):
        id = await upload(client, "a.txt", b"words")
        store = await client.vector_stores.create(file_ids=[id])
        path = path.replace("VS", store.id).replace("/F", f"/{id}")
        with pytest.raises(openai.BadRequestError) as refused:
            await client.post(path, body=body, cast_to=object, options={"headers": {"OpenAI-Beta": "assistants=v2"}})
        assert refused.value.param == param


FORM = '--B\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n'
FILE = FORM.format("file", '; filename="a.txt"', "words")
PURPOSE = FORM.format("purpose", "", "assistants")


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (FILE + "--B--", "'purpose'"),
        (PURPOSE + "--B--", "'file'"),
        (FILE + FORM.format("purpose", "", "fun") + "--B--", "one of assistants"),
        (FORM.format("file", "", "words") + PURPOSE + "--B--", "a file with a name"),
        (FORM.format("file", '; filename="a.txt"', "") + PURPOSE + "--B--", "File is empty"),
        (FILE + PURPOSE + FORM.format("x", "", "y") + "--B--", "Unknown parameter: 'x'"),
        (FILE + PURPOSE, "begin and end"),
        ("x" + FILE + PURPOSE + "--B--", "begin and end"),
        ("", "begin and end"),
        ("--B\r\nwords\r\n--B--", "no headers"),
        ("--B\r\nX: y\r\n\r\nwords\r\n--B--", "Content-Disposition"),
        (FILE + PURPOSE + FORM.format("expires_after[seconds]", "", "3600") + "--B--", "created_at"),
    ],
)
async def test_a_damaged_form_is_refused(form: str, why: str) -> None:
    """A client that builds its forms itself learns what is wrong with one."""
    async with serving() as (server, _), httpx2.AsyncClient(base_url=server.base_url) as http:
        headers = {"authorization": "Bearer test", "content-type": 'multipart/form-data; boundary="B"'}
        answer = await http.post("/files", content=form.encode(), headers=headers)
        assert answer.status_code == 400
        assert why in answer.json()["error"]["message"]
        answer = await http.post("/files", content=b"{}", headers={**headers, "content-type": "application/json"})
        assert "multipart/form-data" in answer.json()["error"]["message"]


async def test_quirks_hold_for_files_too() -> None:
    """Odd ids and times, null for what is empty, errors in another form, and no word on when to ask again."""
    quirks = ["float_times", "foreign_ids", "null_lists", "no_poll_header", "bare_errors"]
    async with serving(quirks=quirks) as (_, client):
        store = await client.vector_stores.with_raw_response.create()
        told = store.http_response.json()
        assert isinstance(told["created_at"], float)
        assert not told["id"].startswith("vs_")
        assert told["metadata"] is None
        assert "openai-poll-after-ms" not in store.headers
        with pytest.raises(openai.NotFoundError) as refused:
            await client.files.retrieve("file-x")
        assert refused.value.response.json() == {"detail": "No such File object: file-x"}

"""Files: taken in, given out, and forgotten."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import openai
import pytest
from serving import Clock, serving
from sqlalchemy import text

from agentkit.server.store.blobs import Blobs

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def test_a_file_comes_back_as_it_was_sent(tmp_path: Path) -> None:
    """Byte for byte, whatever its size, and with its own name."""
    content = bytes(range(256)) * 10_000  # two pieces and a half
    async with serving(tmp_path, clock=Clock()) as served, served.client() as client:
        made = await client.files.create(file=("Übersicht «1».bin", content), purpose="assistants")
        assert (made.bytes, made.filename, made.purpose) == (len(content), "Übersicht «1».bin", "assistants")
        assert (made.created_at, made.status, made.expires_at) == (1_750_000_000, "processed", None)
        assert await client.files.retrieve(made.id) == made
        assert (await client.files.content(made.id)).read() == content


async def test_no_browser_shows_a_file_as_a_page_of_the_server(tmp_path: Path) -> None:
    """A page that somebody has uploaded must not run where the server's own pages do."""
    async with serving(tmp_path) as served, served.client() as client:
        made = await client.files.create(file=('x";\r\n.html', b"<script>steal()</script>"), purpose="assistants")
        answer = (await client.files.with_raw_response.content(made.id)).http_response
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        assert '"' not in answer.headers["content-disposition"]


async def test_files_are_listed_by_purpose_and_in_pages(tmp_path: Path) -> None:
    """As clients page through them."""
    async with serving(tmp_path) as served, served.client() as client:
        ids = [(await client.files.create(file=(f"{n}.txt", b"x"), purpose="assistants")).id for n in range(5)]
        other = await client.files.create(file=("p.png", b"x"), purpose="vision")
        assert [each.id async for each in client.files.list(limit=2, order="asc", purpose="assistants")] == ids
        assert [each.id async for each in client.files.list()] == [other.id, *reversed(ids)]
        with pytest.raises(openai.NotFoundError):
            await client.files.list(after="file-x")
        with pytest.raises(openai.BadRequestError):
            await client.files.list(limit=0)


async def test_a_deleted_file_is_gone(tmp_path: Path) -> None:
    """With its bytes."""
    async with serving(tmp_path) as served, served.client() as client:
        made = await client.files.create(file=("a.txt", b"x"), purpose="user_data")
        assert (await client.files.delete(made.id)).deleted
        for gone in (client.files.retrieve, client.files.delete, client.files.content):
            with pytest.raises(openai.NotFoundError) as refused:
                await gone(made.id)
            assert refused.value.body == {
                "message": f"No such File object: {made.id}",
                "type": "invalid_request_error",
                "param": "id",
                "code": None,
            }


async def test_a_file_expires_when_it_was_said_to(tmp_path: Path) -> None:
    """To the second."""
    clock = Clock()
    async with serving(tmp_path, clock=clock) as served, served.client() as client:
        after = {"anchor": "created_at", "seconds": 3600}
        made = await client.files.create(file=("a.txt", b"x"), purpose="assistants", expires_after=after)  # type: ignore[arg-type]
        kept = await client.files.create(file=("b.txt", b"x"), purpose="assistants")
        assert made.expires_at == made.created_at + 3600
        clock.now += 3599
        assert (await client.files.retrieve(made.id)).id == made.id
        clock.now += 1
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve(made.id)
        assert [each.id async for each in client.files.list()] == [kept.id]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"files": {"else": b"x"}, "data": {"purpose": "assistants"}}, "Missing required parameter: 'file'."),
        ({"files": {"file": ("a.txt", b"x")}}, "Missing required parameter: 'purpose'."),
        ({"files": {"file": ("a.txt", b"")}, "data": {"purpose": "assistants"}}, "File is empty."),
        ({"files": {"file": ("a.txt", b"x")}, "data": {"purpose": "fun"}}, "Invalid 'purpose'"),
        (
            {
                "files": {"file": ("a.txt", b"x")},
                "data": {
                    "purpose": "assistants",
                    "expires_after[anchor]": "created_at",
                    "expires_after[seconds]": "3599",
                },
            },
            "Invalid 'expires_after.seconds'",
        ),
        ({"json": {"purpose": "assistants"}}, "Expected a request of the type multipart/form-data."),
        (
            {"content": b"no form", "headers": {"content-type": "multipart/form-data; boundary=x"}},
            "The form cannot be read",
        ),
        ({"content": b"no form", "headers": {"content-type": "multipart/form-data"}}, "The form cannot be read"),
    ],
    ids=["no file", "no purpose", "empty", "purpose", "expiry", "json", "no form", "no boundary"],
)
async def test_an_upload_that_is_none_is_refused_in_words(tmp_path: Path, form: dict[str, object], told: str) -> None:
    """As an error of the client's, in OpenAI's form."""
    async with serving(tmp_path) as served, httpx.AsyncClient(base_url=served.base_url) as http:
        answer = await http.post("/files", **form)  # type: ignore[arg-type]
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["message"].startswith(told)


async def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """To the byte, however it is sent, and nothing of it is kept."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(16):
            yield bytes(2**20)

    async with serving(tmp_path, max_file_bytes=2 * 2**20) as served, served.client() as client:
        async with httpx.AsyncClient(base_url=served.base_url) as http:
            kind = {"content-type": "multipart/form-data; boundary=x"}
            with suppress(httpx.NetworkError):  # the server may hang up
                answer = await http.post("/files", content=endless(), headers=kind)
                assert answer.status_code == 413
        with pytest.raises(openai.APIStatusError) as refused:
            await client.files.create(file=("a.txt", bytes(2 * 2**20 + 1)), purpose="assistants")
        assert refused.value.status_code == 413
        assert [each async for each in client.files.list()] == []
        assert (await client.files.create(file=("a.txt", bytes(2 * 2**20)), purpose="assistants")).bytes == 2 * 2**20
        async with served.app.state.server.database.read() as connection:
            kept = await connection.execute(text("SELECT count(DISTINCT file) FROM agentkit_blobs"))
            assert kept.scalar_one() == 1


async def test_what_came_of_a_file_before_the_server_was_killed_is_forgotten(tmp_path: Path) -> None:
    """The client was never told that it is there."""
    async with serving(tmp_path) as served, served.client() as client:
        kept = await client.files.create(file=("a.txt", b"kept"), purpose="assistants")
        await Blobs(served.app.state.server.database).write("file-half", 0, b"half")
    async with serving(tmp_path) as served, served.client() as client:
        assert (await client.files.content(kept.id)).read() == b"kept"
        async with served.app.state.server.database.read() as connection:
            files = await connection.execute(text("SELECT file FROM agentkit_blobs"))
            assert [row[0] for row in files] == [kept.id]

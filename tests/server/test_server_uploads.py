"""Files that come in parts."""

import hashlib
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from serving import Clock, serving
from sqlalchemy import text

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def begun(client: AsyncOpenAI, size: int, **options: Any) -> str:
    """An upload of so many bytes."""
    upload = await client.uploads.create(
        bytes=size, filename="a.txt", mime_type="text/plain", purpose="assistants", **options
    )
    assert (upload.status, upload.file, upload.bytes) == ("pending", None, size)
    return upload.id


async def blobs(served: Any) -> int:
    """How many files have bytes in the database."""
    async with served.app.state.server.database.read() as connection:
        counted = await connection.execute(text("SELECT count(DISTINCT file) FROM agentkit_blobs"))
        return int(counted.scalar_one())


async def test_parts_become_a_file_in_the_order_that_the_client_names(tmp_path: Path) -> None:
    """Not in that in which they came; those that it does not name are forgotten."""
    large = bytes(range(256)) * 6000
    async with serving(tmp_path, clock=Clock()) as served, served.client() as client:
        size = len(large) + 4
        after: Any = {"anchor": "created_at", "seconds": 3600}
        id = await begun(client, size, expires_after=after)
        second = await client.uploads.parts.create(id, data=b"over")
        first = await client.uploads.parts.create(id, data=large)
        summed = hashlib.md5(large + b"over", usedforsecurity=False).hexdigest()
        done = await client.uploads.complete(id, part_ids=[first.id, second.id], md5=summed)
        assert done.status == "completed"
        assert done.file is not None
        assert (done.file.bytes, done.file.expires_at) == (size, done.file.created_at + 3600)
        assert (await client.files.content(done.file.id)).read() == large + b"over"
        assert await client.files.retrieve(done.file.id) == done.file
        assert await blobs(served) == 1
        with pytest.raises(openai.BadRequestError, match="is completed"):
            await client.uploads.cancel(id)


async def test_parts_that_are_not_the_file_are_refused(tmp_path: Path) -> None:
    """Too few bytes, too many, another sum, another upload's part, the same one twice."""
    async with serving(tmp_path) as served, served.client() as client:
        id, other = await begun(client, 4), await begun(client, 4)
        part = (await client.uploads.parts.create(id, data=b"ab")).id
        theirs = (await client.uploads.parts.create(other, data=b"cd")).id
        with pytest.raises(openai.BadRequestError, match="more than the 4 bytes"):
            await client.uploads.parts.create(id, data=b"cde")
        for parts in ([part], [part, part], [part, theirs]):
            with pytest.raises(openai.BadRequestError, match="part"):
                await client.uploads.complete(id, part_ids=parts)
        last = (await client.uploads.parts.create(id, data=b"cd")).id
        with pytest.raises(openai.BadRequestError, match="md5"):
            await client.uploads.complete(id, part_ids=[part, last], md5="0" * 32)
        with pytest.raises(openai.NotFoundError):
            await client.uploads.parts.create("upload_x", data=b"a")
        assert (await client.uploads.complete(id, part_ids=[part, last])).status == "completed"


async def test_an_upload_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    """Whether it is cancelled or not completed in time."""
    clock = Clock()
    async with serving(tmp_path, clock=clock) as served, served.client() as client:
        id, late = await begun(client, 4), await begun(client, 4)
        await client.uploads.parts.create(id, data=b"ab")
        part = await client.uploads.parts.create(late, data=b"abcd")
        assert (await client.uploads.cancel(id)).status == "cancelled"
        assert await blobs(served) == 1
        with pytest.raises(openai.BadRequestError, match="is cancelled"):
            await client.uploads.parts.create(id, data=b"cd")
        clock.now += 3600
        with pytest.raises(openai.BadRequestError, match="is expired"):
            await client.uploads.complete(late, part_ids=[part.id])

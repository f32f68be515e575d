"""Files: taken in, given out and forgotten."""

import base64
import mimetypes
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio

from agentkit.server.desk import Server
from agentkit.server.errors import ApiError
from agentkit.server.ids import new_id
from agentkit.server.store import Objects
from agentkit.server.store.blobs import PIECE, Blobs
from agentkit.server.store.chunks import Chunks, expired

FILE = "file"
_WHOLE = 20 * 2**20
"""Bytes of a file that may be in memory as a whole: a picture that a model is shown."""
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The files that clients upload, and those that tools write."""

    server: Server

    @property
    def blobs(self) -> Blobs:
        """The files' bytes."""
        return Blobs(self.server.database)

    async def keep(
        self, tenant: str, filename: str, purpose: str, content: AsyncIterator[bytes], seconds: int | None = None
    ) -> dict[str, Any]:
        """Keep a file, and give the object that says so.

        Args:
            tenant: Whose it is.
            filename: Its name.
            purpose: What it is for.
            content: Its bytes, in pieces of any size.
            seconds: How long it is kept, if not for ever.

        Raises:
            ApiError: it is too large, or empty.
        """
        id = new_id(FILE)
        try:
            size = await self.write(id, content)
            made = self.described(id, filename, purpose, size, seconds)
            async with self.server.write(tenant) as objects:
                await objects.add(FILE, made, ref=purpose, active=seconds is not None, expires=made["expires_at"])
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.blobs.delete(id)
            raise
        return made

    def described(self, id: str, filename: str, purpose: str, size: int, seconds: int | None) -> dict[str, Any]:
        """A new file's object."""
        now = self.server.now()
        return {
            "id": id,
            "object": "file",
            "bytes": size,
            "created_at": now,
            "expires_at": None if seconds is None else now + seconds,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }

    async def write(self, id: str, content: AsyncIterator[bytes]) -> int:
        """Keep bytes under an id; how many there are.

        Raises:
            ApiError: there are too many.
        """
        most = self.server.settings.max_file_bytes
        held, number, size = bytearray(), 0, 0
        async for data in content:
            held += data
            size += len(data)
            if size > most:
                raise TooLarge(most)
            while len(held) >= PIECE:
                await self.blobs.write(id, number, bytes(held[:PIECE]))
                del held[:PIECE]
                number += 1
        if held:
            await self.blobs.write(id, number, bytes(held))
        return size

    async def get(self, objects: Objects, id: str) -> dict[str, Any]:
        """A file's object.

        Raises:
            ApiError: there is none, or it has expired (404).
        """
        found = await objects.find(FILE, id)
        if found is None or (found["expires_at"] or self.server.now() + 1) <= self.server.now():
            raise ApiError(f"No such File object: {id}", status=404, param="id")
        return found

    async def data(self, tenant: str, id: str) -> bytes:
        """A file's bytes.

        Raises:
            ApiError: there is no such file (404), or it is too large for this (400).
        """
        async with self.server.read(tenant) as objects:
            found = await self.get(objects, id)
        if found["bytes"] > _WHOLE:
            raise ApiError(f"The file {id} has {found['bytes']} bytes; a model can be given {_WHOLE}.")
        return b"".join([piece async for piece in self.blobs.pieces(id)])

    async def data_url(self, tenant: str, id: str) -> str:
        """A file as a URL that holds it, for a model to look at.

        Raises:
            ApiError: as for `data`.
        """
        content = await self.data(tenant, id)
        async with self.server.read(tenant) as objects:
            named = (await self.get(objects, id))["filename"]
        kind = _picture(content) or mimetypes.guess_type(named)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(content).decode()}"

    async def forget(self, tenant: str, id: str) -> bool:
        """Forget a file, and what vector stores have of it; whether it was there."""
        async with self.server.write(tenant) as objects:
            was = await objects.delete(FILE, id)
            if was:
                await Chunks(objects).delete_file(id)
        if was:
            await self.blobs.delete(id)
        return was

    async def forget_expired(self) -> None:
        """Forget the files of all tenants that were to be kept until now."""
        for tenant, id in await expired(self.server.database, FILE, self.server.now(), _AT_ONCE):
            await self.forget(tenant, id)


class TooLarge(ApiError):
    """A file has too many bytes. The connection is closed, so that the rest of them is not sent."""

    def __init__(self, most: int) -> None:
        told = f"File is too large: {most} bytes are allowed."
        super().__init__(told, status=413, param="file", code="file_too_large")

    @property
    def headers(self) -> dict[str, str]:
        """See `ApiError.headers`."""
        return {"connection": "close"}


def _picture(content: bytes) -> str | None:
    """What kind of picture it is, by its first bytes, whatever its name says."""
    for start, kind in {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}.items():
        if content.startswith(start):
            return f"image/{kind}"
    return "image/webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None

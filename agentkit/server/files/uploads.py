"""Files that come in parts."""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from agentkit.server.desk import Server
from agentkit.server.errors import ApiError, unfit
from agentkit.server.ids import new_id
from agentkit.server.store import Objects
from agentkit.server.store.chunks import expired
from agentkit.server.wire.files import CompleteUpload, CreateUpload

from .keeping import FILE, Files

UPLOAD, PART = "upload", "upload.part"
_KEPT = 3600
"""Seconds in which all parts have to be there."""
_MOST_PARTS = 10_000
_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Uploads:
    """The uploads that are under way."""

    server: Server

    async def begin(self, objects: Objects, asked: CreateUpload) -> dict[str, Any]:
        """A new upload.

        Raises:
            ApiError: the file would be too large.
        """
        most = self.server.settings.max_file_bytes
        if asked.bytes > most:
            raise unfit("bytes", f"{most} are allowed")
        now = self.server.now()
        made = {
            "id": new_id(UPLOAD),
            "object": "upload",
            "bytes": asked.bytes,
            "created_at": now,
            "expires_at": now + _KEPT,
            "filename": asked.filename,
            "purpose": asked.purpose,
            "status": "pending",
            "file": None,
        }
        seconds = None if asked.expires_after is None else asked.expires_after.seconds
        private = {"seconds": seconds}
        await objects.add(UPLOAD, made, private=private, active=True, expires=made["expires_at"])
        return made

    async def add(self, tenant: str, id: str, content: AsyncIterator[bytes]) -> dict[str, Any]:
        """Keep a part of a file.

        Raises:
            ApiError: the upload is not there (404), or not under way any more; or the part is too large.
        """
        files = Files(server=self.server)
        part = {"id": new_id("part"), "object": PART, "created_at": self.server.now(), "upload_id": id}
        async with self.server.read(tenant) as objects:
            await self._pending(objects, id)
        try:
            size = await files.write(str(part["id"]), content)
            async with self.server.write(tenant) as objects:
                upload = await self._pending(objects, id, lock=True)
                there = await self._sizes(objects, id)
                if sum(there.values()) + size > upload["bytes"]:
                    raise ApiError(f"The parts have more than the {upload['bytes']} bytes that were said.")
                if len(there) >= _MOST_PARTS:
                    raise ApiError(f"An upload has {_MOST_PARTS} parts at most.")
                await objects.add(PART, {**part, "size": size}, parent=id)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await files.blobs.delete(str(part["id"]))
            raise
        return part

    async def complete(self, tenant: str, id: str, asked: CompleteUpload) -> dict[str, Any]:
        """Make a file of the parts, in the order in which they are named.

        Raises:
            ApiError: the upload is not there (404), or not under way any more; or the parts are not the file.
        """
        files = Files(server=self.server)
        async with self.server.read(tenant) as objects:
            upload = await self._pending(objects, id)
            sizes = await self._sizes(objects, id)
        parts = list(dict.fromkeys(asked.part_ids))
        if len(parts) != len(asked.part_ids) or not sizes.keys() >= set(parts):
            raise unfit("part_ids", "each must be a part of this upload, and be named once")
        if (size := sum(sizes[part] for part in parts)) != upload["bytes"]:
            raise ApiError(f"The parts have {size} bytes, and {upload['bytes']} were said.", param="part_ids")
        if asked.md5 is not None and asked.md5.lower() != await self._md5(parts):
            raise unfit("md5", "it is not that of the parts")
        file_id = new_id(FILE)
        async with self.server.write(tenant) as objects:
            upload = await self._pending(objects, id, lock=True)
            seconds = (await objects.private(UPLOAD, id))["seconds"]
            made = files.described(file_id, upload["filename"], upload["purpose"], size, seconds)
            await files.blobs.join(file_id, parts, within=objects)
            columns: dict[str, Any] = {"active": seconds is not None, "expires": made["expires_at"]}
            await objects.add(FILE, made, ref=upload["purpose"], **columns)
            done = {**upload, "status": "completed", "file": made}
            await objects.put(UPLOAD, done, active=False, expires=None)
            await objects.delete_all(id, PART)
        await files.blobs.delete(*(sizes.keys() - set(parts)))
        return done

    async def cancel(self, tenant: str, id: str) -> dict[str, Any]:
        """Forget the parts.

        Raises:
            ApiError: the upload is not there (404), or not under way any more.
        """
        async with self.server.write(tenant) as objects:
            upload = await self._pending(objects, id, lock=True)
            ended, parts = await self._end(objects, upload, "cancelled")
        await Files(server=self.server).blobs.delete(*parts)
        return ended

    async def forget_expired(self) -> None:
        """Forget the parts of all tenants' uploads that were not completed in time."""
        for tenant, id in await expired(self.server.database, UPLOAD, self.server.now(), _AT_ONCE):
            parts: Iterable[str] = ()
            async with self.server.write(tenant) as objects:
                upload = await objects.find(UPLOAD, id, lock=True)
                if upload is not None and upload["status"] == "pending":
                    _, parts = await self._end(objects, upload, "expired")
            await Files(server=self.server).blobs.delete(*parts)

    async def _end(
        self, objects: Objects, upload: Mapping[str, Any], status: str
    ) -> tuple[dict[str, Any], Iterable[str]]:
        """The upload as it is now, and the parts whose bytes are to be forgotten."""
        ended = {**upload, "status": status}
        parts = await self._sizes(objects, upload["id"])
        await objects.put(UPLOAD, ended, active=False, expires=None)
        await objects.delete_all(upload["id"], PART)
        return ended, parts

    async def _pending(self, objects: Objects, id: str, *, lock: bool = False) -> dict[str, Any]:
        upload = await objects.get(UPLOAD, id, lock=lock)
        status = upload["status"]
        if status == "pending" and upload["expires_at"] <= self.server.now():
            status = "expired"
        if status != "pending":
            raise ApiError(f"Upload {id} is {status}.", param="upload_id")
        return upload

    async def _sizes(self, objects: Objects, id: str) -> dict[str, int]:
        """The bytes of each part."""
        return {part["id"]: part["size"] for part in await objects.all(PART, id)}

    async def _md5(self, parts: Sequence[str]) -> str:
        blobs = Files(server=self.server).blobs
        summed = hashlib.md5(usedforsecurity=False)
        for part in parts:
            async for piece in blobs.pieces(part):
                summed.update(piece)
        return summed.hexdigest()

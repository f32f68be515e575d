"""Reading the files that were put into vector stores, beside the requests."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from agentkit.server.desk import Server
from agentkit.server.errors import ApiError
from agentkit.server.store import Objects
from agentkit.server.store.chunks import STORE_FILE, Chunks, Overtaken, claim, expired, release, release_all

from .documents import Unread, text_of
from .keeping import Files
from .passages import passages, tokens
from .uploads import Uploads
from .vector_stores import STORE, VectorStores
from .words import words

_log = logging.getLogger("agentkit.server")

_EVERY = 5.0
"""Seconds after which it looks again, though nobody has called."""
_LEASE = 300
"""Seconds that a file is one process's; another begins again after that."""
_AT_ONCE = 4
_SWEPT = 32
_PASSAGES = 400
_MAX_TOKENS = 5_000_000

Claimed = tuple[str, str, str]
"""A file that is to be read: tenant, vector store, file."""
Indexed = tuple[str, list[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexer:
    """Reads files, cuts them into passages, and notes their words."""

    server: Server
    stores: VectorStores
    _reading: set[Claimed] = field(default_factory=set)
    _again: set[Claimed] = field(default_factory=set)
    """Files that were put into their store anew while they are read."""

    async def begin(self) -> None:
        """What a process that was stopped has left is begun again, and what comes from here on is read."""
        if self.server.database.is_sqlite:
            await release_all(self.server.database)
            await Files(server=self.server).blobs.delete_strays()
        self.server.loops.start_soon(self._watch)

    async def _watch(self) -> None:
        is_idle = True
        async with anyio.create_task_group() as group:
            while True:
                self.stores.woken = anyio.Event()
                try:
                    if not await self._take(group) and is_idle:
                        await self._sweep(self.server.now())
                except Exception:  # the database is away: what is to be read is read when it is there again
                    _log.exception("files in vector stores cannot be read now")
                with anyio.move_on_after(_EVERY) as pause:
                    await self.stores.woken.wait()
                is_idle = pause.cancelled_caught

    async def _take(self, group: TaskGroup) -> int:
        """Begin to read as many files as may be read at once; how many there were."""
        free = _AT_ONCE - len(self._reading)
        taken = await claim(self.server.database, self.server.now(), _LEASE, free) if free else []
        for each in taken:
            if each in self._reading:
                self._again.add(each)
            else:
                self._reading.add(each)
                group.start_soon(self._guarded, each)
        return len(taken)

    async def _sweep(self, now: int) -> None:
        await Files(server=self.server).forget_expired()
        await Uploads(server=self.server).forget_expired()
        for tenant, store in await expired(self.server.database, STORE, now, _SWEPT):
            async with self.server.write(tenant) as objects:
                await Chunks(objects).delete(store)
                if found := await objects.find(STORE, store):
                    await objects.put(STORE, found, active=False, expires=None)

    async def _guarded(self, each: Claimed) -> None:
        try:
            await self._read(*each)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await release(self.server.database, *each)
            raise
        except Unread as error:
            await self._failed(each, error.code, str(error))
        except Overtaken:
            pass  # whoever was quicker says what becomes of it
        except (ApiError, LookupError):
            await self._failed(each, "server_error", "The file was deleted while it was read.")
        except Exception as error:  # one file's, which must not be the end of the others
            _log.exception("a file in a vector store cannot be read")
            await self._failed(each, "server_error", f"The file could not be read: {type(error).__name__}.")
        finally:
            self._reading.discard(each)
            if each in self._again:
                self._again.discard(each)
                with anyio.CancelScope(shield=True):
                    await release(self.server.database, *each)
            self.stores.read_one()

    async def _read(self, tenant: str, store: str, file: str) -> None:
        files = Files(server=self.server)
        async with self.server.read(tenant) as objects:
            named = (await files.get(objects, file))["filename"]
            asked = await objects.find(STORE_FILE, file, parent=store)
        if asked is None:
            return
        text = await text_of(named, files.blobs.pieces(file))
        if len(text) > _MAX_TOKENS and await anyio.to_thread.run_sync(tokens, text) > _MAX_TOKENS:
            raise Unread("invalid_file", f"The file has more than {_MAX_TOKENS} tokens.")
        cut = passages(text, asked["chunking_strategy"])
        size, number, is_last = 0, 0, False
        while not is_last:
            some = await anyio.to_thread.run_sync(_next, cut)
            is_last = len(some) < _PASSAGES
            size += sum(len(passage.encode()) for passage, _ in some)
            async with self.server.write(tenant) as objects:
                if number == 0:
                    await Chunks(objects).delete(store, file)
                await Chunks(objects).add(store, file, some, start=number)
                if is_last:
                    await self._end(objects, {**asked, "status": "completed", "usage_bytes": size})
            number += len(some)

    async def _failed(self, each: Claimed, code: str, message: str) -> None:
        tenant, store, file = each
        async with self.server.write(tenant) as objects:
            asked = await objects.find(STORE_FILE, file, parent=store)
            if asked is not None:
                error = {"code": code, "message": message}
                await self._end(objects, {**asked, "status": "failed", "last_error": error})

    async def _end(self, objects: Objects, body: Mapping[str, Any]) -> None:
        """It is done, unless it was taken back meanwhile."""
        store = body["vector_store_id"]
        if (objects.tenant, store, body["id"]) in self._again:
            return
        now = await objects.find(STORE_FILE, body["id"], parent=store, lock=True)
        if now and now["chunking_strategy"] != body["chunking_strategy"]:
            return  # it was put in anew, to be cut otherwise
        ended = {**body, **{name: now[name] for name in ("attributes", "created_at")}} if now else body
        columns: dict[str, Any] = {"active": False, "expires": None}
        kept = await objects.put(STORE_FILE, ended, parent=store, of=["in_progress"], **columns)
        if not kept or body["status"] != "completed":
            await Chunks(objects).delete(store, body["id"])


def _next(cut: Iterator[str]) -> list[Indexed]:
    return [(passage, list(words(passage))) for passage in islice(cut, _PASSAGES)]

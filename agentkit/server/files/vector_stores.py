"""Vector stores: files that can be searched together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
from pydantic import ValidationError

from agentkit.server.desk import Server
from agentkit.server.errors import ApiError, unfit
from agentkit.server.ids import new_id
from agentkit.server.store import Objects
from agentkit.server.store.chunks import STORE_FILE, Chunks
from agentkit.server.wire import Body
from agentkit.server.wire.files import AddFile, CreateStore

from .keeping import Files
from .passages import AUTO

STORE, BATCH = "vector_store", "vector_store.files_batch"
STATES = ("in_progress", "completed", "failed", "cancelled")
_DAY = 86_400
_MOST_FILES = 10_000
_THREAD_DAYS = 7
"""How long a thread's own store is kept after it was last used."""
_CODE_FILES = 20
_PAUSE = 60
"""Seconds within which a search is not worth noting again that a store is in use."""

_SETTLED = 60.0
_LOOK = 0.5

B = TypeVar("B", bound=Body)


@dataclass(kw_only=True, slots=True)
class VectorStores:
    """The vector stores of all tenants."""

    server: Server
    woken: anyio.Event = field(default_factory=anyio.Event)
    """Set when there may be files to be read."""
    done: anyio.Event = field(default_factory=anyio.Event)
    """Set when a file was read."""

    def wake(self) -> None:
        """Have the files read that were put into stores; to be called once they are committed."""
        self.woken.set()

    def read_one(self) -> None:
        """A file was read, or could not be."""
        self.done.set()
        self.done = anyio.Event()
        self.wake()

    async def settled(self, tenant: str, stores: Iterable[str]) -> None:
        """Return once all files in these stores have been read, or after a minute."""
        with anyio.move_on_after(_SETTLED):
            for store in stores:
                while True:
                    done = self.done
                    async with self.server.read(tenant) as objects:
                        if not (await self.counts(objects, store))["in_progress"]:
                            break
                    with anyio.move_on_after(_LOOK):  # another process may read them
                        await done.wait()

    async def make(self, objects: Objects, spec: Mapping[str, Any], now: int) -> str:
        """A new vector store of what `tool_resources.file_search.vector_stores` says; its id.

        Raises:
            ApiError: it cannot be made, or a file is not there.
        """
        made = await self.create(objects, checked(CreateStore, spec, "vector_stores"), now)
        return str(made["id"])

    async def create(self, objects: Objects, asked: CreateStore, now: int) -> dict[str, Any]:
        """A new vector store.

        Raises:
            ApiError: a file is not there (404).
        """
        given = asked.given()
        store = {
            "id": new_id(STORE),
            "object": STORE,
            "created_at": now,
            "name": given.get("name", ""),
            "description": given.get("description"),
            "expires_after": given.get("expires_after"),
            "last_active_at": now,
            "metadata": given.get("metadata", {}),
        }
        await objects.add(STORE, store, **expiring(store))
        files = [
            AddFile.model_construct(file_id=id, chunking_strategy=asked.chunking_strategy)
            for id in dict.fromkeys(asked.file_ids or ())
        ]
        await self._add(objects, store["id"], files, now)
        return store

    async def attach(
        self, objects: Objects, thread: Mapping[str, Any], attachments: Iterable[Mapping[str, Any]], now: int
    ) -> dict[str, Any]:
        """A message has files with it: the thread's object as it is with them. It is not stored.

        Raises:
            ApiError: a file is not there (404).
        """
        resources: dict[str, Any] = dict(thread.get("tool_resources") or {})
        wanted: dict[str, list[str]] = {"file_search": [], "code_interpreter": []}
        for attachment in attachments:
            for tool in attachment.get("tools") or ():
                if tool.get("type") in wanted and attachment.get("file_id"):
                    wanted[tool["type"]].append(attachment["file_id"])
        if searched := list(dict.fromkeys(wanted["file_search"])):
            ids = (resources.get("file_search") or {}).get("vector_store_ids") or []
            there = await objects.find(STORE, ids[0]) if ids else None
            if there is None or is_expired(there, now):
                spec = {"expires_after": {"anchor": "last_active_at", "days": _THREAD_DAYS}}
                resources["file_search"] = {"vector_store_ids": [await self.make(objects, spec, now)]}
            store_id = resources["file_search"]["vector_store_ids"][0]
            await self.add(objects, store_id, [AddFile.model_construct(file_id=id) for id in searched], now)
        if run := wanted["code_interpreter"]:
            known = (resources.get("code_interpreter") or {}).get("file_ids") or []
            for id in run:
                await self._files.get(objects, id)
            both = list(dict.fromkeys([*known, *run]))
            if len(both) > _CODE_FILES:
                raise unfit("attachments", f"a thread may have {_CODE_FILES} files for code_interpreter")
            resources["code_interpreter"] = {"file_ids": both}
        return {**thread, "tool_resources": resources} if resources else dict(thread)

    async def get(self, objects: Objects, id: str) -> dict[str, Any]:
        """A vector store as it is kept.

        Raises:
            ApiError: there is none (404).
        """
        return await objects.get(STORE, id, noun="vector store")

    async def shown(self, objects: Objects, store: Mapping[str, Any], now: int) -> dict[str, Any]:
        """A vector store as clients see it."""
        counts = await self.counts(objects, store["id"])
        status = "in_progress" if counts["in_progress"] else "completed"
        return {
            **store,
            "usage_bytes": await Chunks(objects).usage(store["id"]),
            "file_counts": counts,
            "status": "expired" if is_expired(store, now) else status,
            "expires_at": expires_at(store),
        }

    async def shown_batch(self, objects: Objects, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A batch as clients see it."""
        counts = await self.counts(objects, batch["vector_store_id"], batch["id"])
        status = "in_progress" if counts["in_progress"] else batch["status"]
        return {**batch, "status": status, "file_counts": counts}

    async def counts(self, objects: Objects, store: str, batch: str | None = None) -> dict[str, int]:
        """How many files a store, or a batch, has in each state."""
        counted = await Chunks(objects).counts(store, batch)
        return {**{state: counted[state] for state in STATES}, "total": counted.total()}

    async def add(
        self, objects: Objects, store_id: str, files: Iterable[AddFile], now: int, *, batch: str = ""
    ) -> list[dict[str, Any]]:
        """Put files into a vector store; those that are there already are read anew.

        Raises:
            ApiError: the store or a file is not there (404), it has expired, or is full.
        """
        store = await objects.get(STORE, store_id, noun="vector store", lock=True)
        if is_expired(store, now):
            raise ApiError(f"Vector store {store_id} has expired.", param="vector_store_id")
        await self.touch(objects, store, now)
        return await self._add(objects, store_id, files, now, batch=batch)

    async def _add(
        self, objects: Objects, store_id: str, files: Iterable[AddFile], now: int, *, batch: str = ""
    ) -> list[dict[str, Any]]:
        added = [await self._one(objects, store_id, file, now, batch) for file in files]
        if sum((await Chunks(objects).counts(store_id)).values()) > _MOST_FILES:
            raise ApiError(f"Vector store {store_id} would have more than {_MOST_FILES} files.")
        return added

    async def _one(self, objects: Objects, store_id: str, file: AddFile, now: int, batch: str) -> dict[str, Any]:
        await self._files.get(objects, file.file_id)
        given = file.given()
        strategy = given.get("chunking_strategy") or AUTO
        body = {
            "id": file.file_id,
            "object": STORE_FILE,
            "created_at": now,
            "vector_store_id": store_id,
            "status": "in_progress",
            "last_error": None,
            "usage_bytes": 0,
            "attributes": given.get("attributes", {}),
            "chunking_strategy": AUTO if strategy["type"] == "auto" else strategy,
        }
        columns: dict[str, Any] = {"ref": batch, "active": True, "expires": 0}
        if not await objects.put(STORE_FILE, body, parent=store_id, **columns):
            await objects.add(STORE_FILE, body, parent=store_id, **columns)
        return body

    async def touch(self, objects: Objects, store: Mapping[str, Any], now: int) -> None:
        """Note that a store is in use."""
        used = {**store, "last_active_at": now}
        await objects.put(STORE, used, **expiring(used))

    async def used(self, tenant: str, stores: Iterable[str]) -> None:
        """Note that stores were searched, unless that was noted only just now."""
        now = self.server.now()
        async with self.server.read(tenant) as objects:
            found = [await objects.find(STORE, id) for id in stores]
        for store in found:
            if store is not None and now - store["last_active_at"] >= _PAUSE:
                async with self.server.write(tenant) as objects:
                    if again := await objects.find(STORE, store["id"], lock=True):
                        await self.touch(objects, again, now)

    async def remove(self, objects: Objects, store_id: str) -> bool:
        """Forget a vector store and all it has; not the files. Whether it was there."""
        await Chunks(objects).delete(store_id)
        await objects.delete_all(store_id)
        return await objects.delete(STORE, store_id)

    @property
    def _files(self) -> Files:
        return Files(server=self.server)


def expires_at(store: Mapping[str, Any]) -> int | None:
    """When a vector store expires."""
    after = store["expires_after"]
    return None if after is None else int(store["last_active_at"]) + int(after["days"]) * _DAY


def is_expired(store: Mapping[str, Any], now: int) -> bool:
    """Whether it has expired."""
    at = expires_at(store)
    return at is not None and at <= now


def expiring(store: Mapping[str, Any]) -> dict[str, Any]:
    """The columns by which an expired store is found."""
    at = expires_at(store)
    return {"active": at is not None, "expires": at}


def checked(model: type[B], value: Any, where: str) -> B:
    """A part of a request, checked.

    Raises:
        ApiError: it is not what it may be.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        raise unfit(f"{where}{path}".removeprefix("."), first["msg"].removeprefix("Value error, ")) from None

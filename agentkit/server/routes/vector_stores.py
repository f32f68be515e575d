"""`/vector_stores`."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, Response

from agentkit.server.desk import At, Desk, Listed
from agentkit.server.errors import missing
from agentkit.server.files import VectorStores
from agentkit.server.files.searching import Question, search
from agentkit.server.files.vector_stores import BATCH, STORE, expiring
from agentkit.server.ids import new_id
from agentkit.server.store import Objects
from agentkit.server.store.chunks import STORE_FILE, Chunks
from agentkit.server.wire.files import AddFile, AddFiles, ChangeStore, ChangeStoreFile, CreateStore, Search

router = APIRouter(prefix="/vector_stores")

State = Literal["in_progress", "completed", "failed", "cancelled"]
_POLL = {"openai-poll-after-ms": "100"}
"""How soon a client is to ask again for what is not done yet."""


@router.post("")
async def create_vector_store(body: CreateStore, at: At) -> dict[str, Any]:
    """Create a vector store."""
    stores = _stores(at)
    async with at.write() as objects:
        made = await stores.create(objects, body, at.now())
        shown = await stores.shown(objects, made, at.now())
    stores.wake()
    return shown


@router.get("")
async def list_vector_stores(page: Listed, at: At) -> dict[str, Any]:
    """List vector stores."""
    async with at.read() as objects:
        listed = await objects.page(STORE, page)
        return {**listed, "data": [await _stores(at).shown(objects, each, at.now()) for each in listed["data"]]}


@router.get("/{vector_store_id}")
async def get_vector_store(vector_store_id: str, at: At, response: Response) -> dict[str, Any]:
    """A vector store."""
    response.headers.update(_POLL)
    async with at.read() as objects:
        return await _stores(at).shown(objects, await _stores(at).get(objects, vector_store_id), at.now())


@router.post("/{vector_store_id}")
async def change_vector_store(vector_store_id: str, body: ChangeStore, at: At) -> dict[str, Any]:
    """Change a vector store."""
    usual: dict[str, Any] = {"name": "", "expires_after": None, "metadata": {}}
    given = body.model_dump(exclude_unset=True)
    async with at.write() as objects:
        store = await objects.get(STORE, vector_store_id, noun="vector store", lock=True)
        changed = {**store, **{name: usual[name] if value is None else value for name, value in given.items()}}
        changed["last_active_at"] = at.now()
        await objects.put(STORE, changed, **expiring(changed))
        return await _stores(at).shown(objects, changed, at.now())


@router.delete("/{vector_store_id}")
async def delete_vector_store(vector_store_id: str, at: At) -> dict[str, Any]:
    """Delete a vector store; its files stay."""
    async with at.write() as objects:
        if not await _stores(at).remove(objects, vector_store_id):
            raise missing("vector store", vector_store_id)
    return {"id": vector_store_id, "object": "vector_store.deleted", "deleted": True}


@router.post("/{vector_store_id}/search")
async def search_vector_store(vector_store_id: str, body: Search, at: At) -> dict[str, Any]:
    """Search a vector store."""
    queries = [body.query] if isinstance(body.query, str) else body.query
    question = Question(
        queries=queries,
        most=body.max_num_results or 10,
        least=(body.ranking_options.score_threshold if body.ranking_options else None) or 0.0,
        filters=body.given().get("filters"),
    )
    async with at.read() as objects:
        hits = await search(objects, [vector_store_id], question, at.now())
    await _stores(at).used(at.tenant, [vector_store_id])
    found = [
        {
            "file_id": hit.file_id,
            "filename": hit.filename,
            "score": hit.score,
            "attributes": dict(hit.attributes),
            "content": [{"type": "text", "text": hit.text}],
        }
        for hit in hits
    ]
    page = {"object": "vector_store.search_results.page", "search_query": queries}
    return {**page, "data": found, "has_more": False, "next_page": None}


@router.post("/{vector_store_id}/files")
async def add_file(vector_store_id: str, body: AddFile, at: At, response: Response) -> dict[str, Any]:
    """Put a file into a vector store."""
    response.headers.update(_POLL)
    async with at.write() as objects:
        added = await _stores(at).add(objects, vector_store_id, [body], at.now())
    _stores(at).wake()
    return added[0]


@router.get("/{vector_store_id}/files")
async def list_store_files(vector_store_id: str, page: Listed, at: At, filter: State | None = None) -> dict[str, Any]:
    """List the files of a vector store."""
    async with at.read() as objects:
        await _stores(at).get(objects, vector_store_id)
        return await objects.page(STORE_FILE, page, parent=vector_store_id, status=filter)


@router.get("/{vector_store_id}/files/{file_id}")
async def get_store_file(vector_store_id: str, file_id: str, at: At, response: Response) -> dict[str, Any]:
    """A file of a vector store."""
    response.headers.update(_POLL)
    async with at.read() as objects:
        return await _file(objects, vector_store_id, file_id)


@router.post("/{vector_store_id}/files/{file_id}")
async def change_store_file(vector_store_id: str, file_id: str, body: ChangeStoreFile, at: At) -> dict[str, Any]:
    """Change the attributes of a file of a vector store."""
    async with at.write() as objects:
        file = await _file(objects, vector_store_id, file_id, lock=True)
        file["attributes"] = body.given().get("attributes", {})
        await objects.put(STORE_FILE, file, parent=vector_store_id)
    return file


@router.delete("/{vector_store_id}/files/{file_id}")
async def remove_store_file(vector_store_id: str, file_id: str, at: At) -> dict[str, Any]:
    """Take a file out of a vector store; it is not deleted."""
    async with at.write() as objects:
        await _file(objects, vector_store_id, file_id)
        await objects.delete(STORE_FILE, file_id, parent=vector_store_id)
        await Chunks(objects).delete(vector_store_id, file_id)
    return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}


@router.get("/{vector_store_id}/files/{file_id}/content")
async def get_store_file_content(vector_store_id: str, file_id: str, at: At) -> dict[str, Any]:
    """The passages of a file of a vector store."""
    async with at.read() as objects:
        await _file(objects, vector_store_id, file_id)
        texts = await Chunks(objects).texts(vector_store_id, file_id)
    page = {"object": "vector_store.file_content.page", "has_more": False, "next_page": None}
    return {**page, "data": [{"type": "text", "text": text} for text in texts]}


@router.post("/{vector_store_id}/file_batches")
async def add_files(vector_store_id: str, body: AddFiles, at: At, response: Response) -> dict[str, Any]:
    """Put several files into a vector store."""
    response.headers.update(_POLL)
    stores = _stores(at)
    batch = {"id": new_id("batch"), "object": BATCH, "created_at": at.now(), "vector_store_id": vector_store_id}
    batch["status"] = "completed"  # once none is in progress any more
    async with at.write() as objects:
        await stores.add(objects, vector_store_id, body.each(), at.now(), batch=str(batch["id"]))
        await objects.add(BATCH, batch, parent=vector_store_id)
        shown = await stores.shown_batch(objects, batch)
    stores.wake()
    return shown


@router.get("/{vector_store_id}/file_batches/{batch_id}")
async def get_batch(vector_store_id: str, batch_id: str, at: At, response: Response) -> dict[str, Any]:
    """A batch of files."""
    response.headers.update(_POLL)
    async with at.read() as objects:
        return await _stores(at).shown_batch(objects, await _batch(objects, vector_store_id, batch_id))


@router.post("/{vector_store_id}/file_batches/{batch_id}/cancel")
async def cancel_batch(vector_store_id: str, batch_id: str, at: At) -> dict[str, Any]:
    """Do not read those of a batch's files that have not been read yet."""
    async with at.write() as objects:
        batch = await _batch(objects, vector_store_id, batch_id)
        for file in await objects.all(STORE_FILE, vector_store_id, ref=batch_id):
            if file["status"] == "in_progress":
                columns: dict[str, Any] = {"active": False, "expires": None}
                cancelled = {**file, "status": "cancelled"}
                await objects.put(STORE_FILE, cancelled, parent=vector_store_id, of=["in_progress"], **columns)
                batch["status"] = "cancelled"
        await objects.put(BATCH, batch, parent=vector_store_id)
        return await _stores(at).shown_batch(objects, batch)


@router.get("/{vector_store_id}/file_batches/{batch_id}/files")
async def list_batch_files(
    vector_store_id: str, batch_id: str, page: Listed, at: At, filter: State | None = None
) -> dict[str, Any]:
    """List the files of a batch."""
    async with at.read() as objects:
        await _batch(objects, vector_store_id, batch_id)
        return await objects.page(STORE_FILE, page, parent=vector_store_id, ref=batch_id, status=filter)


def _stores(at: Desk) -> VectorStores:
    return at.server.part(VectorStores)


async def _file(objects: Objects, store: str, file: str, *, lock: bool = False) -> dict[str, Any]:
    return await objects.get(STORE_FILE, file, parent=store, noun="vector store file", lock=lock)


async def _batch(objects: Objects, store: str, batch: str) -> dict[str, Any]:
    found: Mapping[str, Any] = await objects.get(BATCH, batch, parent=store, noun="vector store file batch")
    return dict(found)

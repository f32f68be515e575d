"""`/threads`, without their messages and runs."""

from typing import Any

from fastapi import APIRouter

from agentkit.server.desk import At
from agentkit.server.files import VectorStores
from agentkit.server.refusing import JsonRoute
from agentkit.server.threads import change_thread, create_thread, delete_thread
from agentkit.server.wire.threads import ChangeThread, CreateThread

router = APIRouter(route_class=JsonRoute)


@router.post("/threads")
async def create(at: At, body: CreateThread | None = None) -> dict[str, Any]:
    """Create a thread."""
    stores = at.server.part(VectorStores)
    async with at.write() as objects:
        made = await create_thread(objects, body or CreateThread(), at.now(), stores)
    stores.wake()
    return made


@router.get("/threads/{thread_id}")
async def get_thread(thread_id: str, at: At) -> dict[str, Any]:
    """A thread."""
    async with at.read() as objects:
        return await objects.get("thread", thread_id)


@router.post("/threads/{thread_id}")
async def change(thread_id: str, body: ChangeThread, at: At) -> dict[str, Any]:
    """Change a thread."""
    stores = at.server.part(VectorStores)
    async with at.write() as objects:
        made = await change_thread(objects, thread_id, body, at.now(), stores)
    stores.wake()
    return made


@router.delete("/threads/{thread_id}")
async def delete(thread_id: str, at: At) -> dict[str, Any]:
    """Delete a thread, with all that was said and done on it."""
    async with at.write() as objects:
        await delete_thread(objects, thread_id)
    return {"id": thread_id, "object": "thread.deleted", "deleted": True}

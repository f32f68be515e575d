"""`/threads/{thread_id}/messages`."""

from typing import Any

from fastapi import APIRouter

from agentkit.server.desk import At, Listed
from agentkit.server.engine.log import MESSAGE
from agentkit.server.errors import missing
from agentkit.server.files import VectorStores
from agentkit.server.refusing import JsonRoute
from agentkit.server.runs import Runner
from agentkit.server.threads import add_message
from agentkit.server.wire.threads import ChangeMetadata, CreateMessage

router = APIRouter(route_class=JsonRoute)
_PATH = "/threads/{thread_id}/messages"


@router.post(_PATH)
async def create_message(thread_id: str, body: CreateMessage, at: At) -> dict[str, Any]:
    """Add a message to a thread."""
    await at.server.part(Runner).settle(at.tenant, thread_id)
    stores = at.server.part(VectorStores)
    async with at.write() as objects:
        thread = await objects.get("thread", thread_id, lock=True)
        made = await add_message(objects, thread, body, at.now(), stores)
    stores.wake()
    return made


@router.get(_PATH)
async def list_messages(thread_id: str, page: Listed, at: At, run_id: str | None = None) -> dict[str, Any]:
    """List the messages of a thread, or those that a run has written."""
    async with at.read() as objects:
        await objects.get("thread", thread_id)
        return await objects.page(MESSAGE, page, parent=thread_id, ref=run_id)


@router.get(_PATH + "/{message_id}")
async def get_message(thread_id: str, message_id: str, at: At) -> dict[str, Any]:
    """A message."""
    async with at.read() as objects:
        await objects.get("thread", thread_id)
        return await objects.get(MESSAGE, message_id, parent=thread_id)


@router.post(_PATH + "/{message_id}")
async def change_message(thread_id: str, message_id: str, body: ChangeMetadata, at: At) -> dict[str, Any]:
    """Change a message's metadata."""
    async with at.write() as objects:
        await objects.get("thread", thread_id)
        message = await objects.get(MESSAGE, message_id, parent=thread_id, lock=True)
        if "metadata" in body.model_fields_set:
            message["metadata"] = body.metadata or {}
            await objects.put(MESSAGE, message, parent=thread_id)
    return message


@router.delete(_PATH + "/{message_id}")
async def delete_message(thread_id: str, message_id: str, at: At) -> dict[str, Any]:
    """Take a message back: no model hears of it again."""
    async with at.write() as objects:
        await objects.get("thread", thread_id)
        if not await objects.delete(MESSAGE, message_id, parent=thread_id):
            raise missing(MESSAGE, message_id)
    return {"id": message_id, "object": "thread.message.deleted", "deleted": True}

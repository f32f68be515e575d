"""`/conversations`."""

from typing import Any

from fastapi import APIRouter

from agentkit.server.desk import At, Included, Listed
from agentkit.server.engine.log import LOGGED
from agentkit.server.responses.conversations import (
    add_entries,
    check_unlocked,
    delete_item,
    find_conversation,
    find_item,
    new_conversation,
    resolved,
    shown_conversation,
)
from agentkit.server.responses.items import shown, taken
from agentkit.server.threads import delete_thread
from agentkit.server.wire.responses import ChangeConversation, CreateConversation, CreateItems

router = APIRouter()
_ONE = "/conversations/{conversation_id}"
_ITEM = _ONE + "/items/{item_id}"


@router.post("/conversations")
async def create(at: At, body: CreateConversation | None = None) -> dict[str, Any]:
    """Create a conversation."""
    given = body.given() if body else {}
    entries = taken(given.get("items"), at.now())
    async with at.write() as objects:
        thread = await new_conversation(objects, given.get("metadata", {}), at.now())
        await add_entries(objects, thread["id"], await resolved(objects, entries))
    return shown_conversation(thread)


@router.get(_ONE)
async def get_conversation(conversation_id: str, at: At) -> dict[str, Any]:
    """A conversation."""
    async with at.read() as objects:
        return shown_conversation(await find_conversation(objects, conversation_id))


@router.post(_ONE)
async def change(conversation_id: str, body: ChangeConversation, at: At) -> dict[str, Any]:
    """Change a conversation's metadata."""
    async with at.write() as objects:
        thread = await find_conversation(objects, conversation_id)
        if "metadata" in body.model_fields_set:
            thread["metadata"] = body.metadata or {}
            await objects.put("thread", thread)
    return shown_conversation(thread)


@router.delete(_ONE)
async def delete(conversation_id: str, at: At) -> dict[str, Any]:
    """Delete a conversation, with all that was said in it."""
    async with at.write() as objects:
        thread = await find_conversation(objects, conversation_id)
        await delete_thread(objects, thread["id"])
    return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}


@router.post(_ONE + "/items")
async def create_items(
    conversation_id: str,
    body: CreateItems,
    at: At,
    include: Included = [],  # noqa: B006
) -> dict[str, Any]:
    """Add items to a conversation."""
    entries = taken(body.given()["items"], at.now())
    async with at.write() as objects:
        thread = await find_conversation(objects, conversation_id)
        await check_unlocked(at.server, objects, thread["id"])
        added = await add_entries(objects, thread["id"], await resolved(objects, entries))
    data = [shown(entry, include) for entry in added]
    return {"object": "list", "data": data, "first_id": data[0]["id"], "last_id": data[-1]["id"], "has_more": False}


@router.get(_ONE + "/items")
async def list_items(
    conversation_id: str,
    at: At,
    page: Listed,
    include: Included = [],  # noqa: B006
) -> dict[str, Any]:
    """List the items of a conversation."""
    async with at.read() as objects:
        thread = await find_conversation(objects, conversation_id)
        found = await objects.page(LOGGED, page, parent=thread["id"], shown=lambda entry: shown(entry, include))
    return found | {"first_id": found["first_id"] or "", "last_id": found["last_id"] or ""}


@router.get(_ITEM)
async def get_item(
    conversation_id: str,
    item_id: str,
    at: At,
    include: Included = [],  # noqa: B006
) -> dict[str, Any]:
    """An item of a conversation."""
    async with at.read() as objects:
        thread = await find_conversation(objects, conversation_id)
        return shown(await find_item(objects, thread["id"], item_id), include)


@router.delete(_ITEM)
async def delete_one_item(conversation_id: str, item_id: str, at: At) -> dict[str, Any]:
    """Take an item back: no model hears of it again."""
    async with at.write() as objects:
        thread = await find_conversation(objects, conversation_id)
        await check_unlocked(at.server, objects, thread["id"])
        await delete_item(objects, thread["id"], item_id)
    return shown_conversation(thread)

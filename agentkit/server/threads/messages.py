"""Messages of threads."""

from collections.abc import Mapping
from typing import Any

from agentkit.server.engine.log import MESSAGE
from agentkit.server.errors import ApiError
from agentkit.server.files import VectorStores
from agentkit.server.ids import new_id
from agentkit.server.store import Objects
from agentkit.server.wire.threads import CreateMessage

from .lock import holder
from .resources import know_files


async def add_message(
    objects: Objects, thread: dict[str, Any], body: CreateMessage, now: int, stores: VectorStores
) -> dict[str, Any]:
    """Add a message to a thread that nobody holds; its `tool_resources` grow by the files that are attached.

    Raises:
        ApiError: a run holds the thread, or a file is not there.
    """
    active = await holder(objects, thread["id"], now)
    if active is not None:
        raise ApiError(f"Can't add messages to {thread['id']} while a run {active} is active.", retry=False)
    return await keep_message(objects, thread, body, now, stores)


async def keep_message(
    objects: Objects, thread: dict[str, Any], body: CreateMessage, now: int, stores: VectorStores
) -> dict[str, Any]:
    """Add a message, whoever may hold the thread; see `add_message`."""
    message = new_message(thread["id"], body.given(), now)
    pictures = [part["image_file"]["file_id"] for part in message["content"] if part["type"] == "image_file"]
    await know_files(objects, [*pictures, *(each["file_id"] for each in message["attachments"])])
    if message["attachments"]:
        thread |= await stores.attach(objects, thread, message["attachments"], now)
        await objects.put("thread", thread)
    await objects.add(MESSAGE, message, parent=thread["id"])
    return message


def new_message(thread_id: str, given: Mapping[str, Any], now: int) -> dict[str, Any]:
    """A message as clients are shown it."""
    content = given["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {
        "id": new_id("message"),
        "object": "thread.message",
        "created_at": now,
        "thread_id": thread_id,
        "status": "completed",
        "incomplete_details": None,
        "completed_at": now,
        "incomplete_at": None,
        "role": given["role"],
        "content": [_shown(part) for part in parts],
        "assistant_id": None,
        "run_id": None,
        "attachments": given.get("attachments", []),
        "metadata": given.get("metadata", {}),
    }


def _shown(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    if kind == "text":
        return {"type": "text", "text": {"value": part["text"], "annotations": []}}
    return {"type": kind, kind: {"detail": "auto", **part[kind]}}

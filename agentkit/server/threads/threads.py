"""Threads."""

from typing import Any

from agentkit.server.files import VectorStores
from agentkit.server.ids import new_id
from agentkit.server.store import Objects
from agentkit.server.wire.threads import ChangeThread, CreateThread

from .messages import keep_message
from .resources import kept


async def create_thread(objects: Objects, body: CreateThread, now: int, stores: VectorStores) -> dict[str, Any]:
    """A new thread, with its first messages.

    Raises:
        ApiError: a file or a vector store is not there.
    """
    given = body.given()
    thread = {
        "id": new_id("thread"),
        "object": "thread",
        "created_at": now,
        "metadata": given.get("metadata", {}),
        "tool_resources": await kept(given.get("tool_resources", {}), objects, now, stores),
    }
    await objects.add("thread", thread)
    for message in body.messages or ():
        await keep_message(objects, thread, message, now, stores)
    return thread


async def change_thread(
    objects: Objects, thread_id: str, body: ChangeThread, now: int, stores: VectorStores
) -> dict[str, Any]:
    """A thread with its changes: null takes back what it has, and what is left out stays.

    Raises:
        ApiError: there is none (404).
    """
    thread = await objects.get("thread", thread_id, lock=True)
    thread |= {name: {} for name in body.taken_back()}
    given = body.given()
    if "metadata" in given:
        thread["metadata"] = given["metadata"]
    if "tool_resources" in given:
        thread["tool_resources"] = await kept(given["tool_resources"], objects, now, stores)
    await objects.put("thread", thread)
    return thread


async def delete_thread(objects: Objects, thread_id: str) -> None:
    """Forget a thread, with all that was said and done on it.

    Raises:
        ApiError: there is none (404).
    """
    await objects.get("thread", thread_id, lock=True)
    for run in await objects.all("run", thread_id):
        await objects.delete_all(run["id"])
    await objects.delete_all(thread_id)
    await objects.delete("lock", thread_id)
    await objects.delete("thread", thread_id)

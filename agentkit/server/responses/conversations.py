"""Conversations: threads under another name, whose log is the conversation."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.server.desk import Server
from agentkit.server.engine.log import ITEM, LOGGED, MESSAGE
from agentkit.server.errors import ApiError
from agentkit.server.ids import PREFIXES, new_id
from agentkit.server.store import Objects
from agentkit.server.threads import active_run

from .items import Entry, kind_of

LOCK = "lock"
"""The kind of object that says which response holds a conversation."""
RESPONSE_ITEM = "response_item"
"""The kind of object that is an item of a response's output, to be found by its id."""
_CONVERSATION, _THREAD = PREFIXES["conversation"], PREFIXES["thread"]


def thread_of(conversation_id: str) -> str:
    """The thread that a conversation is."""
    bare = conversation_id.removeprefix(_CONVERSATION)
    return _THREAD + bare if bare != conversation_id else conversation_id


def conversation_id(thread_id: str) -> str:
    """The conversation that a thread is."""
    return _CONVERSATION + thread_id.removeprefix(_THREAD)


def shown_conversation(thread: Mapping[str, Any]) -> dict[str, Any]:
    """A thread as a conversation."""
    return {
        "id": conversation_id(thread["id"]),
        "object": "conversation",
        "created_at": thread["created_at"],
        "metadata": thread["metadata"],
    }


async def find_conversation(objects: Objects, id: str) -> dict[str, Any]:
    """The thread that a conversation is.

    Raises:
        ApiError: there is none (404).
    """
    found = await objects.find("thread", thread_of(id)) if id.startswith(_CONVERSATION) else None
    if found is None:
        raise ApiError(f"Conversation with id '{id}' not found.", status=404)
    return found


async def new_conversation(objects: Objects, metadata: Mapping[str, str], now: int) -> dict[str, Any]:
    """A new thread."""
    thread = {
        "id": new_id("thread"),
        "object": "thread",
        "created_at": now,
        "metadata": dict(metadata),
        "tool_resources": {},
    }
    await objects.add("thread", thread)
    return thread


async def add_entries(objects: Objects, thread_id: str, entries: Sequence[Entry]) -> list[Entry]:
    """Put entries at the end of a log; one whose id is in it already gets another."""
    added = []
    for entry in entries:
        kind = kind_of(entry)
        if await objects.find(kind, entry["id"], parent=thread_id) is not None:
            entry = {**entry, "id": new_id("message" if entry.get("type", MESSAGE) == MESSAGE else entry["type"])}
        if kind == MESSAGE:
            entry = {**entry, "thread_id": thread_id}
        await objects.add(kind, entry, parent=thread_id)
        added.append(entry)
    return added


async def find_item(objects: Objects, thread_id: str, item_id: str) -> Entry:
    """An entry of a log.

    Raises:
        ApiError: there is none (404).
    """
    for kind in LOGGED:
        found = await objects.find(kind, item_id, parent=thread_id)
        if found is not None:
            return found
    raise ApiError(f"Item with id '{item_id}' not found.", status=404)


async def resolved(objects: Objects, entries: Sequence[Entry], before: Sequence[Entry] = ()) -> list[Entry]:
    """The entries, where those that only name an item are that item; one that was said before is left out.

    Raises:
        ApiError: there is no such item (404).
    """
    known = {entry["id"] for entry in before}
    found = []
    for entry in entries:
        if entry.get("type") != "item_reference":
            found.append(entry)
        elif entry["id"] not in known:
            found.append(await _named(objects, entry["id"]))
    return found


async def _named(objects: Objects, id: str) -> Entry:
    for kind in (RESPONSE_ITEM, *LOGGED):
        entry = await objects.find(kind, id)
        if entry is not None:
            return entry
    told = f"Item with id '{id}' not found. Items are not persisted when `store` is set to false."
    raise ApiError(told, status=404, param="input")


async def delete_item(objects: Objects, thread_id: str, item_id: str) -> None:
    """Take an entry out of a log.

    Raises:
        ApiError: there is none (404).
    """
    for kind in (MESSAGE, ITEM):
        if await objects.delete(kind, item_id, parent=thread_id):
            return
    raise ApiError(f"Item with id '{item_id}' not found.", status=404)


async def check_unlocked(server: Server, objects: Objects, thread_id: str) -> None:
    """Make sure that nobody works on a conversation.

    Raises:
        ApiError: somebody does.
    """
    lock = await objects.find(LOCK, thread_id)
    is_held = lock is not None and lock["until"] > server.now()
    if is_held or await active_run(objects, thread_id) is not None:
        raise ApiError(
            "Another process is currently operating on this conversation. Please retry in a few seconds.",
            param="conversation",
            code="conversation_locked",
        )


async def lock(server: Server, objects: Objects, thread_id: str, response_id: str) -> None:
    """Hold a conversation for a response.

    Raises:
        ApiError: somebody works on it.
    """
    await objects.get("thread", thread_id, lock=True)
    await check_unlocked(server, objects, thread_id)
    await objects.delete(LOCK, thread_id)
    until = server.now() + server.settings.run_seconds
    await objects.add(LOCK, {"id": thread_id, "response": response_id, "until": until})


async def unlock(objects: Objects, thread_id: str, response_id: str) -> None:
    """Let go of a conversation."""
    held = await objects.find(LOCK, thread_id)
    if held is not None and held["response"] == response_id:
        await objects.delete(LOCK, thread_id)

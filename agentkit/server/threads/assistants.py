"""Assistants."""

from copy import deepcopy
from typing import Any

from agentkit.server.files import VectorStores
from agentkit.server.ids import new_id
from agentkit.server.store import Objects
from agentkit.server.wire.assistants import ChangeAssistant, CreateAssistant

from .resources import kept

_USUAL: dict[str, Any] = {
    "name": None,
    "description": None,
    "instructions": None,
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
    "reasoning_effort": None,
}
"""What an assistant has that says nothing of it."""


async def create_assistant(objects: Objects, body: CreateAssistant, now: int, stores: VectorStores) -> dict[str, Any]:
    """A new assistant."""
    given = body.given()
    given["tool_resources"] = await kept(given.get("tool_resources", {}), objects, now, stores)
    assistant = {"id": new_id("assistant"), "object": "assistant", "created_at": now, **deepcopy(_USUAL), **given}
    await objects.add("assistant", assistant)
    return assistant


async def change_assistant(
    objects: Objects, assistant_id: str, body: ChangeAssistant, now: int, stores: VectorStores
) -> dict[str, Any]:
    """An assistant with its changes: null takes back what it has, and what is left out stays.

    Raises:
        ApiError: there is none (404).
    """
    assistant = await objects.get("assistant", assistant_id, lock=True)
    given = body.given()
    if "tool_resources" in given:
        given["tool_resources"] = await kept(given["tool_resources"], objects, now, stores)
    assistant |= {name: deepcopy(usual) for name, usual in _USUAL.items() if name in body.taken_back()} | given
    await objects.put("assistant", assistant)
    return assistant

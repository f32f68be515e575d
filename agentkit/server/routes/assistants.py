"""`/assistants`."""

from typing import Any

from fastapi import APIRouter

from agentkit.server.desk import At, Listed
from agentkit.server.ids import new_id
from agentkit.server.wire.assistants import CreateAssistant

router = APIRouter()


@router.post("/assistants")
async def create_assistant(body: CreateAssistant, at: At) -> dict[str, Any]:
    """Create an assistant."""
    made = {"id": new_id("assistant"), "object": "assistant", "created_at": at.now(), **body.given()}
    async with at.write() as objects:
        await objects.add("assistant", made)
    return made


@router.get("/assistants")
async def list_assistants(page: Listed, at: At) -> dict[str, Any]:
    """List assistants."""
    async with at.read() as objects:
        return await objects.page("assistant", page)


@router.get("/assistants/{assistant_id}")
async def get_assistant(assistant_id: str, at: At) -> dict[str, Any]:
    """An assistant."""
    async with at.read() as objects:
        return await objects.get("assistant", assistant_id)

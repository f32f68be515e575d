"""`/assistants`."""

from typing import Any

from fastapi import APIRouter

from agentkit.server.desk import At, Listed
from agentkit.server.errors import missing
from agentkit.server.files import VectorStores
from agentkit.server.refusing import JsonRoute
from agentkit.server.threads import change_assistant, check_offered, create_assistant
from agentkit.server.wire.assistants import ChangeAssistant, CreateAssistant

router = APIRouter(route_class=JsonRoute)


@router.post("/assistants")
async def create(body: CreateAssistant, at: At) -> dict[str, Any]:
    """Create an assistant."""
    check_offered(at.server, body.model, body.tools)
    stores = at.server.part(VectorStores)
    async with at.write() as objects:
        made = await create_assistant(objects, body, at.now(), stores)
    stores.wake()
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


@router.post("/assistants/{assistant_id}")
async def change(assistant_id: str, body: ChangeAssistant, at: At) -> dict[str, Any]:
    """Change an assistant."""
    check_offered(at.server, body.model, body.tools)
    stores = at.server.part(VectorStores)
    async with at.write() as objects:
        made = await change_assistant(objects, assistant_id, body, at.now(), stores)
    stores.wake()
    return made


@router.delete("/assistants/{assistant_id}")
async def delete(assistant_id: str, at: At) -> dict[str, Any]:
    """Delete an assistant."""
    async with at.write() as objects:
        if not await objects.delete("assistant", assistant_id):
            raise missing("assistant", assistant_id)
    return {"id": assistant_id, "object": "assistant.deleted", "deleted": True}

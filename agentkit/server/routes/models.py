"""`/models`."""

from typing import Any

from fastapi import APIRouter

from agentkit.server.catalog import Catalog
from agentkit.server.desk import At

router = APIRouter()


@router.get("/models")
async def list_models(at: At) -> dict[str, Any]:
    """List the models, agents among them."""
    return {"object": "list", "data": [_model(name) for name in at.server.part(Catalog).names()]}


@router.get("/models/{model:path}")
async def get_model(model: str, at: At) -> dict[str, Any]:
    """A model."""
    at.server.part(Catalog).agent(model)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "agentkit"}

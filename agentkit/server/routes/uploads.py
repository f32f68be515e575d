"""`/uploads`."""

from typing import Any

from fastapi import APIRouter, Request

from agentkit.server.desk import At
from agentkit.server.files.form import content_of, file_of, read_form
from agentkit.server.files.uploads import Uploads
from agentkit.server.wire.files import CompleteUpload, CreateUpload

router = APIRouter(prefix="/uploads")

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["data"],
                    "properties": {"data": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post("")
async def create_upload(body: CreateUpload, at: At) -> dict[str, Any]:
    """Begin a file that comes in parts."""
    async with at.write() as objects:
        return await Uploads(server=at.server).begin(objects, body)


@router.post("/{upload_id}/parts", openapi_extra=_FORM)
async def add_part(upload_id: str, request: Request, at: At) -> dict[str, Any]:
    """Send a part."""
    form = await read_form(request, at.server.settings.max_file_bytes)
    try:
        return await Uploads(server=at.server).add(at.tenant, upload_id, content_of(file_of(form, "data")))
    finally:
        await form.close()


@router.post("/{upload_id}/complete")
async def complete_upload(upload_id: str, body: CompleteUpload, at: At) -> dict[str, Any]:
    """Make a file of the parts."""
    return await Uploads(server=at.server).complete(at.tenant, upload_id, body)


@router.post("/{upload_id}/cancel")
async def cancel_upload(upload_id: str, at: At) -> dict[str, Any]:
    """Forget the parts."""
    return await Uploads(server=at.server).cancel(at.tenant, upload_id)

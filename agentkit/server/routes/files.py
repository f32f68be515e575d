"""`/files`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from agentkit.server.desk import At
from agentkit.server.errors import ApiError
from agentkit.server.files import Files
from agentkit.server.files.form import content_of, file_of, read_form
from agentkit.server.files.keeping import FILE
from agentkit.server.files.vector_stores import checked
from agentkit.server.refusing import JsonRoute
from agentkit.server.store import Page
from agentkit.server.wire.base import Body
from agentkit.server.wire.files import FileExpiry, Purpose

router = APIRouter(route_class=JsonRoute)

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "dependentRequired": {
                        "expires_after[anchor]": ["expires_after[seconds]"],
                        "expires_after[seconds]": ["expires_after[anchor]"],
                    },
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {
                            "type": "string",
                            "enum": ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"],
                        },
                        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
                    },
                }
            }
        },
    }
}


class _Form(Body):
    purpose: Purpose


@router.post("/files", openapi_extra=_FORM)
async def create_file(request: Request, at: At) -> dict[str, Any]:
    """Upload a file."""
    form = await read_form(request, at.server.settings.max_file_bytes)
    try:
        file = file_of(form, "file")
        if not file.filename:
            raise ApiError("Invalid 'file': it has no name.", param="file")
        if not file.size:
            raise ApiError("File is empty.", param="file")
        if not isinstance(form.get("purpose"), str):
            raise ApiError("Missing required parameter: 'purpose'.", param="purpose", code="missing_required_parameter")
        purpose = checked(_Form, {"purpose": form["purpose"]}, "").purpose
        seconds = _seconds(form.get("expires_after[anchor]"), form.get("expires_after[seconds]"))
        return await Files(server=at.server).keep(at.tenant, file.filename, purpose, content_of(file), seconds)
    finally:
        await form.close()


@router.get("/files")
async def list_files(
    at: At,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
    after: str | None = None,
    purpose: str | None = None,
) -> dict[str, Any]:
    """List files."""
    await Files(server=at.server).forget_expired()
    page = Page(limit=limit, order=order, after=after)
    async with at.read() as objects:
        return await objects.page(FILE, page, ref=purpose)


@router.get("/files/{file_id}")
async def get_file(file_id: str, at: At) -> dict[str, Any]:
    """A file."""
    async with at.read() as objects:
        return await Files(server=at.server).get(objects, file_id)


@router.delete("/files/{file_id}")
async def delete_file(file_id: str, at: At) -> dict[str, Any]:
    """Delete a file, in the vector stores too."""
    async with at.read() as objects:
        await Files(server=at.server).get(objects, file_id)
    await Files(server=at.server).forget(at.tenant, file_id)
    return {"id": file_id, "object": "file", "deleted": True}


@router.get("/files/{file_id}/content", response_class=StreamingResponse)
async def get_content(file_id: str, at: At) -> StreamingResponse:
    """A file's bytes; no browser shows them as a page of this server."""
    files = Files(server=at.server)
    async with at.read() as objects:
        file = await files.get(objects, file_id)
    headers = {
        "content-length": str(file["bytes"]),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file['filename'], safe='')}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }
    content: AsyncIterator[bytes] = files.blobs.pieces(file_id)
    return StreamingResponse(content, media_type="application/octet-stream", headers=headers)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value


def _seconds(anchor: Any, seconds: Any) -> int | None:
    if anchor is None and seconds is None:
        return None
    given = {"anchor": anchor, "seconds": _number(seconds)}
    return checked(FileExpiry, given, "expires_after").seconds

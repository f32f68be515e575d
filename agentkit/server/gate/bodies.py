"""How much a request may send, and how long it may take to do so."""

import re

import anyio
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from agentkit.server.errors import ApiError
from agentkit.server.settings import ServerSettings

_UPLOADS = re.compile(r"/v1/(files|uploads/[^/]+/parts)/?")
_FORM = 2**20
"""What a form may have around its file."""
_PATIENCE = 60.0
"""Seconds in which something more of a body has to come."""


def bounded(scope: Scope, receive: Receive, settings: ServerSettings) -> Receive:
    """A request's body, which ends with an error where it is too long.

    Raises:
        ApiError: it says itself that it is (413).
    """
    most = settings.max_body_bytes
    if _UPLOADS.fullmatch(scope["path"]):
        most = settings.max_file_bytes + _FORM
    said = dict(scope["headers"]).get(b"content-length", b"")
    if said.isdigit() and int(said) > most:
        raise ApiError(_told(most), status=413, code="request_too_large", retry=False)
    got, whole = 0, False

    async def next_piece() -> Message:
        nonlocal got, whole
        if whole:  # what comes now is that the client hangs up, and that may take long
            return await receive()
        with anyio.move_on_after(_PATIENCE) as waited:
            message = await receive()
        if waited.cancelled_caught:
            raise HTTPException(408, "The request's body has not come.")
        got += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if got > most:
            raise HTTPException(413, _told(most))
        return message

    return next_piece


def _told(most: int) -> str:
    return f"The request is too large: {most} bytes are allowed."

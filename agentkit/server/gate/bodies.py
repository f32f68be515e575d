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
_FORGOTTEN = 8 * 2**20
"""How much is read, and forgotten, of a body that is refused: who still sends does not read the answer."""
_FORGETTING = 5.0


class Body:
    """A request's body, which ends with an error where it is too long."""

    def __init__(self, scope: Scope, receive: Receive, settings: ServerSettings) -> None:
        is_upload = _UPLOADS.fullmatch(scope["path"]) is not None
        self._most = settings.max_file_bytes + _FORM if is_upload else settings.max_body_bytes
        headers = dict(scope["headers"])
        self._said = headers.get(b"content-length", b"")
        self._receive = receive
        self._got = 0
        self._is_whole = self._said in (b"", b"0") and b"transfer-encoding" not in headers

    def check(self) -> None:
        """Look at what the request says of its own size.

        Raises:
            ApiError: it is too large (413).
        """
        if self._said.isdigit() and int(self._said) > self._most:
            raise ApiError(self._told, status=413, code="request_too_large", retry=False)

    async def receive(self) -> Message:
        """The next piece, and then that the client hangs up.

        Raises:
            HTTPException: it is too large (413), or does not come (408).
        """
        if self._is_whole:
            return await self._receive()
        message = None
        with anyio.move_on_after(_PATIENCE):
            message = await self._next()
        if message is None:
            raise HTTPException(408, "The request's body has not come.")
        if self._got > self._most:
            raise HTTPException(413, self._told)
        return message

    async def forget(self) -> bool:
        """Read what is still to come, for a while; whether that was all."""
        until = self._got + _FORGOTTEN
        with anyio.move_on_after(_FORGETTING):
            while not self._is_whole and self._got < until:
                await self._next()
        return self._is_whole

    async def _next(self) -> Message:
        message = await self._receive()
        self._got += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return message

    @property
    def _told(self) -> str:
        return f"The request is too large: {self._most} bytes are allowed."

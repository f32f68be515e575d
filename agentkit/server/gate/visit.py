"""One request on its way through: what its answer is given besides, and the line about it in the log."""

import logging
import time
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from agentkit.server.ids import new_id
from agentkit.server.settings import ServerSettings

from .bodies import Body

_LOG = logging.getLogger("agentkit.server.access")
_GUARDED = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""On every answer that does not say otherwise: it is data, and no page."""


class Visit:
    """A request, and the answer that is sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings: ServerSettings = scope["app"].state.server.settings
        self.headers = Headers(scope=scope)
        self.body = Body(scope, receive, settings)
        self.id = new_id("request")
        self.told: dict[str, str] = {}
        """Headers that the answer gets besides its own."""
        self.status: int | None = None
        """None until the answer begins."""
        self.tenant = ""
        self._scope = scope
        self._send = send
        self._began = time.perf_counter()

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            status = self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in {**_GUARDED, **self.told}.items():
                headers.setdefault(name, value)
            headers["x-request-id"] = self.id
            if status >= 400 and not await self.body.forget():
                headers["connection"] = "close"
        await self._send(message)

    def log(self) -> None:
        """A line about it, without what may be secret: no query and no header."""
        path = quote(self._scope["path"], safe="/")
        took = (time.perf_counter() - self._began) * 1000
        line = "%s %s %s %.1f ms %s %s"
        _LOG.info(line, self._scope["method"], path, self.status or "-", took, self.id, self.tenant or "-")

    def failed(self) -> None:
        """The error that is being handled is the server's own fault."""
        _LOG.exception("%s failed", self.id)

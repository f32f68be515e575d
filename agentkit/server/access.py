"""Who may ask: the middleware that says whose request it is, before anything else is done with it."""

from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL = "local"
"""The tenant of a server without keys, which only this machine can reach."""


class Access:
    """Lets requests in, and notes whose they are in `request.state.tenant`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {})["tenant"] = LOCAL
        await self._app(scope, receive, send)

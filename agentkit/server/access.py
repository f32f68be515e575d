"""Who may ask: the middleware that says whose request it is, before anything else is done with it."""

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .desk import Server
from .errors import ApiError
from .gate import LOCAL, Keyring, Origins, Rates, Visit

__all__ = ["LOCAL", "Access"]

OPEN = frozenset({"/"})
"""Paths that take no key: they show nothing of anybody's."""
PAGE = "/page/"
"""What all paths begin with that the page at `/` is made of; they take no key either."""
_BETA = ("/v1/assistants", "/v1/threads", "/v1/vector_stores")
_NO_BETA = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
    "Please try again by setting the header 'OpenAI-Beta: assistants=v2'."
)


class Access:
    """Lets requests in, and notes whose they are in `request.state.tenant`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._keyring: Keyring | None = None
        self._rates: Rates | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            visit = Visit(scope, receive, send)
            try:
                await self._answered(visit, scope, receive)
            finally:
                visit.log()
        else:
            await send({"type": "websocket.close"})

    async def _answered(self, visit: Visit, scope: Scope, receive: Receive) -> None:
        """All that goes wrong is told in the API's own form."""
        try:
            answer = await self._stopped(visit, scope)
            if answer is None:
                visit.body.check()
                await self._app(scope, visit.body.receive, visit.send)
                return
        except ApiError as error:
            answer = JSONResponse(error.body, status_code=error.status, headers=error.headers)
        except Exception:
            if visit.status is not None:
                raise
            visit.failed()
            told = ApiError(
                f"The server had an error while processing your request ({visit.id}).", type="server_error", status=500
            )
            answer = JSONResponse(told.body, status_code=told.status)
        await answer(scope, receive, visit.send)

    async def _stopped(self, visit: Visit, scope: Scope) -> Response | None:
        """The answer to a request that goes no further.

        Raises:
            ApiError: it may not.
        """
        server: Server = scope["app"].state.server
        path, settings = scope["path"], server.settings
        if path in ("/healthz", "/readyz"):
            return await _health(server, is_ready=path == "/readyz")
        origins = Origins(hosts=settings.allowed_hosts, pages=settings.allowed_origins)
        origins.check(visit.headers)
        visit.told |= origins.told(visit.headers)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in visit.headers:
            return Response(status_code=204, headers=origins.allowed(visit.headers))
        if path not in OPEN and not path.startswith(PAGE):
            await self._identify(visit, scope, server)
        if (
            settings.strict_beta
            and path.startswith(_BETA)
            and "assistants=v2" not in visit.headers.get("openai-beta", "")
        ):
            raise ApiError(_NO_BETA, code="invalid_beta")
        return None

    async def _identify(self, visit: Visit, scope: Scope, server: Server) -> None:
        if self._keyring is None:
            self._keyring = Keyring(server)
        host, port = scope["server"]
        caller = await self._keyring.caller(visit.headers, host if port is not None else None)
        visit.tenant = caller.tenant
        scope.setdefault("state", {})["tenant"] = caller.tenant
        per_minute = server.settings.requests_per_minute
        if per_minute is not None:
            if self._rates is None:
                self._rates = Rates(per_minute, server.settings.clock)
            visit.told |= self._rates.take(caller.key)


async def _health(server: Server, *, is_ready: bool) -> Response:
    """`/healthz`: the process answers. `/readyz`: it should be sent requests, too."""
    if is_ready and server.draining:
        return JSONResponse({"status": "draining"}, status_code=503)
    if is_ready:
        try:
            await server.database.ask()
        except Exception:
            return JSONResponse({"status": "no database"}, status_code=503)
    return JSONResponse({"status": "ok"})

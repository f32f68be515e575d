"""The server as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from .access import Access
from .catalog import Catalog
from .desk import Server
from .engine import Engine
from .errors import ApiError
from .routes import ROUTERS
from .settings import ServerSettings
from .store import Database

PREFIX = "/v1"
_TRACED: TelemetryConfig = {"auto_configure": False, "operation_spans": False, "logs": False}
"""A span and metrics for each request, where the process has OpenTelemetry set up; runs are its children."""


def create_app(settings: ServerSettings) -> FastAPI:
    """The application, for any ASGI server that runs lifespans on asyncio.

    Raises:
        ConfigError: the settings cannot be used.
    """
    database = Database(settings.database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await database.open()
        try:
            async with anyio.create_task_group() as tasks:
                async with anyio.create_task_group() as loops:
                    server = app.state.server = Server(settings=settings, database=database, tasks=tasks, loops=loops)
                    await _furnish(server)
                    yield
                    server.draining = True
                    loops.cancel_scope.cancel()
                tasks.cancel_scope.deadline = anyio.current_time() + settings.drain_seconds
        finally:
            with anyio.CancelScope(shield=True):
                await database.close()

    app = FastAPI(title="agentkit", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=_TRACED)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Access)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    return app


async def _furnish(server: Server) -> None:
    """Make the server's parts, and begin what goes on beside the requests."""
    catalog = Catalog(settings=server.settings)
    server.parts[Catalog] = catalog
    server.parts[Engine] = Engine(settings=server.settings, catalog=catalog)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    """The first of what pydantic finds wrong, in OpenAI's form: 400, and the parameter's name."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ""
    for step in first["loc"][1:]:
        where += f"[{step}]" if isinstance(step, int) else f".{step}" if where else str(step)
    told = first["msg"].removeprefix("Value error, ")
    refused = ApiError(f"Invalid {where or 'body'!r}: {told}.", param=where or None, code=first["type"])
    return await _refused(request, refused)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    told = f"Invalid URL ({request.method} {request.url.path})" if error.status_code == 404 else str(error.detail)
    answer = await _refused(request, ApiError(told, status=error.status_code))
    if error.status_code == 405:
        answer.headers["allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """All methods that the request's path has: each route knows its own only."""
    routes = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    path = request.url.path.removeprefix(PREFIX)
    return {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}

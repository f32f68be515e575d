"""The server as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from .access import Access
from .catalog import Catalog
from .desk import Server
from .engine import Engine
from .files import CodeInterpreter, Files, FileSearch, Indexer, VectorStores
from .openapi import describe
from .page import router as page
from .refusing import refuse_in
from .responses import Responses
from .routes import ROUTERS
from .runs import Going, Runner
from .settings import ServerSettings
from .store import Database
from .traced import Traced

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
    refuse_in(app)
    app.add_middleware(Access)
    app.add_middleware(Traced)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(page)
    describe(app)
    return app


async def _furnish(server: Server) -> None:
    """Make the server's parts, and begin what goes on beside the requests."""
    catalog = Catalog(settings=server.settings)
    server.parts[Catalog] = catalog
    server.parts[Files] = Files(server=server)
    stores = server.parts[VectorStores] = VectorStores(server=server)
    hosted = (FileSearch(server), CodeInterpreter(server))
    server.parts[Engine] = Engine(settings=server.settings, catalog=catalog, hosted=hosted)
    await Indexer(server=server, stores=stores).begin()
    server.parts[Responses] = Responses(server=server)
    server.parts[Going] = Going()
    runner = server.parts[Runner] = Runner(server=server)
    await runner.begin()

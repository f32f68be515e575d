"""The server in a process of its own: on which address it listens, and how it stops."""

import signal
import socket
from collections.abc import Callable

import anyio
import uvicorn
from fastapi import FastAPI

from agentkit.errors import ConfigError

from .app import create_app
from .gate import is_loopback
from .settings import ServerSettings
from .store import Database
from .store.keys import Keys

_KEEP_ALIVE = 75
"""Seconds that a connection may be idle: longer than clients keep theirs, so that none uses one that is just closed."""


def serve_until_stopped(settings: ServerSettings, started: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM, and then let what goes on come to its end, for `settings.drain_seconds`.

    Args:
        settings: What the server is told.
        started: Called with the server's URL once it answers.

    Raises:
        ConfigError: it cannot listen there, others can and there are no keys, or the database cannot be used.
    """
    app = create_app(settings)
    anyio.run(_opened, settings)
    with _listening(settings) as door:
        host, port = door.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        config = uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=round(settings.drain_seconds),
        )
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, _heard)
        _Server(config, app, lambda: started(url)).run([door])


def _heard(number: int, frame: object) -> None:
    """What uvicorn raises once more when all has ended: that is no reason to die of it."""


async def _opened(settings: ServerSettings) -> None:
    """What is wrong with the database, or the address, is told before anything else is begun."""
    database = Database(settings.database)
    await database.open()
    try:
        if not is_loopback(settings.host) and not await Keys(database).any():
            raise ConfigError(
                f"others can reach {settings.host}, and this server has no keys: "
                "make one with `agentkit keys add NAME`, or listen on 127.0.0.1"
            )
    finally:
        await database.close()


class _Server(uvicorn.Server):
    """Says when it has started, and to the application when it stops."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, started: Callable[[], object]) -> None:
        super().__init__(config)
        self._app = app
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.server.draining = True
        await super().shutdown(sockets)


def _listening(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves Nagle on
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((settings.host, settings.port))
    except OSError as error:
        door.close()
        raise ConfigError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another --port"
        ) from None
    return door

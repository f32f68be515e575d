"""The server in a process of its own: on which address it listens, and how it stops."""

import ipaddress
import socket
from collections.abc import Callable

import anyio
import uvicorn
from fastapi import FastAPI

from agentkit.errors import ConfigError

from .app import create_app
from .settings import ServerSettings
from .store import Database


def serve_until_stopped(settings: ServerSettings, started: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM, and then let what goes on come to its end, for `settings.drain_seconds`.

    Args:
        settings: What the server is told.
        started: Called with the server's URL once it answers.

    Raises:
        ConfigError: it cannot listen there, or the database cannot be used.
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
            timeout_graceful_shutdown=round(settings.drain_seconds),
        )
        _Server(config, app, lambda: started(url)).run([door])


async def _opened(settings: ServerSettings) -> None:
    """What is wrong with the database is told before anything else is begun."""
    database = Database(settings.database)
    await database.open()
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


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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

"""A server for tests: the real one, on a loopback port, with a script in the model's place."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import uvicorn
from openai import AsyncOpenAI

from agentkit.server.app import create_app
from agentkit.server.settings import ServerSettings
from agentkit.testing import ScriptedModel


@dataclass(kw_only=True)
class Clock:
    """The server's time; it stands still until a test moves it."""

    now: float = 1_750_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that runs."""

    base_url: str
    settings: ServerSettings
    app: Any

    def client(self, **options: Any) -> AsyncOpenAI:
        """The official SDK, which checks each answer against its own types."""
        given = {"api_key": "any-key", "max_retries": 0, "_strict_response_validation": True, **options}
        return AsyncOpenAI(base_url=self.base_url, **given)


@asynccontextmanager
async def serving(folder: Path, script: Any = (), **settings: Any) -> AsyncIterator[Served]:
    """A server, from its start to its end; `script` is what `ScriptedModel` takes, for all model names."""
    models: Mapping[str, Any] = settings.pop("models", None) or {"*": ScriptedModel(script)}
    settings.setdefault("database", str(folder / "server.db"))
    told = ServerSettings(models=models, **settings)
    app = create_app(told)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:  # else Nagle is on
        door.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="on", timeout_keep_alive=75, timeout_graceful_shutdown=5)
        )
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [door])
            while not server.started:
                await anyio.lowlevel.checkpoint()
            yield Served(base_url=f"http://127.0.0.1:{door.getsockname()[1]}/v1", settings=told, app=app)
            server.should_exit = True

"""What a server is told when it starts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit import Agent, ModelBackend


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How a server runs: where it keeps things, who answers, and what it allows."""

    database: str = "agentkit.db"
    """The path of an SQLite file, or `postgresql://user:password@host/database`."""
    models: Mapping[str, str | ModelBackend] = field(default_factory=dict)
    """Who answers for which model name: `{"gpt-4o": "local:needle"}`. `"*"` stands for all other names."""
    agents: Mapping[str, Agent[Any]] = field(default_factory=dict)
    """Agents that are offered as models, by the names that clients ask for."""
    host: str = "127.0.0.1"
    port: int = 8000
    run_seconds: int = 600
    """How long a run may take, its waiting for tool outputs included."""
    drain_seconds: float = 30.0
    """How long runs and answers may go on once the server is told to stop."""
    code_interpreter: bool = False
    """Whether models may run Python, in a sandbox."""
    max_body_bytes: int = 32 * 2**20
    """The size of a request, files aside."""
    max_file_bytes: int = 512 * 2**20
    """The size of one file."""
    requests_per_minute: int | None = None
    """How often each key may ask; None for as often as it likes."""
    allowed_hosts: tuple[str, ...] = ()
    """Names in `Host` besides those of this machine's own addresses; `*` for all."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may call the server, besides its own."""
    strict_beta: bool = False
    """Whether Assistants requests need the header `OpenAI-Beta: assistants=v2`, as OpenAI's did."""
    clock: Callable[[], float] = field(default=time.time, repr=False)
    """Gives the time, in seconds since 1970."""

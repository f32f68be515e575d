"""`agentkit serve`: the server, until it is told to stop."""

import logging
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from agentkit import Agent, ConfigError
from agentkit.models import resolve_model

from .agents import find_agent
from .failures import OK
from .options import ServeOptions
from .setup import choose_model
from .text import one_line

_PACKAGES = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "sqlalchemy": "sqlalchemy[asyncio]",
    "python_multipart": "python-multipart",
}


def serve(options: ServeOptions) -> int:
    """Serve until Ctrl-C or SIGTERM, and then until what goes on has ended; returns the exit code.

    Raises:
        ConfigError: an agent, a model or an address cannot be used.
    """
    require_packages()
    from agentkit.server import ServerSettings
    from agentkit.server.serving import serve_until_stopped

    agents = _agents(options.agents or ())
    models, note = _models(options.model or (), has_agents=bool(agents))
    settings = ServerSettings(
        database=options.database,
        models=models,
        agents=agents,
        host=options.host,
        port=options.port,
        run_seconds=options.run_seconds,
        code_interpreter=options.code_interpreter,
        requests_per_minute=options.requests_per_minute,
        allowed_hosts=tuple(options.allow_host or ()),
        allowed_origins=tuple(options.allow_origin or ()),
        strict_beta=options.strict_beta,
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if note:
        print(f"agentkit: {note}", file=sys.stderr)
    for name, agent in agents.items():
        print(f"agentkit: the model {name!r} is an agent: {one_line(agent.instructions, 60)}", file=sys.stderr)
    serve_until_stopped(settings, lambda url: print(f"agentkit: OPENAI_BASE_URL={url}/v1", file=sys.stderr, flush=True))
    return OK


def require_packages() -> None:
    """Make sure that what the server is built on is there.

    Raises:
        ConfigError: something is not.
    """
    lacking = [package for module, package in _PACKAGES.items() if not find_spec(module)]
    if lacking:
        raise ConfigError(f"the server needs further packages: pip install {' '.join(lacking)}")


def _agents(named: Sequence[str]) -> dict[str, Agent[Any]]:
    agents: dict[str, Agent[Any]] = {}
    for source in named:
        agent = find_agent(source, default_model=choose_model(os.environ)[0])
        name = agent.name or source.rpartition(":")[2].rpartition("/")[2].removesuffix(".toml")
        if name in agents:
            raise ConfigError(f"two agents are called {name!r}; give one another `name`")
        agents[name] = agent
    return agents


def _models(given: Sequence[str], *, has_agents: bool) -> tuple[dict[str, str], str | None]:
    """The models by their names, and a line that says which one was chosen if none is given."""
    models: dict[str, str] = {}
    for each in given:
        name, named, model = each.partition("=")
        resolve_model(model if named else name)  # refused here, not on the first request
        models[name if named else "*"] = model if named else name
    if models or has_agents:
        return models, None
    model, note = choose_model(os.environ)
    return {"*": model}, note

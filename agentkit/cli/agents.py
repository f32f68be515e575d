"""Agents by what a command calls them: `agent.toml`, or `./shop.py:clerk` for one in Python."""

import runpy
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentkit import Agent, ConfigError
from agentkit.agent_file import load_agent

WRITTEN = "agent.toml, or ./file.py:name"
"""How an agent is named."""


def names_agent(word: str) -> bool:
    """Whether a word is the name of an agent, as far as one can see."""
    file, _, name = word.rpartition(":")
    return word.endswith(".toml") or (file.endswith(".py") and name.isidentifier())


def find_agent(source: str, *, default_model: str) -> Agent[Any]:
    """The agent of this name. A Python file finds its neighbours, as it does when Python runs it.

    Args:
        source: What the command calls it.
        default_model: The model, where an agent file names none.

    Raises:
        ConfigError: there is none, or it cannot be loaded.
    """
    if source.endswith(".toml"):
        return load_agent(Path(source), default_model=default_model)
    file, _, name = source.rpartition(":")
    if not names_agent(source):
        raise ConfigError(f"{source!r} is no agent; write {WRITTEN}")
    found = _run(file)
    if not isinstance(found.get(name), Agent):
        agents = ", ".join(known for known, value in found.items() if isinstance(value, Agent))
        raise ConfigError(f"{file!r} has no agent {name!r}; it has: {agents or 'none'}")
    agent: Agent[Any] = found[name]
    return agent


def _run(file: str) -> dict[str, Any]:
    folder = str(Path(file).resolve().parent)
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(file, run_name=Path(file).stem)
    except OSError as error:
        raise ConfigError(f"{file!r} cannot be read: {error}") from None
    except Exception as error:
        raise ConfigError(f"{file!r} fails on import: {type(error).__name__}: {error}") from error
    finally:
        with suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(folder)

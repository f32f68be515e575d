"""Tools by what a command calls them: an installed module, a file, one tool of either, or an agent file."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentkit import ConfigError, Tool, ToolRegistry, load_tools
from agentkit.agent_file import load_agent
from agentkit.loader import available_tools


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A tool, and what a command calls it."""

    source: str
    tool: Tool


def load(source: str) -> list[Found]:
    """The tools of `clock`, `clock:now`, `./tools/x.py`, `./tools/x.py:name`, `agent.toml` or `agent.toml:name`.

    Raises:
        ConfigError: there are none, or they cannot be loaded.
    """
    file, colon, pick = source.rpartition(":") if ".toml:" in source else (source, "", "")
    if file.endswith(".toml"):
        return _of_agent(file, pick if colon else None)
    module = source if source in available_tools() or source.endswith(".py") else source.rpartition(":")[0]
    return [Found(source=f"{module}:{each.__name__}", tool=Tool.of(each)) for each in load_tools(source)]


def registry_of(sources: Sequence[str]) -> ToolRegistry:
    """The tools of several sources as an agent would have them; of all that are installed if none is named.

    Raises:
        ConfigError: one has none, or two have a name in common.
    """
    return ToolRegistry([each.tool for source in sources or available_tools() for each in load(source)])


def find(name: str) -> list[Found]:
    """The tools of a source, or the one that is called so in the installed modules.

    Raises:
        ConfigError: there is none.
    """
    installed = available_tools()
    if ":" in name or "/" in name or name.endswith((".py", ".toml")) or name in installed:
        return load(name)
    tools = [found for source in installed for found in load(source)]
    named = [found for found in tools if found.tool.name == name]
    if not named:
        near = difflib.get_close_matches(name, [*(found.tool.name for found in tools), *installed], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`agentkit tools list` shows what there is"
        raise ConfigError(f"there is no tool {name!r}; {hint}")
    return named


def _of_agent(file: str, pick: str | None) -> list[Found]:
    tools = load_agent(Path(file), default_model="").registry
    found = [Found(source=f"{file}:{tool.name}", tool=tool) for tool in tools if pick in (None, tool.name)]
    if not found:
        has = ", ".join(tools.names) or "none"
        raise ConfigError(f"the agent of {file!r} has no tool{f' {pick!r}' if pick else 's'}; it has: {has}")
    return found

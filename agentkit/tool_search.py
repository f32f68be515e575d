"""Thousands of tools: the model sees one that searches them, and the specs of those that it has found."""

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import anyio.to_thread

from .context import Context
from .errors import ConfigError, ToolFailed
from .messages import Message, ToolResult
from .policy import Policy, answer
from .tool import Tool

SEARCH = "search_tools"


@dataclass(frozen=True, kw_only=True, eq=False)
class ToolSearch:
    """Tools that a model finds by searching: `Agent(tools=[now, ToolSearch(tools=thousands)])`.

    What a search has found is offered from then on, for as long as its result is in the conversation.
    """

    tools: Iterable[Tool | Callable[..., Any]]
    results: int = 5
    """Tools that one search finds at most."""
    found: Sequence[Tool] = field(init=False, repr=False)
    """The tools themselves."""

    def __post_init__(self) -> None:
        given: object = self.results
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise ConfigError(f"ToolSearch(results={self.results!r}): must be a whole number above 0")
        object.__setattr__(self, "found", tuple(Tool.of(tool) for tool in self.tools))

    @property
    def tool(self) -> Tool:
        """The one that searches."""
        return replace(Tool.of(self.search_tools), policy=Policy(effects="read"))  # @tool would load pydantic at once

    async def search_tools(self, query: str, ctx: Context[Any]) -> list[dict[str, str]]:
        """Search for further tools. Those found can be called from then on.

        Args:
            query: Words for what the tool should do, such as "convert currency".
        """
        ranked = await anyio.to_thread.run_sync(self._ranked, query)
        allowed = [tool for tool in ranked if await _is_enabled(tool, ctx)][: self.results]
        if not allowed:
            raise ToolFailed("nothing found; try other or fewer words")
        return [{"name": tool.name, "description": tool.description.partition("\n")[0]} for tool in allowed]

    def _ranked(self, query: str) -> list[Tool]:
        return [self.found[row] for row in self._index.best(query)]

    @cached_property
    def _index(self) -> "_Index":
        return _Index(self.found)


def found_in(messages: Iterable[Message]) -> list[str]:
    """The names of the tools that the searches of a conversation have found, in order."""
    import json  # on first use, as sqlite3 below: they cost a good part of `import agentkit`

    names: dict[str, None] = {}
    for message in messages:
        if isinstance(message, ToolResult) and message.name == SEARCH and not message.is_error:
            try:
                names |= {each["name"]: None for each in json.loads(message.full or message.content)}
            except (ValueError, TypeError, KeyError, RecursionError):
                continue  # a history that somebody has edited
    return list(names)


class _Index:
    """Full text over names and descriptions, in memory; words are found in all their forms ("converts", "convert")."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        import sqlite3

        self._lock = threading.Lock()
        self._rows = sqlite3.connect(":memory:", check_same_thread=False)
        self._rows.execute(
            "CREATE VIRTUAL TABLE tools USING fts5(words, description, parameters, tokenize='porter unicode61')"
        )
        self._rows.executemany(
            "INSERT INTO tools VALUES (?, ?, ?)",
            [(_words(tool.name), tool.description, _parameters(tool)) for tool in tools],
        )

    def __del__(self) -> None:
        self._rows.close()

    def best(self, query: str) -> list[int]:
        """Which tools fit, the best first; a word in the name counts more than one in the description."""
        words = " OR ".join(f'"{word}"' for word in _words(query).split()[:50])
        if not words:
            return []
        with self._lock:
            rows = self._rows.execute(
                "SELECT rowid FROM tools WHERE tools MATCH ? ORDER BY bm25(tools, 4, 2, 1), rowid", (words,)
            )
            return [row - 1 for (row,) in rows]


async def _is_enabled(tool: Tool, context: Context[Any]) -> bool:
    """Whether the run may use it: what it may not use, its model does not hear of."""
    enabled = tool.policy.enabled
    return enabled is None or await answer(enabled(replace(context, tool=tool.name)))


def _words(text: str) -> str:
    """`getStockPrice` and `get_stock_price` as `get Stock Price`."""
    from unicodedata import normalize

    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+|\d+", normalize("NFC", text)))


def _parameters(tool: Tool) -> str:
    properties = tool.parameters.get("properties", {})
    return " ".join(f"{_words(name)} {schema.get('description', '')}" for name, schema in properties.items())

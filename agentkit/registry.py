"""The tools of an agent, by name."""

import difflib
import gc
import marshal
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeAlias

from .context import Context
from .errors import ConfigError, ToolDefinitionError, UnknownTool, said
from .hosted import HostedTool
from .messages import Message
from .policy import Enabled, answer
from .tool import Tool
from .tool_search import ToolSearch, found_in

Given: TypeAlias = "Tool | HostedTool | ToolSearch | Callable[..., Any]"

_PARTS_KEPT = 64
_NAMES_TOLD = 30


class ToolRegistry:
    """Tools by name, in the order given. It does not change, so what is derived from it is worked out once.

    Raises:
        ToolDefinitionError: two tools have one name, or a function cannot be a tool.
    """

    def __init__(self, tools: Iterable[Given] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self._bytes: dict[str, bytes] = {}
        self._parts: OrderedDict[tuple[str, ...], ToolRegistry] = OrderedDict()
        given = [tool if isinstance(tool, HostedTool | ToolSearch) else Tool.of(tool) for tool in tools]
        self._given = given
        self.hosted: tuple[HostedTool, ...] = tuple(tool for tool in given if isinstance(tool, HostedTool))
        """Tools that the model's server runs; they are not among those that are iterated over."""
        self.searches: tuple[ToolSearch, ...] = tuple(tool for tool in given if isinstance(tool, ToolSearch))
        """Searches for tools; what they search is among those that are iterated over."""
        self._refuse_twins()
        for tool in chain.from_iterable(_own(each) for each in given):
            if (other := self._tools.setdefault(tool.name, tool)) is not tool:
                raise ToolDefinitionError(
                    f"two tools are called {tool.name!r}: one from {_origin(other)}, one from {_origin(tool)}; "
                    "rename one with @tool(name=...)"
                )
        self.by_name: Mapping[str, Tool] = MappingProxyType(self._tools)
        self.is_fixed = not self.searches and all(tool.policy.enabled is None for tool in self._tools.values())
        """Whether every run may use all of them all the time."""

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __getitem__(self, name: str) -> Tool:
        """The tool of this name.

        Raises:
            UnknownTool: there is none; the message tells the model what there is.
        """
        try:
            return self._tools[name]
        except KeyError:
            raise UnknownTool(self._unknown(name)) from None

    def __add__(self, other: "ToolRegistry | Iterable[Given]") -> "ToolRegistry":
        """The tools of both; a list of functions will do for the other.

        Raises:
            ToolDefinitionError: they have a name in common.
        """
        return ToolRegistry([*self._given, *(other._given if isinstance(other, ToolRegistry) else other)])

    def __repr__(self) -> str:
        return f"ToolRegistry({', '.join(self._tools)})"

    def filtered(self, keep: Callable[[Tool], bool]) -> "ToolRegistry":
        """Those tools for which `keep` is true; hosted ones stay."""
        return self._changed(lambda tool: tool if keep(tool) else None)

    def prefixed(self, prefix: str) -> "ToolRegistry":
        """The same tools, each name with `prefix` before it: `registry.prefixed("north_")`.

        Raises:
            ToolDefinitionError: a name would be none that a tool can have.
        """
        return self._changed(lambda tool: tool.named(prefix + tool.name))

    def when(self, enabled: Enabled) -> "ToolRegistry":
        """The same tools, for those runs only in whose context `enabled` is true."""
        return self._changed(lambda tool: replace(tool, policy=tool.policy.enabled_when(enabled)))

    async def offered(self, context: Callable[[Tool], Context[Any]], messages: Sequence[Message]) -> "ToolRegistry":
        """The tools that a run may use now: those enabled in its context, and those that its searches have found.

        Args:
            context: Makes the context in which a tool's `enabled` is asked.
            messages: The run's conversation.
        """
        if self.is_fixed:
            return self
        hidden = {tool.name for search in self.searches for tool in search.found}
        always = [tool for tool in self if tool.name not in hidden]
        found = [self._tools[name] for name in found_in(messages) if name in hidden] if hidden else []
        return self._part([t.name for t in (*always, *found) if await _is_enabled(t, context)])

    def export(self, dialect: str) -> list[dict[str, Any]]:
        """The tools as a provider's API takes them.

        Args:
            dialect: `"chat"`, `"responses"`, `"assistants"`, `"anthropic"`, `"mcp"` or `"gemini"`.

        Raises:
            ToolDefinitionError: there is no such dialect.
        """
        done = self.encoded(f"export {dialect}", lambda tools: _frozen(tools, dialect))
        was_on = gc.isenabled()
        gc.disable()  # thousands of fresh dicts would set it off again and again, and it would find nothing
        try:
            tools: list[dict[str, Any]] = marshal.loads(done)
        finally:
            if was_on:
                gc.enable()
        return tools

    @property
    def names(self) -> list[str]:
        """The tools' names, in order."""
        return list(self._tools)

    def encoded(self, wire: str, encode: "Callable[[ToolRegistry], bytes]") -> bytes:
        """The tools' bytes on a wire, encoded once."""
        done = self._bytes.get(wire)
        if done is None:
            done = self._bytes[wire] = encode(self)
        return done

    def _changed(self, change: Callable[[Tool], Tool | None]) -> "ToolRegistry":
        given: list[Given] = []
        for each in self._given:
            if isinstance(each, ToolSearch):
                given.append(replace(each, tools=list(filter(None, map(change, each.found)))))
            elif isinstance(each, HostedTool):
                given.append(each)
            elif (changed := change(each)) is not None:
                given.append(changed)
        return ToolRegistry(given)

    def _part(self, names: Collection[str]) -> "ToolRegistry":
        """Some of the tools, as a registry that is made once: what it has encoded serves all runs."""
        key = tuple(names)
        part = self._parts.pop(key, None) or ToolRegistry([*self.hosted, *(self._tools[name] for name in key)])
        self._parts[key] = part
        if len(self._parts) > _PARTS_KEPT:
            self._parts.popitem(last=False)
        return part

    def _refuse_twins(self) -> None:
        if len(self.searches) > 1:
            raise ToolDefinitionError("ToolSearch is given twice; put all of its tools into one")
        kinds = [tool.type for tool in self.hosted]
        if twin := next((kind for kind in kinds if kinds.count(kind) > 1), None):
            raise ToolDefinitionError(f"{twin!r} is given twice; the server has one: put all of its files into it")

    def _unknown(self, name: str) -> str:
        name = name[:64]
        if not self._tools:
            return f"There is no tool {name!r}: no tools are available. Answer without one."
        lower = {known.lower(): known for known in self._tools}
        if close := difflib.get_close_matches(name.lower(), lower, n=3):
            return f"There is no tool {name!r}. Did you mean: {[lower[each] for each in close]}?"
        more = f" and {len(self) - _NAMES_TOLD} more" if len(self) > _NAMES_TOLD else ""
        return f"There is no tool {name!r}. There are: {self.names[:_NAMES_TOLD]}{more}."


def _own(given: Tool | HostedTool | ToolSearch) -> Sequence[Tool]:
    """The tools that something given brings along, of those that run here."""
    if isinstance(given, ToolSearch):
        return [given.tool, *given.found]
    return [] if isinstance(given, HostedTool) else [given]


async def _is_enabled(tool: Tool, context: Callable[[Tool], Context[Any]]) -> bool:
    if tool.policy.enabled is None:
        return True
    try:
        return await answer(tool.policy.enabled(context(tool)))
    except Exception as error:
        raise ConfigError(f"tool {tool.name!r}: enabled= failed with {type(error).__name__}: {said(error)}") from error


def _frozen(tools: ToolRegistry, dialect: str) -> bytes:
    """What the tools are in a dialect, as bytes from which a copy is made in half the time that JSON takes."""
    from pydantic_core import from_json, to_json  # on first use: it costs a good part of `import agentkit`

    from .dialects import export_tool

    return marshal.dumps(from_json(to_json([export_tool(tool, dialect) for tool in tools])))


def _origin(tool: Tool) -> str:
    function: Any = tool.function
    while hasattr(function, "func"):
        function = function.func
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = getattr(function, "__module__", "?")
    file = getattr(function, "__globals__", {}).get("__file__") if module.startswith("agentkit_tools_") else None
    return f"{file}:{name}" if file else f"{module}.{name}"

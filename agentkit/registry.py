"""The tools of an agent, by name."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .errors import ToolDefinitionError, UnknownTool
from .hosted import HostedTool
from .tool import Tool


class ToolRegistry:
    """Tools by name, in the order given. It does not change, so what is derived from it is worked out once.

    Raises:
        ToolDefinitionError: two tools have one name, or a function cannot be a tool.
    """

    def __init__(self, tools: Iterable[Tool | HostedTool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self._wires: dict[str, bytes] = {}
        given = list(tools)
        self.hosted: tuple[HostedTool, ...] = tuple(tool for tool in given if isinstance(tool, HostedTool))
        """Tools that the model's server runs; they are not among those that are iterated over."""
        self._refuse_twins()
        for tool in (Tool.of(tool) for tool in given if not isinstance(tool, HostedTool)):
            if (other := self._tools.setdefault(tool.name, tool)) is not tool:
                raise ToolDefinitionError(
                    f"two tools are called {tool.name!r}: one from {_origin(other)}, one from {_origin(tool)}; "
                    "rename one with @tool(name=...)"
                )

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

    def __repr__(self) -> str:
        return f"ToolRegistry({', '.join(self._tools)})"

    @property
    def names(self) -> list[str]:
        """The tools' names, in order."""
        return list(self._tools)

    def encoded(self, wire: str, encode: "Callable[[ToolRegistry], bytes]") -> bytes:
        """The tools' bytes on a wire, encoded once."""
        done = self._wires.get(wire)
        if done is None:
            done = self._wires[wire] = encode(self)
        return done

    def _refuse_twins(self) -> None:
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
        return f"There is no tool {name!r}. There are: {self.names}."


def _origin(tool: Tool) -> str:
    function: Any = tool.function
    while hasattr(function, "func"):
        function = function.func
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__qualname__)}"

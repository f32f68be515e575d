"""Tools that go wrong when the test says so."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, cast, get_args

import anyio

from agentkit.context import Context
from agentkit.errors import ConfigError, ToolFailed
from agentkit.registry import Given, ToolRegistry
from agentkit.tool import Tool

Kind: TypeAlias = Literal["fail", "crash", "timeout", "hang", "unserialisable", "interrupt", "exit"]


@dataclass(frozen=True, slots=True)
class ToolFault:
    """How one call goes wrong."""

    kind: Kind | BaseException
    """`fail` (ToolFailed), `crash` (RuntimeError), `timeout` (TimeoutError), `hang` (until it is cancelled),
    `unserialisable` (gives what has no JSON form), `interrupt` (KeyboardInterrupt), `exit` (SystemExit), or an
    exception to raise."""
    after: bool = False
    """Whether the tool does its work first, and only its result is lost."""

    def __post_init__(self) -> None:
        if not (isinstance(self.kind, BaseException) or self.kind in get_args(Kind)):
            kinds = ", ".join(map(repr, get_args(Kind)))
            raise ConfigError(f"ToolFault({self.kind!r:.60}): write {kinds}, or give an exception")

    async def happen(self) -> Any:
        """Go wrong."""
        if isinstance(self.kind, BaseException):
            raise self.kind
        if self.kind == "hang":
            await anyio.sleep_forever()
        if self.kind == "unserialisable":
            return Unserialisable()
        kind, words = _RAISED[self.kind]
        raise kind(words)


_RAISED: Mapping[str, tuple[type[BaseException], str]] = {
    "fail": (ToolFailed, "an injected failure"),
    "crash": (RuntimeError, "an injected crash"),
    "timeout": (TimeoutError, "an injected timeout"),
    "interrupt": (KeyboardInterrupt, "an injected interrupt"),
    "exit": (SystemExit, "an injected exit"),
}


class Unserialisable:
    """Has no JSON form, and does not even say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("an injected failure to say what this is")


Fault: TypeAlias = ToolFault | Kind | BaseException


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultyCall:
    """A call of a tool that may go wrong."""

    tool: str
    number: int
    """Which call of all these tools it is, from 1, in the order in which they begin."""
    of_tool: int
    """Which call of this tool."""
    arguments: str
    """As the model wrote them."""
    fault: ToolFault | None = None
    """How it goes wrong."""


Plan: TypeAlias = Mapping[int | str, Fault | Mapping[int, Fault]] | Callable[[FaultyCall], Fault | None]


class ToolFaults:
    """Makes tools that go wrong: at chosen calls, or by chance, and each time in the same way.

        faults = ToolFaults({2: "fail", 3: "hang"})
        agent = replace(agent, tools=faults.of(agent.tools))

    Args:
        plan: Faults by the numbers of calls, from 1: `{2: "fail"}` of all tools, `{"pay": {1: "hang"}}` of one; or a
            function of the `FaultyCall`. Calls that run at the same time are counted in the order in which they begin.
        chance: How likely it is that a call not in the plan goes wrong. Whether it does depends on the seed, the tool,
            the arguments and how often they came before, and not on the order in which calls begin.
        kinds: How such a call goes wrong.
        seed: Another one makes other calls go wrong.

    Raises:
        ConfigError: the plan cannot be read.
    """

    def __init__(
        self,
        plan: Plan | None = None,
        *,
        chance: float = 0.0,
        kinds: Sequence[Fault] = ("fail", "crash", "timeout"),
        seed: int | str = 0,
    ) -> None:
        if not 0 <= chance <= 1 or (chance and not kinds):
            raise ConfigError(f"ToolFaults(chance={chance!r}, kinds={kinds!r:.60}): a chance from 0 to 1, and kinds")
        self._plan, self._chance, self._kinds, self._seed = _checked(plan), chance, list(map(_fault, kinds)), seed
        self._counted: Counter[str] = Counter()
        self._seen: Counter[tuple[str, str]] = Counter()
        self.calls: list[FaultyCall] = []
        """All calls so far, in the order in which they began."""

    def of(self, tools: Sequence[Given] | ToolRegistry) -> ToolRegistry:
        """The same tools, which go wrong as planned."""
        registry = tools if isinstance(tools, ToolRegistry) else ToolRegistry(tools)
        searched = {tool.name for search in registry.searches for tool in [search.tool, *search.found]}
        searches = [replace(each, tools=[self._faulty(tool) for tool in each.found]) for each in registry.searches]
        plain = [self._faulty(tool) for tool in registry if tool.name not in searched]
        return ToolRegistry([*plain, *searches, *registry.hosted])

    def next(self, tool: str, arguments: str) -> ToolFault | None:
        """Count a call; how it goes wrong, if it does."""
        self._counted[tool] += 1
        self._seen[tool, arguments] += 1
        call = FaultyCall(tool=tool, number=len(self.calls) + 1, of_tool=self._counted[tool], arguments=arguments)
        planned = self._planned(call)
        fault = self._by_chance(call) if planned is None else _fault(planned)
        self.calls.append(replace(call, fault=fault))
        return fault

    def _planned(self, call: FaultyCall) -> Fault | None:
        if callable(self._plan):
            return cast("Fault | None", self._plan(call))
        of_tool = self._plan.get(call.tool)
        if isinstance(of_tool, Mapping) and call.of_tool in of_tool:
            return cast("Fault", of_tool[call.of_tool])
        return cast("Fault | None", self._plan.get(call.number))

    def _by_chance(self, call: FaultyCall) -> ToolFault | None:
        if not self._chance:
            return None
        times = self._seen[call.tool, call.arguments]
        dice = random.Random(f"{self._seed}:{call.tool}:{times}:{call.arguments}")
        return dice.choice(self._kinds) if dice.random() < self._chance else None

    def _faulty(self, tool: Tool) -> Tool:
        return _FaultyTool(**{each.name: getattr(tool, each.name) for each in fields(Tool)}, faults=self)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _FaultyTool(Tool):
    """A tool that goes wrong now and then; what holds for its calls otherwise still does."""

    faults: ToolFaults = field(repr=False)

    async def invoke(self, arguments: str | bytes, context: Context[Any]) -> object:
        """See `Tool.invoke`."""
        text = arguments if isinstance(arguments, str) else arguments.decode()
        fault = self.faults.next(self.name, text)
        if fault is None or fault.after:
            given = await Tool.invoke(self, arguments, context)
            if fault is None:
                return given
        return await fault.happen()


def _checked(plan: Any) -> Any:
    if plan is None or callable(plan):
        return plan or {}
    if not isinstance(plan, Mapping):
        raise ConfigError(f"ToolFaults({plan!r:.60}): write {{2: 'fail'}}, or {{'tool': {{1: 'hang'}}}}")
    for key, value in plan.items():
        if isinstance(key, str) and isinstance(value, Mapping):
            _checked(value)
        elif isinstance(key, int) and not isinstance(key, bool) and key >= 1:
            _fault(value)
        else:
            raise ConfigError(f"ToolFaults: {key!r:.60}: {value!r:.60}: calls are counted from 1")
    return plan


def _fault(given: Fault) -> ToolFault:
    return given if isinstance(given, ToolFault) else ToolFault(given)

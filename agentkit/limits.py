"""What a run may spend."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args

from .errors import ConfigError, LoopDetected
from .messages import ToolCall, ToolResult

AtLimit: TypeAlias = Literal["raise", "answer", "partial"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one run may spend, its sub-runs included. `None`, where it is allowed, means no limit of this kind."""

    iterations: int = 10
    """Model calls. A limit of N makes exactly N; the tool calls of the N-th answer are not run."""
    tool_calls: int | None = None
    """Tool calls in all. Those above it are refused, and the model is told."""
    tool_calls_each: Mapping[str, int] = field(default_factory=dict)
    """Calls of single tools, by their names. Those above it are refused, and the model is told."""
    tokens: int | None = None
    """Input and output tokens in all, reserved before each model call. Estimated where the provider does not say."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    """US dollars, reserved before each model call by what the model costs (`Agent.prices`)."""
    seconds: float | None = 600
    """Wall time of the whole run."""
    repeats: int | None = None
    """How often one call may come to the same result, and how many iterations in a row may fail with all they call."""
    on_limit: AtLimit = "raise"
    """At a limit of the run: `raise`, `answer` (one last model call without tools, kept free for this from the
    beginning), or `partial` (a result without output). When the time is over, `answer` is as `partial`."""
    tool_seconds: float | None = None
    """Wall time of one tool call, unless the tool declares its own `timeout`."""
    tool_concurrency: int = 16
    """Tool calls of one iteration that run at the same time."""
    calls_per_iteration: int = 128
    """Tool calls of one answer that are run; the rest are refused, and the model is told."""
    argument_chars: int = 1_000_000
    """Length of one call's arguments, as JSON."""
    result_chars: int = 100_000
    """Length of one result as the model reads it; longer ones are cut in the middle."""
    depth: int = 3
    """Levels of agents that run inside tools of this one."""

    def __post_init__(self) -> None:
        if self.on_limit not in get_args(AtLimit):
            raise ConfigError(f"Limits(on_limit={self.on_limit!r}): write {', '.join(map(repr, get_args(AtLimit)))}")
        if not isinstance(self.tool_calls_each, Mapping):
            raise ConfigError(f"Limits(tool_calls_each={self.tool_calls_each!r:.60}): write {{'tool': 2}}")
        for name, value in self.tool_calls_each.items():
            _check(f"tool_calls_each[{name!r}]", value, int | None)
        for f in fields(self):
            if f.name not in ("on_limit", "tool_calls_each"):
                _check(f.name, getattr(self, f.name), f.type)

    def __hash__(self) -> int:
        return hash((self.iterations, self.tokens, self.cost, self.seconds))


def _check(name: str, value: object, kind: Any) -> None:
    kinds = get_args(kind) or (kind,)
    if value is None and NoneType in kinds:
        return
    numbers = (int, float) if float in kinds else int
    if isinstance(value, bool) or not isinstance(value, numbers) or not value > 0:
        whole = "" if float in kinds else "whole "
        none = ", or None for no limit" if NoneType in kinds else ""
        raise ConfigError(f"Limits({name}={value!r}): must be a {whole}number above 0{none}")


class Circles:
    """Notices that a run goes in circles: its calls bring nothing new."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._seen: Counter[tuple[str, str, str]] | None = None
        self._failed = 0

    def turn(self, calls: Sequence[ToolCall], results: Sequence[ToolResult]) -> None:
        """An iteration's calls and what they came to.

        Raises:
            LoopDetected: it is one too many of a kind.
        """
        if self._limit is None or not results:
            return
        told = {result.call_id: result for result in results}
        seen = [(call.name, _canonical(call.arguments), told[call.id].content) for call in calls if call.id in told]
        counted = self._seen = Counter() if self._seen is None else self._seen
        counted.update(seen)
        self._failed = self._failed + 1 if all(result.is_error for result in results) else 0
        if self._failed >= self._limit or any(counted[each] >= self._limit for each in seen):
            raise LoopDetected("repeats", self._limit)


def _canonical(arguments: str) -> str:
    import json

    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments

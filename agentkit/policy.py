"""What is declared about a tool besides its schema: `Policy`, which `@tool(...)` takes as keywords. No behaviour.

`guard.py` enforces what is shared by all runs (retries, concurrency, rate, cache, breaker), `executor.py` the rest.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from inspect import isawaitable
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from .context import Context
from .errors import ToolDefinitionError

Effects: TypeAlias = Literal["read", "write", "external", "destructive"]
Errors: TypeAlias = Literal["tell", "hide", "raise"]
Enabled: TypeAlias = Callable[[Context[Any]], bool | Awaitable[bool]]
NeedsApproval: TypeAlias = Callable[[Context[Any], Mapping[str, Any]], bool | Awaitable[bool]]


class PolicyOptions(TypedDict, total=False):
    """The keywords of `@tool` that make a `Policy`, where they are explained."""

    timeout: float | None
    idempotent: bool
    retries: int
    concurrency: int | None
    rate: str | None
    cache: float | None
    breaker: int | None
    approval: bool | NeedsApproval
    effects: Effects | None
    trusted: bool | None
    errors: Errors
    elsewhere: bool
    sequential: bool
    enabled: Enabled | None
    isolation: Literal["process"] | None
    strict: bool | None
    repair: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How a tool may be called.

    Raises:
        ToolDefinitionError: a value is none of those allowed, or two do not go together.
    """

    timeout: float | None = None
    """Seconds that one attempt may take; overrides `Limits.tool_seconds`."""
    idempotent: bool = False
    """Whether calling it twice with the same arguments does no more than calling it once."""
    retries: int = 0
    """How often a failed call is tried again, after a growing pause. For reading and idempotent tools only."""
    concurrency: int | None = None
    """Calls of it that go on at the same time, in all runs of an event loop together; more wait."""
    rate: str | None = None
    """How often it may be called, in all runs together: `"10/second"`, `"100/minute"`, `"1000/hour"`; more wait."""
    cache: float | None = None
    """Seconds for which a result stands for all calls with the same arguments. For reading tools without context."""
    breaker: int | None = None
    """After so many failures in a row it is not called for 30 seconds, and the model is told; then one call tries."""
    approval: bool | NeedsApproval = False
    """Whether somebody must say yes to each call, or a function of context and arguments that tells whether."""
    effects: Effects | None = None
    """What a call does: `read` nothing but look, `write` change what is ours, `external` reach the world outside,
    `destructive` what cannot be undone. None if nothing is said."""
    trusted: bool | None = None
    """Whether what it gives is ours: False if it may hold what somebody outside has written, such as pages and mails.
    None: that of `external` tools, and of those that have called untrusted ones, is not."""
    errors: Errors = "tell"
    """What becomes of an exception: the model is told its words (`tell`), or its type only (`hide`), or the run ends
    with it (`raise`). What the tool says with ToolFailed is always told."""
    elsewhere: bool = False
    """Whether the call is made by others, outside of the run, which waits for their answer; the body never runs."""
    sequential: bool = False
    """Whether no other call of the same answer may go on while this one does; calls that tools make do not count."""
    enabled: Enabled | None = None
    """Whether a run may use the tool at all, asked before each model call; where not, the model does not see it."""
    isolation: Literal["process"] | None = None
    """`process`: a sync tool runs in a process of its own, which is killed when the time is over."""
    strict: bool | None = None
    """OpenAI's strict mode: None where the schema can say all it means there, True or an error, False never."""
    repair: bool = False
    """Whether arguments with a Markdown fence or words around them, or with lists or objects as text, are mended."""

    def __post_init__(self) -> None:
        for name in ("timeout", "cache"):
            _check(name, getattr(self, name), (int, float), "a number of seconds above 0")
        for name in ("concurrency", "breaker"):
            _check(name, getattr(self, name), int, "a whole number above 0")
        tries: object = self.retries
        if isinstance(tries, bool) or not isinstance(tries, int) or tries < 0:
            raise ToolDefinitionError(f"retries={tries!r}: must be a whole number, 0 or more")
        for name, kinds in _FLAGS.items():
            if not any(getattr(self, name) is kind for kind in kinds):
                raise ToolDefinitionError(
                    f"{name}={getattr(self, name)!r}: must be one of {', '.join(map(str, kinds))}"
                )
        if self.errors not in _ERRORS:
            raise ToolDefinitionError(f"errors={self.errors!r}: write one of {', '.join(map(repr, _ERRORS))}")
        if self.effects not in _EFFECTS:
            raise ToolDefinitionError(f"effects={self.effects!r}: write one of {', '.join(map(repr, _EFFECTS[1:]))}")
        if self.isolation not in (None, "process"):
            raise ToolDefinitionError(f"isolation={self.isolation!r}: write 'process', or leave it out")
        if self.rate is not None:
            parse_rate(self.rate)
        for name, kinds in _CALLABLE_OR.items():
            value = getattr(self, name)
            if not (callable(value) or any(value is kind for kind in kinds)):
                raise ToolDefinitionError(f"{name}={value!r}: must be a function" + " or a bool" * (True in kinds))
        self._check_together()

    def _check_together(self) -> None:
        if self.retries and not (self.idempotent or self.effects == "read"):
            raise ToolDefinitionError(
                f"retries={self.retries}: a call that failed may have taken effect, so only what may be called twice "
                "is tried again; say idempotent=True or effects='read', or leave retries out"
            )
        if self.cache is not None and self.effects != "read":
            raise ToolDefinitionError(
                f"cache={self.cache!r}: a kept result stands for a call that is not made, which is right only for "
                "what looks and changes nothing; say effects='read', or leave cache out"
            )
        if self.elsewhere and (here := sorted(self.declared.keys() & _HERE)):
            raise ToolDefinitionError(
                f"elsewhere=True: the call is not made here, so {here[0]}= would do nothing; leave it out"
            )

    @property
    def declared(self) -> dict[str, Any]:
        """What somebody has said, by name; not what stands there by default."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}

    def enabled_when(self, enabled: Enabled) -> "Policy":
        """The same, but only where another predicate holds too."""
        own = self.enabled
        return replace(self, enabled=enabled if own is None else _Both(own, enabled))

    @property
    def gives_untrusted(self) -> bool:
        """Whether what the tool itself gives may hold what somebody outside has written."""
        return self.effects == "external" if self.trusted is None else not self.trusted

    @property
    def reaches_out(self) -> bool:
        """Whether a call may carry something out of the house, or destroy it."""
        return self.effects in ("external", "destructive")

    @property
    def may_repeat(self) -> bool:
        """Whether a call may be made again of which nobody knows whether it took effect."""
        return self.idempotent or self.effects == "read"


@dataclass(frozen=True, slots=True)
class _Both:
    first: Enabled
    second: Enabled

    async def __call__(self, context: Context[Any]) -> bool:
        return await answer(self.first(context)) and await answer(self.second(context))


async def answer(given: bool | Awaitable[bool]) -> bool:
    """What a predicate says, sync or async."""
    return bool(await given if isawaitable(given) else given)


_ERRORS = get_args(Errors)
_EFFECTS = (None, "read", "write", "external", "destructive")
_FLAGS: dict[str, tuple[object, ...]] = {
    "idempotent": (True, False),
    "sequential": (True, False),
    "repair": (True, False),
    "elsewhere": (True, False),
    "trusted": (True, False, None),
    "strict": (True, False, None),
}
_HERE = {
    "timeout",
    "retries",
    "concurrency",
    "rate",
    "cache",
    "breaker",
    "approval",
    "errors",
    "sequential",
    "isolation",
}
"""Options that say how a call is made here."""
_CALLABLE_OR: dict[str, tuple[object, ...]] = {"enabled": (None,), "approval": (True, False)}
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def parse_rate(rate: Any) -> tuple[int, int]:
    """`"10/minute"` -> 10 calls in 60 seconds.

    Raises:
        ToolDefinitionError: it is written otherwise.
    """
    calls, _, unit = rate.partition("/") if isinstance(rate, str) else ("", "", "")
    if not (calls.isascii() and calls.isdigit() and int(calls[:9]) > 0 and unit in _UNITS):
        raise ToolDefinitionError(f"rate={rate!r}: write calls per {', '.join(_UNITS)}, such as '10/minute'")
    return int(calls[:9]), _UNITS[unit]


def _check(name: str, value: Any, kinds: Any, words: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < float("inf"):
        raise ToolDefinitionError(f"{name}={value!r}: must be {words}")

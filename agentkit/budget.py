"""What a run and its sub-runs have spent. A model call is reserved first: together they spend no more than allowed."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

import anyio

from .errors import LimitExceeded
from .limits import Limits
from .messages import Usage

SHARED_OUTPUT = 4096
"""Tokens kept free for an answer while other runs spend of the same budget, unless `ModelSettings.max_tokens` says."""
LONGEST_SENT = 16_384
"""The highest limit on an answer that is sent on the budget's account; models refuse more than they can write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What a run has spent when it pauses; it stays spent."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid", "allow_inf_nan": False, "strict": True}

    usage: Usage = Usage()
    iterations: int = 0
    tool_calls: int = 0
    """Those that wait are among them."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """Calls by tool."""
    tokens: int = 0
    """What counts towards the limits: estimated, where the provider does not say."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None

    @property
    def amounts(self) -> tuple[float, ...]:
        """What counts towards the limits, in the order of `_SPENT`."""
        return self.tokens, self.input_tokens, self.output_tokens, self.cost or 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a model call will take, before it is made."""

    input: int = 0
    """Tokens of the request, estimated."""
    output: int | None = None
    """Tokens that the answer may take; None if nobody has said."""
    least: int = 1
    """Tokens of the shortest answer that the call is made for."""
    price: Callable[[int, int], float] | None = None
    """The most that so many tokens of input and output cost; None where cost is not limited."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """What is reserved for a model call."""

    input: int = 0
    output: int = 0
    cost: float = 0.0
    longest: int | None = None
    """What the answer may take at most, if that has to be told to the server."""

    def of(self, which: str) -> float:
        """How much of a kind."""
        return self.input + self.output if which == "tokens" else getattr(self, which.removesuffix("_tokens"))


NOTHING = Hold()
_ROUNDING = 1e-9
"""US dollars by which a sum of amounts may be wrong."""
_DIGITS = 12
"""To which amounts are added up: floats say 0.00021, and not 0.00020999999999999998."""
_SPENT: tuple[str, ...] = ("tokens", "input_tokens", "output_tokens", "cost")
_FREE: Mapping[str, float] = MappingProxyType(dict.fromkeys(_SPENT, 0.0))


@dataclass(kw_only=True, slots=True, eq=False)
class Budget:
    """What a run has spent of its limits, and its sub-runs with it: what they spend counts at each level above."""

    limits: Limits
    parent: "Budget | None" = None
    iterations: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    cost: float | None = None
    """US dollars, as far as prices are known."""
    _calls: Counter[str] = field(default_factory=Counter)
    _spent: dict[str, float] = field(default_factory=lambda: dict(_FREE))
    """What counts towards the limits: as the provider says, estimated where it does not."""
    _held: dict[str, float] = field(default_factory=lambda: dict(_FREE))
    _holds: int = 0
    _pending: Sequence[float] = (0, 0, 0, 0.0)
    """Of what is spent, the estimates of what the provider will say later, in the order of `_SPENT`."""
    _extra: int = 0
    """Input tokens that the provider counts on top of those estimated: for tools, and for what stands in between."""
    _shortest: int = 1
    """Tokens of the shortest answer so far: with less, a call is not worth making."""
    _settled: anyio.Event | None = None
    _runs: int = 0
    """Sub-runs that go on now."""
    _own: Need | None = None
    """What the run's last answer will take, as far as its last call tells; kept free also while sub-runs spend."""
    _round: int = 50
    """Tokens by which a round of calls makes the next request longer, if the results are cut as far as they can be."""

    @property
    def tokens(self) -> int:
        """Tokens that count towards `Limits.tokens`."""
        return int(self._spent["tokens"])

    @property
    def tokens_left(self) -> int | None:
        """Tokens that may still be used; None if there is no limit."""
        left = [max(0, b.limits.tokens - b.tokens) for b in self.levels() if b.limits.tokens is not None]
        return min(left, default=None)

    @property
    def counts_tokens(self) -> bool:
        """Whether anything is limited for which a model call must be estimated."""
        return any(getattr(budget.limits, which) is not None for budget in self.levels() for which in _SPENT)

    @property
    def counts_cost(self) -> bool:
        """Whether money is limited."""
        return any(budget.limits.cost is not None for budget in self.levels())

    def levels(self) -> "Iterator[Budget]":
        """This budget, and those it is a part of."""
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget.parent

    def part(self, limits: Limits) -> "Budget":
        """The budget of a sub-run.

        Raises:
            LimitExceeded: it would be nested too deep.
        """
        for above, budget in enumerate(self.levels(), 1):
            if above > budget.limits.depth:
                raise LimitExceeded("depth", budget.limits.depth)
        return Budget(limits=limits, parent=self)

    def begin(self) -> None:
        """A run begins to spend: those that share a budget keep some of it free for each other."""
        for budget in self.levels():
            budget._runs += budget is not self

    def end(self) -> None:
        """A run has ended."""
        for budget in self.levels():
            budget._runs -= budget is not self

    def start_iteration(self, *, last: bool = False) -> None:
        """Take one model call; the last one, that answers without tools, may take what is kept free for it.

        Raises:
            LimitExceeded: there is none left, or the tokens or the money are spent.
        """
        self.require_iteration(last=last)
        for budget in self.levels():
            budget.iterations += 1

    def require_iteration(self, *, last: bool = False) -> None:
        """Make sure that another model call is allowed: without one, nobody would read a tool's result.

        Raises:
            LimitExceeded: it is not.
        """
        for budget in self.levels():
            limits = budget.limits
            kept = limits.on_limit == "answer" and not (last and budget is self)
            if budget.iterations + kept >= limits.iterations:
                raise LimitExceeded("iterations", limits.iterations)
            for which in _SPENT:
                limit = getattr(limits, which)
                if limit is not None and budget._spent[which] >= limit - (which == "cost") * _ROUNDING:
                    raise LimitExceeded(which, limit)

    async def hold(self, need: Need, *, last: bool = False) -> Hold:
        """Reserve what a model call will take, once there is room for it.

        While others hold what is missing, this waits until they have settled: so runs that share a budget may wait
        for each other, and never spend more than there is.

        Raises:
            LimitExceeded: there is not enough left.
        """
        if not self.counts_tokens:
            return NOTHING
        input = need.input + max(budget._extra for budget in self.levels())
        need = replace(need, input=input)
        self._own = replace(need, input=input + self._round)
        while True:
            which, limit, room = self._room(need, last)
            shared = any(budget._runs > 1 or budget._holds for budget in self.levels())
            wanted = need.output or (SHARED_OUTPUT if shared else room)
            if room >= wanted or not any(budget._holds for budget in self.levels()):
                break
            await self._others()
        if room < max(need.least, *(budget._shortest for budget in self.levels())):
            raise LimitExceeded(which, limit)
        output = min(wanted, room)
        return self._take(input, output, need.price(input, output) if need.price else 0.0)

    def keep(self, hold: Hold, more: int) -> None:
        """The request for the run's last answer will be so much longer than the one that was reserved, at least."""
        if self._own is not None:
            self._own = replace(self._own, input=hold.input + more)
            self._round = max(self._round, more)

    def _take(self, input: int, output: int, cost: float) -> Hold:
        hold = Hold(input=input, output=output, cost=cost, longest=output if output <= LONGEST_SENT else None)
        for budget in self.levels():
            budget._holds += 1
            for which in _SPENT:
                budget._held[which] += hold.of(which)
        return hold

    def release(self, hold: Hold) -> None:
        """Give back what was reserved; what was really used is spent by then."""
        if hold is NOTHING:
            return
        for budget in self.levels():
            budget._holds -= 1
            for which in _SPENT:
                budget._held[which] = budget._held[which] - hold.of(which) if budget._holds else 0.0
            if budget._settled is not None:
                budget._settled.set()
                budget._settled = None

    def spend(
        self,
        usage: Usage,
        *,
        estimate: Usage = Usage(),
        pending: bool = False,
        cost: float | None = None,
        guess: float | None = None,
    ) -> None:
        """Count what a model call used, and cost.

        `estimate`, and its cost, `guess`, stand in where the provider does not say, or if it is pending, until it does.
        """
        amounts = _amounts(usage if pending else known(usage, estimate), cost)
        if usage.total_tokens is not None:
            if not (pending or any(self._pending)):  # else it is the usage of several calls
                self._calibrate(usage, estimate)
            amounts = _plus(amounts, [-each for each in self._pending])
            self._pending = _amounts(Usage(), None)
        if pending:
            later = _amounts(estimate, guess)
            amounts, self._pending = _plus(amounts, later), _plus(self._pending, later)
        for budget in self.levels():
            budget.usage += usage
            if cost is not None:
                budget.cost = round((budget.cost or 0.0) + cost, _DIGITS)
            for which, amount in zip(_SPENT, amounts, strict=True):
                budget._spent[which] += amount

    def take_up(self, spent: Spent) -> None:
        """Go on from what a paused run had spent."""
        self.iterations, self.tool_calls, self.usage, self.cost = (
            spent.iterations,
            spent.tool_calls,
            spent.usage,
            spent.cost,
        )
        self._calls = Counter(spent.calls)
        self._spent = dict(zip(_SPENT, spent.amounts, strict=True))

    def spent(self) -> Spent:
        """What has been spent so far, as a paused run keeps it."""
        return Spent(
            usage=self.usage,
            iterations=self.iterations,
            tool_calls=self.tool_calls,
            calls=dict(self._calls),
            tokens=self.tokens,
            input_tokens=int(self._spent["input_tokens"]),
            output_tokens=int(self._spent["output_tokens"]),
            cost=self.cost,
        )

    @property
    def learnt(self) -> tuple[int, int]:
        """How far estimates of input go wrong, and how short an answer can be, as far as calls have taught."""
        return self._extra, self._shortest

    def add(self, spent: Spent, learnt: tuple[int, int]) -> None:
        """Count what sub-runs have spent that are not run again, and take over what their calls have taught."""
        self.usage += spent.usage
        self.iterations += spent.iterations
        self.tool_calls += spent.tool_calls
        self._calls.update(spent.calls)
        if spent.cost is not None:
            self.cost = round((self.cost or 0.0) + spent.cost, _DIGITS)
        for which, amount in zip(_SPENT, spent.amounts, strict=True):
            self._spent[which] += amount
        extra, shortest = learnt
        self._extra = max(self._extra, extra)
        self._shortest = (
            max(self._shortest, shortest) if 1 in (self._shortest, shortest) else min(self._shortest, shortest)
        )

    def take_tool_call(self, name: str) -> str | None:
        """Take one tool call; the limit, in words, if there is none left."""
        for budget in self.levels():
            most, each = budget.limits.tool_calls, budget.limits.tool_calls_each.get(name)
            if most is not None and budget.tool_calls >= most:
                return f"this run may call at most {most} tools"
            if each is not None and budget._calls[name] >= each:
                return f"this run may call {name} at most {each} times"
        for budget in self.levels():
            budget.tool_calls += 1
            budget._calls[name] += 1
        return None

    def _room(self, need: Need, last: bool) -> tuple[str, float, int]:
        """Which limit leaves the least room for an answer, that limit, and the room in tokens."""
        tight = ("tokens", 0.0, 2**62)
        for budget in self.levels():
            for which in _SPENT:
                limit = getattr(budget.limits, which)
                if limit is None:
                    continue
                kept = budget._own if budget.limits.on_limit == "answer" and not (last and budget is self) else None
                room = _fits(which, limit - budget._spent[which] - budget._held[which], need, kept)
                tight = min(tight, (which, limit, room), key=lambda each: each[2])
        return tight

    async def _others(self) -> None:
        """Wait until one of those who share this budget has settled."""
        top = list(self.levels())[-1]
        if top._settled is None:
            top._settled = anyio.Event()
        await top._settled.wait()

    def _calibrate(self, usage: Usage, estimate: Usage) -> None:
        """Learn from what was used how far estimates go wrong, and how short an answer can be."""
        for budget in self.levels():
            if usage.input_tokens and estimate.input_tokens is not None:
                budget._extra = max(budget._extra, usage.input_tokens - estimate.input_tokens)
            if usage.output_tokens:
                shortest = budget._shortest
                budget._shortest = usage.output_tokens if shortest == 1 else min(shortest, usage.output_tokens)


def known(used: Usage, estimate: Usage) -> Usage:
    """What was used, estimated where the provider does not say."""
    input = estimate.input_tokens if used.input_tokens is None else used.input_tokens
    output = estimate.output_tokens if used.output_tokens is None else used.output_tokens
    return replace(used, input_tokens=input, output_tokens=output)


def _amounts(usage: Usage, cost: float | None) -> Sequence[float]:
    """What counts towards the limits, in the order of `_SPENT`."""
    input, output = usage.input_tokens or 0, usage.output_tokens or 0
    return input + output, input, output, cost or 0.0


def _plus(some: Sequence[float], more: Sequence[float]) -> Sequence[float]:
    return [a + b for a, b in zip(some, more, strict=True)]


def _fits(which: str, left: float, need: Need, kept: Need | None) -> int:
    """Tokens that an answer may take where so much is left, and as much is kept free for a last answer, if any is."""
    other = kept or Need()
    if which == "cost":
        asked, per_token = _priced(need)
        asked_last, per_token_last = _priced(kept) if kept is not None else (0.0, 0.0)
        left, per_token = left + _ROUNDING - asked - asked_last, per_token + per_token_last
        return int(left / per_token) if per_token > 0 else (2**62 if left >= 0 else -1)
    if which == "input_tokens":
        return 2**62 if left >= need.input + other.input else -1
    if which == "tokens":
        left -= need.input + other.input
    return int(left / 2 if kept else left)


def _priced(need: Need) -> tuple[float, float]:
    """What a request costs, and each token of its answer."""
    assert need.price is not None, "money is limited, and there are no prices"
    asked = need.price(need.input, 0)
    return asked, (need.price(need.input, 1000) - asked) / 1000

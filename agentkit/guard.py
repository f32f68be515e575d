"""What holds for all calls of a tool together, whoever makes them: cache, breaker, retries, rate and concurrency."""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import current_token

from .errors import InvalidArguments, JournalFailed, ToolDenied, ToolError, ToolTimeout
from .policy import Policy, parse_rate

Attempt: TypeAlias = Callable[[], Awaitable[Any]]

BREAK_SECONDS = 30.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
CACHE_ENTRIES = 256


def _between(low: float, high: float) -> float:
    from random import uniform  # on first use: it costs a part of `import agentkit`

    return uniform(low, high)


_held: "ContextVar[frozenset[Guard]]" = ContextVar("agentkit_guards_held", default=frozenset())
"""Those in which what goes on here has a place; it would wait for itself if it wanted another one."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Line:
    """Where those wait who call from one event loop; they can be woken in their own only."""

    places: anyio.CapacityLimiter | None
    first: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    """Held by who is next where there is a rate."""
    asked: dict[str, anyio.Event] = field(default_factory=dict)
    """By the arguments: set when whoever asks first has an answer; those who ask the same meanwhile wait for it."""


@dataclass(kw_only=True, slots=True, eq=False, weakref_slot=True)
class Guard:
    """The one gate of a tool. `call` is peeled: cache, retries, concurrency, rate, breaker; inside, one attempt."""

    name: str
    policy: Policy
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[float, float], float] = _between
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Held where event loops in several threads would read and write the same."""
    _kept: "OrderedDict[str, tuple[float, Any]]" = field(default_factory=OrderedDict)
    """Results by their arguments, each with the time it is good for."""
    _failures: int = 0
    """How many calls in a row have failed."""
    _open_until: float = 0.0
    """When the breaker lets a call through again, where it is open."""
    _trial: object = None
    """The call that it has let through, while that goes on."""
    _starts: deque[float] = field(default_factory=deque)
    """When the newest calls began, as many as the rate allows."""
    _lines: "WeakKeyDictionary[Any, _Line]" = field(default_factory=WeakKeyDictionary)
    """One for each event loop."""

    async def call(self, attempt: Attempt, key: str = "") -> Any:
        """What an attempt gives, at the time and as often as the policy allows. `key` names its arguments.

        Raises:
            ToolDenied: the breaker is open.
            Exception: what the last attempt raised.
        """
        if self.policy.cache is None:
            return await self._tried(attempt)
        if (kept := self._good(key)) is not None:
            return kept[0]
        asked = self._line().asked
        if (first := asked.get(key)) is not None:
            await first.wait()
            kept = self._good(key)  # if whoever has asked first has failed, there is nothing
            return kept[0] if kept else await self._tried(attempt)
        first = asked[key] = anyio.Event()
        try:
            value = await self._tried(attempt)
            self._keep(key, value, self.policy.cache)
            return value
        finally:
            del asked[key]
            first.set()

    def _good(self, key: str) -> tuple[Any] | None:
        """A copy of what is kept, if it is still good."""
        with self._lock:
            good_until, kept = self._kept.get(key, (-math.inf, None))
        return (deepcopy(kept),) if self.clock() < good_until else None

    def _keep(self, key: str, value: Any, seconds: float) -> None:
        try:
            own = deepcopy(value)  # whoever has got it may change it
        except Exception:
            return
        with self._lock:
            self._kept[key] = (self.clock() + seconds, own)
            self._kept.move_to_end(key)
            while len(self._kept) > CACHE_ENTRIES:
                self._kept.popitem(last=False)

    async def _tried(self, attempt: Attempt) -> Any:
        number = 0
        while True:
            try:
                return await self._in_turn(attempt)
            except Exception as error:
                if number >= self.policy.retries or not is_failure(error) or self._refusal():
                    raise
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(number, 10))
            await anyio.sleep(self.jitter(longest / 2, longest))
            number += 1

    async def _in_turn(self, attempt: Attempt) -> Any:
        if refusal := self._refusal():  # asked again once it is this call's turn
            raise ToolDenied(refusal)
        if self.policy.rate is None and self.policy.concurrency is None:
            return await self._unbroken(attempt)
        line = self._line()
        if line.places is None:
            await self._turn(line)
            return await self._unbroken(attempt)
        if self in (held := _held.get()):
            raise ToolDenied(f"not run: the call of {self.name} that is going on cannot end before this one begins")
        async with line.places:
            token = _held.set(held | {self})
            try:
                await self._turn(line)  # in its place, so that nobody who has had a turn waits on and begins later
                return await self._unbroken(attempt)
            finally:
                _held.reset(token)

    def _line(self) -> _Line:
        loop, places = current_token().native_token, self.policy.concurrency
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = _Line(places=None if places is None else anyio.CapacityLimiter(places))
        return line

    async def _turn(self, line: _Line) -> None:
        """Wait until fewer calls than allowed began in the span of time that ends now; first come, first served."""
        if self.policy.rate is None:
            return
        calls, seconds = parse_rate(self.policy.rate)
        async with line.first:
            while (pause := self._pause(calls, seconds)) > 0:
                if anyio.current_time() + pause > anyio.current_effective_deadline():
                    raise ToolDenied(
                        f"not called: {self.name} may be called {self.policy.rate}, and its turn would come in "
                        f"{math.ceil(pause)} seconds, when there is no time left"
                    )
                await anyio.sleep(pause)

    def _pause(self, calls: int, seconds: int) -> float:
        """Seconds until a call may begin; if it may now, it does."""
        with self._lock:
            now = self.clock()
            if len(self._starts) >= calls:
                if (pause := self._starts[0] + seconds - now) > 0:
                    return pause
                self._starts.popleft()
            self._starts.append(now)
            return 0

    def _refusal(self) -> str | None:
        """Why the breaker lets no call through now, if it lets none."""
        if self.policy.breaker is None or self._failures < self.policy.breaker:
            return None
        left = self._open_until - self.clock()
        if self._trial is None and left <= 0:
            return None
        when = f"it can be tried again in {math.ceil(left)} seconds" if left > 0 else "one call is trying it now"
        return f"not called: {self.name} has failed {self._failures} times in a row; {when}"

    async def _unbroken(self, attempt: Attempt) -> Any:
        """One attempt; the breaker counts how it ends."""
        if self.policy.breaker is None:
            return await attempt()
        own = object()
        with self._lock:
            if refusal := self._refusal():
                raise ToolDenied(refusal)
            if self._failures >= self.policy.breaker:
                self._trial = own  # the others wait for what becomes of it
        failed: bool | None = None  # nothing is known, as where it is cancelled
        try:
            value = await attempt()
            failed = False
            return value
        except Exception as error:
            if not isinstance(error, InvalidArguments | JournalFailed):
                failed = is_failure(error)  # if not, whatever it depends on has answered
            raise
        finally:
            with self._lock:
                if self._trial is own:
                    self._trial = None
                if failed is not None:
                    self._failures = self._failures + 1 if failed else 0
                    self._open_until = self.clock() + BREAK_SECONDS


def is_failure(error: Exception) -> bool:
    """Whether the tool has failed: not if its own words say no, or if the call was not fit to be made."""
    return isinstance(error, ToolTimeout) or not isinstance(error, ToolError | JournalFailed)


def guard_of(name: str, policy: Policy) -> Guard | None:
    """What a policy needs that is shared by all calls; None if it needs nothing of the kind."""
    shared = (policy.retries, policy.concurrency, policy.rate, policy.cache, policy.breaker)
    return Guard(name=name, policy=policy) if any(shared) else None

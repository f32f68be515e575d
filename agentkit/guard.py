"""What holds for all calls of a tool together, whoever makes them: cache, breaker, retries, rate and concurrency."""

import random
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import current_token

from .errors import ToolDenied, ToolError, ToolTimeout
from .policy import Policy, parse_rate

Attempt: TypeAlias = Callable[[], Awaitable[Any]]

BREAK_SECONDS = 30.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
CACHE_ENTRIES = 256


@dataclass(kw_only=True, slots=True, eq=False, weakref_slot=True)
class Guard:
    """The one gate of a tool. `call` is peeled: cache, retries, breaker, rate, concurrency; inside, one attempt."""

    name: str
    policy: Policy
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[float, float], float] = random.uniform
    _kept: "OrderedDict[str, tuple[float, Any]]" = field(default_factory=OrderedDict)
    """Results by their arguments, each with the time it is good for."""
    _failures: int = 0
    _closed_until: float = 0.0
    """When the breaker lets a call through again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Held where event loops in several threads would read and write the same."""
    _starts: deque[float] = field(default_factory=deque)
    """When the newest calls began or will begin, as many as the rate allows in its span."""
    _limiters: "WeakKeyDictionary[Any, anyio.CapacityLimiter]" = field(default_factory=WeakKeyDictionary)
    """One for each event loop: those who wait can be woken in their own only."""

    async def call(self, attempt: Attempt, key: str = "") -> Any:
        """What an attempt gives, at the time and as often as the policy allows. `key` names its arguments.

        Raises:
            ToolDenied: the breaker is open.
            Exception: what the last attempt raised.
        """
        if self.policy.cache is None:
            return await self._tried(attempt)
        good_until, value = self._kept.get(key, (0.0, None))
        if self.clock() >= good_until:
            value = await self._tried(attempt)
            self._kept[key] = (self.clock() + self.policy.cache, value)
            self._kept.move_to_end(key)
            while len(self._kept) > CACHE_ENTRIES:
                self._kept.popitem(last=False)
        return value

    async def _tried(self, attempt: Attempt) -> Any:
        for number in range(self.policy.retries):
            try:
                return await self._unbroken(attempt)
            except Exception as error:
                if not is_failure(error):
                    raise
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)
            await anyio.sleep(self.jitter(longest / 2, longest))
        return await self._unbroken(attempt)

    async def _unbroken(self, attempt: Attempt) -> Any:
        limit = self.policy.breaker
        if limit is None:
            return await self._in_time(attempt)
        now = self.clock()
        if self._failures >= limit:
            if now < self._closed_until:
                raise ToolDenied(
                    f"not called: {self.name} has failed {self._failures} times in a row; "
                    f"it can be tried again in {self._closed_until - now:.0f} seconds"
                )
            self._closed_until = now + BREAK_SECONDS  # this call tries, the others still wait
        try:
            value = await self._in_time(attempt)
        except Exception as error:
            if is_failure(error):
                self._failures += 1
                self._closed_until = self.clock() + BREAK_SECONDS
            else:
                self._failures = 0  # whatever it depends on has answered
            raise
        except BaseException:  # cancelled: nothing is known, so the next one tries
            self._closed_until = min(self._closed_until, self.clock())
            raise
        self._failures = 0
        return value

    async def _in_time(self, attempt: Attempt) -> Any:
        if self.policy.rate is not None:
            await self._turn(self.policy.rate)
        async with self._place():
            return await attempt()

    async def _turn(self, rate: str) -> None:
        """Wait until there are fewer calls than allowed in the span of time that ends now; first come, first served."""
        calls, seconds = parse_rate(rate)
        with self._lock:
            now = self.clock()
            start = now if len(self._starts) < calls else max(now, self._starts[-calls] + seconds)
            self._starts.append(start)
            while len(self._starts) > calls and self._starts[0] <= now - seconds:
                self._starts.popleft()
        try:
            await anyio.sleep(max(0.0, start - self.clock()))
        except BaseException:
            self._starts.remove(start)
            raise

    def _place(self) -> AbstractAsyncContextManager[object]:
        if self.policy.concurrency is None:
            return nullcontext()
        loop = current_token().native_token
        limiter = self._limiters.get(loop)
        if limiter is None:
            limiter = self._limiters[loop] = anyio.CapacityLimiter(self.policy.concurrency)
        return limiter


def is_failure(error: Exception) -> bool:
    """Whether the tool has failed: not if its own words say no, or if the call was not fit to be made."""
    return isinstance(error, ToolTimeout) or not isinstance(error, ToolError)


def guard_of(name: str, policy: Policy) -> Guard | None:
    """What a policy needs that is shared by all calls; None if it needs nothing of the kind."""
    shared = (policy.retries, policy.concurrency, policy.rate, policy.cache, policy.breaker)
    return Guard(name=name, policy=policy) if any(shared) else None

"""How often one key may ask."""

import math
from collections.abc import Callable

from agentkit.server.errors import ApiError


class TooManyRequests(ApiError):
    """Somebody asks too often."""

    def __init__(self, per_minute: int, wait: float) -> None:
        seconds = max(1, math.ceil(wait))
        super().__init__(
            f"Rate limit reached: {per_minute} requests per minute. Please try again in {seconds}s.",
            status=429,
            type="requests",
            code="rate_limit_exceeded",
        )
        self.seconds = seconds

    @property
    def headers(self) -> dict[str, str]:
        """When to ask again."""
        return {"retry-after": str(self.seconds)}


class Rates:
    """A bucket of requests for each who asks, which fills again in a minute.

    Args:
        per_minute: How many requests are in a full bucket.
        clock: Gives the time in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._size = per_minute
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, who: str) -> dict[str, str]:
        """Take one request out; gives the headers that say what is left.

        Raises:
            TooManyRequests: none is left (429).
        """
        now = self._clock()
        left, then = self._left.get(who, (float(self._size), now))
        left = min(float(self._size), left + max(0.0, now - then) * self._size / 60)
        if left < 1:
            self._left[who] = (left, now)
            raise TooManyRequests(self._size, (1 - left) * 60 / self._size)
        self._left[who] = (left - 1, now)
        return {
            "x-ratelimit-limit-requests": str(self._size),
            "x-ratelimit-remaining-requests": str(int(left - 1)),
        }

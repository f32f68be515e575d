"""Sends a request again that was lost on its way, and does nothing twice."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from agentkit.errors import ModelError, RateLimited

T = TypeVar("T")

_PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each further attempt."""
_PATIENCE = 60.0
"""Seconds: a server that asks for a longer pause is not waited for."""


async def persistently(
    attempt: Callable[[], Awaitable[T]],
    *,
    found: Callable[[], Awaitable[T | None]] | None = None,
    lost: Callable[[ModelError, float], object] | None = None,
) -> T:
    """What the first attempt gives that is not lost: up to five, 0, 0.5, 1 and 2 seconds apart.

    An attempt is lost if its error is `retryable`. The server may ask for a longer pause, up to a minute.

    Args:
        attempt: Sends the request once, with `Call(retries=0)`.
        found: Looks for what a lost attempt has done all the same; `None` if it has done nothing. Without it, a
            request is repeated as it is. It is asked after the pause, when the server is through with what it had in
            hand, and once more after the last attempt; never after `RateLimited`, for which nothing was done. It has
            to be persistent itself.
        lost: Told of each attempt after which there is another, and of the pause between them.

    Raises:
        ModelError: the last attempt's, or what `found` raised.
    """
    pauses = iter(_PAUSES)
    while True:
        try:
            return await attempt()
        except ModelError as error:
            limited = isinstance(error, RateLimited)
            asked = (error.retry_after or 0.0) if isinstance(error, RateLimited) else 0.0
            if not error.retryable or asked > _PATIENCE:
                raise
            if (pause := next(pauses, None)) is not None:
                await anyio.sleep(max(pause, asked))
            if found is not None and not limited and (done := await found()) is not None:
                return done
            if pause is None:
                raise
            if lost is not None:
                lost(error, max(pause, asked))

"""Sends a request again that failed and may succeed, and never one of whose answer something was seen."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from math import inf

import anyio

from agentkit.errors import BadResponse, ModelError, ModelTimeout
from agentkit.messages import Usage
from agentkit.turns import Places

from .base import (
    Delta,
    HasPlaces,
    HoldsAnswers,
    ModelBackend,
    ModelInfo,
    ModelRequest,
    ModelResponse,
    OnDelta,
    Retrying,
)

_log = logging.getLogger("agentkit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """How often a request that failed is sent again, and after how long a pause.

    Only what is `retryable` is sent again: a lost connection, a server that is at fault or asks to slow down.
    An answer that says nothing is asked for once more.
    """

    times: int = 2
    max_wait: float = 60.0
    """Seconds: a server that asks for a longer pause is not waited for."""
    first_pause: float = 0.5
    """Seconds: the first pause is drawn from below this, and that bound doubles with each attempt."""
    longest_pause: float = 8.0
    """Seconds: where the doubling ends."""

    def pause(self, error: ModelError, attempt: int, last: float = 0.0) -> float | None:
        """Seconds until the next attempt, after so many and a last pause; None if there is to be none.

        It is drawn from almost all of the range, so that many who failed together do not come back together, and is
        longer than the last one as long as the range allows it.
        """
        asked, again = error.retry_after or 0.0, vars(error).get("should_retry")
        if attempt > self.times or asked > self.max_wait or not (error.retryable if again is None else again):
            return None
        if isinstance(error, BadResponse) and attempt > 1:
            return None
        most = min(self.first_pause * 2.0 ** (attempt - 1), self.longest_pause)
        least = 0.0 if asked else min(max(most / 8, last * 1.5), most)
        from random import uniform  # on first use, as is done with all that costs a part of `import agentkit`

        return float(asked + uniform(least, most))


async def attempts(
    attempt: Callable[[OnDelta | None], Awaitable[ModelResponse]],
    retry: Retry,
    host: str,
    on_delta: OnDelta | None = None,
    until: float = inf,
    tokens: int | None = None,
) -> ModelResponse:
    """The answer of the first attempt that does not fail.

    Args:
        attempt: Sends the request, and tells what it is given of each piece of the answer.
        retry: How often, and when.
        host: Who is asked, for the log.
        on_delta: Who watches; told of each failed attempt, too.
        until: When to give up, by the event loop's clock.
        tokens: What may be used: where failed attempts are paid for, another one like the last has to fit in.

    Raises:
        ModelError: the last attempt's.
    """
    failed: list[Retrying] = []
    spent = Usage()
    told = False

    def tell(delta: Delta) -> Awaitable[None]:
        nonlocal told
        told = True
        assert on_delta is not None
        return on_delta(delta)

    while True:
        try:
            response = await attempt(tell if on_delta is not None else None)
        except ModelError as error:
            pause = None if told else retry.pause(error, len(failed) + 1, failed[-1].seconds if failed else 0.0)
            spent += error.spent
            paid = error.spent.total_tokens or 0
            too_much = tokens is not None and paid and (spent.total_tokens or 0) + paid > tokens
            if pause is None or too_much or anyio.current_time() + pause >= until:
                _give_up(error, spent, host, failed)
                raise
            failed.append(Retrying(error=type(error).__name__, attempt=len(failed) + 1, seconds=pause))
        else:
            return response if not failed else _after(failed, spent, response)
        _log.warning("%s: attempt %d: %s; again in %.2f seconds", host, len(failed), failed[-1].error, pause)
        if on_delta is not None:
            await on_delta(failed[-1])
        await anyio.sleep(pause)


def _after(failed: list[Retrying], spent: Usage, response: ModelResponse) -> ModelResponse:
    return replace(response, retries=(*failed, *response.retries), usage=spent + response.usage)


def _give_up(error: ModelError, spent: Usage, host: str, failed: list[Retrying]) -> None:
    error.spent, error.retries, attempt = spent, tuple(failed), len(failed) + 1
    if attempt > 1:
        error.add_note(f"{host} was asked {attempt} times")
    if attempt > 1 or isinstance(error, ModelTimeout):
        _log.warning("%s: attempt %d: %s; given up", host, attempt, type(error).__name__)


class Retried:
    """A backend whose failed requests are sent again; for backends of your own, since `ChatBackend` has it inside.

    Args:
        model: The backend that answers.
        retry: How often, and when.
    """

    def __init__(self, model: ModelBackend, retry: Retry = Retry()) -> None:
        self.model = model
        self.retry = retry
        if isinstance(model, HoldsAnswers):
            self.release = model.release

    @property
    def info(self) -> ModelInfo:
        """Who will answer."""
        return self.model.info

    @property
    def places(self) -> Places:
        """Those of the backend that answers; of one that has none, some that nobody takes."""
        return self.model.places if isinstance(self.model, HasPlaces) else Places(1)

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Ask for one answer, again if need be."""
        host = self.info.address or self.info.provider
        return await attempts(
            lambda tell: self.model.generate(request, tell), self.retry, host, on_delta, tokens=request.tokens_left
        )

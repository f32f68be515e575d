"""Lost requests are sent again, but nothing is done twice. The clock of these tests jumps over the pauses."""

from typing import Any

import pytest
import trio
import trio.testing

from agentkit.errors import AuthFailed, ConnectionFailed, ModelError, QuotaExceeded, RateLimited, ServerFailed
from agentkit.models.assistants.persist import persistently

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """A loop whose time can be made to fly; what is tested sleeps, and asks the loop for nothing else."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Server:
    """Answers with its errors one after another, then with `"done"`, and knows when it was asked."""

    def __init__(self, *errors: ModelError) -> None:
        self._errors = list(errors)
        self._start = trio.current_time()
        self.asked: list[float] = []

    async def attempt(self) -> str:
        self.asked.append(round(trio.current_time() - self._start, 3))
        if self._errors:
            raise self._errors.pop(0)
        return "done"


async def test_a_lost_request_is_sent_again_after_longer_and_longer_pauses() -> None:
    """A server that is away for three seconds costs the caller three seconds, and no error."""
    server = Server(*[ConnectionFailed("lost") for _ in range(4)])
    assert await persistently(server.attempt) == "done"
    assert server.asked == [0, 0, 0.5, 1.5, 3.5]


async def test_the_fifth_error_is_raised() -> None:
    """A server that stays away is not asked for ever, and the caller gets its last word."""
    server = Server(*[ServerFailed(f"error {n}") for n in range(1, 9)])
    with pytest.raises(ServerFailed, match="error 5"):
        await persistently(server.attempt)
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    "error", [AuthFailed("no"), QuotaExceeded("no", retry_after=1), RateLimited("no", retry_after=61)]
)
async def test_what_waiting_does_not_mend_is_raised_at_once(error: ModelError) -> None:
    """A wrong key, an empty account, and a server that wants to be left alone for more than a minute."""
    server = Server(error)
    with pytest.raises(type(error)):
        await persistently(server.attempt)
    assert server.asked == [0]


async def test_the_server_says_how_long_to_wait() -> None:
    """`retry-after` is respected where it asks for more than the usual pause."""
    server = Server(RateLimited("slowly", retry_after=7), RateLimited("slowly", retry_after=0.1))
    assert await persistently(server.attempt) == "done"
    assert server.asked == [0, 7, 7.5]


async def test_what_a_lost_request_has_done_is_not_done_again() -> None:
    """The request took effect and only its answer was lost: it is found, and that is the answer."""
    server, looked = Server(ConnectionFailed("lost"), ConnectionFailed("lost")), list[int]()

    async def found() -> str | None:
        looked.append(len(server.asked))
        return "found" if len(server.asked) == 2 else None

    assert await persistently(server.attempt, found=found) == "found"
    assert looked == [1, 2]


async def test_the_last_attempt_may_have_had_an_effect_too() -> None:
    """Five answers were lost, and the fifth request was done: that is no error."""
    server = Server(*[ConnectionFailed("lost") for _ in range(5)])

    async def found() -> str | None:
        return "found" if len(server.asked) == 5 else None

    assert await persistently(server.attempt, found=found) == "found"


async def test_nobody_looks_for_what_was_refused_for_its_rate() -> None:
    """A request that was turned away has done nothing, and a server that is busy is not asked more than needed."""
    server = Server(*[RateLimited("slowly") for _ in range(9)])

    async def found() -> str | None:
        raise AssertionError("the server was asked for what it had refused")

    with pytest.raises(RateLimited):
        await persistently(server.attempt, found=found)

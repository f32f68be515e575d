"""Every store of sessions keeps what `agentkit.testing.session_suite` asks of one: on real servers, started here."""

from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest
import session_stores
from session_stores import Place

from agentkit.testing import session_suite

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def at() -> Iterator[Callable[[str], Place]]:
    """Opens an empty store of a kind."""
    with session_stores.places() as place:
        yield place


@pytest.mark.parametrize("kind", session_stores.KINDS)
@pytest.mark.parametrize("check", session_suite.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
async def test_a_store_keeps_its_promises(
    check: Callable[[session_suite.Make], Awaitable[None]], kind: str, at: Callable[[str], Place]
) -> None:
    """Whichever store is chosen, a conversation is as safe in it."""
    with anyio.fail_after(60):
        await check(at(kind).make)


SHARED = [kind for kind in session_stores.KINDS if kind != "memory"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("appends", [10, pytest.param(200, marks=pytest.mark.sweep)])
async def test_two_processes_append_at_once(appends: int, kind: str, at: Callable[[str], Place]) -> None:
    """Nothing is lost, and nothing comes in between what one of them has said."""
    place = at(kind)
    await session_suite.check_two_processes(place.make, place.program, appends=appends)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.sweep)])
async def test_a_process_is_killed_while_it_appends(kills: int, kind: str, at: Callable[[str], Place]) -> None:
    """What it was told is stored is there; all is whole; and the next one goes on."""
    place = at(kind)
    await session_suite.check_killed_writers(place.make, place.program, kills=kills)

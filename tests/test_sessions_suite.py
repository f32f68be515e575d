"""Every store of sessions keeps what `agentkit.testing.session_suite` asks of one: on real servers, started here."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import pytest
import session_stores
from session_stores import Place

from agentkit.testing import session_suite

pytestmark = pytest.mark.anyio

Check: TypeAlias = Callable[[session_suite.Make], Awaitable[None]]


def named(check: Check) -> str:
    return check.__name__.removeprefix("check_")


def at_once(check: Check) -> bool:
    return "cancelled" in named(check) or "writers" in named(check)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", session_stores.KINDS)
@pytest.mark.parametrize("check", session_suite.CHECKS, ids=named)
async def test_a_store_keeps_its_promises(check: Check, kind: str, at: Callable[[str], Place]) -> None:
    """Whichever store is chosen, a conversation is as safe in it."""
    with anyio.fail_after(60):
        await check(at(kind).make)


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("kind", session_stores.KINDS)
@pytest.mark.parametrize("check", [check for check in session_suite.CHECKS if at_once(check)], ids=named)
async def test_a_store_keeps_its_promises_on_trio(check: Check, kind: str, at: Callable[[str], Place]) -> None:
    """Those about several things at once, where the event loop matters."""
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
@pytest.mark.parametrize("kills", [1, pytest.param(25, marks=pytest.mark.sweep)])
async def test_a_process_is_killed_while_it_appends(kills: int, kind: str, at: Callable[[str], Place]) -> None:
    """What it was told is stored is there; all is whole; and the next one goes on."""
    place = at(kind)
    await session_suite.check_killed_writers(place.make, place.program, kills=kills)

"""Long sweeps: all of what `test_assistants_faults.py` and `test_assistants_quirks.py` try in part."""

import random
from itertools import product

import pytest
import test_assistants_faults
from assistants_scenes import same
from assistants_trials import Trial, undisturbed, wrong, wrong_in_cuts

from agentkit.testing import QUIRKS, Fault
from agentkit.testing.assistants.faults import Kind
from agentkit.testing.assistants.quirks import KNOWN

pytestmark = [pytest.mark.anyio, pytest.mark.sweep]

LOSSES = [
    Fault("lost_before"),
    Fault("lost_after", reset=True),
    Fault("status_before", status=503),
    Fault("status_after"),
    Fault("cut", events=2),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", test_assistants_faults.LOSSES, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_any_request_may_be_lost(fault: Fault, streamed: bool) -> None:
    """Watched or not, on both event loops."""
    requests = len((await undisturbed(Trial(limited=True))).requests)
    trials = [Trial(faults={n: fault}, streamed=streamed, limited=True) for n in range(1, requests + 1)]
    assert await wrong(trials) == []


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["cut", "end", "error"])
async def test_a_stream_may_break_off_after_any_event(kind: Kind, streamed: bool) -> None:
    """However it breaks off: cut, or with an end that looks like one, or with an error."""
    assert await wrong_in_cuts(Trial(streamed=streamed), kind) == []


@pytest.mark.parametrize("quirk", QUIRKS)
async def test_a_stream_may_be_cut_after_any_event_on_an_odd_server(quirk: str, anyio_backend: str) -> None:
    """Each quirk on its own; after an even number of events on asyncio, and an odd one on trio."""
    assert await wrong_in_cuts(Trial(quirks=[quirk]), "cut", int(anyio_backend == "trio"), 2) == []


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("quirk", KNOWN)
async def test_a_quirk_changes_nothing(quirk: str, streamed: bool) -> None:
    """Watched or not, on both event loops."""
    assert await same([quirk], streamed) == []


@pytest.mark.parametrize("kind", ["cut", "end"])
async def test_a_stream_may_be_cut_after_any_event_on_the_oddest_server(kind: Kind) -> None:
    """All quirks together."""
    assert await wrong_in_cuts(Trial(quirks=QUIRKS), kind) == []


@pytest.mark.parametrize("quirks", [(), ("no_streaming",), QUIRKS], ids=["no quirk", "no_streaming", "all"])
@pytest.mark.parametrize("second", LOSSES, ids=lambda fault: fault.kind)
async def test_any_two_requests_may_be_lost(second: Fault, quirks: tuple[str, ...], anyio_backend: str) -> None:
    """The first one in each way, and in this way the next one on asyncio, the one after it on trio."""
    gap, plain = (2 if anyio_backend == "trio" else 1), not quirks
    requests = len((await undisturbed(Trial(quirks=quirks, limited=plain))).requests)
    trials = [
        Trial(faults={n: first, n + gap: second}, quirks=quirks, streamed=bool(n % 4 < 2), limited=plain)
        for first, n in product(LOSSES, range(1, requests + 1, 1 if plain else 2))
    ]
    assert await wrong(trials) == []


@pytest.mark.parametrize("seed", range(5))
async def test_up_to_four_requests_may_be_lost_anywhere(seed: int) -> None:
    """In any way, with any quirks: a request is tried five times before it is given up."""
    chance = random.Random(seed)
    trials = []
    for _ in range(40):
        quirks = chance.sample(QUIRKS, chance.choice([0, 0, 1, 3]))
        faults = {n: chance.choice(LOSSES) for n in chance.sample(range(1, 25), 4)}
        trials.append(Trial(faults=faults, quirks=quirks, streamed=chance.random() < 0.5))
    assert await wrong(trials) == []

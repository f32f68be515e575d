"""Whatever becomes of requests and answers on their way, a conversation on `assistants:` comes to the same.

That is: the transcript, the events and the text in them, the usage and the spans, the replies that were taken from the
model and the tools that ran, each once; and the server is left with one thread in use, one assistant, no active run.
"""

import random

import pytest
from assistants_trials import Trial, undisturbed, wrong, wrong_in_cuts

from agentkit.testing import Fault
from agentkit.testing.assistants.faults import Kind

pytestmark = pytest.mark.anyio

LOSSES = [
    Fault("lost_before"),
    Fault("lost_before", reset=True),
    Fault("lost_after"),
    Fault("lost_after", reset=True),
    Fault("status_before", status=500),
    Fault("status_before", status=503, headers={"retry-after": "0"}),
    Fault("status_before", status=429, headers={"retry-after": "0"}),
    Fault("status_after", status=500),
    Fault("status_after", status=503),
    Fault("cut", events=0),
    Fault("cut", events=3),
]


@pytest.mark.parametrize("fault", LOSSES, ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.events}-{fault.reset}")
async def test_any_request_may_be_lost(fault: Fault) -> None:
    """Before it took effect, or after it; whatever it asked for."""
    requests = range(1, len((await undisturbed()).requests) + 1)
    assert await wrong(Trial(faults={n: fault}, streamed=bool(n % 2)) for n in requests) == []


async def test_two_requests_in_a_row_may_be_lost() -> None:
    """Also the one that would have found out what had become of the first. `make sweep` tries all pairs."""
    requests = len((await undisturbed()).requests)
    chance = random.Random(1)
    trials = [
        Trial(faults={n: chance.choice(LOSSES), n + 1: chance.choice(LOSSES)}, streamed=chance.random() < 0.5)
        for n in [*range(1, requests + 1)] * 3
    ]
    assert await wrong(trials) == []


async def test_any_request_may_hang() -> None:
    """Until `ModelSettings.timeout` is over; then it is sent again."""
    requests = range(1, len((await undisturbed()).requests) + 1)
    assert await wrong(Trial(faults={n: Fault("hang")}, timeout=0.5) for n in requests) == []


async def test_a_stream_may_be_cut_after_any_event() -> None:
    """The run is looked at instead, and what was said and has not come is told once."""
    assert await wrong_in_cuts(Trial(), "cut") == []


@pytest.mark.parametrize(("kind", "first"), [("end", 0), ("error", 1)])
async def test_a_stream_may_end_early_or_with_an_error(kind: Kind, first: int) -> None:
    """The same, though what has come looks whole, or the server says that it has failed. `make sweep` tries all."""
    assert await wrong_in_cuts(Trial(streamed=False), kind, first, 3) == []

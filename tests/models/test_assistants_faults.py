"""Whatever becomes of requests and answers on their way, a conversation on `assistants:` comes to the same.

That is: the transcript, the events and the text in them, the usage and the spans, the replies that were taken from the
model and the tools that ran, each once; and the server is left with one thread in use, one assistant, no active run.
"""

import random
from dataclasses import replace

import pytest
from assistants_stage import differences
from assistants_trials import Trial, undisturbed, wrong, wrong_in_cuts

from agentkit.testing import Fault
from agentkit.testing.assistants.faults import Kind

pytestmark = pytest.mark.anyio

LOSSES = [
    Fault("lost_before", reset=True),
    Fault("lost_after"),
    Fault("status_before", status=500),
    Fault("status_before", status=429, headers={"retry-after": "0"}),
    Fault("status_after", status=503, headers={"retry-after": "0"}),
    Fault("cut", events=3),
]


@pytest.mark.parametrize("streamed", [False, True])
async def test_undisturbed_it_is_the_conversation_of_the_chat_wire(streamed: bool) -> None:
    """So what is compared with it is compared with that."""
    trial = Trial(streamed=streamed, limited=True)
    chat, assistants = await undisturbed(replace(trial, wire="chat")), await undisturbed(trial)
    assert differences({**chat.told(), "left": None}, {**assistants.told(), "left": None}) == []
    assert assistants.left == {"active": [], "threads": 1, "assistants": 1, "threads made": 1}


@pytest.mark.parametrize("fault", LOSSES, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_any_request_may_be_lost(fault: Fault, anyio_backend: str) -> None:
    """Before it took effect, or after it; whatever it asked for, also when a limit ends the run at the server.

    Each second request on asyncio, the others on trio, and the other way round with the next fault; `make sweep` tries
    all on both.
    """
    requests = len((await undisturbed(Trial(limited=True))).requests)
    lost = range(1 + (LOSSES.index(fault) + (anyio_backend == "trio")) % 2, requests + 1, 2)
    assert await wrong([Trial(faults={n: fault}, streamed=bool(n // 2 % 2), limited=True) for n in lost]) == []


async def test_two_requests_in_a_row_may_be_lost() -> None:
    """Also the one that would have found out what had become of the first. `make sweep` tries all pairs."""
    requests = len((await undisturbed(Trial(limited=True))).requests)
    chance = random.Random(1)
    trials = [
        Trial(
            faults={n: chance.choice(LOSSES), n + 1: chance.choice(LOSSES)},
            streamed=chance.random() < 0.5,
            limited=True,
        )
        for n in range(1, requests + 1)
    ]
    assert await wrong(trials) == []


async def test_any_request_may_hang() -> None:
    """Until `ModelSettings.timeout` is over; then it is sent again."""
    requests = len((await undisturbed()).requests)
    assert await wrong([Trial(faults={n: Fault("hang")}, timeout=0.5) for n in range(1, requests + 1)]) == []


async def test_a_stream_may_be_cut_after_any_event(anyio_backend: str) -> None:
    """The run is looked at instead, and what was said and has not come is told once.

    After an even number of events on asyncio, and an odd one on trio; `make sweep` tries all on both.
    """
    assert await wrong_in_cuts(Trial(), "cut", int(anyio_backend == "trio"), 2) == []


@pytest.mark.parametrize("kind", ["end", "error"])
async def test_a_stream_may_end_early_or_with_an_error(kind: Kind, anyio_backend: str) -> None:
    """The same, though what has come looks whole, or the server says that it has failed; `make sweep` tries all."""
    assert await wrong_in_cuts(Trial(streamed=False), kind, 5 * (anyio_backend == "trio"), 10) == []

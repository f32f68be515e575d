"""The long tests of how runs on an Assistants server end: every moment, every step, every odd server."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from assistants_kit import KEY, active, backend, statuses
from test_assistants_crashes import STEPS, dies_and_is_taken_up
from test_assistants_crowd import start
from test_assistants_endings import Always, Shop, cancelled_after, cancelled_at, left_after

from agentkit import Agent
from agentkit.errors import ConnectionFailed, ServerFailed
from agentkit.testing import QUIRKS, AssistantsServer, Fault

pytestmark = pytest.mark.sweep
_CANCELLING = [[name] for name in (*QUIRKS, "no_streaming") if name != "no_cancel_in_action"]
_CANCELLING.append([name for [name] in _CANCELLING if name != "no_streaming"])
"""Servers on which a run that waits can be cancelled."""


@pytest.mark.anyio
@pytest.mark.parametrize("checkpoints", range(1, 200))
async def test_cancelled_at_any_checkpoint_no_run_goes_on(checkpoints: int) -> None:
    """Wherever it is in its work."""
    await cancelled_after(checkpoints)


@pytest.mark.anyio
@pytest.mark.parametrize("by_cancelling", [False, True])
@pytest.mark.parametrize("quirks", [[], *_CANCELLING])
async def test_left_at_any_event_the_run_ends_on_the_server_too(quirks: list[str], by_cancelling: bool) -> None:
    """Every event of it, on every server."""
    events = 1
    while await left_after(events, by_cancelling=by_cancelling, quirks=quirks):
        events += 1
    assert events > 7


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [None, Fault("hang"), Fault("lost_after"), Fault("end", events=2)])
@pytest.mark.parametrize("quirks", _CANCELLING)
async def test_cancelled_at_any_request_of_any_server_no_run_goes_on(quirks: list[str], fault: Fault | None) -> None:
    """Also where it polls, and where ids mean nothing."""
    n = 1
    while await cancelled_at(n, fault, quirks):
        n += 1
    assert n > 6


@pytest.mark.parametrize("n", range(1, len(STEPS)))
@pytest.mark.parametrize("quirks", [*([name] for name in (*QUIRKS, "no_streaming")), QUIRKS])
def test_a_run_of_any_server_is_taken_up_wherever_its_process_has_died(
    n: int, quirks: list[str], anyio_backend: str, tmp_path: Path
) -> None:
    """No oddity of a server makes a tool run twice whose result is stored."""
    dies_and_is_taken_up(n, quirks, anyio_backend, tmp_path)


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [Fault("status_before", status=500), Fault("status_after", status=503)])
@pytest.mark.parametrize(("method", "end"), [("GET", "/assistants"), ("POST", "/assistants"), ("POST", "/threads")])
async def test_a_server_that_always_fails_is_given_up(method: str, end: str, fault: Fault) -> None:
    """After five attempts in some seconds."""
    broken = Always(fault, method, end)
    async with AssistantsServer(Shop().script, on_request=broken) as server:
        if (method, end, fault.kind) == ("POST", "/assistants", "status_after"):
            await Agent(backend(server)).run("Count all.")  # it was made, and is found
            assert len(server.assistants) == 1
            return
        with anyio.fail_after(10), pytest.raises(ServerFailed) as caught:
            await Agent(backend(server)).run("Count all.")
        assert caught.value.status == fault.status
        assert KEY not in str(caught.value)
        assert statuses(server) == []
    assert 1_000 - broken.left == 5


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["lost_before", "status_before"])
@pytest.mark.parametrize("end", ["/runs", "/submit_tool_outputs"])
async def test_a_run_that_can_not_be_told_anything_does_not_go_on(end: str, kind: Any) -> None:
    """The error is the last attempt's, and the run, where there is one, is cancelled."""
    shop, broken = Shop(), Always(Fault(kind), "POST", end)
    async with AssistantsServer(shop.script, on_request=broken) as server:
        with anyio.fail_after(20), pytest.raises((ServerFailed, ConnectionFailed)):
            await Agent(backend(server), tools=shop.tools).run("Count all.")
        assert active(server) == []
    assert 1_000 - broken.left == 5


@pytest.mark.anyio
async def test_thousands_of_new_conversations_at_once_need_one_assistant() -> None:
    """On both event loops."""
    await start(3000)

"""Servers that deviate from the wire as others were seen to do: nothing of it reaches the user of `assistants:`."""

from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest
from assistants_scenes import conversation, play, same, table
from assistants_stage import differences, stage
from assistants_trials import Trial, wrong_in_cuts

from agentkit.testing import QUIRKS
from agentkit.testing.assistants.quirks import KNOWN

pytestmark = pytest.mark.anyio

WITHOUT_STREAMS = ["no_streaming", *(quirk for quirk in QUIRKS if quirk != "no_poll_header")]
"""All at once, but for one that makes each look at a run a second late."""


@pytest.mark.parametrize("quirk", KNOWN)
async def test_a_quirk_changes_nothing(quirk: str, anyio_backend: str) -> None:
    """A conversation of many runs is told as on the Chat wire: transcript, events, usage, errors, spans, tools run.

    Streamed on one of the event loops, and whole on the other; `make sweep` tries both on both.
    """
    streamed = (anyio_backend == "trio") == bool(list(KNOWN).index(quirk) % 2)
    assert await same([quirk], streamed) == []


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("quirks", [QUIRKS, WITHOUT_STREAMS], ids=["streams", "no streams"])
async def test_all_quirks_at_once_change_nothing(quirks: Sequence[str], streamed: bool) -> None:
    """The same, with all that may go wrong together."""
    assert await same(quirks, streamed) == []


async def test_a_server_that_does_not_say_when_to_look_again_is_looked_at_in_time() -> None:
    """Each second, where there is no stream either."""
    async with stage("assistants", table("text"), server={"quirks": ["no_streaming", "no_poll_header"]}) as here:
        with anyio.fail_after(20):
            await play(here, ["text"], "history", True)


@pytest.mark.parametrize(
    "quirks",
    [["no_cancel_in_action"], ["bare_errors"], ["no_step_usage"], QUIRKS, WITHOUT_STREAMS],
    ids=["no_cancel_in_action", "bare_errors", "no_step_usage", "streams", "no streams"],
)
async def test_a_conversation_goes_on_after_a_limit_on_an_odd_server_too(quirks: Sequence[str]) -> None:
    """Also on one that does not cancel a run which waits for tools; what that has used stays unknown there."""
    scenes = ["text before calls", "as many model calls as there may be", "parallel calls", "text"]
    told = [await conversation("chat", scenes, (), True), await conversation("assistants", scenes, quirks, True)]
    if "no_cancel_in_action" in quirks:
        for runs, spans, *_ in told:
            runs[1] = replace(runs[1], usage={})
            spans[1]["attributes"] = {}
    assert differences(*told) == []


@pytest.mark.parametrize(
    "quirks",
    [["thin_runs"], ["empty_completed"], ["ignores_run_id"], ["no_step_events"], QUIRKS],
    ids=["thin_runs", "empty_completed", "ignores_run_id", "no_step_events", "all"],
)
async def test_a_stream_may_be_cut_on_an_odd_server_too(quirks: Sequence[str], anyio_backend: str) -> None:
    """After some of its events, others on each event loop; `make sweep` tries all of them, and all quirks."""
    assert await wrong_in_cuts(Trial(quirks=quirks), "cut", 7 if anyio_backend == "trio" else 1, 12) == []

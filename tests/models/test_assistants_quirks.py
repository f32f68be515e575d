"""Servers that deviate from the wire as others were seen to do: nothing of it reaches the user of `assistants:`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from anyio.lowlevel import current_token
from assistants_scenes import play, table
from assistants_stage import anonymous, differences, stage
from assistants_trials import Trial, wrong_in_cuts

from agentkit.testing import QUIRKS
from agentkit.testing.assistants.quirks import KNOWN

pytestmark = pytest.mark.anyio

EACH = [(quirk,) for quirk in KNOWN]
TOGETHER = [QUIRKS, ("no_streaming", *(quirk for quirk in QUIRKS if quirk != "no_streaming"))]
ALL = pytest.mark.parametrize(
    "quirks", [*EACH, *TOGETHER], ids=[*KNOWN, "all that go together", "all of them, without streams"]
)
CONVERSATION = [
    "text",
    "text before calls",
    "three rounds",
    "parallel calls",
    "bad arguments",
    "structured output at the second attempt",
    "an answer cut at its length",
    "a server's failure",
    "a refusal",
    "an answer of JSON cut at its length",
    "too many requests",
]
_told: dict[tuple[str, bool], Any] = {}


@ALL
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_quirk_changes_nothing(quirks: Sequence[str], streamed: bool) -> None:
    """A conversation of many runs is told as on the Chat wire: transcript, events, usage, errors, spans, tools run."""
    key = type(current_token().native_token).__module__, streamed
    if key not in _told:
        _told[key] = await conversation("chat", CONVERSATION, (), streamed)
    assert differences(_told[key], await conversation("assistants", CONVERSATION, quirks, streamed)) == []


async def conversation(wire: str, scenes: Sequence[str], quirks: Sequence[str], streamed: bool) -> Any:
    """What the scenes tell, played one after the other; the ids of calls numbered, since some servers repeat them."""
    server: Any = {"quirks": quirks} if quirks else {}
    async with stage(wire, table(*scenes), server=server) as here:
        runs = await play(here, scenes, "history", streamed)
        return anonymous([runs, here.tree(), Counter(here.tools.ran), here.script.turns])


@ALL
async def test_a_conversation_goes_on_after_a_limit_on_an_odd_server_too(quirks: Sequence[str]) -> None:
    """Also on one that does not cancel a run which waits for tools; what the last answer has used stays unknown there."""
    scenes = ["text before calls", "as many model calls as there may be", "parallel calls", "text"]
    told = [await conversation("chat", scenes, (), True), await conversation("assistants", scenes, quirks, True)]
    if "no_cancel_in_action" in quirks:
        for runs, spans, *_ in told:
            runs[1] = replace(runs[1], usage={})
            spans[1]["attributes"] = {}
    assert differences(*told) == []


@ALL
async def test_a_stream_may_be_cut_on_an_odd_server_too(quirks: Sequence[str]) -> None:
    """After some of its events; `make sweep` tries all."""
    if "no_streaming" not in quirks:
        assert await wrong_in_cuts(Trial(quirks=quirks), "cut", 1, 5) == []

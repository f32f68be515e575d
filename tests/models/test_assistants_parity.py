"""The same agent on two wires: what a user sees of a run on `assistants:` is what they see of it on `chat:`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from assistants_scenes import BADLY, NEVER, SCENES, WELL, play, table
from assistants_stage import WIRES, Stage, Told, anonymous, differences, stage, without_state

from agentkit import Limits, Session, TextDelta
from agentkit.errors import RunTimeout
from agentkit.messages import AssistantMessage, unanswered
from agentkit.testing import Reply, call

pytestmark = pytest.mark.anyio

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


@pytest.mark.parametrize("name", SCENES, ids=lambda name: name.rstrip("."))
async def test_a_run_is_the_same_on_both_wires(name: str, anyio_backend: str) -> None:
    """Transcript, tool call ids, usage, events, spans, errors with their history, and what the model was asked.

    Streamed on one event loop, and whole on the other; the conversations below go both ways on both.
    """
    streamed = (anyio_backend == "trio") == bool(list(SCENES).index(name) % 2)
    told: list[Any] = []
    for wire in WIRES:
        async with stage(wire, table(name)) as here:
            told.append((await play(here, [name], "history", streamed), here.whole()))
            assert here.leftovers() in ({}, {"active": [], "threads": 1, "assistants": 1})
    assert differences(*told) == []


@streamed_or_not
@pytest.mark.parametrize("kept", ["history", "session"])
async def test_a_conversation_is_the_same_on_both_wires(kept: str, streamed: bool) -> None:
    """Run after run, with `history=` and with a session; on the Assistants wire it has one thread.

    Two assistants, since one is to answer with JSON, and a third one with other settings.
    """
    told: list[Any] = []
    for wire in WIRES:
        async with stage(wire, table(*WELL)) as here:
            told.append((await play(here, WELL, kept, streamed), here.whole()))
            assert here.leftovers() in ({}, {"active": [], "threads": 1, "assistants": 3})
    assert differences(*told) == []


@streamed_or_not
@pytest.mark.parametrize("name", BADLY)
async def test_a_conversation_goes_on_after_runs_that_failed(name: str, streamed: bool) -> None:
    """What is told is the same, and the model hears of all that was said and done.

    It may hear it in words, since a run that has ended takes no results of tools; so the server has not seen all ids of
    calls either, and may give others.
    """
    kept = "session" if streamed else "history"
    names = ["text before calls", name, "a server's failure", "three rounds", "text"]
    told: list[Any] = []
    for wire in WIRES:
        async with stage(wire, table(*names)) as here:
            told.append((await play(here, names, kept, streamed), here.tree(), Counter(here.tools.ran)))
            assert here.leftovers().get("active", []) == []
            assert unheard(here, names, told[-1][0]) == []
    assert differences(anonymous(told[0]), anonymous(told[1])) == []


def unheard(here: Stage, names: Sequence[str], runs: Sequence[Told]) -> list[str]:
    """What of the conversation, calls and results included, the model did not hear when a further run began."""
    missing: list[str] = []
    for name, before in zip(names[1:], runs, strict=False):
        asked = here.script.asked[here.script.turns.index((name, 0))]["messages"]
        heard = [str(message.get("content")) for message in asked]
        heard += [call["function"]["arguments"] for message in asked for call in message.get("tool_calls", ())]
        for message in before.messages:
            said = [message.text] if isinstance(message, AssistantMessage) else [str(message.content)]
            said += [each.arguments for each in getattr(message, "tool_calls", ())]
            missing += [f"{name}: {words}" for words in said if not any(words.strip() in each for each in heard)]
    return missing


@streamed_or_not
async def test_a_run_that_is_out_of_time_is_the_same_on_both_wires(streamed: bool) -> None:
    """However far it has come by then, nothing goes on at the server."""

    async def stopped(wire: str, seconds: float) -> tuple[Any, bool]:
        async with stage(wire, {"Go.": [NEVER]}) as here:
            run = await here.say("Go.", streamed, limits=Limits(seconds=seconds))
            assert run.error[0] is RunTimeout
            assert here.leftovers().get("active", []) == []
            return (run, here.tree()), here.script.hears.is_set()

    for seconds in (0.2, 1, 5, 25):
        told = [await stopped(wire, seconds) for wire in WIRES]
        if all(reached for _, reached in told):  # on a machine that has much else to do, a model takes longer to reach
            assert differences(*(each for each, _ in told)) == []
            return
    pytest.fail("the model was not reached in 25 seconds")


@pytest.mark.parametrize("left", ["cancelled", "left early"])
@pytest.mark.parametrize("during", ["a tool", "a tool of the second round", "the first answer", "the second answer"])
async def test_a_run_that_is_left_in_the_middle_is_the_same_on_both_wires(during: str, left: str) -> None:
    """What is stored then, what was used, which spans have failed; and the session goes on, on a free server."""
    round: Any = [call("look", what="nut")]
    waits: Any = [call("look", what="bolt"), call("wait")]
    replies = {
        "a tool": [waits],
        "a tool of the second round": [round, waits],
        "the first answer": [NEVER],
        "the second answer": [round, NEVER],
    }[during]
    told: list[Any] = []
    for wire in WIRES:
        async with stage(wire, {"Go.": replies, **table("three rounds")}) as here:
            session = Session("s")
            reached = here.tools.waits if "tool" in during else here.script.hears
            with anyio.fail_after(10):
                if left == "cancelled":
                    await cancelled(here, session, reached)
                else:
                    async with here.agent.stream("Go.", session=session) as run:
                        async with anyio.create_task_group() as group:
                            group.start_soon(drain, run)
                            await reached.wait()
                            await anyio.wait_all_tasks_blocked()
                            group.cancel_scope.cancel()
            stored = (await session.store.load("s")).messages
            assert unanswered(stored) == ()
            assert here.leftovers().get("active", []) == []
            told.append((without_state(stored), here.whole()))
            told[-1] += (await here.say("three rounds", False, session=session), here.tree())
    assert differences(told[0][:2], told[1][:2]) == []
    assert differences(anonymous(told[0][2:]), anonymous(told[1][2:])) == []


async def cancelled(here: Stage, session: Session, reached: anyio.Event) -> None:
    """Run, and cancel it from outside once this is reached."""
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: here.agent.run("Go.", session=session))
        await reached.wait()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()


async def drain(run: Any) -> None:
    """Read the events as they come."""
    async for _ in run:
        pass


async def test_half_an_answer_that_is_left_is_the_same_on_both_wires() -> None:
    """What has come of it is told once, and nothing of it is stored."""
    told: list[Any] = []
    for wire, pieces in zip(WIRES, (3, 9), strict=True):
        half = Reply(message="Sixteen letters, and others.", delay_until="never", delay_after=pieces)
        async with stage(wire, {"Go.": [[call("look", what="nut")], half], "text": SCENES["text"].replies}) as here:
            session, text = Session("s"), ""
            with anyio.fail_after(10):
                async with here.agent.stream("Go.", session=session) as run:
                    while len(text) < 16:
                        event = await anext(run)
                        text += event.text if isinstance(event, TextDelta) else ""
            stored = (await session.store.load("s")).messages
            assert here.leftovers().get("active", []) == []
            told.append((text, without_state(stored), here.whole()))
            assert (await here.say("text", True, session=session)).result[0] == SCENES["text"].output
    assert differences(*told) == []
    assert told[0][0] == "Sixteen letters,"


@streamed_or_not
@pytest.mark.parametrize("kept", ["history", "session"])
async def test_spans_say_which_thread_and_which_run_it_was(kept: str, streamed: bool) -> None:
    """The conversation is the session's, or the thread's where there is none; an answer is known by its run."""
    async with stage("assistants", table("three rounds", "text")) as here:
        await play(here, ["three rounds", "text"], kept, streamed)
        spans = here.spans.get_finished_spans()
        [thread] = here.server.threads
        runs = [run["id"] for run in here.server.runs(thread["id"])]
    chats = [dict(span.attributes or {}) for span in spans if span.name == "chat m"]
    agents = [dict(span.attributes or {}) for span in spans if span.name == "invoke_agent a"]
    assert [told["gen_ai.response.id"] for told in chats] == [runs[0]] * 4 + [runs[1]]
    conversation = "s" if kept == "session" else thread["id"]
    assert {told["gen_ai.conversation.id"] for told in [*chats, *agents]} == {conversation}

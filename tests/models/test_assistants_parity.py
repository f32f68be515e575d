"""The same agent on two wires: what a user sees of a run on `assistants:` is what they see of it on `chat:`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest
from assistants_stage import WIRES, Plain, Stage, Told, anonymous, differences, stage, without_state

from agentkit import Limits, ModelSettings, Session, TextDelta
from agentkit.errors import ContentFiltered, LimitExceeded, RateLimited, Refused, RunTimeout, ServerFailed, Truncated
from agentkit.messages import AssistantMessage, Message, unanswered
from agentkit.testing import Reply, call

pytestmark = pytest.mark.anyio

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One run: what is said, what the model replies turn by turn, and what has to come of it on both wires."""

    replies: list[Any]
    how: Mapping[str, Any] = field(default_factory=dict)
    roles: str = ""
    """Of the messages that the run adds, by their first letters."""
    output: Any = None
    error: type[Exception] | None = None
    after: Mapping[str, list[Any]] = field(default_factory=dict)
    """What the model replies to further prompts, which are the run's own."""


SAYS_AND_CALLS = AssistantMessage(
    text="Let me look.",
    tool_calls=(replace(call("look", what="nut"), id="call_A"), replace(call("add", a=1, b=2), id="call_B")),
)
NOT_JSON = 'Your answer does not fit. Answer again, with JSON of the form {"value": ...} only, and mend this:'
COMPLAINT = f"{NOT_JSON}\n- the answer: Invalid JSON: expected value at line 1 column 1"

NEVER = Reply(message="Never said.", delay_until="never")

SCENES: dict[str, Scene] = {
    "text": Scene(
        replies=["A plain answer, \u00e4\u00f6\u00fc \U0001f600."],
        roles="ua",
        output="A plain answer, \u00e4\u00f6\u00fc \U0001f600.",
    ),
    "three rounds": Scene(
        replies=[[call("look", what="nut")], [call("look", what="bolt")], [call("add", a=1, b=1)], "Two."],
        roles="uatatata",
        output="Two.",
    ),
    "parallel calls": Scene(
        replies=[[call("look", what=str(n)) for n in range(5)] + [call("add", a=2, b=3)], "All there."],
        roles="uatttttta",
        output="All there.",
    ),
    "text before calls": Scene(replies=[SAYS_AND_CALLS, "One and three."], roles="uatta", output="One and three."),
    "a tool says that it failed": Scene(
        replies=[[call("fail", why="rust")], "A pity."], roles="uata", output="A pity."
    ),
    "a tool crashes": Scene(
        replies=[[call("crash"), call("look", what="nut")], "It crashed."], roles="uatta", output="It crashed."
    ),
    "an unknown tool": Scene(replies=[[call("fly", to="Rome")], "I cannot fly."], roles="uata", output="I cannot fly."),
    "bad arguments": Scene(
        replies=[[call("add", a="x"), call("look", what="nut")], [call("add", a=1, b=2)], "Three."],
        roles="uattata",
        output="Three.",
    ),
    "structured output": Scene(
        replies=[[call("add", a=3, b=4)], '{"value": [3, 4]}'], how={"output": list[int]}, roles="uata", output=[3, 4]
    ),
    "structured output at the second attempt": Scene(
        replies=[[call("add", a=3, b=4)], "Three and four."],
        after={COMPLAINT: ['{"value": [3, 4]}']},
        how={"output": list[int]},
        roles="uataua",
        output=[3, 4],
    ),
    "an empty answer": Scene(
        replies=[""],
        after={"Your answer was empty. Answer in words, or call a tool.": ["Sorry."]},
        roles="uaua",
        output="Sorry.",
    ),
    "as many model calls as there may be": Scene(
        replies=[[call("look", what="nut")], [call("look", what="bolt")]],
        how={"limits": Limits(iterations=2)},
        roles="uatat",
        error=LimitExceeded,
    ),
    "as many tokens as there may be": Scene(
        replies=[[call("look", what="nut")], [call("look", what="bolt")], "Not said."],
        how={"limits": Limits(tokens=1)},
        roles="uat",
        error=LimitExceeded,
    ),
    "as many tool calls as there may be": Scene(
        replies=[[call("look", what="nut"), call("look", what="bolt")], "One only."],
        how={"limits": Limits(tool_calls=1)},
        roles="uatta",
        output="One only.",
    ),
    "a tool that takes too long": Scene(
        replies=[[call("wait"), call("look", what="nut")], "Too long."],
        how={"limits": Limits(tool_seconds=0.05)},
        roles="uatta",
        output="Too long.",
    ),
    "settings": Scene(
        replies=["As you like."],
        how={
            "settings": ModelSettings(
                temperature=0.5, top_p=0.9, max_tokens=300, tool_choice="none", parallel_tool_calls=False
            )
        },
        roles="ua",
        output="As you like.",
    ),
    "an answer cut at its length": Scene(
        replies=[Reply(message="It goes on and", finish_reason="length")], roles="ua", output="It goes on and"
    ),
    "an answer of JSON cut at its length": Scene(
        replies=[Reply(message='{"value": [3', finish_reason="length")],
        how={"output": list[int]},
        roles="u",
        error=Truncated,
    ),
    "a refusal": Scene(replies=[AssistantMessage(refusal="I would rather not.")], roles="u", error=Refused),
    "a filter": Scene(
        replies=[Reply(message="Well", finish_reason="content_filter")], roles="u", error=ContentFiltered
    ),
    "a server's failure": Scene(
        replies=[Reply(status=500, headers={"x-should-retry": "false"})], roles="u", error=ServerFailed
    ),
    "too many requests": Scene(
        replies=[Reply(status=429, error="Slow down.", headers={"x-should-retry": "false"})],
        roles="u",
        error=RateLimited,
    ),
    "a failure after a round": Scene(
        replies=[[call("look", what="nut")], Reply(status=500, headers={"x-should-retry": "false"})],
        roles="uat",
        error=ServerFailed,
    ),
    "as much time as there may be": Scene(
        replies=[NEVER], how={"limits": Limits(seconds=0.1)}, roles="u", error=RunTimeout
    ),
}


def table(*names: str) -> dict[str, list[Any]]:
    """The replies to the prompts of scenes, which are their names."""
    told: dict[str, list[Any]] = {}
    for name in names:
        told |= {name: SCENES[name].replies, **SCENES[name].after}
    return told


def check(scene: Scene, told: Told, before: int = 0) -> None:
    """Whether a run came to what the scene says."""
    assert "".join(message.role[0] for message in told.messages[before:]) == scene.roles
    assert told.error[:1] == ((scene.error,) if scene.error else ())
    if scene.error is None:
        assert told.result[0] == scene.output


WELL = [name for name, scene in SCENES.items() if scene.error is None]
BADLY = [name for name, scene in SCENES.items() if scene.error is not None]


@streamed_or_not
@pytest.mark.parametrize("name", SCENES)
async def test_a_run_is_the_same_on_both_wires(name: str, streamed: bool) -> None:
    """Transcript, tool call ids, usage, events, spans, errors with their history, and what the model was asked."""
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
@pytest.mark.parametrize("kept", ["history", "session"])
@pytest.mark.parametrize("name", BADLY)
async def test_a_conversation_goes_on_after_a_run_that_failed(name: str, kept: str, streamed: bool) -> None:
    """What is told is the same. The model hears it otherwise, since a run that has ended takes no results of tools.

    So the server has not seen all ids of calls either, and may give others.
    """
    names = ["text before calls", name, "three rounds", "text"]
    told: list[Any] = []
    for wire in WIRES:
        async with stage(wire, table(*names)) as here:
            told.append((await play(here, names, kept, streamed), here.tree(), Counter(here.tools.ran)))
            assert here.leftovers().get("active", []) == []
    assert differences(anonymous(told[0]), anonymous(told[1])) == []


async def play(here: Stage, names: Sequence[str], kept: str, streamed: bool) -> list[Told]:
    """Scenes one after the other, each going on from what was there before."""
    runs: list[Told] = []
    session, history = Session("s"), tuple[Message, ...]()
    for name in names:
        scene = SCENES[name]
        where: Plain = {"session": session} if kept == "session" else {"history": history}
        runs.append(await here.say(name, streamed, **where, **scene.how))
        check(scene, runs[-1], len(history))
        history = tuple(runs[-1].history)
    assert (await session.store.load("s")).messages == (history if kept == "session" else ())
    return runs


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

"""The scenes of which scripted conversations are made, each with what has to come of it, whatever the wire."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from anyio.lowlevel import current_token
from assistants_stage import Plain, Stage, Told, anonymous, differences, price, stage

from agentkit import Limits, ModelSettings, Session
from agentkit.errors import ContentFiltered, LimitExceeded, RateLimited, Refused, ServerFailed, Truncated
from agentkit.messages import AssistantMessage, Message
from agentkit.testing import Reply, call


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
COMPLAINT = f"{NOT_JSON}\n- the answer is not valid JSON: Expecting value: line 1 column 1 (char 0)"

AMPLE = "as many tokens as it takes" + "." * 3000
"""So long that its tokens, estimated turn by turn and never set right, would exceed the limit; it comes first."""
SCANT = "as many tokens as it does not take"
"""Here the next request, whose tokens are estimated, would exceed the limit."""
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
        replies=[[call("look", what="washer")], [call("look", what="rivet")]],
        how={"limits": Limits(iterations=2)},
        roles="uatat",
        error=LimitExceeded,
    ),
    SCANT: Scene(
        replies=[
            [call("look", what="pin")],
            AssistantMessage(text="Hm. " * 2500, tool_calls=(replace(call("look", what="peg"), id="call_C"),)),
            [call("look", what="cog")],
            "Not said.",
        ],
        how={"limits": Limits(tokens=4000)},
        roles="uatat",
        error=LimitExceeded,
    ),
    AMPLE: Scene(
        replies=[*([call("look", what="nut")] for _ in range(5)), "Just enough."],
        how={"limits": Limits(tokens=100 + sum(price(AMPLE, turn).total_tokens or 0 for turn in range(6)))},
        roles="uatatatatata",
        output="Just enough.",
    ),
    "as many tool calls as there may be": Scene(
        replies=[[call("look", what="nut"), call("look", what="bolt")], "One only."],
        how={"limits": Limits(tool_calls=1)},
        roles="uatta",
        output="One only.",
    ),
    "a tool that takes too long": Scene(
        replies=[[call("wait"), call("wait")], "Too long."],
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
    "a refusal after a round": Scene(
        replies=[[call("look", what="nut")], AssistantMessage(refusal="I would rather not.")],
        roles="uat",
        error=Refused,
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


WELL = [AMPLE, *(name for name, scene in SCENES.items() if scene.error is None and name != AMPLE)]
BADLY = [name for name, scene in SCENES.items() if scene.error is not None]


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


CONVERSATION = [
    "text",
    "text before calls",
    "three rounds",
    "parallel calls",
    "bad arguments",
    "structured output at the second attempt",
    "an answer cut at its length",
    "a server's failure",
    "a refusal after a round",
    "an answer of JSON cut at its length",
    "too many requests",
]
_told: dict[tuple[str, bool], Any] = {}


async def conversation(wire: str, scenes: Sequence[str], quirks: Sequence[str], streamed: bool) -> Any:
    """What the scenes tell, played one after the other; the ids of calls numbered, since some servers repeat them."""
    server: Any = {"quirks": quirks} if quirks else {}
    async with stage(wire, table(*scenes), server=server) as here:
        runs = await play(here, scenes, "history", streamed)
        return anonymous([runs, here.tree(), Counter(here.tools.ran), here.script.turns])


async def same(quirks: Sequence[str], streamed: bool) -> list[str]:
    """What is told otherwise on a server with these quirks than on the Chat wire."""
    key = type(current_token().native_token).__module__, streamed
    if key not in _told:
        _told[key] = await conversation("chat", CONVERSATION, (), streamed)
    return differences(_told[key], await conversation("assistants", CONVERSATION, quirks, streamed))

"""One conversation over an Assistants server that treats it badly: it has to come to what it comes to undisturbed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from anyio.lowlevel import current_token
from assistants_stage import Plain, Stage, Told, anonymous, differences, stage

from agentkit import Limits, ModelSettings
from agentkit.messages import AssistantMessage, Message, ToolCall, UserMessage
from agentkit.testing import AssistantsRequest, Fault, call
from agentkit.testing.assistants.faults import Kind

AT_ONCE = 8
"""Trials at the same time: some of them wait half a second and more."""
STREAMED = {"POST /runs", "POST /submit_tool_outputs"}
LEAST = 2
"""A stream has more events than that, whatever a server leaves out."""


def named(id: str, told: ToolCall) -> ToolCall:
    """The call with an id of its own, where the script and not the server gives it."""
    return replace(told, id=id)


TALK: dict[str, list[Any]] = {
    "Go.": [
        AssistantMessage(
            text="Let me look for it, \u00e4h \U0001f600.",
            tool_calls=(named("call_A", call("look", what="nut")), named("call_B", call("add", a=1, b=2))),
        ),
        [call("look", what="bolt"), call("add", a=3, b=4)],
        "One nut, one bolt, and \u00fcber 7.",
    ],
    "And now?": [
        AssistantMessage(text="Once more.", tool_calls=(named("call_C", call("look", what="screw")),)),
        "That is all there is.",
    ],
}


STOP: dict[str, list[Any]] = {"Stop.": [[call("look", what="washer"), call("add", a=5, b=6)]]}
BEFORE: Sequence[Message] = (
    UserMessage(content="Is anybody there?"),
    AssistantMessage(text="I am."),
)
"""What was said elsewhere, and is told to the thread."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How the conversation goes, and what happens to its requests on their way."""

    faults: Mapping[int, Fault] = field(default_factory=dict)
    """By the number of the request, from 1."""
    quirks: Iterable[str] = ()
    streamed: bool = True
    timeout: float | None = None
    """Seconds of one request."""
    limited: bool = False
    """Whether a third run is ended by a limit, and so at the server."""
    wire: str = "assistants"

    def __str__(self) -> str:
        faults = ", ".join(f"{n}: {fault.kind} {fault.events} {fault.status}" for n, fault in self.faults.items())
        return f"[{faults}] {','.join(self.quirks)} {'streamed' if self.streamed else ''}"

    def meets(self, request: AssistantsRequest) -> Fault | None:
        """What happens to a request."""
        return self.faults.get(request.number)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a conversation came to."""

    runs: list[Told]
    turns: list[tuple[str, int]]
    whole: Plain
    left: Plain
    requests: list[str]
    """Method and path, without ids."""

    def told(self) -> Plain:
        """What has to be the same in all trials."""
        return {"runs": self.runs, "turns": self.turns, "whole": self.whole, "left": self.left}


async def play(trial: Trial) -> Outcome:
    """The conversation, in two runs or three."""
    server: Plain = {} if trial.wire == "chat" else {"quirks": trial.quirks, "on_request": trial.meets}
    settings = ModelSettings(timeout=trial.timeout)
    async with stage(trial.wire, {**TALK, **STOP}, server=server, settings=settings) as here:
        runs, history = [], BEFORE
        for prompt in (*TALK, *(STOP if trial.limited else ())):
            limits = Limits(iterations=1) if prompt in STOP else Limits()
            runs.append(await here.say(prompt, trial.streamed, history=history, limits=limits))
            history = runs[-1].history
        return Outcome(
            runs=runs,
            turns=here.script.turns,
            whole=here.whole(),
            left=_left(here, trial),
            requests=[_kind(request) for request in here.server.requests],
        )


def _kind(request: Any) -> str:
    return f"{getattr(request, 'method', 'POST')} /{request.path.rpartition('/')[2]}"


def _left(here: Stage, trial: Trial) -> Plain:
    """What is left on the server, and whether there are more empty threads than answers with a new one were lost."""
    if trial.wire == "chat":
        return {}
    made = [r.number for r in here.server.requests if (r.method, r.path) == ("POST", "/threads")]
    return {**here.leftovers(), "threads made": len(made) - sum(n in trial.faults for n in made)}


_undisturbed: dict[tuple[Any, ...], Outcome] = {}


async def undisturbed(trial: Trial = Trial()) -> Outcome:
    """What a conversation comes to when nothing is in its way; found out once for each event loop."""
    loop = type(current_token().native_token).__module__
    key = loop, trial.streamed, frozenset(trial.quirks), trial.limited, trial.wire
    if key not in _undisturbed:
        _undisturbed[key] = await play(replace(trial, faults={}))
    return _undisturbed[key]


def plain(trial: Trial) -> Trial:
    """The same conversation on a server without faults and quirks."""
    return replace(trial, faults={}, quirks=())


async def tried(trial: Trial) -> tuple[list[str], list[str]]:
    """What has come out otherwise than undisturbed, and which requests there were."""
    wanted = (await undisturbed(plain(trial))).told()
    try:
        with anyio.fail_after(30):
            outcome = await play(trial)
    except Exception as error:
        return [f"{trial}: {error!r}"], []
    told = outcome.told()
    if "repeated_call_ids" in trial.quirks:
        wanted, told = anonymous(wanted), anonymous(told)
    return [f"{trial}: {each}" for each in differences(wanted, told)], outcome.requests


async def wrong(trials: Sequence[Trial]) -> list[str]:
    """What has come out otherwise in any of these trials, of which several go on at once."""
    found: list[str] = []
    limit = anyio.Semaphore(AT_ONCE)

    async def one(trial: Trial) -> None:
        async with limit:
            found.extend((await tried(trial))[0])

    for trial in trials:
        await undisturbed(plain(trial))
    async with anyio.create_task_group() as group:
        for trial in trials:
            group.start_soon(one, trial)
    return found


async def wrong_in_cuts(trial: Trial, kind: Kind, first: int = 0, step: int = 1) -> list[str]:
    """What has come out otherwise where a stream is broken off after 0, 1, 2 ... events, each stream in its turn.

    A stream is through when it was broken off so late that nothing more had to be asked.
    """
    found: list[str] = []
    whole = (await undisturbed(trial)).requests
    numbers = [n for n, path in enumerate(whole, 1) if path in STREAMED]

    async def one(number: int) -> None:
        for events in range(first, 99, step):
            faults = {number: Fault(kind, events=events, reset=bool(events % 2))}
            problems, requests = await tried(replace(trial, faults=faults))
            found.extend(problems)
            if not problems and requests == whole:
                assert events > LEAST, f"{trial}: request {number} was broken off after {events} events, and whole"
                return
        raise AssertionError(f"{trial}: request {number} is never whole")

    await undisturbed(plain(trial))
    async with anyio.create_task_group() as group:
        for number in numbers:
            group.start_soon(one, number)
    assert len(numbers) == 5
    return found

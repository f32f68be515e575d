"""One conversation over an Assistants server that treats it badly: it has to come to what it comes to undisturbed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from anyio.lowlevel import current_token
from assistants_stage import Plain, Stage, Told, anonymous, differences, stage

from agentkit import ModelSettings
from agentkit.messages import AssistantMessage, ToolCall
from agentkit.testing import AssistantsRequest, Fault, call
from agentkit.testing.assistants.faults import Kind

AT_ONCE = 8
"""Trials at the same time: some of them wait half a second and more."""
STREAMED = {"POST /runs", "POST /submit_tool_outputs"}
LEAST = 5
"""A stream has more events than that."""


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


@dataclass(frozen=True, kw_only=True)
class Trial:
    """How the conversation goes, and what happens to its requests on their way."""

    faults: Mapping[int, Fault] = field(default_factory=dict)
    """By the number of the request, from 1."""
    quirks: Iterable[str] = ()
    streamed: bool = True
    timeout: float | None = None
    """Seconds of one request."""

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
    """The conversation, in two runs."""
    server: Plain = {"quirks": trial.quirks, "on_request": trial.meets}
    settings = ModelSettings(timeout=trial.timeout)
    async with stage("assistants", TALK, server=server, settings=settings) as here:
        runs, history = [], ()
        for prompt in TALK:
            runs.append(await here.say(prompt, trial.streamed, history=history))
            history = runs[-1].history
        return Outcome(
            runs=runs,
            turns=here.script.turns,
            whole=here.whole(),
            left=_left(here, trial),
            requests=[f"{r.method} /{r.path.rpartition('/')[2]}" for r in here.server.requests],
        )


def _left(here: Stage, trial: Trial) -> Plain:
    """What is left on the server, and whether there are more empty threads than answers with a new one were lost."""
    made = [r.number for r in here.server.requests if (r.method, r.path) == ("POST", "/threads")]
    return {**here.leftovers(), "threads made": len(made) - sum(n in trial.faults for n in made)}


_undisturbed: dict[tuple[str, bool, frozenset[str]], Outcome] = {}


async def undisturbed(streamed: bool = True, quirks: Iterable[str] = ()) -> Outcome:
    """What the conversation comes to when nothing is in its way; found out once for each event loop."""
    key = type(current_token().native_token).__module__, streamed, frozenset(quirks)
    if key not in _undisturbed:
        _undisturbed[key] = await play(Trial(streamed=streamed, quirks=quirks))
    return _undisturbed[key]


async def tried(trial: Trial) -> tuple[list[str], list[str]]:
    """What has come out otherwise than undisturbed, and which requests there were."""
    wanted = (await undisturbed(trial.streamed)).told()
    try:
        with anyio.fail_after(30):
            outcome = await play(trial)
    except Exception as error:
        return [f"{trial}: {error!r}"], []
    told = outcome.told()
    if "repeated_call_ids" in trial.quirks:
        wanted, told = anonymous(wanted), anonymous(told)
    return [f"{trial}: {each}" for each in differences(wanted, told)], outcome.requests


async def wrong(trials: Iterable[Trial]) -> list[str]:
    """What has come out otherwise in any of these trials, of which several go on at once."""
    found: list[str] = []
    limit = anyio.Semaphore(AT_ONCE)

    async def one(trial: Trial) -> None:
        async with limit:
            found.extend((await tried(trial))[0])

    for streamed in (False, True):
        await undisturbed(streamed)
    async with anyio.create_task_group() as group:
        for trial in trials:
            group.start_soon(one, trial)
    return found


async def wrong_in_cuts(trial: Trial, kind: Kind, first: int = 0, step: int = 1) -> list[str]:
    """What has come out otherwise where a stream is broken off after 0, 1, 2 ... events, each stream in its turn.

    A stream is through when it was broken off so late that nothing more had to be asked.
    """
    found: list[str] = []
    plain = (await undisturbed(trial.streamed, trial.quirks)).requests
    numbers = [n for n, path in enumerate(plain, 1) if path in STREAMED]

    async def one(number: int) -> None:
        for events in range(first, 99, step):
            faults = {number: Fault(kind, events=events, reset=bool(events % 2))}
            problems, requests = await tried(replace(trial, faults=faults))
            found.extend(problems)
            if not problems and requests == plain:
                assert events > LEAST, f"{trial}: request {number} was broken off after {events} events, and whole"
                return
        raise AssertionError(f"{trial}: request {number} is never whole")

    await undisturbed(trial.streamed)
    async with anyio.create_task_group() as group:
        for number in numbers:
            group.start_soon(one, number)
    assert len(numbers) == 5
    return found

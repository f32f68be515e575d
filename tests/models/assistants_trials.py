"""One conversation over an Assistants server that treats it badly: it has to come to what it comes to undisturbed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from assistants_stage import Plain, Stage, Told, anonymous, differences, stage

from agentkit import ModelSettings
from agentkit.messages import AssistantMessage, ToolCall
from agentkit.models.assistants import AssistantsBackend
from agentkit.testing import AssistantsRequest, Fault, call

AT_ONCE = 8
"""Trials at the same time: some of them wait half a second and more."""


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
    alike: bool = True
    """Whether ids of tool calls are those of the script."""
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
    return {**here.leftovers(), "unwanted": len(here.server.threads) > len(made), "made": len(made) - sum(n in trial.faults for n in made)}


async def wrong_in(trial: Trial, undisturbed: Outcome) -> list[str]:
    """What has come out otherwise than undisturbed."""
    try:
        with anyio.fail_after(30):
            outcome = await play(trial)
    except Exception as error:
        return [f"{trial}: {error!r}"]
    whole = (undisturbed.told(), outcome.told())
    told = differences(*whole) if trial.alike else differences(*map(anonymous, whole))
    return [f"{trial}: {each}" for each in told]


async def wrong(trials: Sequence[Trial], undisturbed: Outcome) -> list[str]:
    """What has come out otherwise in any of these trials, of which several go on at once."""
    found: list[str] = []
    limit = anyio.Semaphore(AT_ONCE)

    async def one(trial: Trial) -> None:
        async with limit:
            found.extend(await wrong_in(trial, undisturbed))

    async with anyio.create_task_group() as group:
        for trial in trials:
            group.start_soon(one, trial)
    return found

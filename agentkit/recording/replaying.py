"""Runs that are played back from a recording: no model is asked, no tool is called, nothing is stored."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import anyio
import anyio.lowlevel

from agentkit.agent import Agent
from agentkit.approval import Asked
from agentkit.budget import Budget, Spent
from agentkit.errors import ConfigError, ReplayDiverged, RunTimeout, said
from agentkit.events import Emit, Out, RunResult, to_no_one
from agentkit.messages import AssistantMessage, Message, Usage, UserMessage
from agentkit.models.base import (
    ModelInfo,
    ModelRequest,
    ModelResponse,
    OnDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from agentkit.sessions import Session
from agentkit.steps import Beginning
from agentkit.stream import RunStream

from .described import Describer, read, rebuilt
from .differing import NOTHING, difference
from .recorder import Recording, Step, outcome, read_recording

T = TypeVar("T")

_COUNTED = ("iterations", "tool_calls", "calls", "tokens", "input_tokens", "output_tokens", "cost")
_KINDS = {"tokens": "total", "input_tokens": "input", "output_tokens": "output"}
_STOPPED_SECONDS = 5.0
"""How long a step that was cancelled may wait for what cancelled it."""


class Replay:
    """Gives the results of a recording to a run: `agent.run(..., steps=Replay("run.jsonl"))`.

    What goes into each step is compared with what went in then; the first difference ends the run with
    `ReplayDiverged`. Results that were secret are `***`, since the recording does not have them.
    """

    def __init__(self, recording: str | Path | Recording) -> None:
        self.recording = recording if isinstance(recording, Recording) else read_recording(recording)
        self._steps = {step.number: step for step in self.recording.steps}
        self._last = max(self._steps, default=0)
        self._drawn = 0
        self._describer = Describer()
        self._emit: Emit = to_no_one
        self._budget: Budget | None = None
        self._diverged: ReplayDiverged | None = None

    async def follow(self, run: Beginning, work: Callable[[], Awaitable[T]]) -> T:
        """See `FollowsRuns`.

        Raises:
            ReplayDiverged: the run does something else than the recorded one.
            ConfigError: this has replayed a run before.
        """
        if self._drawn or self._budget is not None:
            raise ConfigError("a Replay replays one run; make another one of the same recording")
        self._describer.knows(run.tools)
        self._emit, self._budget = run.emit, run.budget
        try:
            came_to = await work()
        except ReplayDiverged:
            raise
        except Exception as error:
            self._require_end(f"{type(error).__name__}: {said(error)}", error)
            self._require_outcome(error)
            raise
        if self._diverged is not None:
            raise self._diverged
        self._require_end("the end of the run")
        self._require_outcome(came_to)
        return came_to

    def reserve(self, name: str, kind: type[T]) -> Callable[[Callable[[], Awaitable[T]]], Awaitable[T]]:
        """See `Steps`."""
        self._drawn += 1
        step = self._steps.get(self._drawn)
        called = f"step {self._drawn} ({name})"

        async def run(work: Callable[[], Awaitable[T]]) -> T:
            await anyio.lowlevel.checkpoint()
            if step is None or step.name != name:
                self._diverge(called, "name", self._missing(step), name)
            now = self._describer.given(getattr(work, "given", None))
            if found := difference(dict(step.given), now):
                self._diverge(called, *found)
            return await self._came_to(step, kind)

        return run

    async def _came_to(self, step: Step, kind: type[T]) -> T:
        if step.cancelled:
            await self._stopped(step)
        if step.error is not None:
            raise rebuilt(step.error)
        try:
            result: T = read(kind, step.result)
        except ValueError as error:
            raise ConfigError(f"{self.recording.path!r}, {step.called}: the result cannot be read: {error}") from None
        if step.spent is not None:
            self._spend(step.spent)
        if isinstance(result, ModelResponse) and self._emit is not to_no_one:
            await _tell(result.message, self._emit)
        return result

    async def _stopped(self, step: Step) -> NoReturn:
        """End a step that was cancelled: by the run's time limit, by another step, or from outside."""
        end = self.recording.end or {}
        out_of_time = f"{RunTimeout.__module__}:{RunTimeout.__qualname__}"
        if end.get("stopped_by") == "seconds" or (end.get("error") or {}).get("class") == out_of_time:
            limit = self._budget.limits.seconds if self._budget else None
            raise RunTimeout("seconds", limit or 0)
        if end.get("end") != "cancelled":
            with anyio.move_on_after(_STOPPED_SECONDS):
                await anyio.sleep_forever()  # the other step, which is replayed too, cancels this one
        self._diverge(step.called, "result", f"{NOTHING}: the run was cancelled", "the run goes on")

    def _spend(self, spent: Any) -> None:
        """What runs within a step have spent is spent again."""
        if self._budget is not None:
            usage, rest = Usage(**spent["usage"]), {name: spent[name] for name in _COUNTED if name in spent}
            told = {name: getattr(usage, f"{kind}_tokens") or 0 for name, kind in _KINDS.items()}  # in older recordings
            self._budget.add(Spent(usage=usage, **{**told, **rest}), tuple(spent.get("learnt", self._budget.learnt)))

    def _missing(self, step: Step | None) -> str:
        if step is not None:
            return step.name
        if self._drawn > self._last and self.recording.end is not None:
            return "the end of the run"
        return f"{NOTHING}: the recording breaks off before this step has ended"

    def _require_end(self, now: str, error: BaseException | None = None) -> None:
        """Make sure that all that was recorded has been replayed."""
        if self._drawn < self._last:
            left = self._steps[min(number for number in self._steps if number > self._drawn)]
            raise ReplayDiverged(left.called, "name", left.name, now) from error

    def _require_outcome(self, came_to: object) -> None:
        """Make sure that the run comes to what it came to then."""
        recorded, now = self.recording.end, outcome(self._describer, came_to)
        if recorded is None or recorded["end"] == "cancelled":
            return
        for name in ("end", "stopped_by", "output", "error"):
            if found := difference(_words(recorded.get(name)), _words(now.get(name)), name):
                raise ReplayDiverged("the end", *found) from (came_to if isinstance(came_to, Exception) else None)

    def _diverge(self, step: str, field: str, recorded: str, now: str) -> NoReturn:
        """The first difference; whatever the run still tries to do after it gets the same answer."""
        if self._diverged is None:
            self._diverged = ReplayDiverged(step, field, recorded, now)
        raise self._diverged


async def replay(agent: Agent[Out], recording: str | Path | Recording, *, deps: Any = None) -> RunResult[Out]:
    """Run an agent as it was recorded; its model, tools, session and journal are left alone.

    Args:
        agent: The agent that was recorded, or what has become of it.
        recording: The file that a `Recorder` wrote.
        deps: For what the agent asks of its context besides tools: `enabled=`.

    Raises:
        ReplayDiverged: the agent does something else now; this says in which step, and in which field.
        ConfigError: the file is no recording, or one of a run that was resumed.
        AgentError: what ended the recorded run.
    """
    given: object = agent
    if not isinstance(given, Agent):
        raise ConfigError(f"replay was given {type(given).__name__}: write replay(agent, recording)")
    playback: Playback[Out] = Playback[Out].of(agent, recording)
    return await playback.run(deps=deps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Playback(Generic[Out]):
    """An agent that is ready to run as it was recorded, once."""

    agent: Agent[Out]
    """The agent, with a stand-in for its model."""
    prompt: UserMessage | None
    history: tuple[Message, ...]
    session: Session | None
    """One that holds nothing, where there was one."""
    steps: Replay
    approve: Asked | None

    @classmethod
    def of(cls, agent: Agent[Out], recording: str | Path | Recording) -> "Playback[Out]":
        """See `replay`.

        Raises:
            ConfigError: the file is no recording, or one of a run that was resumed.
        """
        steps = Replay(recording)
        run, path = steps.recording.run, steps.recording.path
        names = {step.name for step in steps.recording.steps}
        if "resume" in names:
            raise ConfigError(f"{path!r} is of a resumed run; give steps=Replay({path!r}) to Agent.resume")
        try:
            info = read(ModelInfo, run["model"])
            prompt = None if run["prompt"] is None else read(UserMessage, run["prompt"])
            history = read(tuple[Message, ...], run["history"])
        except (KeyError, ValueError) as error:
            raise ConfigError(f"the recording {path!r} is damaged in its first line: {error}") from None
        return cls(
            agent=replace(agent, model=(_HoldingStandIn if "release" in names else _StandIn)(info)),
            prompt=prompt,
            history=history,
            session=Session("replay") if run.get("session") else None,
            steps=steps,
            approve="pause" if "gate" in names else None,
        )

    async def run(self, *, deps: Any = None) -> RunResult[Out]:
        """Run to the end; see `replay`."""
        return await self.agent.run(
            self.prompt,
            deps=deps,
            session=self.session,
            history=self.history,
            steps=self.steps,
            approve=self.approve,
        )

    def stream(self, *, deps: Any = None) -> AbstractAsyncContextManager[RunStream[Out]]:
        """Run while watching; see `Agent.stream`."""
        return self.agent.stream(
            self.prompt,
            deps=deps,
            session=self.session,
            history=self.history,
            steps=self.steps,
            approve=self.approve,
        )


def _words(value: Any) -> Any:
    """What can be compared of an outcome: of an error its class and its message."""
    return (
        {name: value.get(name) for name in ("class", "message")}
        if isinstance(value, dict) and "class" in value
        else value
    )


@dataclass(frozen=True, slots=True)
class _StandIn:
    """In place of a model that is not to be asked."""

    info: ModelInfo

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Never called: in a replay, the recording answers."""
        raise ConfigError("a model was asked in a replay")


class _HoldingStandIn(_StandIn):
    """In place of one whose server holds answers."""

    async def release(self, answer: AssistantMessage) -> Usage:
        """Never called, as `generate`."""
        raise ConfigError("a model's server was spoken to in a replay")


async def _tell(message: AssistantMessage, emit: Emit) -> None:
    """An answer in pieces, as if it had been streamed."""
    if message.reasoning:
        await emit(ReasoningDelta(text=message.reasoning))
    for word in re.findall(r"\s*\S+\s*", message.text):
        await emit(TextDelta(text=word))
    for index, call in enumerate(message.tool_calls):
        await emit(ToolCallDelta(index=index, name=call.name, arguments=call.arguments, id=call.id))

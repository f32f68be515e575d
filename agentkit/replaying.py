"""Runs that are played back from a recording: no model is asked, no tool is called, nothing is stored."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import anyio
import anyio.lowlevel

from .agent import Agent
from .described import Describer, read, rebuilt
from .differing import NOTHING, difference
from .errors import ConfigError, ReplayDiverged, said
from .events import Emit, Out, RunResult, to_no_one
from .limits import Budget
from .messages import AssistantMessage, Message, Usage, UserMessage
from .models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta, ReasoningDelta, TextDelta, ToolCallDelta
from .recording import Recording, Step, read_recording
from .sessions import Session
from .steps import Beginning
from .stream import RunStream

T = TypeVar("T")

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
            self._require_end(said(error), error)
            raise
        if self._diverged is not None:
            raise self._diverged
        self._require_end("the run has ended")
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
            with anyio.move_on_after(_STOPPED_SECONDS):
                await anyio.sleep_forever()  # what cancelled it then does so again, if it was another step
            self._diverge(step.called, "result", f"{NOTHING}: the run was cancelled", "the run goes on")
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

    def _spend(self, spent: Any) -> None:
        """What runs within a step have spent is spent again."""
        if self._budget is not None:
            self._budget.spend(Usage(**spent["usage"]), cost=spent["cost"])
            self._budget.iterations += spent["iterations"]
            self._budget.tool_calls += spent["tool_calls"]

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
        ReplayDiverged: the agent does something else now; this says which step, and which field.
        ConfigError: the file is no recording.
        AgentError: what ended the recorded run.
    """
    rerun = _Rerun.of(agent, recording)
    return await rerun.agent.run(
        rerun.prompt, deps=deps, session=rerun.session, history=rerun.history, steps=rerun.steps
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rerun: ...

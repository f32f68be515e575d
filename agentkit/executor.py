"""The tool calls of an answer -> their results, in order.

One call is `caller.py`'s business. Here they become steps, run at the same time or one by one, and are settled.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TypeAlias

import anyio
import anyio.lowlevel

from .approval import Taint, pause_of
from .caller import INTERRUPTED, Caller, Pending
from .cancellation import cancellations, end_if_cancelled
from .events import ApprovalNeeded, ToolFinished, ToolStarted
from .messages import Message, ToolCall, ToolResult
from .paused import Approved, Pause, Waiting
from .registry import ToolRegistry
from .resuming import Resumption, edited
from .steps import Steps, Work

_Step: TypeAlias = Callable[[Callable[[], Awaitable[ToolResult]]], Awaitable[ToolResult]]

NOT_RUN = "not run: the run ended before this call began"


@dataclass(kw_only=True, slots=True)
class Executor:
    """Runs the tool calls of one run."""

    tools: ToolRegistry
    """All tools of the agent; `caller` has those that the run may use now."""
    caller: Caller
    steps: Steps
    waiting: tuple[Waiting, ...] = ()
    """The calls of the last answer that wait for somebody; the run pauses then."""
    resumes: Resumption | None = None
    """What somebody has said to the calls that waited, where the run goes on after a pause; used up by `execute`."""
    _pending: list[Pending] = field(default_factory=list)
    """The calls being run, in the order of the answer."""

    async def offer(self, messages: Sequence[Message]) -> None:
        """Find out which tools the run may use now."""
        caller = self.caller
        if not self.tools.is_fixed:
            caller.tools = await self.tools.offered(caller.asking, messages)

    def take_over(self, agent: str, tools: ToolRegistry, taint: Taint) -> None:
        """Go on for another agent."""
        self.tools = self.caller.tools = tools
        self.caller.agent, self.caller.taint = agent, taint

    async def execute(self, calls: Sequence[ToolCall], seconds: float | None = None) -> list[ToolResult]:
        """All calls at the same time, all within these seconds; their results in the order of the calls.

        A tool that is declared sequential runs alone: after the calls before it, and before those after it. In a run
        that pauses, the calls that need somebody have no result yet, and are in `waiting`.

        What goes wrong in a tool is its result. Only what must end the run is raised (KeyboardInterrupt, SystemExit,
        what a tool is declared to raise), bare, once all other calls are cancelled and have ended.
        """
        self.caller.ends = None if seconds is None else anyio.current_time() + seconds
        resumes, self.resumes = self.resumes, None
        self._pending = [self._prepared(place, call, resumes) for place, call in enumerate(calls)]
        running = await self._without_waiting(resumes)
        drawn = [(pending, self.steps.reserve(f"tool:{pending.call.name}", ToolResult)) for pending in running]
        if len(drawn) == 1:
            await self._watched_alone(*drawn[0])
        else:
            for group in self._in_turn(drawn):
                await self._watched_together(group)
        waiting = {each.call_id for each in self.waiting}
        return [result for result in self.settle(calls) if result.call_id not in waiting]

    def _prepared(self, place: int, call: ToolCall, resumes: Resumption | None) -> Pending:
        """A call before it is run: whether it may, and what somebody has said to it in a pause."""
        if resumes is None or call.id not in resumes.waiting:
            return Pending(call=call, denial=self._denial(place, call.name))
        answer = resumes.answers.get(call.id)  # the call was counted when it was asked for
        if not isinstance(answer, Approved) or answer.arguments is None:
            return Pending(call=call, answer=answer)
        call, note = edited(self.caller.tools.by_name.get(call.name), call, answer)
        return Pending(call=call, answer=answer, note=note)

    async def _without_waiting(self, resumes: Resumption | None) -> list[Pending]:
        """The calls that can be run now, in a run that pauses for the others."""
        self.waiting = ()
        pause = pause_of(self.caller.approve)
        if pause is None:
            return self._pending
        step = self.steps.reserve("gate", tuple[Waiting, ...])  # so that a replay knows, without asking anybody
        self.waiting = await step(partial(self._gate, pause, resumes))
        waiting = {each.call_id: each.kind for each in self.waiting}
        for pending in self._pending:
            is_new = resumes is None or pending.call.id not in resumes.waiting
            if is_new and waiting.get(pending.call.id) == "approval":
                await self.caller.emit(ApprovalNeeded(call=pending.call))
        return [pending for pending in self._pending if pending.call.id not in waiting]

    async def _gate(self, pause: Pause, resumes: Resumption | None) -> tuple[Waiting, ...]:
        """What the calls wait for that do; one that shares its id with another cannot, since an answer goes by that."""
        ids = Counter(pending.call.id for pending in self._pending)
        waiting = list[Waiting]()
        for pending in self._pending:
            if pending.answer is None and ids[pending.call.id] == 1:
                before = resumes.waiting.get(pending.call.id) if resumes else None
                found = before or await self.caller.waits(pending, pause)
                waiting += [found] if found else []
        return tuple(waiting)

    def _in_turn(self, drawn: Sequence[tuple[Pending, _Step]]) -> Iterator[list[tuple[Pending, _Step]]]:
        """What may run at the same time, group after group."""
        for alone, group in groupby(drawn, lambda each: self._is_sequential(each[0].call.name)):
            if alone:
                yield from ([each] for each in group)
            else:
                yield list(group)

    def _is_sequential(self, name: str) -> bool:
        return name in self.caller.tools and self.caller.tools[name].policy.sequential

    async def _watched_alone(self, pending: Pending, step: _Step) -> None:
        """Without a task of its own, which would cost more than all else that is done here."""
        before = cancellations()
        await self._watched(pending, step)
        await end_if_cancelled(before)  # a task group sees to that itself

    async def _watched_together(self, drawn: Sequence[tuple[Pending, _Step]]) -> None:
        fatal: list[BaseException] = []
        turn = anyio.Semaphore(self.caller.budget.limits.tool_concurrency, fast_acquire=True)

        async def run(pending: Pending, step: _Step) -> None:
            try:
                async with turn:
                    await anyio.lowlevel.checkpoint_if_cancelled()  # on asyncio a turn may come with a cancellation
                    await self._watched(pending, step)
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # kept: a task group would wrap it, and it would stop asyncio's loop
                fatal.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for each in drawn:
                group.start_soon(run, *each)
        if fatal:
            raise fatal[0]

    async def _watched(self, pending: Pending, step: _Step) -> None:
        caller = self.caller
        await caller.emit(ToolStarted(call=pending.call))
        began = anyio.current_time()
        result = pending.result = await step(Work(pending.call, lambda: caller.run(pending)))
        seconds = anyio.current_time() - began
        await caller.emit(ToolFinished(call=pending.call, result=result, seconds=seconds))

    def settle(self, calls: Sequence[ToolCall], why: str = NOT_RUN) -> list[ToolResult]:
        """A result for each call, also for those that a cancelled run has left without one; then they are forgotten."""
        pending = self._pending or [Pending(call=call) for call in calls]
        self._pending = []
        return [each.result or _unfinished(each, why) for each in pending]

    def _denial(self, place: int, name: str) -> str | None:
        """Why the call at this place of an answer may not run. Asked in order, so that the first ones run."""
        limit = self.caller.budget.limits.calls_per_iteration
        if place >= limit:
            return f"not run: one answer may call at most {limit} tools"
        return self.caller.denial(name)


def _unfinished(pending: Pending, why: str) -> ToolResult:
    note = INTERRUPTED if pending.begun else why
    return ToolResult(call_id=pending.call.id, name=pending.call.name, content=note, is_error=True)

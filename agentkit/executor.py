"""The tool calls of an answer -> their results, in order.

One call is `caller.py`'s business. Here they become steps, run at the same time or one by one, and are settled.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

import anyio

from .caller import INTERRUPTED, Caller, Pending
from .events import ToolFinished, ToolStarted
from .messages import Message, ToolCall, ToolResult
from .registry import ToolRegistry
from .steps import Steps

_Step: TypeAlias = Callable[[Callable[[], Awaitable[ToolResult]]], Awaitable[ToolResult]]

NOT_RUN = "not run: the run ended before this call began"


@dataclass(kw_only=True, slots=True)
class Executor:
    """Runs the tool calls of one run."""

    tools: ToolRegistry
    """All tools of the agent; `caller` has those that the run may use now."""
    caller: Caller
    steps: Steps
    _pending: list[Pending] = field(default_factory=list)
    """The calls being run, in the order of the answer."""

    async def offer(self, messages: Sequence[Message]) -> None:
        """Find out which tools the run may use now."""
        caller = self.caller
        if not self.tools.is_fixed:
            caller.tools = await self.tools.offered(caller.asking, messages)

    async def execute(self, calls: Sequence[ToolCall], seconds: float | None = None) -> list[ToolResult]:
        """All calls at the same time, all within these seconds; their results in the order of the calls.

        A tool that is declared sequential runs alone: after the calls before it, and before those after it.

        What goes wrong in a tool is its result. Only what must end the run is raised (KeyboardInterrupt, SystemExit),
        bare, once all other calls are cancelled and have ended.
        """
        self.caller.ends = None if seconds is None else anyio.current_time() + seconds
        self._pending = [Pending(call=call, denial=self._denial(place)) for place, call in enumerate(calls)]
        drawn = [(pending, self.steps.reserve(f"tool:{pending.call.name}", ToolResult)) for pending in self._pending]
        if len(drawn) == 1:
            await self._watched(*drawn[0])  # a task of its own would cost more than all else that is done here
        else:
            for group in self._in_turn(drawn):
                await self._watched_together(group)
        return self.settle(calls)

    def _in_turn(self, drawn: Sequence[tuple[Pending, _Step]]) -> Iterator[list[tuple[Pending, _Step]]]:
        """What may run at the same time, group after group."""
        for alone, group in groupby(drawn, lambda each: self._is_sequential(each[0].call.name)):
            if alone:
                yield from ([each] for each in group)
            else:
                yield list(group)

    def _is_sequential(self, name: str) -> bool:
        return name in self.caller.tools and self.caller.tools[name].policy.sequential

    async def _watched_together(self, drawn: Sequence[tuple[Pending, _Step]]) -> None:
        fatal: list[BaseException] = []
        turn = anyio.Semaphore(self.caller.budget.limits.tool_concurrency, fast_acquire=True)

        async def run(pending: Pending, step: _Step) -> None:
            try:
                async with turn:
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
        result = pending.result = await step(lambda: caller.run(pending))
        seconds = anyio.current_time() - began
        await caller.emit(ToolFinished(call=pending.call, result=result, seconds=seconds))

    def settle(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """A result for each call, also for those that a cancelled run has left without one; then they are forgotten."""
        pending = self._pending or [Pending(call=call) for call in calls]
        self._pending = []
        return [each.result or _unfinished(each) for each in pending]

    def _denial(self, place: int) -> str | None:
        """Why the call at this place of an answer may not run. Asked in order, so that the first ones run."""
        limit = self.caller.budget.limits.calls_per_iteration
        if place >= limit:
            return f"not run: one answer may call at most {limit} tools"
        return self.caller.denial()


def _unfinished(pending: Pending) -> ToolResult:
    note = INTERRUPTED if pending.begun else NOT_RUN
    return ToolResult(call_id=pending.call.id, name=pending.call.name, content=note, is_error=True)

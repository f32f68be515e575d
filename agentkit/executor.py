"""Tool calls -> tool results.

Four peels, each of which adds one thing: `execute` all calls of an answer at once, `_watched` a step and its events,
`_caught` a span and errors as words for the model, `_timed` a deadline; inside them all, the tool.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio

from .cancellation import is_cancelled
from .context import Context
from .errors import InvalidArguments, ToolDenied, ToolError, ToolTimeout, said
from .events import Emit, ToolFinished, ToolStarted
from .invoke import is_async
from .limits import Budget
from .messages import ToolCall, ToolResult
from .registry import ToolRegistry
from .results import shorten, to_text
from .steps import Steps
from .telemetry import Telemetry

_ERROR_CHARS = 500
_Step: TypeAlias = Callable[[Callable[[], Awaitable[ToolResult]]], Awaitable[ToolResult]]

INTERRUPTED = "interrupted: the run ended while this call was going on; it may or may not have taken effect"
NOT_RUN = "not run: the run ended before this call began"


@dataclass(kw_only=True, slots=True)
class Executor:
    """Runs the tool calls of one run."""

    tools: ToolRegistry
    deps: Any
    run_id: str
    agent: str
    budget: Budget
    steps: Steps
    telemetry: Telemetry
    emit: Emit
    _results: dict[int, ToolResult] = field(default_factory=dict)
    """The results of the calls being run that have one, by their place in the answer."""
    _begun: set[int] = field(default_factory=set)
    """The places of the calls whose tools have been called."""
    _ends: float | None = None
    """When the calls being run have to be done, whatever their tools declare, by the event loop's clock."""

    async def execute(self, calls: Sequence[ToolCall], seconds: float | None = None) -> list[ToolResult]:
        """All calls at the same time, all within these seconds; their results in the order of the calls.

        What goes wrong in a tool is its result. Only what must end the run is raised (KeyboardInterrupt, SystemExit),
        bare, once all other calls are cancelled and have ended.
        """
        self._ends = None if seconds is None else anyio.current_time() + seconds
        drawn = [
            (place, call, self.steps.reserve(f"tool:{call.name}", ToolResult), self._denial(place))
            for place, call in enumerate(calls)
        ]
        if len(drawn) == 1:
            await self._watched(*drawn[0])  # a task of its own would cost more than all else that is done here
        else:
            await self._watched_together(drawn)
        return self.settle(calls)

    async def _watched_together(self, drawn: Sequence[tuple[int, ToolCall, _Step, str | None]]) -> None:
        fatal: list[BaseException] = []
        turn = anyio.Semaphore(self.budget.limits.tool_concurrency, fast_acquire=True)

        async def run(place: int, call: ToolCall, step: _Step, denial: str | None) -> None:
            try:
                async with turn:
                    await self._watched(place, call, step, denial)
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

    def settle(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """A result for each call, also for those that a cancelled run has left without one; then they are forgotten."""
        results = [self._results.get(place) or self._unfinished(place, call) for place, call in enumerate(calls)]
        self._results.clear()
        self._begun.clear()
        return results

    def _unfinished(self, place: int, call: ToolCall) -> ToolResult:
        note = INTERRUPTED if place in self._begun else NOT_RUN
        return ToolResult(call_id=call.id, name=call.name, content=note, is_error=True)

    def _denial(self, place: int) -> str | None:
        """Why the call at this place of an answer may not run. Asked in order, so that the first ones run."""
        limits = self.budget.limits
        if place >= limits.calls_per_iteration:
            return f"not run: one answer may call at most {limits.calls_per_iteration} tools"
        if not self.budget.take_tool_call():
            return f"not run: this run may call at most {limits.tool_calls} tools; answer with what you have"
        return None

    async def _watched(self, place: int, call: ToolCall, step: _Step, denial: str | None) -> None:
        await self.emit(ToolStarted(call=call))
        began = anyio.current_time()
        result = self._results[place] = await step(lambda: self._caught(place, call, denial))
        await self.emit(ToolFinished(call=call, result=result, seconds=anyio.current_time() - began))

    async def _caught(self, place: int, call: ToolCall, denial: str | None) -> ToolResult:
        limit = self.budget.limits.result_chars
        description = self.tools[call.name].description if call.name in self.tools else ""
        with self.telemetry.tool(self.agent, call, description) as span:
            try:
                if denial:
                    raise ToolDenied(denial)
                content = to_text(await self._timed(place, call), limit=limit)
            except BaseException as error:
                if not _is_for_the_model(error):
                    raise
                span.failed(error)
                return ToolResult(call_id=call.id, name=call.name, content=shorten(_words(error), limit), is_error=True)
        return ToolResult(call_id=call.id, name=call.name, content=content)

    async def _timed(self, place: int, call: ToolCall) -> object:
        tool = self.tools[call.name]
        if len(call.arguments) > self.budget.limits.argument_chars:
            raise InvalidArguments(f"the arguments are longer than {self.budget.limits.argument_chars} characters")
        context = Context(deps=self.deps, run_id=self.run_id, call_id=call.id, tool=call.name, agent=self.agent)
        left = None if self._ends is None else max(0.0, self._ends - anyio.current_time())
        limits = (tool.policy.timeout or self.budget.limits.tool_seconds, left)
        if left == 0:
            raise ToolTimeout(f"{call.name} was not run: the time for the tool calls of this answer is over")
        seconds = min((limit for limit in limits if limit is not None), default=None)
        self._begun.add(place)
        if seconds is None:
            return await tool.invoke(call.arguments, context)
        with anyio.move_on_after(seconds):
            return await tool.invoke(call.arguments, context)
        ended = "was stopped" if is_async(tool.function) else "was given up; it may still take effect"
        raise ToolTimeout(f"{call.name} took longer than {seconds:g} seconds and {ended}")


def _is_for_the_model(error: BaseException) -> bool:
    """Whether this went wrong in the tool; if not, it must end the run."""
    return isinstance(error, Exception | anyio.get_cancelled_exc_class()) and not is_cancelled(error)


def _words(error: BaseException) -> str:
    """An error in words a model can act on."""
    text = said(error)
    if isinstance(error, ToolError):
        return text or "the tool failed"
    return f"{type(error).__name__}: {shorten(text, _ERROR_CHARS)}" if text else type(error).__name__

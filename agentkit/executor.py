"""Tool calls -> tool results.

Four peels, each of which adds one thing: `execute` all calls of an answer at once, `_watched` events, `_caught` a span
and errors as words for the model, `_timed` a deadline; inside them all, the tool.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from .context import Context
from .errors import InvalidArguments, ToolDenied, ToolError, ToolTimeout
from .events import Emit, ToolFinished, ToolStarted
from .limits import Budget
from .messages import ToolCall, ToolResult, clean
from .registry import ToolRegistry
from .results import shorten, to_text
from .steps import Steps
from .telemetry import Telemetry

_ERROR_CHARS = 500
_Runner = Callable[[Callable[[], Awaitable[ToolResult]]], Awaitable[ToolResult]]

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
    _results: dict[str, ToolResult] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    async def execute(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """All calls at the same time; their results in the order of the calls.

        What goes wrong in a tool is its result. Only what must end the run is raised (KeyboardInterrupt, SystemExit),
        bare, once all other calls are cancelled and have ended.
        """
        drawn = [
            (call, self.steps.reserve(f"tool:{call.name}", ToolResult), self._denial(place))
            for place, call in enumerate(calls)
        ]
        if len(drawn) == 1:
            await self._run(*drawn[0])
        else:
            await self._run_all(drawn)
        return self.settle(calls)

    def settle(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """A result for each call, also for those that a cancelled run has left without one; then they are forgotten."""
        results = [self._results.get(call.id) or self._unfinished(call) for call in calls]
        self._results.clear()
        self._begun.clear()
        return results

    def _unfinished(self, call: ToolCall) -> ToolResult:
        note = INTERRUPTED if call.id in self._begun else NOT_RUN
        return ToolResult(call_id=call.id, name=call.name, content=note, is_error=True)

    def _denial(self, place: int) -> str | None:
        """Why the call at this place of an answer may not run. Asked in order, so that the first ones run."""
        limits = self.budget.limits
        if place >= limits.calls_per_iteration:
            return f"not run: one answer may call at most {limits.calls_per_iteration} tools"
        if not self.budget.take_tool_call():
            return f"not run: this run may call at most {limits.tool_calls} tools; answer with what you have"
        return None

    async def _run_all(self, drawn: Sequence[tuple[ToolCall, _Runner, str | None]]) -> None:
        fatal: list[BaseException] = []
        turn = anyio.Semaphore(self.budget.limits.tool_concurrency, fast_acquire=True)

        async def run(call: ToolCall, runner: _Runner, denial: str | None) -> None:
            try:
                async with turn:
                    await self._run(call, runner, denial)
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

    async def _run(self, call: ToolCall, runner: _Runner, denial: str | None) -> None:
        self._begun.add(call.id)
        self._results[call.id] = await runner(lambda: self._watched(call, denial))

    async def _watched(self, call: ToolCall, denial: str | None) -> ToolResult:
        await self.emit(ToolStarted(call=call))
        began = anyio.current_time()
        result = await self._caught(call, denial)
        await self.emit(ToolFinished(call=call, result=result, seconds=anyio.current_time() - began))
        return result

    async def _caught(self, call: ToolCall, denial: str | None) -> ToolResult:
        limit = self.budget.limits.result_chars
        description = self.tools[call.name].description if call.name in self.tools else ""
        with self.telemetry.tool(self.agent, call, description) as span:
            try:
                if denial:
                    raise ToolDenied(denial)
                content = to_text(await self._timed(call), limit=limit)
            except Exception as error:
                span.failed(error)
                return ToolResult(call_id=call.id, name=call.name, content=shorten(_words(error), limit), is_error=True)
        return ToolResult(call_id=call.id, name=call.name, content=content)

    async def _timed(self, call: ToolCall) -> object:
        tool = self.tools[call.name]
        if len(call.arguments) > self.budget.limits.argument_bytes:
            raise InvalidArguments(f"the arguments are longer than {self.budget.limits.argument_bytes} characters")
        context = Context(deps=self.deps, run_id=self.run_id, call_id=call.id, tool=call.name, agent=self.agent)
        seconds = tool.timeout or self.budget.limits.tool_seconds
        if seconds is None:
            return await tool.invoke(call.arguments, context)
        with anyio.move_on_after(seconds):
            return await tool.invoke(call.arguments, context)
        raise ToolTimeout(f"{call.name} took longer than {seconds:g} seconds and was stopped")


def _words(error: Exception) -> str:
    """An error in words a model can act on."""
    try:
        text = clean(str(error))[:_ERROR_CHARS]
    except Exception:  # an exception whose own __str__ raises
        text = ""
    if isinstance(error, ToolError):
        return text or "the tool failed"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

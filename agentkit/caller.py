"""One tool call -> its result.

Peels, each of which adds one thing: `run` a span and errors as words for the model, `_permitted` who may call,
`_journaled` a note before and after, `_guarded` what all calls of a tool share, `_timed` a deadline; then the tool.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import isawaitable
from typing import Any

import anyio

from .approval import Approval, Approve
from .cancellation import is_cancelled
from .context import Context, to_nobody
from .errors import InvalidArguments, JournalFailed, ToolDenied, ToolError, ToolFailed, ToolTimeout, said
from .events import Emit, ToolFinished, ToolProgress, ToolStarted, to_no_one
from .invoke import is_async
from .journal import Effect, Journal
from .limits import Budget
from .messages import ToolCall, ToolResult
from .registry import ToolRegistry
from .results import shorten, to_content
from .telemetry import Telemetry
from .tool import Tool

_ERROR_CHARS = 500
_NOTE_SECONDS = 30.0
_NOTE_SECONDS_WHEN_LEAVING = 2.0

DONE = "done already: this call came to its end in an earlier run, and its result was not kept"
INTERRUPTED = "interrupted: the run ended while this call was going on; it may or may not have taken effect"


@dataclass(kw_only=True, slots=True, eq=False)
class Pending:
    """A tool call on its way to its result."""

    call: ToolCall
    denial: str | None = None
    """Why it may not run."""
    within: tuple[Tool, ...] = ()
    """The tools that are calling it, outermost first; none if the model does."""
    begun: bool = False
    """Whether its tool has been called."""
    ended: bool = False
    """Whether nobody waits for it any more."""
    result: ToolResult | None = None
    value: Any = None
    """What the tool gave."""
    calls: int = 0
    """Calls of other tools that it has made."""


@dataclass(kw_only=True, slots=True)
class Caller:
    """Makes the tool calls of one run."""

    tools: ToolRegistry
    """Those that the run may use now."""
    deps: Any
    run_id: str
    agent: str
    budget: Budget
    telemetry: Telemetry
    emit: Emit
    approve: Approve | None = None
    journal: Journal | None = None
    ends: float | None = field(default=None, init=False)
    """When the calls of this answer have to be done, whatever their tools declare, by the event loop's clock."""

    async def run(self, pending: Pending) -> ToolResult:
        """The result of a call. What goes wrong in a tool is its result; only what must end the run is raised."""
        call, limit = pending.call, self.budget.limits.result_chars
        description = self.tools[call.name].description if call.name in self.tools else ""
        with self.telemetry.tool(self.agent, call, description) as span:
            try:
                pending.value = await self._in_time(pending)
                return self._told(pending)
            except BaseException as error:
                if not _is_for_the_model(error):
                    raise
                span.failed(error)
                masked = partial(_masked, self.tools[call.name], call.arguments) if pending.begun else str
                words = shorten(_words(error, masked), limit)
                secret = pending.begun and self.tools[call.name].secret_result
                return ToolResult(call_id=call.id, name=call.name, content=words, is_error=True, secret=secret)
            finally:
                pending.ended = True

    def asking(self, tool: Tool) -> Context[Any]:
        """What a tool's `enabled` may ask for."""
        return Context(deps=self.deps, run_id=self.run_id, call_id="", tool=tool.name, agent=self.agent)

    def context(self, pending: Pending) -> Context[Any]:
        """What a call's tool may ask for."""
        call = pending.call
        return Context(
            deps=self.deps,
            run_id=self.run_id,
            call_id=call.id,
            tool=call.name,
            agent=self.agent,
            idempotency_key=self._key(call),
            tools=self.tools.by_name,
            progress=to_nobody if self.emit is to_no_one else partial(self._progress, call),
            call=partial(self._call, pending),
        )

    def _key(self, call: ToolCall) -> str:
        return call.key or f"{self.run_id}:{call.id}"

    def _told(self, pending: Pending) -> ToolResult:
        """What the model reads of a value."""
        call, value = pending.call, pending.value
        if isinstance(value, ToolResult):  # from the journal
            return replace(value, call_id=call.id, name=call.name)
        content = to_content(value, limit=self.budget.limits.result_chars)
        return ToolResult(
            call_id=call.id,
            name=call.name,
            content=content.text,
            parts=content.parts,
            full=content.full,
            secret=self.tools[call.name].secret_result,
        )

    async def _in_time(self, pending: Pending) -> Any:
        """All that a call waits for has to end when the calls of this answer do."""
        if self.ends is None:
            return await self._permitted(pending)
        left = self.ends - anyio.current_time()
        if left > 0:
            with anyio.move_on_after(left):
                return await self._permitted(pending)
        ended = _ended(self.tools[pending.call.name]) if pending.begun else "was not run"
        raise ToolTimeout(f"the time for the tool calls of this answer is over: {pending.call.name} {ended}")

    async def _permitted(self, pending: Pending) -> Any:
        call = pending.call
        tool = self.tools[call.name]
        if len(call.arguments) > self.budget.limits.argument_chars:
            raise InvalidArguments(f"the arguments are longer than {self.budget.limits.argument_chars} characters")
        if pending.denial:
            raise ToolDenied(pending.denial)
        context = self.context(pending)
        if tool.policy.approval is not False:
            await self._approved(tool, call, context)
        return await self._journaled(pending, tool, context)

    async def _approved(self, tool: Tool, call: ToolCall, context: Context[Any]) -> None:
        """Wait for somebody's yes, if the call needs one."""
        shown = tool.values(call.arguments)  # nobody is asked about what would be refused anyway
        needed = tool.policy.approval
        if not isinstance(needed, bool):
            is_needed = partial(needed, context, tool.values(call.arguments))
            needed = await self._asked(is_needed)
        if not needed:
            return
        if self.approve is None:
            raise ToolDenied(f"not run: {call.name} needs somebody's approval, and nobody can be asked here")
        approval = Approval(
            call=call,
            arguments=shown,
            effects=tool.policy.effects,
            secrets=tool.arguments.secrets,
            run_id=self.run_id,
            deps=self.deps,
        )
        if await self._asked(partial(self.approve, approval)) is not True:
            raise ToolDenied("not run: the call was not approved")

    async def _asked(self, question: Callable[[], bool | Awaitable[bool]]) -> bool:
        """The answer to a question; if asking fails, it is no, and the program's log says why."""
        try:
            given = question()
            return await given if isawaitable(given) else given
        except ToolDenied:
            raise
        except Exception as error:
            from logging import getLogger  # on first use: it costs a part of `import agentkit`

            getLogger("agentkit").warning("asking for approval failed", exc_info=error)
            raise ToolDenied(f"not run: asking for approval failed ({type(error).__name__})") from error

    async def _journaled(self, pending: Pending, tool: Tool, context: Context[Any]) -> Any:
        if self.journal is None or tool.policy.effects == "read":
            return await self._guarded(pending, tool, context)
        effect = Effect.of(pending.call, context.idempotency_key)
        try:
            earlier = await self.journal.begin(effect)
        except Exception as error:
            raise JournalFailed(_journal_failed(error)) from error
        if earlier is not None and (known := _known(earlier, effect, tool)) is not None:
            return known
        try:
            pending.value = await self._guarded(pending, tool, context)
            told = self._told(pending)
        except BaseException as error:
            await self._note(_failed(effect, error, tool), error)
            raise
        await self._note(replace(effect, state="completed", result=None if told.secret else told))
        return pending.value

    async def _note(self, effect: Effect, error: BaseException | None = None) -> None:
        """Write down how a call has ended, also where the run is being cancelled; if that fails, the run ends."""
        assert self.journal is not None
        leaving = error if error is not None and not isinstance(error, Exception) else None
        problem = "the journal did not answer in time"
        with anyio.move_on_after(_NOTE_SECONDS_WHEN_LEAVING if leaving else _NOTE_SECONDS, shield=True):
            try:
                await self.journal.end(effect)
                problem = ""
            except Exception as failure:
                problem = _journal_failed(failure)
        if problem and leaving is None:
            raise JournalFailed(problem) from error
        if problem and leaving is not None:
            leaving.add_note(problem)

    async def _guarded(self, pending: Pending, tool: Tool, context: Context[Any]) -> Any:
        if tool.guard is None:
            return await self._timed(pending, tool, context)
        key = ""
        if tool.policy.cache is not None:
            key = _canonical(tool, pending.call.arguments)
        return await tool.guard.call(lambda: self._timed(pending, tool, context), key)

    async def _timed(self, pending: Pending, tool: Tool, context: Context[Any]) -> Any:
        seconds = tool.policy.timeout or self.budget.limits.tool_seconds
        pending.begun = True
        if seconds is None:
            return await tool.invoke(pending.call.arguments, context)
        with anyio.move_on_after(seconds):
            return await tool.invoke(pending.call.arguments, context)
        raise ToolTimeout(f"{tool.name} took longer than {seconds:g} seconds and {_ended(tool)}")

    async def _progress(self, call: ToolCall, value: object) -> None:
        await self.emit(ToolProgress(call=call, value=value))

    async def _call(self, caller: Pending, name: str, arguments: Mapping[str, Any]) -> Any:
        """A call that a tool makes: as if the model had, but what it gives is the value itself."""
        caller.calls += 1
        number = f".{caller.calls}"
        call = ToolCall(
            id=caller.call.id + number,
            name=name,
            arguments=_json(name, arguments),
            key=self._key(caller.call) + number,
        )
        within = (*caller.within, self.tools[caller.call.name])
        pending = Pending(call=call, denial=self._inner_denial(caller, name, within), within=within)
        await self.emit(ToolStarted(call=call))
        began = anyio.current_time()
        result = pending.result = await self.run(pending)
        await self.emit(ToolFinished(call=call, result=result, seconds=anyio.current_time() - began))
        if result.is_error:
            raise ToolFailed(result.content)
        value = pending.value
        return (value.full or value.content) if isinstance(value, ToolResult) else value

    def _inner_denial(self, caller: Pending, name: str, within: Sequence[Tool]) -> str | None:
        """Why a tool may not make this call."""
        if caller.ended:
            return f"not run: the call of {caller.call.name} has ended, and it can call nothing more"
        if name in self.tools and any(outer.function == self.tools[name].function for outer in within):
            return f"not run: {name} would call itself"
        return self.denial()

    def denial(self) -> str | None:
        """Takes one call of the run's limit; why that cannot be, if it cannot."""
        if self.budget.take_tool_call():
            return None
        limit = self.budget.limits.tool_calls
        return f"not run: this run may call at most {limit} tools; answer with what you have"


def _json(name: str, arguments: Mapping[str, Any]) -> str:
    from pydantic_core import to_json  # on first use: it costs a good part of `import agentkit`

    try:
        return to_json(arguments, inf_nan_mode="constants").decode()
    except (ValueError, RecursionError) as error:
        raise InvalidArguments(f"the arguments for {name!r} have no JSON form: {error}") from None


def _canonical(tool: Tool, arguments: str) -> str:
    """What calls of the same arguments have in common: the values that the function gets, where these are plain.

    Others as the model wrote them: what a type of somebody's own shows of itself need not be all that it is.
    """
    from json import dumps

    written = tool.arguments.read(arguments)
    plain = {name: value for name, value in tool.values(arguments).items() if type(value) in _PLAIN}
    return dumps(written | plain, sort_keys=True)


_PLAIN = (str, int, float, bool, type(None))


def _masked(tool: Tool, arguments: str, words: str) -> str:
    """An error's words without the values of arguments that are secret."""
    if not tool.arguments.secrets:
        return words
    try:
        given = tool.arguments.read(arguments)
    except InvalidArguments:
        return words
    for text in sorted(_leaves([given.get(name) for name in tool.arguments.secrets]), key=len, reverse=True):
        words = words.replace(text, "***").replace(repr(text)[1:-1], "***")
    return words


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value not in (None, "", True, False):
        yield str(value)


def _ended(tool: Tool) -> str:
    killed = is_async(tool.function) or tool.policy.isolation
    return "was stopped" if killed else "was given up; it may still take effect"


def _known(earlier: Effect, effect: Effect, tool: Tool) -> ToolResult | None:
    """What an earlier run knows of this very call; None if it should be made again."""
    if (earlier.tool, earlier.arguments) != (effect.tool, effect.arguments):
        raise ToolDenied(f"not run: another call of {earlier.tool} had the same key")
    if earlier.state != "completed" and tool.policy.may_repeat:
        return None
    if earlier.result is not None:
        return earlier.result
    if earlier.state == "completed":
        return ToolResult(call_id="", name=tool.name, content=DONE)
    raise ToolFailed(INTERRUPTED)


def _failed(effect: Effect, error: BaseException, tool: Tool) -> Effect:
    """How a call has ended that raised: by itself, or stopped from outside."""
    if not isinstance(error, Exception):
        return replace(effect, state="unknown")
    words = type(error).__name__ if tool.secret_result or tool.arguments.secrets else _words(error)
    told = ToolResult(call_id="", name=effect.tool, content=words, is_error=True)
    return replace(effect, state="unknown" if isinstance(error, ToolTimeout) else "completed", result=told)


def _journal_failed(error: Exception) -> str:
    return f"the journal failed with {type(error).__name__}: {said(error)}"


def _is_for_the_model(error: BaseException) -> bool:
    """Whether this went wrong in the tool; if not, it must end the run."""
    if isinstance(error, JournalFailed):
        return False
    return isinstance(error, Exception | anyio.get_cancelled_exc_class()) and not is_cancelled(error)


def _words(error: BaseException, masked: Callable[[str], str] = str) -> str:
    """An error in words a model can act on."""
    text = masked(said(error))
    if isinstance(error, ToolError):
        return text or "the tool failed"
    return f"{type(error).__name__}: {shorten(text, _ERROR_CHARS)}" if text else type(error).__name__

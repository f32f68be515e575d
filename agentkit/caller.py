"""One tool call -> its result.

Peels, each of which adds one thing: `run` a span and errors as words for the model, `_permitted` who may call,
`_journaled` a note before and after, `_guarded` what all calls of a tool share, `_timed` a deadline; then the tool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from .approval import Asked, Taint, permit, question
from .budget import Budget
from .context import Context, to_nobody
from .errors import InvalidArguments, JournalFailed, ToolDenied, ToolError, ToolFailed, ToolTimeout, said
from .events import ApprovalNeeded, Emit, ToolFinished, ToolProgress, ToolStarted, to_no_one
from .guardrails import Guards
from .journal import Effect, Journal
from .loop_watch import Watched
from .messages import ToolCall, ToolResult
from .paused import Answer, Answered, Denied, Pause, Waiting, digest, fingerprint, shown
from .prices import Prices
from .registry import ToolRegistry
from .results import shorten, to_content
from .telemetry import Spans
from .telemetry.nothing import NOTHING, NoSpans
from .tool import Tool
from .wording import as_json, came_to, canonical, ended, is_failure, is_for_the_model, masked, words

if TYPE_CHECKING:
    from .telemetry.spans import ToolSpan

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
    by: "Pending | None" = None
    """The call whose tool makes this one."""
    answer: Answer | None = None
    """What somebody has said to it while the run was paused."""
    note: str = ""
    """What the model has to know of the call besides its result."""
    cleared: bool = False
    """Whether it is known that nobody has to be asked."""
    tainted: bool = False
    """Whether its tool has got something untrusted from another."""
    fatal: ToolFailed | None = None
    """What ends the run when the call ends: an inner call has failed whose tool is declared so."""
    begun: bool = False
    """Whether its tool has been called."""
    ended: bool = False
    """Whether nobody waits for it any more."""
    result: ToolResult | None = None
    value: Any = None
    """What the tool gave."""
    calls: int = 0
    """Calls of other tools that it has made."""
    span: "ToolSpan | NoSpans" = NOTHING

    def taint(self) -> None:
        """Its tool has got something untrusted: what it does with that, and what it gives, is to be seen so."""
        self.tainted = True


@dataclass(kw_only=True, slots=True)
class Caller:
    """Makes the tool calls of one run."""

    tools: ToolRegistry
    """Those that the run may use now."""
    deps: Any
    run_id: str
    agent: str
    budget: Budget
    spans: Spans
    emit: Emit
    approve: Asked | None = None
    journal: Journal | None = None
    prices: Prices | None = None
    """What the model calls of agents cost that its tools ask."""
    taint: Taint = "approve"
    """What becomes of calls that reach out, or destroy, once something untrusted has been read."""
    tainted: bool = False
    """Whether there is something untrusted in what the model has read."""
    guards: Guards = field(default_factory=Guards)
    ends: float | None = field(default=None, init=False)
    """When the calls of this answer have to be done, whatever their tools declare, by the event loop's clock."""

    async def run(self, pending: Pending) -> ToolResult:
        """The result of a call. What goes wrong in a tool is its result; only what must end the run is raised."""
        call = pending.call
        tool = self.tools.by_name.get(call.name)
        with self.spans.tool(call, tool, asked_by_model=pending.by is None) as span:
            pending.span = span
            try:
                pending.value = await self._in_time(pending)
                result = self._told(pending)
            except BaseException as error:
                if error is self.guards.tripped or not is_for_the_model(error):
                    raise
                span.failed(error)
                result = self._failed(pending, error)
                span.gave(result)
                if pending.begun and self.tools[call.name].policy.errors == "raise" and is_failure(error):
                    pending.result = result
                    raise self._fatal(pending, ToolFailed(f"{call.name}: {result.content}")) from error
            finally:
                pending.ended = True
            if pending.fatal is not None:
                pending.result = result
                raise self._fatal(pending, pending.fatal)
            told = await self.guards.result(call, result, lambda: self.context(pending))
            span.gave(told)
            pending.value = pending.value if told is result else told  # a tool gets no more than the model would
            return told

    def _failed(self, pending: Pending, error: BaseException) -> ToolResult:
        """What the model reads of an error."""
        call, told, secret, untrusted = pending.call, words(error), False, False
        if pending.begun:
            tool = self.tools[call.name]
            hide = tool.policy.errors == "hide"
            told, secret = words(error, partial(masked, tool, call.arguments), hide=hide), tool.secret_result
            untrusted = _is_untrusted(pending, tool)
        told = shorten(pending.note + told, self.budget.limits.result_chars)
        return ToolResult(
            call_id=call.id, name=call.name, content=told, is_error=True, secret=secret, untrusted=untrusted
        )

    def _fatal(self, pending: Pending, error: ToolFailed) -> ToolFailed:
        """An error that ends the run, even if the tools around the call catch it."""
        if pending.by is not None:
            pending.by.fatal = error
        return error

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
            caller=self,
            pending=pending,
        )

    def _key(self, call: ToolCall) -> str:
        return call.key or f"{self.run_id}:{call.id}"

    def _told(self, pending: Pending) -> ToolResult:
        """What the model reads of a value."""
        call, value = pending.call, pending.value
        tool = self.tools[call.name]
        if isinstance(value, ToolResult):  # from the journal
            untrusted = value.untrusted or _is_untrusted(pending, tool)
            return replace(value, call_id=call.id, name=call.name, untrusted=untrusted)
        content = to_content(value, limit=self.budget.limits.result_chars)
        return ToolResult(
            call_id=call.id,
            name=call.name,
            content=pending.note + content.text,
            parts=content.parts,
            full=content.full and pending.note + content.full,
            secret=tool.secret_result,
            untrusted=_is_untrusted(pending, tool),
        )

    async def _in_time(self, pending: Pending) -> Any:
        """All that a call waits for has to end when the calls of this answer do."""
        if self.ends is None:
            return await self._permitted(pending)
        left = self.ends - anyio.current_time()
        if left > 0:
            with anyio.move_on_after(left):
                return await self._permitted(pending)
        how = ended(self.tools[pending.call.name]) if pending.begun else "was not run"
        raise ToolTimeout(f"the time for the tool calls of this answer is over: {pending.call.name} {how}")

    async def _permitted(self, pending: Pending) -> Any:
        call = pending.call
        tool = self.tools[call.name]
        self._check(pending)
        context = self.context(pending)
        if not isinstance(pending.answer, Answered | Denied):
            await self.guards.call(call, lambda: tool.values(call.arguments), lambda: context)
        if isinstance(pending.answer, Answered):
            return pending.answer.value
        if isinstance(pending.answer, Denied):
            raise ToolDenied(pending.answer.why or "not run: the call was not approved")
        if pending.answer is None:
            if tool.policy.elsewhere:
                tool.values(call.arguments)  # what is wrong with them is the better answer
                raise ToolDenied(f"not run: {tool.name} is run elsewhere, and nobody waits for that here")
            await self._approved(pending, tool, context)
        return await self._journaled(pending, tool, context)

    def _check(self, pending: Pending) -> None:
        longest = self.budget.limits.argument_chars
        if len(pending.call.arguments) > longest:
            raise InvalidArguments(f"the arguments are longer than {longest} characters")
        if pending.denial:
            raise ToolDenied(pending.denial)

    async def _approved(self, pending: Pending, tool: Tool, context: Context[Any]) -> None:
        """Wait for somebody's yes, if the call needs one."""
        tainted = tool.policy.reaches_out and self.is_tainted(pending)
        if pending.cleared or (tool.policy.approval is False and not tainted):
            return
        asked = await question(tool, pending.call, context, taint=self.taint, tainted=tainted)
        if asked is not None:
            if callable(self.approve):
                await self.emit(ApprovalNeeded(call=pending.call))
            began = anyio.current_time()
            try:
                await permit(asked, self.approve)
            finally:
                pending.span.approved(anyio.current_time() - began)

    async def waits(self, pending: Pending, pause: Pause) -> Waiting | None:
        """What a call waits for, if it does; one that would be refused anyway does not."""
        call = pending.call
        try:
            tool = self.tools[call.name]
            self._check(pending)
            context = self.context(pending)
            if tool.policy.elsewhere:
                values, tainted = tool.values(call.arguments), self.is_tainted(pending)
            else:
                tainted = tool.policy.reaches_out and self.is_tainted(pending)
                asked = await question(tool, call, context, taint=self.taint, tainted=tainted)
                pending.cleared = asked is None
                if asked is None:
                    return None
                values, tainted = dict(asked.arguments), asked.tainted
            await self.guards.call(call, lambda: tool.values(call.arguments), lambda: context)
        except ToolError:
            return None  # `run` comes to the same, and tells the model
        now = pause.clock()
        return Waiting(
            call_id=call.id,
            tool=call.name,
            kind="elsewhere" if tool.policy.elsewhere else "approval",
            digest=digest(tool, call, self.run_id),
            fingerprint=fingerprint(tool),
            asked_at=now,
            expires_at=None if pause.expires is None else now + pause.expires,
            shown=shown(values, tool.arguments.secrets),
            tainted=tainted,
        )

    def is_tainted(self, pending: Pending | None) -> bool:
        """Whether something untrusted may be behind a call: the conversation, or what a tool around it has got."""
        while pending is not None:
            if pending.tainted:
                return True
            pending = pending.by
        return self.tainted

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
            await self._note(came_to(effect, error, tool), error)
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
            key = canonical(tool, pending.call.arguments)
        value = await tool.guard.call(lambda: self._timed(pending, tool, context), key)
        if not pending.begun:
            pending.span.cached()
        return value

    async def _timed(self, pending: Pending, tool: Tool, context: Context[Any]) -> Any:
        seconds = tool.policy.timeout or self.budget.limits.tool_seconds
        pending.begun = True
        if seconds is None:
            return await Watched(tool.invoke(pending.call.arguments, context), tool, tool.name)
        with anyio.move_on_after(seconds):
            return await Watched(tool.invoke(pending.call.arguments, context), tool, tool.name)
        raise ToolTimeout(f"{tool.name} took longer than {seconds:g} seconds and {ended(tool)}")

    async def _progress(self, call: ToolCall, value: object) -> None:
        await self.emit(ToolProgress(call=call, value=value))

    async def _call(self, caller: Pending, name: str, arguments: Mapping[str, Any]) -> Any:
        """A call that a tool makes: as if the model had, but what it gives is the value itself."""
        caller.calls += 1
        number = f".{caller.calls}"
        call = ToolCall(
            id=caller.call.id + number,
            name=name,
            arguments=as_json(name, arguments),
            key=self._key(caller.call) + number,
        )
        within = (*caller.within, self.tools[caller.call.name])
        pending = Pending(call=call, denial=self._inner_denial(caller, name, within), within=within, by=caller)
        await self.emit(ToolStarted(call=call))
        began = anyio.current_time()
        result = pending.result = await self.run(pending)
        await self.emit(ToolFinished(call=call, result=result, seconds=anyio.current_time() - began))
        if result.untrusted:
            caller.taint()
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
        return self.denial(name)

    def denial(self, name: str) -> str | None:
        """Takes one call of the run's limit; why that cannot be, if it cannot."""
        refusal = self.budget.take_tool_call(name)
        return refusal and f"not run: {refusal}; answer with what you have"


def _is_untrusted(pending: Pending, tool: Tool) -> bool:
    """Whether what a call gives may hold what somebody outside has written."""
    return tool.policy.gives_untrusted or (pending.tainted and tool.policy.trusted is None)


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


def _journal_failed(error: Exception) -> str:
    return f"the journal failed with {type(error).__name__}: {said(error)}"

"""The loop: ask the model, run the tools it asks for, tell it the results, until it answers or a limit is hit."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from typing import Any, Generic

import anyio

from .asker import Asker, keyed
from .budget import Budget
from .caller import Pending
from .cancellation import insist
from .context import Context
from .errors import (
    AgentError,
    ApprovalRefused,
    GuardrailTripped,
    JournalFailed,
    LimitExceeded,
    ModelError,
    OutputError,
    RunPaused,
    RunTimeout,
    SessionConflict,
    SessionError,
    Truncated,
    said,
)
from .events import Emit, LimitReached, ModelAnswered, Out, RunFinished, RunResult
from .executor import Executor
from .guardrails import Guards
from .history import History, require_words, session_errors
from .limits import Circles
from .messages import AssistantMessage, Message, ToolCall, ToolResult, Usage, UserMessage, last_answer, unanswered
from .models.base import HoldsAnswers, in_turn
from .paused import PausedRun
from .resuming import Resumption
from .role import Role
from .sessions import Stored
from .steps import Beginning, FollowsRuns, Inline, Steps, Work
from .telemetry import Spans
from .turns import turn

_CLOSE_SECONDS = 30.0
_CLOSE_SECONDS_WHEN_CANCELLED = 2.0
BESIDE = "not run: the answer was given beside this call"
_TAKEN = "not run: another agent has taken over with this answer"
_CUT = "not run: your answer was cut at the token limit, so the arguments may be incomplete; be shorter, and call again"


@dataclass(kw_only=True, slots=True)
class Run(Generic[Out]):
    """One run of an agent: the only thing that changes while it goes on."""

    id: str
    role: Role[Out]
    history: History
    budget: Budget
    asker: Asker
    executor: Executor
    steps: Steps
    spans: Spans
    emit: Emit
    guards: Guards
    finish_reason: str = ""
    held: AssistantMessage | None = None
    """The answer that a server holds until it is told the results of its tool calls, if there is one."""
    answer: AssistantMessage | None = None
    """The last answer."""
    taken_up: AssistantMessage | None = None
    """The answer of an earlier run whose tool calls this one has answered first."""
    results_within: float | None = None
    """Seconds that the results of the last answer's tool calls may take."""
    cut: bool = False
    """Whether the last answer was cut in a tool call."""
    conversation: str | None = None
    """What the server calls the conversation, where it keeps it."""
    resumes: Resumption | None = None
    """The pause that this run goes on from, until it is taken up."""
    pauses: int = 0
    """How often the run has paused before."""
    began: str = field(init=False)
    """The agent that the run began with."""
    handed: tuple[str, ...] = ()
    """The tools by which others have taken over since, in order."""
    circles: Circles = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.role.agent
        self.circles = Circles(self.budget.limits.repeats)

    @property
    def messages(self) -> list[Message]:
        """What has been said so far."""
        return self.history.messages

    async def run(self, prompt: UserMessage | None) -> RunResult[Out]:
        """The run, beside whoever follows it: a recorder, or a replay."""
        await turn()
        if isinstance(self.steps, Inline) or not isinstance(self.steps, FollowsRuns):
            return await self._spanned(prompt)
        beginning = Beginning(
            agent=self.role.agent,
            info=self.role.model.info,
            prompt=prompt,
            history=tuple(self.messages),
            session=self.history.session is not None,
            tools=self.role.tools,
            budget=self.budget,
            emit=self.emit,
        )
        return await self.steps.follow(beginning, lambda: self._spanned(prompt))

    async def _spanned(self, prompt: UserMessage | None) -> RunResult[Out]:
        """The loop, inside a span and a deadline, with an orderly end however it ends."""
        session, follows = self.history.session, self.resumes.paused.trace if self.resumes else None
        alone = session.held() if session else nullcontext()
        with self.spans.begin(self.role, session.id if session else None, follows=follows):
            async with alone:
                self.budget.begin()
                try:
                    result = await self._timed(prompt)
                    self.spans.came_to(result)
                except BaseException as error:
                    await self._close(error)
                    raise
                finally:
                    self.budget.end()
        await self.emit(RunFinished(result=result))
        return result

    async def _timed(self, prompt: UserMessage | None) -> RunResult[Out]:
        seconds = self.budget.limits.seconds
        with anyio.move_on_after(seconds):
            try:
                return await self.drive(prompt)
            except LimitExceeded as error:
                return await self._stopped(error)
            except RunPaused as pause:
                return self._result(None, pause)
        return await self._stopped(RunTimeout("seconds", seconds or 0))

    async def drive(self, prompt: UserMessage | None) -> RunResult[Out]:
        """The loop itself."""
        await self._begin(prompt)
        async with nullcontext() if self.budget.parent else in_turn(self.role.model):
            answer = await self._ask()
        while True:
            if answer.tool_calls and not self.role.output.answers(answer):
                await self._act()
            else:
                try:
                    output = await self._read(answer)
                except OutputError as error:
                    self._ask_again(answer, str(error))
                else:
                    await self.history.store()
                    return self._result(output)
            answer = await self._ask()

    async def _begin(self, prompt: UserMessage | None) -> None:
        """What was said before, calls that a pause has left unanswered, and what the user says now."""
        await self._load()
        said = [] if prompt is None else [prompt]
        if unanswered(self.messages):
            await self.guards.input([*self.messages, *said], self._about)
            await self._act()
        if said:
            self.asker.since = len(self.messages)
        self.messages.extend(said)
        if not isinstance(self.role.model, HoldsAnswers):  # whose server may have what was said
            require_words(self.messages, self.role.request.instructions)

    async def _read(self, answer: AssistantMessage) -> Out:
        """The output in an answer that calls no tools."""
        output = self.role.output.read(answer)
        await self.guards.output(output, self._about)
        self._close_calls(answer, "accepted", is_error=False)
        return output

    def _ask_again(self, answer: AssistantMessage, why: str) -> None:
        """Tell the model what is wrong with its answer, unless that is only that it was cut."""
        if self.finish_reason == "length":
            told = "the answer was cut at the token limit before it was complete; raise max_tokens"
            raise Truncated(told, partial=answer.text) from None
        if self.role.output.answers(answer):
            self._close_calls(answer, why, is_error=True)
        else:
            self.messages.append(UserMessage(content=why))

    def _close_calls(self, answer: AssistantMessage, told: str, *, is_error: bool) -> None:
        """An answer that is given by a call is in no history without a result; the calls beside it are not run."""
        final = self.role.output.answers(answer)
        for call in answer.tool_calls:
            is_final = call is final
            content = told if is_final else BESIDE
            self.messages.append(
                ToolResult(call_id=call.id, name=call.name, content=content, is_error=is_error or not is_final)
            )

    def _about(self) -> Context[Any]:
        """What a guardrail may ask for."""
        caller = self.executor.caller
        pending = Pending(call=ToolCall(id="", name="", arguments="{}"))
        return Context(
            deps=caller.deps, run_id=self.id, call_id="", tool="", agent=self.role.agent, caller=caller, pending=pending
        )

    async def _stopped(self, error: LimitExceeded) -> RunResult[Out]:
        """What the caller wants of a run that has come to a limit."""
        await self.emit(LimitReached(which=error.which, limit=error.limit))
        how = self.budget.limits.on_limit
        if how == "raise":
            raise error
        output: Out | None = None
        if how == "answer" and not isinstance(error, RunTimeout):
            with suppress(LimitExceeded, OutputError):
                output = await self._answer_at_last(error)
        await self._close(error)
        return self._result(output, error)

    async def _answer_at_last(self, error: LimitExceeded) -> Out:
        """One last model call, which may call no tools."""
        why = f"not run: the run has reached its limit of {error.limit:g} {error.which}; answer now, with what you have"
        self.messages.extend(self.executor.settle(unanswered(self.messages), why))
        return await self._read(await self._ask(last=True))

    def _ask(self, *, last: bool = False) -> Awaitable[AssistantMessage]:
        """One model call, beside those who look at the input."""
        return self.guards.beside(partial(self._asked, last=last), self.messages, self._about)

    async def _asked(self, *, last: bool) -> AssistantMessage:
        """One model call: its answer, which is now the conversation's last message."""
        self.budget.require_iteration(last=last)
        await self.executor.offer(self.messages)
        tools = self.executor.caller.tools
        response = await self.asker.ask(self.role, self.messages, tools, last=last)
        response = keyed(response, f"{self.id}:{self.budget.iterations}")
        self.finish_reason, self.results_within = response.finish_reason, response.results_within
        self.held = response.message if response.message.tool_calls else None
        self.conversation = response.conversation
        self.answer = response.message
        self.messages.append(response.message)
        await self.emit(ModelAnswered(response=response, iteration=self.budget.iterations))
        return response.message

    async def _act(self) -> None:
        """Run the tool calls that wait for an answer, unless no model call is left that could read the results."""
        calls = unanswered(self.messages)
        if calls and self.finish_reason == "length":
            await self._refuse_the_cut(calls)
        elif calls:
            self.cut = False
            await self._run(calls)

    async def _run(self, calls: Sequence[ToolCall]) -> None:
        if self.held is None:
            self.held = self.taken_up = last_answer(self.messages)
        self.budget.require_iteration()
        if not self.finish_reason:
            await self.executor.offer(self.messages)  # a paused run: no model call has asked which tools there are
        if self.executor.caller.journal is not None:
            await self.history.store()  # so that these very calls, and their keys, are there if the process dies now
        self.executor.caller.tainted = self.history.is_tainted
        results = self._one_takes_over(await self.executor.execute(calls, self.results_within))
        self.messages.extend(results)
        await self.history.store()
        if self.executor.waiting:
            tools = ", ".join(each.tool for each in self.executor.waiting)
            raise RunPaused(f"the run waits for {tools}; go on with agent.resume(result.paused, {{...}})")
        self.circles.turn(calls, results)
        await self._hand_off()

    async def _refuse_the_cut(self, calls: Sequence[ToolCall]) -> None:
        """Run no call of an answer that was cut at the token limit: the last one may say half of what was meant."""
        if self.cut:
            raise Truncated("two answers in a row were cut at the token limit in a tool call; raise max_tokens")
        self.cut = True
        self.messages.extend(self.executor.settle(calls, _CUT))
        await self.history.store()

    def _one_takes_over(self, results: Sequence[ToolResult]) -> list[ToolResult]:
        """Of several hand-offs in one answer the first counts, and the others say so."""
        done = [each for each in results if self._hands_over(each)]
        return [replace(each, content=_TAKEN, is_error=True) if each in done[1:] else each for each in results]

    def _hands_over(self, result: ToolResult) -> bool:
        return result.name in self.role.handoffs and not result.is_error

    async def _hand_off(self) -> None:
        """Go on as another agent, if the last answer has called a tool that says so, before a pause perhaps."""
        for result in takewhile(lambda each: isinstance(each, ToolResult), reversed(self.messages)):
            if isinstance(result, ToolResult) and self._hands_over(result):
                await self._release()  # nobody goes on from what the first one's server holds
                self.held = None
                self._become(result.name)
                self.spans.speaks(self.role)
                return

    def _become(self, transfer: str) -> None:
        role = self.role.handoffs[transfer]()
        self.asker.check(role.model)
        self.role = role
        self.handed += (transfer,)
        if self.role.guardrails is not None:
            self.guards.add(self.role.guardrails)
        self.executor.take_over(self.role.agent, self.role.tools, self.role.taint)

    async def _load(self) -> None:
        """What the session has, or the pause that the run goes on from."""
        resumes, caller, session = self.resumes, self.executor.caller, self.history.session
        if resumes is None:
            await self.history.load()
        else:
            for transfer in resumes.handed_from(self.role.agent):
                if transfer not in self.role.handoffs:
                    raise ApprovalRefused(f"the agent {self.role.agent!r} has no {transfer!r} any more; run anew")
                self._become(transfer)
            step = self.steps.reserve("resume", Stored)
            with session_errors():
                self.history.begin_with(await step(lambda: resumes.take_up(self.role.tools, session, caller)))
            self.executor.resumes, self.resumes = resumes, None
        self.spans.speaks(self.role)

    async def _release(self) -> None:
        """Tell a server that waits for tool results that none will come; what it used is known now."""
        answer = self.held
        if answer is not None and isinstance(self.role.model, HoldsAnswers):
            model, step = self.role.model, self.steps.reserve("release", Usage)
            used = await step(Work(answer, lambda: model.release(answer)))
            self.spans.released(used)
            self.asker.spend_later(self.role.model.info, used)

    async def _close(self, error: BaseException) -> None:
        """Leave a history that a provider accepts and that says what happened, whatever ended the run.

        A pause that could not be taken up is left as it is.
        """
        if self.resumes is not None:
            return
        if isinstance(error, GuardrailTripped) and error.stage == "output" and self.messages[-1:] == [self.answer]:
            self.messages.pop()  # what was forbidden is in no history
        self.messages.extend(self.executor.settle(unanswered(self.messages)))
        if self._must_release(error):
            await self._in_spite_of(error, self._release, "the server's run could not be cancelled")
        if isinstance(error, AgentError):
            error.run_id, error.history, error.usage = self.id, tuple(self.messages), self.budget.usage
        if self.guards.passed and (isinstance(error, JournalFailed) or not isinstance(error, SessionError)):
            await self._in_spite_of(error, self.history.store, "the session could not be stored")

    def _must_release(self, error: BaseException) -> bool:
        """Whether a server may still hold an answer, and it is for this run to say that nobody will go on from it."""
        if isinstance(error, SessionConflict) and self.held is self.taken_up:
            return False  # another run has taken up the same answer, and was quicker
        return not (isinstance(error, ModelError) and error.spent.total_tokens)  # of what is spent, the end was seen

    async def _in_spite_of(self, error: BaseException, work: Callable[[], Awaitable[None]], failed: str) -> None:
        """Do what must still be done, within seconds; if that fails, the error gets a note."""
        seconds = _CLOSE_SECONDS if isinstance(error, Exception) else _CLOSE_SECONDS_WHEN_CANCELLED
        with anyio.move_on_after(seconds, shield=True) as scope:
            try:
                await insist(work)
            except Exception as failure:
                error.add_note(f"{failed}: {said(failure)}")
        if scope.cancelled_caught:
            error.add_note(f"{failed} within {seconds:g} seconds")

    def _result(self, output: Out | None, stopped: AgentError | None = None) -> RunResult[Out]:
        paused, session = None, self.history.session
        if isinstance(stopped, RunPaused):
            paused = PausedRun(
                run_id=self.id,
                agent=self.began,
                handed=self.handed,
                waiting=self.executor.waiting,
                number=self.pauses + 1,
                messages=() if session else tuple(self.messages),
                session=session.id if session else None,
                revision=self.history.revision,
                spent=self.budget.spent(),
                trace=self.spans.traceparent,
            )
        return RunResult(
            value=output,
            messages=tuple(self.messages),
            usage=self.budget.usage,
            iterations=self.budget.iterations,
            tool_calls=self.budget.tool_calls,
            finish_reason=self.finish_reason,
            run_id=self.id,
            agent=self.role.agent,
            cost=self.budget.cost,
            stopped=stopped,
            paused=paused,
            conversation=self.conversation,
            trace_id=self.spans.trace_id,
        )

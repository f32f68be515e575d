"""The loop: ask the model, run the tools it asks for, tell it the results, until it answers or a limit is hit."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic

import anyio

from .errors import (
    AgentError,
    ConfigError,
    JournalFailed,
    ModelError,
    OutputError,
    RunTimeout,
    SessionConflict,
    SessionError,
    said,
)
from .events import Emit, ModelAnswered, Out, RunFinished, RunResult, to_no_one
from .executor import Executor
from .limits import Budget
from .messages import AssistantMessage, Message, ToolResult, Usage, UserMessage, unanswered
from .models.base import HoldsAnswers, ModelBackend, ModelRequest, ModelResponse
from .sessions import Session, Stored
from .steps import Steps
from .telemetry import Telemetry

if TYPE_CHECKING:
    from .output import OutputType

_CLOSE_SECONDS = 30.0
_CLOSE_SECONDS_WHEN_CANCELLED = 2.0
_CHARS_PER_TOKEN = 4  # a rough figure, for providers that do not say what they used


@dataclass(kw_only=True, slots=True)
class Run(Generic[Out]):
    """One run of an agent: the only thing that changes while it goes on."""

    id: str
    agent: str
    model: ModelBackend
    request: ModelRequest
    """What each model call has in common; the messages are added."""
    output: "OutputType[Out]"
    messages: list[Message]
    session: Session | None
    budget: Budget
    executor: Executor
    steps: Steps
    telemetry: Telemetry
    emit: Emit
    revision: int = 0
    """The session's revision that this run has seen last."""
    stored: int = 0
    """How many of the messages the session has."""
    finish_reason: str = ""
    held: AssistantMessage | None = None
    """The answer that a server holds until it is told the results of its tool calls, if there is one."""
    taken_up: AssistantMessage | None = None
    """The answer of an earlier run whose tool calls this one has answered first."""
    results_within: float | None = None
    """Seconds that the results of the last answer's tool calls may take."""
    conversation: str | None = None
    """What the server calls the conversation, where it keeps it."""
    trace_id: str | None = None

    async def run(self, prompt: UserMessage | None) -> RunResult[Out]:
        """The loop, inside a span and a deadline, with an orderly end however it ends."""
        with self.telemetry.agent(self.agent, self.model.info, self.request, self._conversation) as span:
            self.trace_id = span.trace_id
            try:
                result = await self._timed(prompt)
            except BaseException as error:
                await self._close(error)
                raise
            finally:
                span.spent(self.budget.usage, self.finish_reason, self._conversation)
        await self.emit(RunFinished(result=result))
        return result

    async def _timed(self, prompt: UserMessage | None) -> RunResult[Out]:
        seconds = self.budget.limits.seconds
        with anyio.move_on_after(seconds):
            return await self.drive(prompt)
        raise RunTimeout("seconds", seconds or 0)

    async def drive(self, prompt: UserMessage | None) -> RunResult[Out]:
        """The loop itself.

        A history that ends in unanswered tool calls is a paused run; they are answered first.
        """
        await self._load()
        await self._act()
        if prompt is not None:
            self.messages.append(prompt)
        while True:
            answer = await self._ask()
            if answer.tool_calls:
                await self._act()
                continue
            try:
                output = self.output.parse(answer.text)
            except OutputError as error:
                self.messages.append(UserMessage(content=str(error)))
                continue
            await self._store()
            return self._result(output)

    async def _ask(self) -> AssistantMessage:
        """One model call: its answer, which is now the conversation's last message."""
        self.budget.start_iteration()
        await self.executor.offer(self.messages)
        step = self.steps.reserve("model", ModelResponse)
        try:
            response = await step(self._generate)
        except ModelError as error:
            self.budget.spend(error.spent)
            raise
        response = _keyed(response, f"{self.id}:{self.budget.iterations}")
        estimate = self._estimate(response) if self.budget.limits.tokens else 0
        self.budget.spend(response.usage, estimate=estimate, pending=response.usage_pending)
        self.finish_reason, self.results_within = response.finish_reason, response.results_within
        self.held = response.message if response.message.tool_calls else None
        self.conversation = response.conversation
        self.messages.append(response.message)
        await self.emit(ModelAnswered(response=response, iteration=self.budget.iterations))
        return response.message

    async def _generate(self) -> ModelResponse:
        request = replace(
            self.request,
            messages=tuple(self.messages),
            tools=self.executor.caller.tools,
            tokens_left=self.budget.tokens_left,
        )
        on_delta = None if self.emit is to_no_one else self.emit
        with self.telemetry.chat(self.model.info, request, self._conversation, stream=on_delta is not None) as span:
            response = await self.model.generate(request, on_delta)
            if not isinstance(response, ModelResponse):
                raise ConfigError(f"{self.model!r} gave {response!r:.100}; a backend's generate gives a ModelResponse")
            span.answered(response)
        return response

    async def _act(self) -> None:
        """Run the tool calls that wait for an answer, unless no model call is left that could read the results."""
        calls = unanswered(self.messages)
        if not calls:
            return
        if self.held is None:
            self.held = self.taken_up = _last_answer(self.messages)
        self.budget.require_iteration()
        if self.budget.iterations == 0:
            await self.executor.offer(self.messages)  # a paused run: no model call has asked which tools there are
        if self.executor.caller.journal is not None:
            await self._store()  # so that these very calls, and their keys, are there if the process dies now
        self.messages += await self.executor.execute(calls, self.results_within)
        await self._store()

    async def _load(self) -> None:
        """What the session has."""
        if self.session is not None:
            session, step = self.session, self.steps.reserve("load", Stored)
            with _session_errors():
                known = await step(lambda: session.store.load(session.id))
            self.messages, self.revision, self.stored = list(known.messages), known.revision, len(known.messages)

    async def _store(self) -> None:
        """Write what the session does not have yet: a step is stored whole or not at all."""
        if self.session is not None and self.stored < len(self.messages):
            session, step, fresh = self.session, self.steps.reserve("session", int), self.messages[self.stored :]
            with _session_errors():
                self.revision = await step(lambda: session.store.append(session.id, fresh, revision=self.revision))
            self.stored += len(fresh)

    async def _release(self) -> None:
        """Tell a server that waits for tool results that none will come; what it used is known now."""
        answer = self.held
        if answer is not None and isinstance(self.model, HoldsAnswers):
            model, step = self.model, self.steps.reserve("release", Usage)
            self.budget.spend(await step(lambda: model.release(answer)))

    async def _close(self, error: BaseException) -> None:
        """Leave a history that a provider accepts and that says what happened, whatever ended the run."""
        self.messages += self.executor.settle(unanswered(self.messages))
        if self._must_release(error):
            await self._in_spite_of(error, self._release, "the server's run could not be cancelled")
        if isinstance(error, AgentError):
            error.run_id, error.history, error.usage = self.id, tuple(self.messages), self.budget.usage
        if isinstance(error, JournalFailed) or not isinstance(error, SessionError):
            await self._in_spite_of(error, self._store, "the session could not be stored")

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
                await work()
            except Exception as failure:
                error.add_note(f"{failed}: {said(failure)}")
        if scope.cancelled_caught:
            error.add_note(f"{failed} within {seconds:g} seconds")

    def _result(self, output: Out) -> RunResult[Out]:
        return RunResult(
            output=output,
            messages=tuple(self.messages),
            usage=self.budget.usage,
            iterations=self.budget.iterations,
            tool_calls=self.budget.tool_calls,
            finish_reason=self.finish_reason,
            run_id=self.id,
            conversation=self.conversation,
            trace_id=self.trace_id,
        )

    @property
    def _conversation(self) -> str | None:
        """What traces call the conversation."""
        return self.session.id if self.session else self.conversation

    def _estimate(self, response: ModelResponse) -> int:
        """Tokens of a model call whose provider does not say."""
        said = [response.message, *self.messages]
        return sum(_length(message) for message in said) // _CHARS_PER_TOKEN


def _keyed(response: ModelResponse, place: str) -> ModelResponse:
    """The answer, with a key in each tool call that stays the same wherever the call is taken up.

    It is the call's place in the run, since not all servers give each call an id of its own.
    """
    message = response.message
    if not message.tool_calls:
        return response
    calls = tuple(replace(call, key=f"{place}.{number}") for number, call in enumerate(message.tool_calls))
    return replace(response, message=replace(message, tool_calls=calls))


@contextmanager
def _session_errors() -> Generator[None]:
    """A store's own exceptions, a full disk's for example, are a SessionError to the caller."""
    try:
        yield
    except AgentError:
        raise
    except Exception as error:
        raise SessionError(f"the store failed with {type(error).__name__}: {said(error)}") from error


def _last_answer(messages: Sequence[Message]) -> AssistantMessage | None:
    return next((message for message in reversed(messages) if isinstance(message, AssistantMessage)), None)


def _length(message: Message) -> int:
    match message:
        case UserMessage():
            return len(message.text)
        case AssistantMessage():
            return len(message.text) + sum(len(call.arguments) for call in message.tool_calls)
        case ToolResult():
            return len(message.content)

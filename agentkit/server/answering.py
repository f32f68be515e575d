"""A piece of work -> an answer, piece by piece: one call of a model, or a run of an agent.

Whoever watches is told of text and thoughts as they come. Of calls, it is told of those that it is asked to make
itself, and only once it is certain that it is: a run may find fault with a call's arguments and ask the model again.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import anyio
from pydantic_core import to_json

from agentkit import ModelRequest, ToolCall, Usage
from agentkit.events import (
    Event,
    ModelAnswered,
    ReasoningDelta,
    RunFinished,
    RunResult,
    TextDelta,
    ToolCallDelta,
    ToolFinished,
    ToolStarted,
)
from agentkit.messages import AssistantMessage, call_ids
from agentkit.models.base import Delta, HoldsAnswers, ModelResponse, OutputFormat
from agentkit.paused import Denied, Pause, PausedRun
from agentkit.prompt import mended
from agentkit.stream import RunStream

from .engine import Engine, Findings, Work

Tell: TypeAlias = Callable[[Event], Awaitable[None]]
_NOBODY = "nobody can be asked for approval here"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a piece of work has come to."""

    text: str
    """All that was said."""
    calls: tuple[ToolCall, ...] = ()
    """What the client is asked to do."""
    usage: Usage = field(default_factory=Usage)
    is_cut: bool = False
    """Whether it was cut at a limit of tokens."""
    fingerprint: str | None = None
    """What the model's server says of its set-up."""
    raw: Mapping[str, Any] | None = None


async def answer(engine: Engine, work: Work, findings: Findings, tell: Tell) -> Answer:
    """Answer, and tell of it on the way; `ModelAnswered` comes once for each answer of the model, after its pieces.

    Raises:
        ApiError: the work cannot be done as it is asked for.
        AgentError: it was begun, and has failed.
    """
    if _is_one_call(engine, work):
        return await _one_call(engine, work, tell)
    watching = _Watching(work=work, tell=tell)
    run = engine.stream(work, findings)
    while True:
        result = await watching.to_the_end(run)
        paused = result.paused
        if paused is None or watching.calls:
            break
        run = _denied(engine, work, findings, paused)
    return Answer(
        text="".join(watching.said),
        calls=tuple(watching.calls),
        usage=result.usage,
        is_cut=result.truncated or result.stopped_by == "output_tokens",
    )


def _is_one_call(engine: Engine, work: Work) -> bool:
    if work.hosted or engine.catalog.is_agent(work.model):
        return False
    return work.schema is None or "native" in engine.catalog.backend(work.model).info.output_modes


async def _one_call(engine: Engine, work: Work, tell: Tell) -> Answer:
    """What a client asks of a model, and not of an agent, is passed on as it is, and so is the answer."""
    backend, agent = engine.catalog.backend(work.model), engine.agent(work)
    form = None if work.schema is None else OutputFormat(name="output", schema=work.schema)
    request = ModelRequest(
        messages=mended(work.history),
        instructions=agent.instructions,
        tools=agent.registry,
        output=form,
        settings=agent.settings,
    )
    told = _Told(tell=tell, taken=call_ids(work.history))
    with anyio.fail_after(work.seconds):
        response = await backend.generate(request, told.delta)
    message = response.message
    if message.tool_calls and isinstance(backend, HoldsAnswers):
        await backend.release(message)
    await told.rest(message)
    await tell(ModelAnswered(response=response, iteration=1))
    return Answer(
        text=message.text,
        calls=message.tool_calls,
        usage=response.usage,
        is_cut=response.finish_reason == "length",
        fingerprint=response.system_fingerprint,
        raw=response.raw,
    )


def _denied(
    engine: Engine, work: Work, findings: Findings, paused: PausedRun
) -> AbstractAsyncContextManager[RunStream[Any]]:
    """The run goes on, without what only a person could have allowed."""
    answers = {each.call_id: Denied(_NOBODY) for each in paused.waiting}
    pause = Pause(expires=None, clock=engine.settings.clock)
    return engine.agent(work).resume_stream(paused, answers, deps=findings, approve=pause)


@dataclass(kw_only=True, slots=True)
class _Told:
    """What was told of one answer of a model, and what not yet: not all backends stream."""

    tell: Tell
    taken: set[str] = field(default_factory=set)
    """Ids that a call of this answer will not have in the end."""
    text: int = 0
    thoughts: int = 0
    calls: set[int] = field(default_factory=set)

    async def delta(self, delta: Delta) -> None:
        if isinstance(delta, TextDelta):
            self.text += len(delta.text)
        elif isinstance(delta, ReasoningDelta):
            self.thoughts += len(delta.text)
        elif isinstance(delta, ToolCallDelta):
            if not delta.arguments or not delta.id or delta.id in self.taken:
                return  # its name, or its id, is not certain yet
            self.calls.add(delta.index)
        await self.tell(delta)

    async def rest(self, message: AssistantMessage) -> None:
        if message.reasoning and not (self.thoughts or self.text or self.calls):
            await self.tell(ReasoningDelta(text=message.reasoning))
        if message.text and not self.text:
            await self.tell(TextDelta(text=message.text))
        for index, call in enumerate(message.tool_calls):
            if index not in self.calls:
                await self.tell(ToolCallDelta(index=index, name=call.name, arguments=call.arguments, id=call.id))


@dataclass(kw_only=True, slots=True)
class _Watching:
    """Tells of a run what its client is to know."""

    work: Work
    tell: Tell
    said: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    _pieces: list[ToolCallDelta] = field(default_factory=list)
    _answered: ModelResponse | None = None
    """The last answer, as long as nobody knows what comes of its calls."""
    _told: _Told | None = None
    _iteration: int = 0

    async def to_the_end(self, run: AbstractAsyncContextManager[RunStream[Any]]) -> RunResult[Any]:
        async with run as events:
            async for event in events:
                await self._hear(event)
        return events.result

    async def _hear(self, event: Event) -> None:
        match event:
            case TextDelta() | ReasoningDelta():
                await self._go_on()
                await self._open().delta(event)
            case ToolCallDelta():
                await self._go_on()
                self._open()
                self._pieces.append(event)
            case ModelAnswered():
                await self._go_on()
                await self._open().rest(replace(event.response.message, tool_calls=()))
                self._answered, self._told, self._iteration = event.response, None, event.iteration
                if event.response.message.text:
                    self.said.append(event.response.message.text)
            case ToolStarted() | ToolFinished():
                await self.tell(event)
            case RunFinished():
                await self._finish(event.result)

    def _open(self) -> _Told:
        """The answer that is being given."""
        if self._told is None:
            self._told, self._pieces = _Told(tell=self.tell), []
        return self._told

    async def _go_on(self) -> None:
        """The run has gone on from the last answer: the client has no part in its calls."""
        await self._close(())

    async def _finish(self, result: RunResult[Any]) -> None:
        waiting = {each.call_id for each in result.paused.waiting} if result.paused else set()
        own = {each["name"] for each in self.work.functions}
        asked = self._answered.message.tool_calls if self._answered else ()
        self.calls = [call for call in asked if call.id in waiting and call.name in own]
        is_silent = self._answered is None or not self._answered.message.text
        if result.paused is None and is_silent and result.value is not None:
            text = result.value if isinstance(result.value, str) else to_json(result.value).decode()
            self.said.append(text)
            await self.tell(TextDelta(text=text))
        await self._close(self.calls)

    async def _close(self, calls: "tuple[ToolCall, ...] | list[ToolCall]") -> None:
        if self._answered is None:
            return
        response, self._answered = self._answered, None
        asked = response.message.tool_calls
        for number, call in enumerate(calls):
            place = asked.index(call)
            pieces = [each for each in self._pieces if each.index == place]
            whole = "".join(piece.arguments for piece in pieces) == call.arguments
            for piece in pieces if whole else [ToolCallDelta(index=0, name=call.name, arguments=call.arguments)]:
                await self.tell(replace(piece, index=number, name=call.name, id=call.id))
        message = replace(response.message, tool_calls=tuple(calls))
        await self.tell(ModelAnswered(response=replace(response, message=message), iteration=self._iteration))

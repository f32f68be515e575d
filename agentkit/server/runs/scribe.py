"""What happens in a run -> what is kept of it, and what its watcher is told, in the wire's order.

What changes the state of an object is one transaction, and told when that is done. The words of a message are told as
they come, and kept when the message is whole or the run ends.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any

import anyio
from pydantic_core import to_json

from agentkit import ToolCall, ToolResult, Usage
from agentkit.events import ModelAnswered, RunFinished, RunResult, TextDelta, ToolCallDelta, ToolFinished
from agentkit.messages import clean
from agentkit.models.base import ModelResponse
from agentkit.server.desk import Server
from agentkit.server.engine import Findings
from agentkit.server.engine.log import ITEM, MESSAGE, items_of
from agentkit.server.store import Objects

from .calls import Calls
from .ending import Ending, Happened, end, kept_usage
from .feed import Feed
from .objects import RUN, STEP, ended, new_answer, new_step, shown_usage
from .trace import Trace
from .words import Words

_GOING = ("in_progress",)


class Overtaken(Exception):
    """Somebody else has ended the run."""


@dataclass(kw_only=True, slots=True)
class Scribe:
    """Writes down one run, from where it is taken up to its end or its next pause."""

    server: Server
    tenant: str
    run: Mapping[str, Any]
    """The run as it was when it was taken up."""
    feed: Feed | None
    findings: Findings
    tools: Mapping[str, Mapping[str, Any]]
    """See `Calls.tools`."""
    used: Usage
    """All that the run has used."""
    words: Words | None = None
    calls: Calls | None = None
    late: str = ""
    """What the model says behind its calls, or before its first word."""
    trace: Trace = field(default_factory=Trace)

    async def note(self, event: Any) -> None:
        """Write down what has happened."""
        self.trace.note(event)
        match event:
            case TextDelta():
                await self._next_turn()
                await self._say(clean(event.text))
            case ToolCallDelta() if not self._is_answer(event.name):
                await self._next_turn()
                await self._call(event)
            case ModelAnswered():
                await self._next_turn()
                await self._answered(event.response)
            case ToolFinished():
                await self._came_to(event.call, event.result)
            case RunFinished():
                await self._finished(event.result)

    async def refused(self, why: str) -> None:
        """The model has declined: the run is done, and its message says so."""
        await self._finish_words()
        words = await self._speak("refusal")
        self._told(("thread.message.delta", words.heard(clean(why))))
        await self._completed()

    async def end(self, how: Ending) -> None:
        """End the run before its time.

        Raises:
            Overtaken: it is in none of the states that this is an end of.
        """
        now, unsaved = self.server.now(), self._unsaved()
        with anyio.CancelScope(shield=True):
            async with self.server.write(self.tenant) as objects:
                happened = await end(objects, self.run["id"], how, now, used=self.used, unsaved=unsaved)
                if not happened:
                    raise Overtaken
                await self._keep_trace(objects)
            self._tell(happened)

    async def _say(self, piece: str) -> None:
        if self.words is None:
            self.late += piece
            if self.calls is not None or not self.late.strip():
                return
            piece, self.late = self.late, ""
            await self._speak("text")
        assert self.words is not None
        if piece:
            self._told(("thread.message.delta", self.words.heard(piece)))

    async def _speak(self, kind: str) -> Words:
        """A message begins."""
        now = self.server.now()
        message = new_answer(self.run, now)
        details = {"type": "message_creation", "message_creation": {"message_id": message["id"]}}
        step = new_step(self.run, details, now)
        words = self.words = Words(message=message, step=step, kind=kind)
        async with self._writing() as (objects, _):
            await objects.add(STEP, step, parent=self.run["id"])
            await objects.add(MESSAGE, message, parent=self.run["thread_id"], ref=self.run["id"])
        self._told(("thread.run.step.created", step), ("thread.run.step.in_progress", step))
        self._told(("thread.message.created", message), ("thread.message.in_progress", message))
        return words

    async def _call(self, delta: ToolCallDelta) -> None:
        await self._finish_words()
        calls = self.calls or await self._begin_calls()
        self._told_of(calls, calls.heard(delta))

    async def _begin_calls(self) -> Calls:
        step = new_step(self.run, {"type": "tool_calls", "tool_calls": []}, self.server.now())
        async with self._writing() as (objects, _):
            await objects.add(STEP, step, parent=self.run["id"])
        self.calls = Calls(step=deepcopy(step), tools=self.tools, findings=self.findings)
        self._told(("thread.run.step.created", step), ("thread.run.step.in_progress", step))
        return self.calls

    async def _answered(self, response: ModelResponse) -> None:
        """The model's answer is whole."""
        message, usage = response.message, response.usage
        self.used += usage
        calls = [call for call in message.tool_calls if not self._is_answer(call.name)]
        if self.words is None and message.text.strip() and self.calls is None:
            self.late = ""
            await self._say(clean(message.text))
        if self.words is not None:
            self.words.is_whole = True
            if not calls:
                self.words.due = usage
        if calls:
            await self._finish_words()
            asked = self.calls or await self._begin_calls()
            self._told_of(asked, asked.answered(calls, usage))
            await self._say_late()
        self.late = ""

    async def _say_late(self) -> None:
        """What the model has said behind its calls is a message of its own, so that it is not lost."""
        late, self.late = self.late, ""
        if late.strip():
            words = await self._speak("text")
            self._told(("thread.message.delta", words.heard(late)))
            await self._finish_words()

    async def _came_to(self, call: ToolCall, result: ToolResult) -> None:
        if self.calls is not None:
            self._told_of(self.calls, self.calls.came_to(call, result))
            if self.calls.is_done:
                await self._finish_calls()

    async def _next_turn(self) -> None:
        """What belongs to the model's last answer is done, if this is another one."""
        if self.words is not None and self.words.is_whole:
            await self._finish_words()
        if self.calls is not None and self.calls.asked:
            await self._finish_calls()

    async def _finish_words(self) -> None:
        if self.words is None:
            return
        words = self.words
        self._told(*(("thread.message.delta", delta) for delta in words.cited(self.findings)))
        message, step = words.finished(self.findings, self.server.now())
        async with self._writing() as (objects, _):
            await objects.put(MESSAGE, message, parent=self.run["thread_id"])
            await objects.put(STEP, step)
        self.words = None
        self._told(("thread.message.completed", message), ("thread.run.step.completed", step))

    async def _finish_calls(self) -> None:
        calls = self.calls
        assert calls is not None
        step = ended(calls.step, "completed", self.server.now(), usage=shown_usage(calls.due or Usage()))
        async with self._writing() as (objects, _):
            await objects.put(STEP, step)
            for item in items_of(calls.shown, calls.asked, calls.results):
                await objects.add(ITEM, item, parent=self.run["thread_id"])
        self.calls = None
        self._told(("thread.run.step.completed", step))

    async def _finished(self, result: RunResult[Any]) -> None:
        if result.paused is not None:
            await self._paused(result.paused.to_json(), [each.call_id for each in result.paused.waiting])
            return
        if self.calls is not None:
            await self._finish_calls()
        if self.words is None and result.value not in (None, ""):
            value = result.value
            words = await self._speak("text")
            text = value if isinstance(value, str) else to_json(value).decode()
            self._told(("thread.message.delta", words.heard(clean(text))))
        await self._completed(is_cut=result.truncated)

    async def _paused(self, paused: str, waiting: list[str]) -> None:
        """The run waits for what the client's functions come to."""
        calls = self.calls
        assert calls is not None
        asked = [_as_asked(call) for call in calls.asked if call.id in waiting]
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": asked}}
        private = {
            "paused": paused,
            "step": calls.step["id"],
            "asked": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls.asked],
            "results": calls.results,
            "due": kept_usage(calls.due or Usage()),
            "used": kept_usage(self.used),
            "cited": [asdict(hit) for hit in self.findings.cited],
            "written": self.findings.written,
        }
        async with self._writing() as (objects, run):
            await objects.put(STEP, calls.step)
            run |= {"status": "requires_action", "required_action": action}
            await self._put(objects, run, private=private)
            await self._keep_trace(objects)
        self.calls = None
        self._told(("thread.run.requires_action", run))

    async def _completed(self, *, is_cut: bool = False) -> None:
        """The run is done, or was cut at its limit of tokens."""
        now, words = self.server.now(), self.words
        status = "incomplete" if is_cut else "completed"
        details = {"reason": "max_completion_tokens"} if is_cut else None
        happened = list[Happened]()
        async with self._writing() as (objects, run):
            if words is not None:
                happened += [("thread.message.delta", delta) for delta in words.cited(self.findings)]
                message, step = words.cut(self.findings, now) if is_cut else words.finished(self.findings, now)
                await objects.put(MESSAGE, message, parent=self.run["thread_id"])
                await objects.put(STEP, step)
                happened += [(f"thread.message.{status}", message), ("thread.run.step.completed", step)]
            run = ended(run, status, now, usage=shown_usage(self.used), incomplete_details=details)
            await self._put(objects, run, active=False, private=None)
            await self._keep_trace(objects)
        self.words = None
        self._tell([*happened, (f"thread.run.{status}", run)])

    async def _keep_trace(self, objects: Objects) -> None:
        await self.trace.keep(objects, self.run, self.server.settings.clock())

    async def _put(self, objects: Objects, run: Mapping[str, Any], **columns: Any) -> None:
        if not await objects.put(RUN, run, of=_GOING, **columns):
            raise Overtaken

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[tuple[Objects, dict[str, Any]]]:
        """A transaction, and the run as it is now, while it is still this one's to write."""
        with anyio.CancelScope(shield=True):  # what is kept is told, too
            async with self.server.write(self.tenant) as objects:
                run = await objects.find(RUN, self.run["id"], lock=True)
                if run is None or run["status"] not in _GOING:
                    raise Overtaken
                yield objects, run

    def _unsaved(self) -> dict[str, dict[str, Any]]:
        """What is in progress as it stands."""
        found = [] if self.calls is None else [self.calls.step]
        if self.words is not None:
            found += [self.words.as_it_stands(self.findings), self.words.step]
        return {each["id"]: each for each in found}

    def _is_answer(self, tool: str) -> bool:
        """Whether a call of this name is none, but the form in which the model was made to answer."""
        return self.findings.work.schema is not None and tool not in self.tools

    def _told_of(self, calls: Calls, deltas: Iterator[dict[str, Any]]) -> None:
        for call in deltas:
            delta = {"step_details": {"type": "tool_calls", "tool_calls": [call]}}
            told = {"id": calls.step["id"], "object": "thread.run.step.delta", "delta": delta}
            self._told(("thread.run.step.delta", told))

    def _told(self, *happened: Happened) -> None:
        self._tell(happened)

    def _tell(self, happened: Any) -> None:
        if self.feed is not None:
            for name, data in happened:
                self.feed.publish(name, data)


def _as_asked(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}

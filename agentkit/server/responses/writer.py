"""An answer -> the events of a streamed response, and the items that it comes to."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_core import from_json

from agentkit import ToolCall
from agentkit.events import Event, ModelAnswered, ReasoningDelta, TextDelta, ToolCallDelta, ToolFinished, ToolStarted
from agentkit.server.engine import Findings
from agentkit.server.files import response_citations
from agentkit.server.ids import new_id

from .items import shown

Tell: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
_CODE = "code_interpreter"


@dataclass(kw_only=True, slots=True)
class Open:
    """An item that is being written."""

    item: dict[str, Any]
    place: int
    text: list[str] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Writer:
    """Writes the output of one response, item by item."""

    response: dict[str, Any]
    tell: Tell
    findings: Findings
    include: Collection[str] = ()
    items: list[dict[str, Any]] = field(default_factory=list)
    """The output, with what clients do not see of it."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """The output, and between it what an agent's own tools have done."""
    _number: int = 0
    _message: Open | None = None
    _thought: Open | None = None
    _calls: dict[int, Open] = field(default_factory=dict)
    _hosted: dict[str, Open] = field(default_factory=dict)
    _turn: str = ""

    async def event(self, kind: str, **data: Any) -> None:
        """Tell of something."""
        await self.tell(self._made(kind, data))

    async def lifecycle(self, kind: str) -> None:
        """Tell of the response as a whole."""
        await self.tell(self.whole(kind))

    def whole(self, kind: str) -> dict[str, Any]:
        """The event that tells of the response as a whole."""
        return self._made(kind, {"response": {**self.response, "output": self.output()}})

    def output(self) -> list[dict[str, Any]]:
        """The items as clients see them."""
        return [shown_item(item, self.include) for item in self.items]

    async def hear(self, event: Event) -> None:
        """Tell the client of an event, if that says something to it."""
        match event:
            case ReasoningDelta():
                await self._think(event.text)
            case TextDelta():
                await self._say(event.text)
            case ToolCallDelta():
                await self._ask(event)
            case ModelAnswered():
                await self._answered(event.response.message.tool_calls)
            case ToolStarted():
                await (self._start(event.call) if self._is_hosted(event.call) else self._own_begun(event.call))
            case ToolFinished():
                await (self._hosted_done(event) if self._is_hosted(event.call) else self._own_done(event))

    async def refuse(self, words: str) -> None:
        """The model declines."""
        await self.close()
        message = await self._begin({"id": new_id("message"), "type": "message", "role": "assistant", "content": []})
        part = {"type": "refusal", "refusal": ""}
        await self._part("added", message, part)
        at = self._at(message) | {"content_index": 0}
        await self.event("refusal.delta", **at, delta=words)
        await self.event("refusal.done", **at, refusal=words)
        part = {"type": "refusal", "refusal": words}
        await self._part("done", message, part)
        message.item["content"] = [part]
        await self._end(message)

    async def close(self, status: str = "completed") -> None:
        """End what is being written."""
        if self._thought is not None:
            thought, self._thought = self._thought, None
            text = "".join(thought.text)
            part = {"type": "reasoning_text", "text": text}
            await self.event("reasoning_text.done", **self._at(thought), content_index=0, text=text)
            await self._part("done", thought, part)
            thought.item["content"] = [part]
            await self._end(thought, status)
        if self._message is not None:
            message, self._message = self._message, None
            await self._end_message(message, status)
        if status != "completed":
            for each in (*self._calls.values(), *self._hosted.values()):
                await self._end(each, status)
            self._calls, self._hosted = {}, {}

    async def _think(self, piece: str) -> None:
        if self._thought is None:
            await self.close()
            item = {"id": new_id("reasoning"), "type": "reasoning", "summary": [], "content": []}
            self._thought = await self._begin(item)
            await self._part("added", self._thought, {"type": "reasoning_text", "text": ""})
        self._thought.text.append(piece)
        await self.event("reasoning_text.delta", **self._at(self._thought), content_index=0, delta=piece)

    async def _say(self, piece: str) -> None:
        if self._message is None:
            await self.close()
            item = {"id": new_id("message"), "type": "message", "role": "assistant", "content": []}
            self._message = await self._begin(item)
            await self._part("added", self._message, _text(""))
        self._message.text.append(piece)
        at = self._at(self._message)
        await self.event("output_text.delta", **at, content_index=0, delta=piece, logprobs=[])

    async def _end_message(self, message: Open, status: str) -> None:
        text = "".join(message.text)
        part = _text(text) | {"annotations": response_citations(text, self.findings)}
        at = self._at(message) | {"content_index": 0}
        for number, each in enumerate(part["annotations"]):
            await self.event("output_text.annotation.added", **at, annotation_index=number, annotation=each)
        await self.event("output_text.done", **at, text=text, logprobs=[])
        await self._part("done", message, part)
        message.item["content"] = [part]
        await self._end(message, status)

    async def _ask(self, piece: ToolCallDelta) -> None:
        await self.close()
        call = self._calls.get(piece.index)
        if call is None:
            item = {"type": "function_call", "call_id": piece.id, "name": piece.name, "arguments": ""}
            call = self._calls[piece.index] = await self._begin({"id": new_id("function_call"), **item})
        call.text.append(piece.arguments)
        await self.event("function_call_arguments.delta", **self._at(call), delta=piece.arguments)

    async def _answered(self, calls: tuple[ToolCall, ...]) -> None:
        """The answer is whole; from here on, another one is written."""
        await self.close()
        for index, asked in enumerate(calls):
            call = self._calls[index]
            call.item |= {"call_id": asked.id, "name": asked.name, "arguments": asked.arguments, "turn": self._now()}
            done = {"name": asked.name, "arguments": asked.arguments}
            await self.event("function_call_arguments.done", **self._at(call), **done)
            await self._end(call)
        self._calls, self._turn = {}, ""

    async def _start(self, call: ToolCall) -> None:
        await self.close()
        arguments = _read(call.arguments)
        about = {"call_id": call.id, "arguments": call.arguments, "output": "", "turn": self._now()}
        kind, item = f"{call.name}_call", dict[str, Any]()
        if call.name == _CODE:
            code = str(arguments.get("code", ""))
            item = {"id": new_id(kind), "type": kind, "code": code, "container_id": "auto", "outputs": None}
            made = self._hosted[call.id] = await self._begin(item | about)
            await self.event(f"{kind}.in_progress", **self._at(made))
            await self.event(f"{kind}_code.delta", **self._at(made), delta=code)
            await self.event(f"{kind}_code.done", **self._at(made), code=code)
            await self.event(f"{kind}.interpreting", **self._at(made))
        else:
            queries = [str(arguments.get("query", ""))]
            item = {"id": new_id(kind), "type": kind, "queries": queries, "results": None}
            made = self._hosted[call.id] = await self._begin(item | about)
            await self.event(f"{kind}.in_progress", **self._at(made))
            await self.event(f"{kind}.searching", **self._at(made))

    async def _hosted_done(self, event: ToolFinished) -> None:
        call = event.call
        if call.id not in self._hosted:  # it was refused before it began
            await self._start(call)
        made = self._hosted.pop(call.id)
        made.item["output"] = event.result.content
        if call.name == _CODE:
            outputs = self.findings.outputs.get(call.id, ())
            made.item["outputs"] = [{"type": "logs", "logs": each["logs"]} for each in outputs if "logs" in each]
        else:
            made.item["results"] = [
                {
                    "file_id": hit.file_id,
                    "filename": hit.filename,
                    "score": hit.score,
                    "text": hit.text,
                    "attributes": dict(hit.attributes),
                }
                for hit in self.findings.hits.get(call.id, ())
            ]
        await self.event(f"{call.name}_call.completed", **self._at(made))
        await self._end(made)

    async def _own_begun(self, call: ToolCall) -> None:
        """An agent calls a tool of its own: no client is to act on it, and models are told of it again."""
        await self.close()
        about = {"call_id": call.id, "status": "completed", "turn": self._now()}
        item = {"id": new_id("function_call"), "type": "function_call", "name": call.name, "arguments": call.arguments}
        self.log.append(item | about)

    async def _own_done(self, event: ToolFinished) -> None:
        """What it has come to. Tools end in any order, and were begun in that of the calls."""
        item = {"id": new_id("function_call_output"), "type": "function_call_output", "call_id": event.call.id}
        self.log.append(item | {"status": "completed", "output": event.result.content})

    def _is_hosted(self, call: ToolCall) -> bool:
        return call.name in {each["type"] for each in self.findings.work.hosted}

    def _made(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """An event; each has its number."""
        self._number += 1
        return {"type": f"response.{kind}", "sequence_number": self._number - 1, **data}

    def _now(self) -> str:
        self._turn = self._turn or new_id("item")
        return self._turn

    async def _begin(self, item: dict[str, Any]) -> Open:
        item["status"] = "in_progress"
        opened = Open(item=item, place=len(self.items))
        self.items.append(item)
        self.log.append(item)
        await self.event("output_item.added", output_index=opened.place, item=shown_item(item, self.include))
        return opened

    async def _end(self, opened: Open, status: str = "completed") -> None:
        opened.item["status"] = status
        await self.event("output_item.done", output_index=opened.place, item=shown_item(opened.item, self.include))

    async def _part(self, kind: str, opened: Open, part: dict[str, Any]) -> None:
        await self.event(f"content_part.{kind}", **self._at(opened), content_index=0, part=part)

    def _at(self, opened: Open) -> dict[str, Any]:
        return {"item_id": opened.item["id"], "output_index": opened.place}


def shown_item(item: dict[str, Any], include: Collection[str]) -> dict[str, Any]:
    """An item of the output as clients see it."""
    return dict(item) if item["type"] == "message" else shown(item, include)


def _text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _read(arguments: str) -> dict[str, Any]:
    try:
        given = from_json(arguments)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}

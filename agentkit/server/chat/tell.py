"""An answer -> what a client of Chat Completions is told: the whole, or pieces of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit import ToolCall, Usage
from agentkit.events import Event, ModelAnswered, ReasoningDelta, TextDelta, ToolCallDelta
from agentkit.server.answering import Answer
from agentkit.server.event_stream import Tell, event


@dataclass(kw_only=True, slots=True)
class ChatWriter:
    """Writes one answer."""

    id: str
    model: str
    created: int
    with_usage: bool = False
    """Whether a stream ends with what the answer has used."""
    tell: Tell | None = None
    """Where the pieces go; None where the answer is told as a whole."""
    _is_begun: bool = False
    _calls: int = 0
    """Calls of the answers before this one."""
    _seen: set[int] = field(default_factory=set)

    async def hear(self, event: Event) -> None:
        """Tell the client of an event, if that says something to it."""
        match event:
            case TextDelta():
                await self._piece({"content": event.text})
            case ReasoningDelta():
                await self._piece({"reasoning_content": event.text})
            case ToolCallDelta():
                await self._piece({"tool_calls": [self._call(event)]})
            case ModelAnswered():
                self._calls, self._seen = self._calls + len(self._seen), set()

    async def finish(self, answer: Answer) -> None:
        """The end of a stream."""
        await self._piece({}, finish=_reason(answer))
        await self._used(answer.usage)

    async def refuse(self, words: str) -> None:
        """The end of a stream in which the model declines."""
        await self._piece({"refusal": words})
        await self._piece({}, finish="stop")
        await self._used(Usage())

    async def withhold(self) -> None:
        """The end of a stream that a filter has cut off."""
        await self._piece({}, finish="content_filter")
        await self._used(Usage())

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The answer."""
        message: dict[str, Any] = {"content": answer.text or (None if answer.calls else "")}
        if answer.calls:
            message["tool_calls"] = [_called(call) for call in answer.calls]
        return self._completion(message, _reason(answer), answer.usage)

    def refusal(self, words: str) -> dict[str, Any]:
        """The answer of a model that declines."""
        return self._completion({"content": None, "refusal": words}, "stop", Usage())

    def withheld(self) -> dict[str, Any]:
        """An answer that a filter has kept back."""
        return self._completion({"content": None}, "content_filter", Usage())

    def _completion(self, message: dict[str, Any], reason: str, usage: Usage) -> dict[str, Any]:
        told = {"role": "assistant", "refusal": None, "annotations": [], **message}
        choice = {"index": 0, "message": told, "logprobs": None, "finish_reason": reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _call(self, piece: ToolCallDelta) -> dict[str, Any]:
        place = self._calls + piece.index
        if piece.index in self._seen:
            return {"index": place, "function": {"arguments": piece.arguments}}
        self._seen.add(piece.index)
        named = {"name": piece.name, "arguments": piece.arguments}
        return {"index": place, "id": piece.id, "type": "function", "function": named}

    async def _piece(self, delta: dict[str, Any], finish: str | None = None) -> None:
        if not self._is_begun:
            self._is_begun = True
            await self._piece({"role": "assistant", "content": "", "refusal": None})
        await self._chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

    async def _used(self, usage: Usage) -> None:
        if self.with_usage:
            await self._chunk([], _usage(usage))

    async def _chunk(self, choices: Sequence[dict[str, Any]], usage: dict[str, Any] | None = None) -> None:
        if self.tell is not None:
            told: dict[str, Any] = {**self._head("chat.completion.chunk"), "choices": choices}
            await self.tell(event(told | {"usage": usage} if self.with_usage else told))


def _reason(answer: Answer) -> str:
    return "length" if answer.is_cut else "tool_calls" if answer.calls else "stop"


def _called(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens or 0,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }

"""The body of a Chat Completions response, whole or streamed -> a `ModelResponse`. Pure.

Lenient in what it does not need, strict in what it does: an answer is understood as a whole or is a `BadResponse`.
Source: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

from agentkit.errors import ContentFiltered, ModelError, Refused, StreamBroken, Truncated
from agentkit.messages import AssistantMessage, ToolCall, Usage, call_ids, clean
from agentkit.models.base import Delta, ModelRequest, ModelResponse, ReasoningDelta, TextDelta, ToolCallDelta
from agentkit.models.http_errors import bad_response, of_code


def decode(body: bytes, request: ModelRequest) -> ModelResponse:
    """The answer in a whole response body.

    Raises:
        ModelError: it holds an error, or no answer that can be used.
    """
    data = _object(body)
    choice = _first(data.get("choices"))
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        raise bad_response("it has no choices[0].message", body)
    answer = _Answer()
    answer.read_head(data)
    answer.read_piece(message)
    answer.finish_reason = choice.get("finish_reason") or ""
    return answer.response(request)


class StreamDecoder:
    """Puts a streamed answer together, event by event."""

    def __init__(self, request: ModelRequest) -> None:
        self._request = request
        self._answer = _Answer()
        self._begun = False
        self.done = False
        """Whether the server has said that nothing follows."""

    def feed(self, event: bytes) -> list[Delta]:
        """What an event adds to the answer.

        Raises:
            ModelError: the event is an error, or not JSON.
        """
        self._begun = True
        if event.strip() == b"[DONE]":
            self.done = True
            return []
        data = _object(event)
        self._answer.read_head(data)
        choice = _first(data.get("choices"))
        if choice is None:
            return []
        self._answer.finish_reason = choice.get("finish_reason") or self._answer.finish_reason
        delta = choice.get("delta")
        return self._answer.read_piece(delta) if isinstance(delta, dict) else []

    def broke_off(self, error: ModelError) -> None:
        """The connection has failed in the middle: that matters unless the answer is there.

        Raises:
            ModelError: the error itself if nothing has come yet, or StreamBroken.
        """
        if not self._begun:
            raise error
        if not self._answer.finish_reason:
            raise self._broken() from error

    def response(self) -> ModelResponse:
        """The whole answer, once the stream has ended.

        Raises:
            StreamBroken: it ended in the middle.
            ModelError: the answer cannot be used.
        """
        if not self.done and not self._answer.finish_reason:
            raise self._broken()
        return self._answer.response(self._request)

    def _broken(self) -> StreamBroken:
        return StreamBroken("the stream ended in the middle of the answer", partial="".join(self._answer.text))


@dataclass(slots=True)
class _Call:
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Answer:
    """An answer so far."""

    id: str = ""
    model: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[_Call] = field(default_factory=list)
    _slots: dict[int, int] = field(default_factory=dict)
    """The wire's index of a call -> the call's place here."""

    def read_head(self, data: dict[str, Any]) -> None:
        """What stands beside the choices."""
        self.id = self.id or _str(data.get("id"))
        self.model = self.model or _str(data.get("model"))
        if isinstance(usage := data.get("usage"), dict):
            self.usage = _usage(usage)

    def read_piece(self, piece: dict[str, Any]) -> list[Delta]:
        """A message, or a delta: a piece of one."""
        deltas: list[Delta] = []
        if thought := _str(piece.get("reasoning_content") or piece.get("reasoning")):
            self.reasoning.append(thought)
            deltas.append(ReasoningDelta(text=thought))
        if text := _text(piece.get("content")):
            self.text.append(text)
            deltas.append(TextDelta(text=text))
        if refusal := _str(piece.get("refusal")):
            self.refusal.append(refusal)
        for place, call in enumerate(piece.get("tool_calls") or ()):
            if isinstance(call, dict):
                deltas.append(self._read_call(call, place))
        return deltas

    def _read_call(self, piece: dict[str, Any], place: int) -> ToolCallDelta:
        index, id = piece.get("index", place), _str(piece.get("id"))
        slot = self._slots.get(index)
        if slot is None or (id and self.calls[slot].id and id != self.calls[slot].id):
            slot = self._slots[index] = len(self.calls)  # a new id on a used index opens a new call
            self.calls.append(_Call(id))
        call = self.calls[slot]
        call.id = call.id or id
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        if not call.arguments:
            call.name += _str(function.get("name"))
        arguments = function.get("arguments") or ""
        arguments = arguments if isinstance(arguments, str) else to_json(arguments).decode()
        if arguments:
            call.arguments.append(arguments)
        return ToolCallDelta(index=slot, name=call.name, arguments=arguments)

    def response(self, request: ModelRequest) -> ModelResponse:
        """The answer as a whole.

        Raises:
            ModelError: it cannot be used.
        """
        text = clean("".join(self.text))
        if self.refusal:
            raise Refused(clean("".join(self.refusal)))
        if self.finish_reason == "content_filter":
            raise ContentFiltered("the provider's content filter withheld the answer")
        if self.finish_reason == "length" and (self.calls or request.output):
            what = "in the middle of a tool call" if self.calls else "before its JSON was complete"
            raise Truncated(f"the answer was cut at the token limit {what}; raise max_tokens", partial=text)
        message = AssistantMessage(text=text, tool_calls=self._tool_calls(request), reasoning="".join(self.reasoning))
        return ModelResponse(
            message=message,
            finish_reason=self.finish_reason or "stop",
            usage=self.usage,
            model=self.model,
            id=self.id,
        )

    def _tool_calls(self, request: ModelRequest) -> tuple[ToolCall, ...]:
        """The calls; missing and repeated ids are replaced by ones that no other call of the conversation has."""
        seen = call_ids(request.messages)
        calls = []
        for place, call in enumerate(self.calls):
            id = call.id if call.id and call.id not in seen else f"call_{len(request.messages)}_{place}"
            seen.add(id)
            calls.append(ToolCall(id=id, name=clean(call.name), arguments=clean("".join(call.arguments))))
        return tuple(calls)


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = from_json(body)
    except ValueError:
        raise bad_response("it is not JSON", body) from None
    if not isinstance(data, dict):
        raise bad_response("it is not a JSON object", body)
    if (error := data.get("error")) is not None:
        raise _told(error)
    return data


def _told(error: object) -> ModelError:
    """The error in a response that came with status 200."""
    told = error if isinstance(error, Mapping) else {"message": error}
    code = told.get("code") or told.get("type") or ""
    status = code if isinstance(code, int) else 0
    return of_code(status, str(code), str(told.get("message") or "the server reports an error")[:2000])


def _first(choices: object) -> dict[str, Any] | None:
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _text(content: object) -> str:
    """The text of a message's content: a string, or on some servers a list of parts."""
    if isinstance(content, list):
        return "".join(_str(part.get("text")) for part in content if isinstance(part, dict))
    return _str(content)


def _usage(usage: dict[str, Any]) -> Usage:
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cache_read_tokens=prompt.get("cached_tokens"),
        cache_write_tokens=prompt.get("cache_write_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
    )

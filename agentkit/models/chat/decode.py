"""The body of a Chat Completions response, whole or streamed -> a `ModelResponse`. Pure.

Lenient in what it does not need, strict in what it does: an answer is understood as a whole or is a `BadResponse`.
Source: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming
"""

from dataclasses import dataclass, field
from itertools import count
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
    answer.finish_reason = _str(choice.get("finish_reason"))
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
        self._answer.finish_reason = _str(choice.get("finish_reason")) or self._answer.finish_reason
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

    def ends_at(self, id: str, name: str, arguments: str, *, numbered: bool) -> bool:
        """Whether a piece in this call's place begins another call.

        It does if it has another id. Where there are no ids, it does if it has a name after arguments that are whole,
        or, on servers that do not number the calls either, another name.
        """
        if id and self.id:
            return id != self.id
        if not name or not self.name:
            return False
        if name != self.name and not numbered:
            return True
        return bool(name != self.name or arguments) and _is_object("".join(self.arguments))

    def add(self, id: str, name: str, arguments: str) -> None:
        """A piece; its name is a piece of the name too, unless the server repeats all of it."""
        self.id = self.id or id
        if not self.name or not (self.arguments or name == self.name):
            self.name += name
        if arguments:
            self.arguments.append(arguments)


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
    """The wire's index of a call, or its place in its piece if it has none -> the call's place here."""

    def read_head(self, data: dict[str, Any]) -> None:
        """What stands beside the choices."""
        self.id = self.id or _str(data.get("id"))
        self.model = self.model or _str(data.get("model"))
        if isinstance(usage := data.get("usage"), dict):
            self.usage = _usage(usage)

    def read_piece(self, piece: dict[str, Any]) -> list[Delta]:
        """A message, or a delta: a piece of one.

        Raises:
            BadResponse: its tool calls are no list.
        """
        deltas: list[Delta] = []
        if thought := _str(piece.get("reasoning_content")) or _str(piece.get("reasoning")):
            self.reasoning.append(thought)
            deltas.append(ReasoningDelta(text=thought))
        if text := _text(piece.get("content")):
            self.text.append(text)
            deltas.append(TextDelta(text=text))
        if refusal := _str(piece.get("refusal")):
            self.refusal.append(refusal)
        calls = piece.get("tool_calls") or []
        if not isinstance(calls, list):
            raise bad_response("its tool_calls are no list", to_json(calls))
        for place, call in enumerate(calls):
            if isinstance(call, dict):
                deltas.append(self._read_call(call, place))
        return deltas

    def _read_call(self, piece: dict[str, Any], place: int) -> ToolCallDelta:
        index, function = _int(piece.get("index")), _dict(piece.get("function"))
        id, name, arguments = _str(piece.get("id")), _str(function.get("name")), _arguments(function.get("arguments"))
        at = place if index is None else index
        slot = self._slots.get(at)
        if slot is None or self.calls[slot].ends_at(id, name, arguments, numbered=index is not None):
            slot = self._slots[at] = len(self.calls)
            self.calls.append(_Call(id))
        call = self.calls[slot]
        call.add(id, name, arguments)
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
        message = AssistantMessage(
            text=text, tool_calls=self._tool_calls(request), reasoning=clean("".join(self.reasoning))
        )
        return ModelResponse(
            message=message,
            finish_reason=self.finish_reason or "stop",
            usage=self.usage,
            model=self.model,
            id=self.id,
        )

    def _tool_calls(self, request: ModelRequest) -> tuple[ToolCall, ...]:
        """The calls; missing and repeated ids are replaced by ones that no other call of the conversation has."""
        taken, ids = {"", *call_ids(request.messages)}, list[str]()
        for call in self.calls:
            id = clean(call.id)
            ids.append("" if id in taken else id)
            taken.add(id)
        minted = (f"call_{len(request.messages)}_{n}" for n in count())
        free = (id for id in minted if id not in taken)
        return tuple(
            ToolCall(id=id or next(free), name=clean(call.name), arguments=clean("".join(call.arguments)))
            for id, call in zip(ids, self.calls, strict=True)
        )


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
    told = error if isinstance(error, dict) else {"message": error}
    code = told.get("code") or told.get("type") or ""
    status = _int(code) or 0
    return of_code(status, str(code), str(told.get("message") or "the server reports an error")[:2000])


def _first(choices: object) -> dict[str, Any] | None:
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _int(value: object) -> int | None:
    """A number of something: whole, and not below zero."""
    return value if type(value) is int and value >= 0 else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _arguments(value: object) -> str:
    """A call's arguments as JSON text; some servers send them as an object."""
    if isinstance(value, str):
        return value
    return to_json(value).decode() if value else ""


def _is_object(text: str) -> bool:
    try:
        return text.rstrip().endswith("}") and isinstance(from_json(text), dict)
    except ValueError:
        return False


def _text(content: object) -> str:
    """The text of a message's content: a string, or on some servers a list of parts."""
    if isinstance(content, list):
        return "".join(_str(part.get("text")) for part in content if isinstance(part, dict))
    return _str(content)


def _usage(usage: dict[str, Any]) -> Usage:
    prompt, completion = _dict(usage.get("prompt_tokens_details")), _dict(usage.get("completion_tokens_details"))
    return Usage(
        input_tokens=_int(usage.get("prompt_tokens")),
        output_tokens=_int(usage.get("completion_tokens")),
        cache_read_tokens=_int(prompt.get("cached_tokens")),
        cache_write_tokens=_int(prompt.get("cache_write_tokens")),
        reasoning_tokens=_int(completion.get("reasoning_tokens")),
    )

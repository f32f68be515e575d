"""The body of a Chat Completions response, whole or streamed -> a `ModelResponse`. Pure.

Lenient in what it does not need, strict in what it does: an answer is understood as a whole or is a `BadResponse`.
Source: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming
"""

from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

from agentkit.errors import BadResponse, ContentFiltered, ModelError, ModelTimeout, Refused, StreamBroken, Truncated
from agentkit.messages import AssistantMessage, ToolCall, Usage, clean
from agentkit.models.base import Delta, ModelRequest, ModelResponse, ReasoningDelta, TextDelta, ToolCallDelta
from agentkit.models.http_errors import bad_response
from agentkit.models.lenient import (
    a_dict,
    a_str,
    an_int,
    as_arguments,
    json_object,
    reported,
    unnamed,
    with_own_ids,
)

_HEAD = frozenset(
    ("id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint", "error")
)
_CHOICE = frozenset(("index", "message", "delta", "finish_reason"))
_PIECE = frozenset(("role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning"))


def decode(body: bytes, request: ModelRequest) -> ModelResponse:
    """The answer in a whole response body.

    Raises:
        ModelError: it holds an error, or no answer that can be used.
    """
    data = json_object(body)
    choice = _first(data.get("choices"))
    message = choice.get("message") if choice else None
    answer = _Answer()
    answer.read_head(data)
    if choice is None or not isinstance(message, dict):
        raise answer.says_nothing(bad_response("it has no choices[0].message", body))
    answer.read_choice(choice)
    answer.read_piece(message)
    return answer.response(request)


class StreamDecoder:
    """Puts a streamed answer together, event by event."""

    def __init__(self, request: ModelRequest) -> None:
        self._request = request
        self._answer = _Answer()
        self._told = False
        self.done = False
        """Whether the server has said that nothing follows."""

    def feed(self, event: bytes, name: str = "") -> list[Delta]:
        """What an event adds to the answer.

        Raises:
            ModelError: the event is an error, or not JSON.
        """
        if event.strip() == b"[DONE]":
            self.done = True
            return []
        try:
            data = json_object(event)
            if name == "error":
                raise reported(data)
        except ModelError as error:
            error.spent = self._answer.usage
            raise
        self._answer.read_head(data)
        choice = _first(data.get("choices"))
        if choice is None:
            return []
        self._answer.read_choice(choice)
        delta = choice.get("delta", choice.get("message"))  # the whole, from a server that does not stream
        self.done = self.done or ("delta" not in choice and isinstance(delta, dict))
        deltas = self._answer.read_piece(delta) if isinstance(delta, dict) else []
        self._told = self._told or bool(deltas)
        return deltas

    def broke_off(self, error: ModelError) -> None:
        """The connection has failed in the middle, or says nothing more: that matters unless the answer is there.

        Raises:
            ModelError: the error itself if nothing of the answer has come yet or time is up, or StreamBroken.
        """
        if self._answer.finish_reason:
            return
        error.spent = self._answer.usage
        if isinstance(error, ModelTimeout) or not self._told:
            raise error
        raise self._broken() from error

    def response(self) -> ModelResponse:
        """The whole answer, once the stream has ended.

        Raises:
            StreamBroken: it ended in the middle.
            ModelError: the answer cannot be used.
        """
        if not self.done and not self._answer.finish_reason:
            raise self._broken()
        if not self._answer.chosen:
            raise self._answer.says_nothing(bad_response("no event of the stream has choices", b""))
        return self._answer.response(self._request)

    def _broken(self) -> StreamBroken:
        error = StreamBroken("the stream ended in the middle of the answer", partial=clean("".join(self._answer.text)))
        error.retryable, error.spent = not self._told, self._answer.usage
        return error


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
    service_tier: str = ""
    system_fingerprint: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: list[_Call] = field(default_factory=list)
    chosen: bool = False
    """Whether there were any choices."""
    answered: bool = False
    """Whether there was any content, be it an empty one."""
    raw: dict[str, Any] = field(default_factory=dict)
    _slots: dict[int, int] = field(default_factory=dict)
    """The wire's index of a call, or its place in its piece if it has none -> the call's place here."""

    def read_head(self, data: dict[str, Any]) -> None:
        """What stands beside the choices."""
        self.id = self.id or a_str(data.get("id"))
        self.model = self.model or a_str(data.get("model"))
        self.service_tier = self.service_tier or a_str(data.get("service_tier"))
        self.system_fingerprint = self.system_fingerprint or a_str(data.get("system_fingerprint"))
        if isinstance(usage := data.get("usage"), dict):
            self.usage = _usage(usage)
        self.raw |= unnamed(data, _HEAD)

    def read_choice(self, choice: dict[str, Any]) -> None:
        """What stands beside a choice's message."""
        self.chosen = True
        self.finish_reason = a_str(choice.get("finish_reason")) or self.finish_reason
        self.raw |= unnamed(choice, _CHOICE)

    def read_piece(self, piece: dict[str, Any]) -> list[Delta]:
        """A message, or a delta: a piece of one.

        Raises:
            BadResponse: its tool calls are no list.
        """
        deltas: list[Delta] = []
        self.raw |= unnamed(piece, _PIECE)
        if thought := a_str(piece.get("reasoning_content")) or a_str(piece.get("reasoning")):
            self.reasoning.append(thought)
            deltas.append(ReasoningDelta(text=thought))
        self.answered = self.answered or piece.get("content") is not None
        if text := _text(piece.get("content")):
            self.text.append(text)
            deltas.append(TextDelta(text=text))
        if refusal := a_str(piece.get("refusal")):
            self.refusal.append(refusal)
        calls = piece.get("tool_calls") or []
        if not isinstance(calls, list):
            raise bad_response("its tool_calls are no list", to_json(calls))
        for place, call in enumerate(calls):
            if isinstance(call, dict):
                deltas.append(self._read_call(call, place))
        return deltas

    def _read_call(self, piece: dict[str, Any], place: int) -> ToolCallDelta:
        index, function = an_int(piece.get("index")), a_dict(piece.get("function"))
        id, name, arguments = (
            a_str(piece.get("id")),
            a_str(function.get("name")),
            as_arguments(function.get("arguments")),
        )
        at = place if index is None else index
        slot = self._slots.get(at)
        if slot is None or self.calls[slot].ends_at(id, name, arguments, numbered=index is not None):
            slot = self._slots[at] = len(self.calls)
            self.calls.append(_Call(id))
        call = self.calls[slot]
        call.add(id, name, arguments)
        return ToolCallDelta(index=slot, name=call.name, arguments=arguments, id=call.id)

    def response(self, request: ModelRequest) -> ModelResponse:
        """The answer as a whole.

        Raises:
            ModelError: it cannot be used.
        """
        try:
            return self._usable(request)
        except ModelError as error:
            error.spent = self.usage
            raise

    def says_nothing(self, error: BadResponse) -> BadResponse:
        """The error, which asking once more may mend."""
        error.retryable, error.spent = True, self.usage
        return error

    def _usable(self, request: ModelRequest) -> ModelResponse:
        text = clean("".join(self.text))
        if self.refusal:
            raise Refused(clean("".join(self.refusal)))
        if self.finish_reason == "content_filter":
            raise ContentFiltered("the provider's content filter withheld the answer")
        if self.finish_reason == "length" and not self.calls and (request.output or request.settings.strict_finish):
            raise Truncated(
                "the answer was cut at the token limit before it was complete; raise max_tokens", partial=text
            )
        if not (self.answered or self.calls or self.finish_reason == "length"):
            raise self.says_nothing(bad_response("it has neither content nor tool calls", b""))
        message = AssistantMessage(
            text=text, tool_calls=self._tool_calls(request), reasoning=clean("".join(self.reasoning))
        )
        return ModelResponse(
            message=message,
            finish_reason=self.finish_reason or "stop",
            usage=self.usage,
            model=self.model,
            id=self.id,
            service_tier=self.service_tier or None,
            system_fingerprint=self.system_fingerprint or None,
            raw=self.raw or None,
        )

    def _tool_calls(self, request: ModelRequest) -> tuple[ToolCall, ...]:
        calls = [ToolCall(id=call.id, name=call.name, arguments="".join(call.arguments)) for call in self.calls]
        return with_own_ids(calls, request.messages)


def _first(choices: object) -> dict[str, Any] | None:
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _is_object(text: str) -> bool:
    try:
        return text.rstrip().endswith("}") and isinstance(from_json(text), dict)
    except ValueError:
        return False


def _text(content: object) -> str:
    """The text of a message's content: a string, or on some servers a list of parts."""
    if isinstance(content, list):
        return "".join(a_str(part.get("text")) for part in content if isinstance(part, dict))
    return a_str(content)


def _usage(usage: dict[str, Any]) -> Usage:
    prompt, completion = (
        a_dict(usage.get("prompt_tokens_details")),
        a_dict(usage.get("completion_tokens_details")),
    )
    return Usage(
        input_tokens=an_int(usage.get("prompt_tokens")),
        output_tokens=an_int(usage.get("completion_tokens")),
        cache_read_tokens=an_int(prompt.get("cached_tokens")),
        cache_write_tokens=an_int(prompt.get("cache_write_tokens")),
        reasoning_tokens=an_int(completion.get("reasoning_tokens")),
    )

"""Messages, instructions, tools, arguments and results, as the GenAI conventions have content.

Source: https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/non-normative/models.py
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from agentkit.errors import InvalidArguments
from agentkit.messages import (
    AssistantMessage,
    FilePart,
    HostedCall,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
)
from agentkit.models.base import ModelRequest, ModelResponse
from agentkit.registry import ToolRegistry
from agentkit.tool import Tool

from .content_secrets import HIDDEN, Redact, Redactor, secrets_in, secrets_of, size
from .content_size import Room, bytes_of

Made: TypeAlias = dict[str, Any]
Asked: TypeAlias = tuple[ModelRequest | None, ModelResponse | None]
_Maker: TypeAlias = Callable[[Room], Made]
_Find: TypeAlias = Callable[[str], Tool | None]

LEAST_BYTES = 1_000
"""Below that, not even one message is worth being looked at."""
_AROUND = 40
"""Bytes of a message around its parts."""
_MARK = 200
"""Bytes for saying what was left out."""
_PARSED_CHARS = 1_000_000
_FINISHED = {
    **dict.fromkeys(("stop", "end_turn", "stop_sequence", "completed"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "length"),
    **dict.fromkeys(("content_filter", "refusal", "safety"), "content_filter"),
    **dict.fromkeys(("tool_call", "tool_calls", "tool_use", "function_call"), "tool_call"),
    "error": "error",
}
"""Providers' words, and the conventions' own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much of it is shown."""

    text_chars: int
    total_bytes: int

    def room(self, redact: Redactor, part: int = 1) -> Room:
        """Room for a whole attribute, or one of so many parts of it."""
        return Room(self.total_bytes // part * 7 // 8 - _AROUND, self.text_chars, redact)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What was asked and answered, in the conventions' words."""

    request: ModelRequest
    response: ModelResponse | None
    sizes: Sizes
    redact: Redactor = field(repr=False)

    @classmethod
    def of(
        cls,
        request: ModelRequest,
        response: ModelResponse | None,
        sizes: Sizes,
        own: Redact | None,
        last: ModelRequest | None = None,
    ) -> "Conversation":
        """With all that is known to be secret in it, and in the last request of the same conversation."""
        secrets = chain(_secrets(request, response), _secrets(last, None))
        return cls(request=request, response=response, sizes=sizes, redact=Redactor(own, secrets))

    def instructions(self) -> list[Made]:
        """The system prompt."""
        return [_text(self.request.instructions, self._whole())] if self.request.instructions else []

    def input(self) -> list[Made]:
        """The messages that were sent, without the middle ones where these are too many."""
        return self._messages(self.request.messages)

    def output(self) -> list[Made]:
        """The answer."""
        if self.response is None:
            return []
        [message] = self._messages([self.response.message])
        reason = _FINISHED.get(self.response.finish_reason)
        return [message | {"finish_reason": reason} if reason else message]

    def definitions(self) -> list[Made]:
        """The tools that could be called: the last of very many are not shown, and those before them by name only."""
        return list(_definitions(self.request.tools, self.sizes, self.redact))

    def _whole(self) -> Room:
        return self.sizes.room(self.redact)

    def _messages(self, messages: Sequence[Message]) -> list[Made]:
        tools = self.request.tools.by_name.get
        head, left = self._kept(_pieces(messages, tools), self.sizes.total_bytes // 4)
        until = head[-1].place if head else (-1, -1)
        back = _pieces(messages, tools, backwards=True)
        rest = (piece for piece in _until(back, until))
        tail, _ = self._kept(rest, self.sizes.total_bytes * 3 // 4 + left - 2 * _MARK)
        tail.reverse()
        return _assembled(messages, head, tail)

    def _kept(self, pieces: Iterable["_Piece"], budget: int) -> tuple[list["_Built"], int]:
        """Parts from one end of the conversation, as long as they fit, and how many bytes are left."""
        kept: list[_Built] = []
        for piece in pieces:
            built = _Built(place=piece.place, part=piece.make and self._part(piece.make))
            budget -= (needed := _AROUND + (bytes_of(built.part) if built.part else 0))
            if budget < 0:
                return kept, budget + needed
            kept.append(built)
        return kept, budget

    def _part(self, make: _Maker) -> Made:
        most = self.sizes.total_bytes // 4 - _AROUND
        made = make(self.sizes.room(self.redact, 4))
        if (found := bytes_of(made)) <= most:
            return made
        return {"type": "text", "content": f"… a part of {found} bytes omitted …"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """A tool call, in the conventions' words."""

    call: ToolCall
    tool: Tool | None
    sizes: Sizes
    redact: Redactor = field(repr=False)

    @classmethod
    def of(cls, call: ToolCall, tool: Tool | None, sizes: Sizes, own: Redact | None, asked: Asked) -> "Called":
        """With all that is known to be secret in it, and in the conversation until then."""
        secrets = chain(secrets_of(call, tool), _secrets(*asked))
        return cls(call=call, tool=tool, sizes=sizes, redact=Redactor(own, secrets))

    def arguments(self) -> Any:
        """An object, if it is one, and else text."""
        return self._fitting(lambda room: _arguments(self.call, self.tool, room))

    def result(self, result: ToolResult) -> Any:
        """What the model reads: an object or a list, if it is one, and else text; with pictures and files, parts."""
        if not result.parts or result.secret:
            return self._fitting(lambda room: _response(result, room))
        parts = [TextPart(text=result.content), *result.parts] if result.content else result.parts
        return self._fitting(lambda room: [made for part in parts for made in _of_user(part, room)])

    def _fitting(self, make: Callable[[Room], Any]) -> Any:
        made = make(self.sizes.room(self.redact))
        if (found := bytes_of(made)) <= self.sizes.total_bytes:
            return made
        return f"… {found} bytes omitted …"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """A part that has not been made yet."""

    place: tuple[int, int]
    """Which message, and which part of it."""
    make: _Maker | None
    """None for a message without parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Built:
    place: tuple[int, int]
    part: Made | None


def _secrets(request: ModelRequest | None, response: ModelResponse | None) -> Iterator[str]:
    said = chain(request.messages if request else (), [response.message] if response else ())
    return secrets_in(said, request.tools if request else ToolRegistry())


def _pieces(messages: Sequence[Message], tools: _Find, *, backwards: bool = False) -> Iterator[_Piece]:
    numbers = range(len(messages))
    for number in reversed(numbers) if backwards else numbers:
        makers: list[_Maker | None] = [*_makers(messages[number], tools)] or [None]
        pieces = [_Piece(place=(number, at), make=make) for at, make in enumerate(makers)]
        yield from reversed(pieces) if backwards else pieces


def _until(pieces: Iterable[_Piece], place: tuple[int, int]) -> Iterator[_Piece]:
    for piece in pieces:
        if piece.place <= place:
            return
        yield piece


def _assembled(messages: Sequence[Message], head: Sequence[_Built], tail: Sequence[_Built]) -> list[Made]:
    """The messages of parts, and a mark where some are missing."""
    made: list[Made] = []
    last = -1
    mark = _missing(messages, head, tail)
    for built in [*head, *mark, *tail]:
        number = built.place[0]
        if number != last:
            made.append({"role": messages[number].role, "parts": []})
            last = number
        if built.part is not None:
            made[-1]["parts"].append(built.part)
    return made


def _missing(messages: Sequence[Message], head: Sequence[_Built], tail: Sequence[_Built]) -> list[_Built]:
    """What says how much is left out, where the first of it was."""
    begin = _after(messages, head[-1].place) if head else (0, 0)
    end = tail[0].place if tail else (len(messages), 0)
    if begin >= end:
        return []
    parts = -begin[1] + end[1] + sum(_count(messages[number]) for number in range(begin[0], end[0]))
    touched = end[0] - begin[0] + (end[1] > 0)
    words = f"… {parts} parts of {touched} messages omitted …"
    return [_Built(place=begin, part={"type": "text", "content": words})]


def _after(messages: Sequence[Message], place: tuple[int, int]) -> tuple[int, int]:
    number, at = place
    return (number, at + 1) if at + 1 < _count(messages[number]) else (number + 1, 0)


def _count(message: Message) -> int:
    """How many parts a message has, of which an empty one counts as one."""
    return max(1, sum(1 for _ in _makers(message, lambda name: None)))


def _makers(message: Message, tools: _Find) -> Iterator[_Maker]:
    """What makes the parts of a message, once there is room for them."""
    match message:
        case AssistantMessage():
            yield from _of_assistant(message, tools)
        case ToolResult():
            yield lambda room: {
                "type": "tool_call_response",
                "id": room.word(message.call_id),
                "response": _response(message, room),
            }
            if not message.secret:
                yield from chain.from_iterable(_of_user_makers(part) for part in message.parts)
        case _ if isinstance(message.content, str):
            yield partial(_text, message.content)
        case _:
            yield from chain.from_iterable(_of_user_makers(part) for part in message.content)


def _of_assistant(message: AssistantMessage, tools: _Find) -> Iterator[_Maker]:
    if message.reasoning:
        yield lambda room: {"type": "reasoning", "content": room.text(message.reasoning)}
    for hosted in message.hosted_calls:
        yield partial(_hosted, hosted)
        yield partial(_hosted_response, hosted)
    for said in (message.text, message.refusal):
        if said:
            yield partial(_text, said)
    for file in message.files:
        yield partial(_file, FilePart(id=file, use="image"))
    for call in message.tool_calls:
        yield partial(_tool_call, call, tools(call.name))


def _of_user(part: Part, room: Room) -> Iterator[Made]:
    return (make(room) for make in _of_user_makers(part))


def _of_user_makers(part: Part) -> Iterator[_Maker]:
    match part:
        case TextPart():
            yield partial(_text, part.text)
        case FilePart():
            yield partial(_file, part)
        case ImagePart() if part.url.lstrip()[:5].lower() == "data:":
            yield partial(_blob, part.url)
            yield partial(_blob_size, part.url)
        case ImagePart():
            yield lambda room: {"type": "uri", "modality": "image", "uri": room.text(part.url)}


def _text(text: str, room: Room) -> Made:
    return {"type": "text", "content": room.text(text)}


def _file(file: FilePart, room: Room) -> Made:
    modality = "image" if file.use == "image" else "document"
    return {"type": "file", "modality": modality, "file_id": room.word(file.id)}


def _blob(url: str, room: Room) -> Made:
    kind = url[: url.find(",")].strip()[5:].partition(";")[0]
    return {"type": "blob", "modality": "image", "mime_type": room.word(kind or "image"), "content": ""}


def _blob_size(url: str, room: Room) -> Made:
    head, _, data = url.partition(",")
    length = size(data) if ";base64" in head.lower() else len(unquote_to_bytes(data))
    return {"type": "text", "content": f"… {length} bytes omitted …"}


def _tool_call(call: ToolCall, tool: Tool | None, room: Room) -> Made:
    made = {"type": "tool_call", "id": room.word(call.id), "name": room.word(call.name)}
    return made | {"arguments": _arguments(call, tool, room)}


def _hosted(call: HostedCall, room: Room) -> Made:
    name = room.word(call.tool)
    told = {"type": name} | ({"input": room.text(call.input)} if call.input else {})
    return {"type": "server_tool_call", "id": room.word(call.id), "name": name, "server_tool_call": told}


def _hosted_response(call: HostedCall, room: Room) -> Made:
    told: Made = {"type": room.word(call.tool)}
    if call.output:
        told["output"] = room.text(call.output)
    if call.files:
        told["files"] = room.value(call.files)
    if call.hits:
        hits = [{"file": hit.filename, "id": hit.file_id, "score": hit.score, "text": hit.text} for hit in call.hits]
        told["hits"] = room.value(hits)
    return {"type": "server_tool_call_response", "id": room.word(call.id), "server_tool_call_response": told}


def _arguments(call: ToolCall, tool: Tool | None, room: Room) -> Any:
    """Arguments as an object, or as the text that they are; hidden, where one cannot tell what of them is secret."""
    if tool is None:
        return HIDDEN
    secrets = tool.arguments.secrets
    given: Any
    try:
        given = tool.arguments.read(call.arguments)
    except InvalidArguments:
        given = None if secrets else _json(call.arguments)
    if isinstance(given, dict):
        return room.value({name: HIDDEN if name in secrets else value for name, value in given.items()})
    return HIDDEN if secrets else room.text(call.arguments)


def _response(result: ToolResult, room: Room) -> Any:
    """A result as an object or a list, if it is one, or as the text that it is."""
    if result.secret:
        return HIDDEN
    given = _json(result.content) if len(result.content) <= _PARSED_CHARS else None
    return room.value(given) if isinstance(given, dict | list) else room.text(result.content)


def _json(text: str) -> Any:
    """The value of JSON text, by a reader less strict than that of tools; None if there is none."""
    try:
        return json.loads(text) if text.lstrip()[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None


def _definitions(tools: ToolRegistry, sizes: Sizes, redact: Redactor) -> Iterator[Made]:
    for hosted in tools.hosted:
        yield {"type": hosted.type, "name": hosted.type}
    left = sizes.total_bytes - 2 * _MARK - _AROUND * len(tools.hosted)
    for told, tool in enumerate(tools):
        room = Room(min(left, sizes.total_bytes // 4) * 7 // 8, sizes.text_chars, redact)
        named: Made = {"type": "function", "name": tool.name}
        described = named | ({"description": room.text(tool.description)} if tool.description else {})
        whole = described | {"parameters": room.value(tool.parameters, hides=False)}
        made = next((each for each in (whole, described, named) if bytes_of(each) < left), None)
        if made is None:
            yield {"type": "function", "name": "…", "description": f"{len(tools) - told} more tools omitted"}
            return
        left -= bytes_of(made) + 1
        yield made

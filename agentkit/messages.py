"""What is said in a conversation: messages, their parts, and what they cost. No vendor's spelling.

Every record is frozen and round-trips through JSON exactly: `load_messages(dump_messages(m)) == m`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

M = TypeVar("M", bound="_Sent")


class _Sent:
    """What is sent again each time the conversation grows, and so keeps its encoded form."""

    __slots__ = ("_wires",)
    _wires: dict[str, bytes]

    def encoded(self: M, wire: str, encode: Callable[[M], bytes]) -> bytes:
        """The message's bytes on a wire, encoded once in its life."""
        try:
            return self._wires[wire]
        except AttributeError:
            object.__setattr__(self, "_wires", {})
        except KeyError:
            pass
        done = self._wires[wire] = encode(self)
        return done


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPart:
    """A piece of text in a message that has several parts."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePart:
    """A picture for the model to look at."""

    url: str
    """`https://...`, or the picture itself as `data:image/png;base64,...`."""
    type: Literal["image"] = "image"

    @classmethod
    def of(cls, data: bytes) -> "ImagePart":
        """The picture in a PNG, JPEG, GIF or WebP file.

        Raises:
            ValueError: the bytes are none of these.
        """
        kind = next((kind for start, kind in _PICTURES if re.match(start, data, re.DOTALL)), None)
        if kind is None:
            raise ValueError("this is no picture in PNG, JPEG, GIF or WebP form")
        from base64 import b64encode  # on first use: it costs a good part of `import agentkit`

        return cls(url=f"data:image/{kind};base64,{b64encode(data).decode()}")


_PICTURES = ((rb"\x89PNG\r\n", "png"), (rb"\xff\xd8\xff", "jpeg"), (rb"GIF8[79]a", "gif"), (rb"RIFF....WEBP", "webp"))


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePart:
    """A file that the server has: for its tools to read, or a picture for the model to look at."""

    id: str
    """As the server calls it, `file-abc123` for example."""
    use: Literal["file_search", "code_interpreter", "image"] = "file_search"
    """Which of the server's tools gets it, or whether the model itself looks at it."""
    type: Literal["file"] = "file"


Part = TextPart | ImagePart | FilePart


@dataclass(frozen=True, kw_only=True, slots=True)
class UserMessage(_Sent):
    """What the user says."""

    content: str | tuple[Part, ...]
    untrusted: bool = False
    """Whether it repeats what an untrusted source has said: a summary, or a letter that somebody forwards."""
    role: Literal["user"] = "user"

    @property
    def text(self) -> str:
        """The message's words, without its pictures and files."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A function the model asks to have called."""

    id: str
    name: str
    arguments: str
    """The arguments as the model wrote them: JSON text, not yet validated."""
    key: str = field(default="", compare=False, repr=False)
    """Names the call to other systems (`Context.idempotency_key`); a run gives one to each call asked of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """Where a piece of an answer comes from, or the file that a piece of it stands for."""

    file_id: str
    start: int
    """Where the piece begins in the message's text."""
    end: int
    marker: str = ""
    """The piece itself: `【4:0†source】`, or `sandbox:/mnt/data/plot.csv` for a file that the model has written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchHit:
    """A passage that a file search has found."""

    file_id: str
    filename: str
    score: float
    """From 0 to 1."""
    text: str = ""
    """The passage, where the server shows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostedCall:
    """What a tool that the server runs has done for an answer."""

    id: str
    tool: str
    """`code_interpreter` or `file_search`."""
    input: str = ""
    """The code that ran."""
    output: str = ""
    """What it logged."""
    files: tuple[str, ...] = ()
    """Ids of the pictures it made."""
    hits: tuple[SearchHit, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class AssistantMessage(_Sent):
    """What the model answers: text, tool calls, or both."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    """What the model thought aloud, where the provider shows it; not sent back."""
    refusal: str | None = None
    citations: tuple[Citation, ...] = ()
    files: tuple[str, ...] = ()
    """Ids of the pictures that are part of the answer."""
    hosted_calls: tuple[HostedCall, ...] = ()
    """What the server's own tools did for this answer."""
    state: Mapping[str, Any] | None = None
    """JSON that only the backend which made it reads: a thread's id, a response's id."""
    role: Literal["assistant"] = "assistant"

    def __hash__(self) -> int:
        return hash((self.text, self.tool_calls))


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class ToolResult(_Sent):
    """What a tool call came to, as the model will read it."""

    call_id: str
    name: str
    content: str
    is_error: bool = False
    parts: tuple[ImagePart | FilePart, ...] = ()
    """Pictures and files that go with the text."""
    full: str | None = None
    """The whole text, where `content` is cut."""
    secret: bool = False
    """Whether nobody but the model may read it."""
    untrusted: bool = False
    """Whether it may hold what somebody outside has written."""
    role: Literal["tool"] = "tool"

    def __repr__(self) -> str:
        said = "***" if self.secret else self.content
        told = f"ToolResult(call_id={self.call_id!r}, name={self.name!r}, content={said!r}"
        return (
            told
            + ", is_error=True" * self.is_error
            + f", parts={'***' if self.secret else self.parts!r}" * bool(self.parts)
            + ")"
        )

    @property
    def as_text(self) -> str:
        """The result for a model that gets text only: each picture and file is named, and that it cannot be seen."""
        notes = [
            "[a picture, which cannot be shown here]" if isinstance(part, ImagePart) else _named(part)
            for part in self.parts
        ]
        return "\n".join(filter(None, [self.content, *notes])) if notes else self.content


def _named(file: FilePart) -> str:
    return f"[the file {file.id}, which cannot be read here]"


Message = UserMessage | AssistantMessage | ToolResult


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens used. `None` means that the provider did not say, which is not zero."""

    input_tokens: int | None = None
    """All tokens of the request, cached ones included."""
    output_tokens: int | None = None
    """All tokens of the answer, reasoning included."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def total_tokens(self) -> int | None:
        """Input and output together, of what is known."""
        return _plus(self.input_tokens, self.output_tokens)

    def __add__(self, other: "Usage") -> "Usage":
        """The sum of what is known: unknown and 5 are 5, unknown and unknown stay unknown."""
        return Usage(**{f.name: _plus(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without what JSON, databases and providers refuse: a lone surrogate becomes U+FFFD and NUL U+2400."""
    if _UNSENDABLE.search(text) is None:
        return text
    return _UNSENDABLE.sub(lambda match: "\u2400" if match[0] == "\x00" else "\ufffd", text)


def _plus(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


def is_tainted(messages: Iterable[Message]) -> bool:
    """Whether something untrusted is among what the model reads, what hosted tools have found or run included."""
    return any(bool(m.hosted_calls) if isinstance(m, AssistantMessage) else m.untrusted for m in messages)


def last_answer(messages: Sequence[Message]) -> AssistantMessage | None:
    """What the model has said last."""
    return next((message for message in reversed(messages) if isinstance(message, AssistantMessage)), None)


def unanswered(messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The tool calls at the end of a conversation that have no result yet, in the order asked.

    A conversation that ends so is a paused run: the next run answers them first.
    """
    answered = set()
    for message in reversed(messages):
        if isinstance(message, ToolResult):
            answered.add(message.call_id)
        elif isinstance(message, AssistantMessage):
            return tuple(call for call in message.tool_calls if call.id not in answered)
        else:
            break
    return ()


def call_ids(messages: Iterable[Message]) -> set[str]:
    """The ids of all tool calls in a conversation; a new call needs another one."""
    return {call.id for m in messages if isinstance(m, AssistantMessage) for call in m.tool_calls}


@cache
def _adapter() -> "TypeAdapter[list[Message]]":
    from typing import Annotated

    from pydantic import Field, TypeAdapter  # on first use: it costs more than the whole of `import agentkit`

    return TypeAdapter(list[Annotated[Message, Field(discriminator="role")]])


def dump_messages(messages: Iterable[Message]) -> bytes:
    """A conversation as JSON."""
    return _adapter().dump_json(list(messages))


def load_messages(data: str | bytes) -> list[Message]:
    """A conversation from the JSON that `dump_messages` wrote.

    Raises:
        pydantic.ValidationError: the JSON is not such a conversation.
    """
    return _adapter().validate_json(data)

"""What stands in the messages and steps of a run: texts, citations, pictures, and what hosted tools did. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agentkit.messages import (
    AssistantMessage,
    Citation,
    FilePart,
    HostedCall,
    ImagePart,
    Message,
    Part,
    TextPart,
    UserMessage,
    clean,
)
from agentkit.models.lenient import a_dict, a_str, an_int, dicts

from .file_wire import search_hit


@dataclass(slots=True)
class _Part:
    pieces: list[str] = field(default_factory=list)
    refusal: str = ""
    file: str = ""
    annotations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def add(self, item: dict[str, Any]) -> str:
        """A piece of the part; the text in it."""
        told = item.get("text")
        text = told if isinstance(told, str) else a_str(a_dict(told).get("value"))
        self.pieces.append(text)
        self.annotations += dicts(a_dict(told).get("annotations"))
        self.refusal += a_str(item.get("refusal"))
        self.file = self.file or a_str(a_dict(item.get("image_file")).get("file_id"))
        return text


class Said:
    """One message of a run, put together from pieces, or seen whole, or both."""

    def __init__(self) -> None:
        self._parts: dict[int, _Part] = {}
        self._told: list[str] = []
        self.whole = False
        """Whether the server has said that there is no more of it."""

    def see_piece(self, content: list[dict[str, Any]]) -> str:
        """A delta has come; the text that is new."""
        fresh, in_order = "", True
        for place, item in enumerate(content):
            index = an_int(item.get("index"))
            index = place if index is None else index
            in_order = in_order and index >= max(self._parts, default=0)
            fresh += self._parts.setdefault(index, _Part()).add(item)
        if not in_order:
            return self._rest()
        self._told.append(fresh)
        return fresh

    def see_whole(self, content: list[dict[str, Any]]) -> str:
        """The message was seen as it is now; the text that is new. Some servers leave out what they have streamed."""
        parts: dict[int, _Part] = {}
        for index, item in enumerate(content):
            parts.setdefault(index, _Part()).add(item)
        if parts and len(_text(parts)) >= len(self.text):
            self._parts = parts
        return self._rest()

    def _rest(self) -> str:
        """The text that was not told yet; none from a server that has changed its mind: what was told stays told."""
        text, told = self.text, "".join(self._told)
        rest = text[len(told) :] if text.startswith(told) else ""
        self._told.append(rest)
        return rest

    @property
    def text(self) -> str:
        """The message's words."""
        return _text(self._parts)

    @property
    def refusal(self) -> str:
        """Why the model declined, if it did."""
        return "".join(part.refusal for _, part in sorted(self._parts.items()))

    @property
    def files(self) -> list[str]:
        """Ids of the pictures in it."""
        return [part.file for _, part in sorted(self._parts.items()) if part.file]

    def citations(self, start: int) -> Iterator[Citation]:
        """Its citations, in a text in which it begins at `start`."""
        for _, part in sorted(self._parts.items()):
            for note in part.annotations:
                source = a_dict(note.get("file_citation")) or a_dict(note.get("file_path"))
                begin, end = an_int(note.get("start_index")), an_int(note.get("end_index"))
                if (id := a_str(source.get("file_id"))) and begin is not None and end is not None:
                    marker = clean(a_str(note.get("text")))
                    yield Citation(file_id=id, start=start + begin, end=start + end, marker=marker)
            start += len(part.text)


def _text(parts: dict[int, _Part]) -> str:
    return "".join(part.text for _, part in sorted(parts.items()))


def decode_thread(messages: list[dict[str, Any]]) -> list[Message]:
    """A thread's messages, oldest first, as a history."""
    history: list[Message] = []
    for message in messages:
        said = Said()
        content = dicts(message.get("content"))
        text = clean(said.see_whole(content))
        if message.get("role") == "assistant":
            citations, files = tuple(said.citations(0)), tuple(said.files)
            history += [AssistantMessage(text=text, citations=citations, files=files)] if text or files else []
        elif parts := [*_parts(content), *_attached(message)]:
            only_text = len(parts) == 1 and isinstance(parts[0], TextPart)
            history.append(UserMessage(content=text if only_text else tuple(parts)))
    return history


def _parts(content: list[dict[str, Any]]) -> Iterator[Part]:
    for item in content:
        match item.get("type"):
            case "image_url":
                yield ImagePart(url=a_str(a_dict(item.get("image_url")).get("url")))
            case "image_file":
                yield FilePart(id=a_str(a_dict(item.get("image_file")).get("file_id")), use="image")
            case "text":
                yield TextPart(text=clean(a_str(a_dict(item.get("text")).get("value"))))


def _attached(message: dict[str, Any]) -> Iterator[FilePart]:
    for attachment in dicts(message.get("attachments")):
        for tool in dicts(attachment.get("tools")):
            match tool.get("type"):
                case "file_search" | "code_interpreter" as use:
                    yield FilePart(id=a_str(attachment.get("file_id")), use=use)


def hosted_calls(step: dict[str, Any]) -> list[HostedCall]:
    """The calls of the server's own tools in a step."""
    calls = enumerate(dicts(a_dict(step.get("step_details")).get("tool_calls")))
    step_id = a_str(step.get("id"))
    return [
        _hosted_call(f"{step_id}:{place}", call) for place, call in calls if call.get("type") not in (None, "function")
    ]


def calls_functions(step: dict[str, Any]) -> bool:
    """Whether a step calls functions of the client's."""
    calls = dicts(a_dict(step.get("step_details")).get("tool_calls"))
    return any(call.get("type") == "function" or "function" in call for call in calls)


def _hosted_call(unnamed: str, call: dict[str, Any]) -> HostedCall:
    code, search = a_dict(call.get("code_interpreter")), a_dict(call.get("file_search"))
    outputs = dicts(code.get("outputs"))
    return HostedCall(
        id=a_str(call.get("id")) or unnamed,
        tool=a_str(call.get("type")),
        input=clean(a_str(code.get("input"))),
        output=clean("".join(a_str(output.get("logs")) for output in outputs)),
        files=tuple(id for output in outputs if (id := a_str(a_dict(output.get("image")).get("file_id")))),
        hits=tuple(search_hit(hit) for hit in dicts(search.get("results"))),
    )

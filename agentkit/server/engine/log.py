"""What is kept of a conversation, and what a model is told of it.

A thread's log holds messages, as Assistants spell them, and between them the calls of tools and what they came to, as
Responses spell them: `function_call`, `function_call_output`. What a tool of the server's has done is one item,
`file_search_call` or `code_interpreter_call`, with the fields `call_id`, `arguments` and `output` beside those that
clients see. Calls of one answer share a `turn`, which no client sees either. A conversation is such a log too, so a
thread can go on as one.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import from_json

from agentkit import AssistantMessage, ImagePart, Message, TextPart, ToolCall, ToolResult, UserMessage
from agentkit.server.ids import new_id

from .compaction import COMPACTION, unpacked

MESSAGE, ITEM = "message", "item"
LOGGED = (MESSAGE, ITEM)
"""The kinds of objects that a log is made of."""
HOSTED = {"file_search_call": "file_search", "code_interpreter_call": "code_interpreter"}
"""Items of tools that the server runs, and the names by which the model calls them."""

TELLING = ("system", "developer")
"""Roles of messages that stand in the model's instructions. They are items, since Assistants do not know them."""

Picture = Callable[[str], Awaitable[str]]
"""Gives a file as a `data:` URL that a model can look at."""


async def messages_of(log: Iterable[Mapping[str, Any]], picture: Picture) -> list[Message]:
    """The conversation as a model is told it: calls are part of the answer that they were made in."""
    told: list[Message] = []
    turn: str | None = None
    for entry in log:
        kind, same = entry.get("type", MESSAGE), entry.get("turn") is not None and entry.get("turn") == turn
        if kind == MESSAGE:
            said = None if entry["role"] in TELLING else await _message(entry, picture)
            if said is not None:
                told.append(said)
        elif kind == "function_call":
            _call(told, entry, entry["name"], same)
        elif kind == "function_call_output":
            await _result(told, entry, picture)
        elif kind in HOSTED and "call_id" in entry:
            _call(told, entry, HOSTED[kind], same)
            await _result(told, entry, picture)
        elif kind == COMPACTION:
            told.append(UserMessage(content=unpacked(entry["encrypted_content"])[0], untrusted=True))
        turn = entry.get("turn") or turn
    return _in_order(told)


def instructions_in(log: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a conversation itself tells the model to do: its messages of the roles `system` and `developer`."""
    told: list[str] = []
    for entry in log:
        if entry.get("type") == MESSAGE and entry["role"] in TELLING:
            told.append("\n".join(part["text"] for part in entry["content"]))
        elif entry.get("type") == COMPACTION:
            told += unpacked(entry["encrypted_content"])[1]
    return told


def text_of(content: Sequence[Mapping[str, Any]]) -> str:
    """The words of a stored message, or those with which it was refused."""
    words = [part["text"]["value"] for part in content if part["type"] == "text"]
    return "\n".join(words or [part["refusal"] for part in content if part["type"] == "refusal"])


async def _message(entry: Mapping[str, Any], picture: Picture) -> Message | None:
    content = entry["content"]
    if entry["role"] == "assistant":
        text = text_of(content)
        return AssistantMessage(text=text) if text else None
    parts: list[TextPart | ImagePart] = []
    for part in content:
        if part["type"] == "text":
            parts.append(TextPart(text=part["text"]["value"]))
        elif part["type"] == "image_url":
            parts.append(ImagePart(url=part["image_url"]["url"]))
        elif part["type"] == "image_file":
            parts.append(ImagePart(url=await picture(part["image_file"]["file_id"])))
    only = parts[0] if len(parts) == 1 else None
    return UserMessage(content=only.text if isinstance(only, TextPart) else tuple(parts))


def _call(told: list[Message], entry: Mapping[str, Any], name: str, same: bool) -> None:
    """A call, which is part of the last answer if it is known to be, or if other calls of that wait for results."""
    call = ToolCall(id=entry["call_id"], name=name, arguments=entry["arguments"])
    at = next((n for n in range(len(told) - 1, -1, -1) if not isinstance(told[n], ToolResult)), None)
    last = None if at is None else told[at]
    if at is not None and isinstance(last, AssistantMessage) and (same or not _is_answered(told[at:], last)):
        told[at] = replace(last, tool_calls=(*last.tool_calls, call))
    else:
        told.append(AssistantMessage(tool_calls=(call,)))


def _is_answered(told: Sequence[Message], answer: AssistantMessage) -> bool:
    """Whether all calls of an answer have results: another call is part of a later answer then."""
    results = {each.call_id for each in told if isinstance(each, ToolResult)}
    return bool(answer.tool_calls) and results >= {call.id for call in answer.tool_calls}


async def _result(told: list[Message], entry: Mapping[str, Any], picture: Picture) -> None:
    names = {call.id: call.name for each in told if isinstance(each, AssistantMessage) for call in each.tool_calls}
    if entry["call_id"] not in names:
        return
    output = entry["output"]
    parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
    words = "\n".join(part["text"] for part in parts if part["type"] == "input_text")
    pictures = [await _picture(part, picture) for part in parts if part["type"] == "input_image"]
    id = entry["call_id"]
    is_untrusted = entry["type"] in HOSTED  # it holds what stands in files
    told.append(ToolResult(call_id=id, name=names[id], content=words, parts=tuple(pictures), untrusted=is_untrusted))


async def _picture(part: Mapping[str, Any], picture: Picture) -> ImagePart:
    return ImagePart(url=part.get("image_url") or await picture(part["file_id"]))


def items_of(
    shown: Sequence[Mapping[str, Any]], asked: Sequence[ToolCall], results: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The calls of an answer and what they came to, to be kept in the log of a thread.

    Args:
        shown: The calls as a run step shows them.
        asked: The calls as the model has asked for them.
        results: What the model is told of them, by call id.
    """
    turn = new_id("item")
    for call, seen in zip(asked, shown, strict=True):
        about = {"call_id": call.id, "arguments": call.arguments, "status": "completed", "turn": turn}
        output = results.get(call.id, "")
        if seen["type"] == "function":
            yield {"id": new_id("function_call"), "type": "function_call", "name": call.name, **about}
            told = {"call_id": call.id, "output": output, "status": "completed"}
            yield {"id": new_id("function_call_output"), "type": "function_call_output", **told}
        else:
            yield _hosted_item(call, seen) | about | {"output": output}


def _hosted_item(call: ToolCall, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What clients see of a call that the server has made itself, as Responses spell it."""
    if seen["type"] == "file_search":
        found = seen["file_search"]["results"]
        results = [
            {"file_id": hit["file_id"], "filename": hit["file_name"], "score": hit["score"], "text": _text_in(hit)}
            for hit in found
        ]
        kind = "file_search_call"
        return {"id": new_id(kind), "type": kind, "queries": [_query(call.arguments)], "results": results}
    ran = seen["code_interpreter"]
    return {
        "id": new_id("code_interpreter_call"),
        "type": "code_interpreter_call",
        "code": ran["input"],
        "container_id": "auto",
        "outputs": [each for each in ran["outputs"] if each["type"] == "logs"],
    }


def _query(arguments: str) -> str:
    try:
        given = from_json(arguments)
    except ValueError:
        return arguments
    return str(given.get("query", arguments)) if isinstance(given, dict) else arguments


def _text_in(hit: Mapping[str, Any]) -> str:
    return "\n".join(part["text"] for part in hit["content"])


def _in_order(told: list[Message]) -> list[Message]:
    """Results in the order of their calls, in whichever order tools that ran at the same time have ended."""
    ordered: list[Message] = []
    places: dict[str, int] = {}
    start = 0
    for message in told:
        ordered.append(message)
        if isinstance(message, ToolResult):
            ordered[start:] = sorted(ordered[start:], key=lambda each: places.get(getattr(each, "call_id", ""), 0))
        else:
            start = len(ordered)
            if isinstance(message, AssistantMessage):
                places = {call.id: place for place, call in enumerate(message.tool_calls)}
    return ordered

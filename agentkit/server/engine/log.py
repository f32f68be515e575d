"""What is kept of a conversation, and what a model is told of it.

A thread's log holds messages, as Assistants spell them, and between them the calls of tools and what they came to, as
Responses spell them: `function_call`, `function_call_output`. What a tool of the server's has done is one item,
`file_search_call` or `code_interpreter_call`, with the fields `call_id`, `arguments` and `output` beside those that
clients see. A conversation is such a log too, so a thread can go on as one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentkit import AssistantMessage, ImagePart, Message, TextPart, ToolCall, ToolResult, UserMessage

MESSAGE, ITEM = "message", "item"
LOGGED = (MESSAGE, ITEM)
"""The kinds of objects that a log is made of."""
HOSTED = {"file_search_call": "file_search", "code_interpreter_call": "code_interpreter"}
"""Items of tools that the server runs, and the names by which the model calls them."""

Picture = Callable[[str], Awaitable[str]]
"""Gives a file as a `data:` URL that a model can look at."""


async def messages_of(log: Iterable[Mapping[str, Any]], picture: Picture) -> list[Message]:
    """The conversation as a model is told it: calls are part of the answer that they were made in."""
    told: list[Message] = []
    for entry in log:
        kind = entry.get("type", MESSAGE)
        if kind == MESSAGE:
            said = await _message(entry, picture)
            if said is not None:
                told.append(said)
        elif kind == "function_call":
            _call(told, entry, entry["name"])
        elif kind == "function_call_output":
            _result(told, entry)
        elif kind in HOSTED and "call_id" in entry:
            _call(told, entry, HOSTED[kind])
            _result(told, entry)
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


def _call(told: list[Message], entry: Mapping[str, Any], name: str) -> None:
    call = ToolCall(id=entry["call_id"], name=name, arguments=entry["arguments"])
    at = next((n for n in range(len(told) - 1, -1, -1) if not isinstance(told[n], ToolResult)), None)
    last = None if at is None else told[at]
    if at is not None and isinstance(last, AssistantMessage) and not _is_answered(told[at:], last):
        told[at] = replace(last, tool_calls=(*last.tool_calls, call))
    else:
        told.append(AssistantMessage(tool_calls=(call,)))


def _is_answered(told: Sequence[Message], answer: AssistantMessage) -> bool:
    """Whether all calls of an answer have results: another call is part of a later answer then."""
    results = {each.call_id for each in told if isinstance(each, ToolResult)}
    return bool(answer.tool_calls) and results >= {call.id for call in answer.tool_calls}


def _result(told: list[Message], entry: Mapping[str, Any]) -> None:
    names = {call.id: call.name for each in told if isinstance(each, AssistantMessage) for call in each.tool_calls}
    if entry["call_id"] in names:
        told.append(ToolResult(call_id=entry["call_id"], name=names[entry["call_id"]], content=entry["output"]))

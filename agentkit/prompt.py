"""What a run begins with: the prompt and the history as callers write them -> messages."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import TypeAlias

from .caller import INTERRUPTED
from .errors import ConfigError
from .messages import AssistantMessage, FilePart, ImagePart, Message, Part, TextPart, ToolResult, UserMessage, clean

Prompt: TypeAlias = str | Sequence[Part | str] | UserMessage | None


def mended(history: Sequence[Message]) -> list[Message]:
    """A history that a provider accepts: each call has one result, right after it. The last calls may wait for theirs.

    Results in the wrong place are moved, those of no call left out, and what is missing says so; a warning tells of it.

    Raises:
        ConfigError: two calls of one answer have the same id, or one has none.
    """
    told: list[Message] = []
    used: set[int] = set()
    problems: list[str] = []
    last = max((n for n, message in enumerate(history) if not isinstance(message, ToolResult)), default=-1)
    for place, message in enumerate(history):
        if isinstance(message, ToolResult):
            if place not in used:
                problems.append(f"a result of no call, {message.call_id!r:.90}, was left out")
            continue
        told.append(message)
        if isinstance(message, AssistantMessage) and message.tool_calls:
            ids = _ids(message)
            found = _results(history, place, ids)
            used.update(found.values())
            told += [history[at] for at in sorted(found.values())]
            missing = [call for call in message.tool_calls if call.id not in found]
            if place != last and missing:
                told += [ToolResult(call_id=c.id, name=c.name, content=INTERRUPTED, is_error=True) for c in missing]
                problems += [f"the call {call.id!r:.90} has no result" for call in missing]
    told = _with_own_ids(told)
    if told == list(history):
        return told
    from logging import getLogger  # on first use: it costs a part of `import agentkit`

    getLogger("agentkit").warning("history= was mended: %s", "; ".join(problems) or "calls have other ids or places")
    return told


def _with_own_ids(messages: Sequence[Message]) -> list[Message]:
    """The same messages, where no two calls of the conversation share an id."""
    told: list[Message] = []
    used: set[str] = set()
    renamed: dict[str, str] = {}
    for message in messages:
        if isinstance(message, ToolResult):
            new = renamed.get(message.call_id)
            message = replace(message, call_id=new) if new else message
        elif isinstance(message, AssistantMessage):
            ids = {call.id for call in message.tool_calls}
            renamed = {id: next(f"{id}_{n}" for n in count(2) if f"{id}_{n}" not in used | ids) for id in ids & used}
            if renamed:
                calls = tuple(replace(call, id=renamed.get(call.id, call.id)) for call in message.tool_calls)
                message = replace(message, tool_calls=calls)
            used |= {call.id for call in message.tool_calls}
        told.append(message)
    return told


def _ids(message: AssistantMessage) -> set[str]:
    ids = [call.id for call in message.tool_calls]
    if "" in ids or len(set(ids)) < len(ids):
        raise ConfigError(f"history= has an answer whose calls have the ids {ids!r:.200}; give each one of its own")
    return set(ids)


def _results(history: Sequence[Message], place: int, ids: set[str]) -> dict[str, int]:
    """Where the results of an answer's calls are: the first ones after it, before such ids are used again."""
    found: dict[str, int] = {}
    for at in range(place + 1, len(history)):
        message = history[at]
        if isinstance(message, ToolResult):
            if message.call_id in ids:
                found.setdefault(message.call_id, at)
        elif isinstance(message, AssistantMessage):
            ids = ids - {call.id for call in message.tool_calls}
        if not ids - found.keys():
            break
    return found


def as_message(prompt: Prompt) -> UserMessage | None:
    """What the user says, fit to be sent and stored.

    Raises:
        ConfigError: it is nothing that a user can say.
    """
    match prompt:
        case None:
            return None
        case str():
            return UserMessage(content=clean(prompt))
        case UserMessage(content=str() as text):
            return UserMessage(content=clean(text), untrusted=prompt.untrusted)
        case UserMessage(content=parts):
            return UserMessage(content=tuple(_part(part) for part in parts), untrusted=prompt.untrusted)
        case list() | tuple():
            return UserMessage(content=tuple(_part(part) for part in prompt))
    raise ConfigError(f"the prompt is {prompt!r:.100}; it can be text, a list of parts, a UserMessage, or None")


def _part(part: Part | str) -> Part:
    match part:
        case str():
            return TextPart(text=clean(part))
        case TextPart(text=text):
            return TextPart(text=clean(text))
        case ImagePart() | FilePart(use="file_search" | "code_interpreter" | "image"):
            return part
        case FilePart():
            raise ConfigError(f'{part!r:.100}: use is "file_search", "code_interpreter" or "image"')
    raise ConfigError(f"a part of the prompt is {part!r:.100}; it can be text, a TextPart, an ImagePart or a FilePart")

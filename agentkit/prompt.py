"""What a run begins with: the prompt and the history as callers write them -> messages."""

from collections.abc import Sequence
from typing import TypeAlias, cast

from .errors import ConfigError
from .messages import AssistantMessage, FilePart, ImagePart, Message, Part, TextPart, ToolResult, UserMessage, clean
from .sessions import Session

Prompt: TypeAlias = str | Sequence[Part | str] | UserMessage | None


def check_history(session: Session | None, history: Sequence[Message]) -> None:
    """Make sure that a run is told in one way only what was said before.

    Raises:
        ConfigError: it is told in two, or in none that is known.
    """
    if session is not None and history:
        raise ConfigError(
            "give either session= or history=: the session has a history of its own; "
            "to begin one with messages, write `await store.append(id, messages, revision=0)`"
        )
    if not (session is None or isinstance(session, Session)):
        raise ConfigError(f'session={session!r:.100}: write session=Session("...")')
    if strange := [
        m for m in cast("Sequence[object]", history) if not isinstance(m, UserMessage | AssistantMessage | ToolResult)
    ]:
        raise ConfigError(f"history= holds {strange[0]!r:.100}; give messages, as RunResult.messages has them")


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

"""Conversations copied, and made shorter, so that what is left is one that a provider accepts."""

from collections.abc import Sequence
from dataclasses import replace

from agentkit.errors import ConfigError, SessionError
from agentkit.messages import AssistantMessage, Message, UserMessage, is_tainted, unanswered

from .base import SessionStore


async def fork(store: SessionStore, session_id: str, new_id: str, *, upto: int | None = None) -> int:
    """Begin another conversation with what was said in this one. Returns how many messages it has.

    Tool calls are copied with all their results, or not at all: those that wait for one belong to one conversation.

    Args:
        store: Where both are kept.
        session_id: The conversation that is copied.
        new_id: The one that begins.
        upto: How many messages of it, at most; all if not given.

    Raises:
        SessionConflict: there is a conversation called `new_id`.
        SessionError: there is none to copy, or the store fails.
    """
    known = await store.load(session_id)
    if not known.revision:
        raise SessionError(f"there is no session {session_id!r} to be copied")
    messages = _in_whole_steps(known.messages[:upto])
    await store.append(new_id, messages, revision=0)
    return len(messages)


async def trim(store: SessionStore, session_id: str, *, keep: int) -> int:
    """Forget the beginning of a conversation. Returns how many messages are forgotten.

    What is kept begins with words of the user: the last `keep` messages, and those before them as far as it takes.
    If something untrusted is forgotten, those words count as untrusted, since what follows may go back to it.

    Args:
        store: Where it is kept.
        session_id: The conversation.
        keep: How many messages are kept, at least.

    Raises:
        SessionConflict: a run has changed the conversation meanwhile; nothing was forgotten.
        SessionError: the store fails.
    """
    if keep < 1:
        raise ConfigError(f"trim(keep={keep}): keep one message at least, or delete the session")
    known = await store.load(session_id)
    start = max(len(known.messages) - keep, 0)
    while start and not isinstance(known.messages[start], UserMessage):
        start -= 1
    if start:
        await store.replace(session_id, _without(known.messages, start), revision=known.revision)
    return start


def _in_whole_steps(messages: Sequence[Message]) -> Sequence[Message]:
    while unanswered(messages):
        end = max(place for place, message in enumerate(messages) if isinstance(message, AssistantMessage))
        messages = messages[:end]
    return messages


def _without(messages: Sequence[Message], start: int) -> Sequence[Message]:
    """The messages from there on, as untrusted as all were."""
    first = messages[start]
    if isinstance(first, UserMessage) and is_tainted(messages[:start]):
        first = replace(first, untrusted=True)
    return [first, *messages[start + 1 :]]

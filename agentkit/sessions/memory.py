"""Conversations in this process's memory."""

from collections.abc import Sequence

from agentkit.errors import SessionConflict
from agentkit.messages import Message

from .base import Stored


class MemoryStore:
    """Keeps conversations as long as the object lives."""

    def __init__(self) -> None:
        self._sessions: dict[str, Stored] = {}

    async def load(self, session_id: str) -> Stored:
        """The conversation; an empty one if there is none yet."""
        return self._sessions.get(session_id, Stored())

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Add messages to the end; see `SessionStore`."""
        now = self._sessions.get(session_id, Stored())
        if now.revision != revision:
            raise SessionConflict(
                f"session {session_id!r} was changed by another run; load it again, or use one session per conversation"
            )
        self._sessions[session_id] = Stored(messages=(*now.messages, *messages), revision=revision + 1)
        return revision + 1

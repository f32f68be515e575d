"""Conversations in this process's memory."""

from collections.abc import Sequence

from agentkit.messages import Message

from .base import Stored, check_id, conflict, next_revision
from .form import storable


class MemoryStore:
    """Keeps conversations as long as the object lives."""

    def __init__(self) -> None:
        self._sessions: dict[str, Stored] = {}

    async def load(self, session_id: str) -> Stored:
        """The conversation; an empty one if there is none yet."""
        return self._sessions.get(check_id(session_id), Stored())

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Add messages to the end; see `SessionStore`."""
        return self._put(session_id, (*self._at(session_id, revision).messages, *storable(messages)), revision)

    async def replace(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Put messages in the place of all that there are; see `SessionStore`."""
        self._at(session_id, revision)
        return self._put(session_id, storable(messages), revision)

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """The ids, in order; see `SessionStore`."""
        return sorted(id for id in self._sessions if id > after)[:limit]

    async def delete(self, session_id: str) -> bool:
        """Forget a conversation; see `SessionStore`."""
        return self._sessions.pop(check_id(session_id), None) is not None

    def _at(self, session_id: str, revision: int) -> Stored:
        now = self._sessions.get(check_id(session_id), Stored())
        if now.revision != revision:
            raise conflict(session_id)
        return now

    def _put(self, session_id: str, messages: tuple[Message, ...], revision: int) -> int:
        stored = self._sessions[session_id] = Stored(messages=messages, revision=next_revision(revision))
        return stored.revision

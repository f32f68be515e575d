"""Conversations in this process's memory."""

import threading
from collections.abc import Sequence

from agentkit.messages import Message

from .base import Stored, check_id, conflict, next_revision
from .form import storable


class MemoryStore:
    """Keeps conversations as long as the object lives."""

    def __init__(self) -> None:
        self._sessions: dict[str, Stored] = {}
        self._lock = threading.Lock()  # several event loops may share it

    async def load(self, session_id: str) -> Stored:
        """The conversation; an empty one if there is none yet."""
        return self._sessions.get(check_id(session_id), Stored())

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Add messages to the end; see `SessionStore`."""
        return self._put(check_id(session_id), storable(messages), revision, whole=False)

    async def replace(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Put messages in the place of all that there are; see `SessionStore`."""
        return self._put(check_id(session_id), storable(messages), revision, whole=True)

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """The ids, in order; see `SessionStore`."""
        return sorted(id for id in self._sessions.copy() if id > after)[:limit]

    async def delete(self, session_id: str) -> bool:
        """Forget a conversation; see `SessionStore`."""
        with self._lock:
            return self._sessions.pop(check_id(session_id), None) is not None

    def _put(self, session_id: str, messages: tuple[Message, ...], revision: int, *, whole: bool) -> int:
        with self._lock:
            now = self._sessions.get(session_id, Stored())
            if now.revision != revision:
                raise conflict(session_id)
            messages = messages if whole else (*now.messages, *messages)
            stored = self._sessions[session_id] = Stored(messages=messages, revision=next_revision(revision))
        return stored.revision

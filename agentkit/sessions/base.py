"""Conversations that are kept from one run to the next: what a store of them promises."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agentkit.errors import ConfigError, SessionConflict
from agentkit.messages import Message

_ID_BYTES = 256
_STRIDE_BYTES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A conversation as it is stored."""

    messages: tuple[Message, ...] = ()
    revision: int = 0
    """Which state this is, 0 if nothing is stored; a writer says which one it has seen."""


class SessionStore(Protocol):
    """Keeps conversations by id.

    A run needs `load` and `append`; the other methods are for those who look after what is kept.
    `agentkit.testing.session_suite` says whether a store keeps all that is promised here.
    """

    async def load(self, session_id: str) -> Stored:
        """The conversation; an empty one if there is none yet.

        Raises:
            SessionCorrupt: what is stored is damaged or of a newer format.
            SessionError: the store fails.
        """
        ...

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Add messages to the end: all of them, or none. Returns the new revision, also where there is none to add.

        No revision comes twice, not even when a conversation is deleted and begun again under the same id.

        Raises:
            SessionConflict: the conversation is no longer at `revision`; nothing was written.
            SessionError: the store fails.
        """
        ...

    async def replace(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Put these messages in the place of all that there are, or change nothing. Returns the new revision.

        Raises:
            SessionConflict: the conversation is no longer at `revision`; nothing was written.
            SessionError: the store fails.
        """
        ...

    async def list(self, *, after: str = "", limit: int = 100) -> Sequence[str]:
        """The ids that come after `after`, in the order of their characters' numbers, `limit` of them at most.

        Raises:
            SessionError: the store fails.
        """
        ...

    async def delete(self, session_id: str) -> bool:
        """Forget a conversation; whether there was one. A run that has loaded it cannot write to it any more.

        Raises:
            SessionError: the store fails.
        """
        ...


def check_id(session_id: str) -> str:
    """The id.

    Raises:
        ConfigError: it is not one.
    """
    given: object = session_id
    if not isinstance(given, str):
        raise ConfigError(f"session id {given!r:.80}: must be text; write str(...) around it")
    if not session_id or not session_id.isprintable() or len(session_id.encode("utf-8", "replace")) > _ID_BYTES:
        raise ConfigError(f"session id {session_id[:80]!r}: must be 1 to {_ID_BYTES} bytes of printable text")
    return session_id


def next_revision(revision: int) -> int:
    """A revision above this one that no other writer comes to.

    So a writer whose connection breaks in the middle can see afterwards whether it was its own change that was made,
    and a writer from before a deletion finds no conversation at its revision.
    """
    return revision + 1 + int.from_bytes(os.urandom(_STRIDE_BYTES))


def conflict(session_id: str) -> SessionConflict:
    """What a writer is told that comes too late."""
    return SessionConflict(
        f"session {session_id!r} was changed by another run; load it again, or use one session per conversation"
    )

"""A conversation that is kept from one run to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agentkit.messages import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A conversation as it is stored."""

    messages: tuple[Message, ...] = ()
    revision: int = 0
    """How often it was written; a writer says which revision it has seen."""


class SessionStore(Protocol):
    """Keeps conversations by id."""

    async def load(self, session_id: str) -> Stored:
        """The conversation; an empty one if there is none yet.

        Raises:
            SessionCorrupt: what is stored is damaged or of a newer format.
            SessionError: the store fails.
        """
        ...

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        """Add messages to the end: all of them, or none. Returns the new revision.

        Raises:
            SessionConflict: the conversation is no longer at `revision`; nothing was written.
            SessionError: the store fails.
        """
        ...

"""One conversation in a store."""

from dataclasses import dataclass, field

from agentkit.errors import ConfigError

from .base import SessionStore
from .memory import MemoryStore

_ID_BYTES = 256


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation: `agent.run(..., session=Session("alice"))` goes on where the last run with it ended.

    Args:
        id: Whose or which conversation it is: at most 256 bytes, no control characters.
        store: Where it is kept; in the memory of this object if not given.

    Raises:
        ConfigError: the id is not one.
    """

    id: str
    store: SessionStore = field(default_factory=MemoryStore, repr=False)

    def __post_init__(self) -> None:
        if not self.id or not self.id.isprintable() or len(self.id.encode("utf-8", "replace")) > _ID_BYTES:
            raise ConfigError(f"session id {self.id[:80]!r}: must be 1 to {_ID_BYTES} bytes of printable text")

"""One conversation in a store."""

from dataclasses import dataclass, field

from agentkit.errors import ConfigError

from .base import SessionStore, check_id
from .memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation: `agent.run(..., session=Session("alice"))` goes on where the last run with it ended.

    Args:
        id: Whose or which conversation it is: at most 256 bytes, no control characters.
        store: Where it is kept; in the memory of this object if not given.

    Raises:
        ConfigError: the id is not one, or the store.
    """

    id: str
    store: SessionStore = field(default_factory=MemoryStore, repr=False)

    def __post_init__(self) -> None:
        check_id(self.id)
        store: object = self.store
        if isinstance(store, str):
            raise ConfigError(f"Session({self.id!r}, ...): the store is a text; give SqlStore(...) or RedisStore(...)")
        if isinstance(store, type) or not (hasattr(store, "load") and hasattr(store, "append")):
            raise ConfigError(f"Session({self.id!r}, {store!r:.80}): the store must have `load` and `append`")

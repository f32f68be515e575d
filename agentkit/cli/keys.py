"""`agentkit keys`: who may use a server."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import anyio

from agentkit import ConfigError

from .failures import OK
from .serve import require_packages

if TYPE_CHECKING:
    from agentkit.server.store.keys import Keys

T = TypeVar("T")


def add_key(name: str, tenant: str | None, database: str) -> int:
    """Make a key and print it; it is not shown again."""
    print(_with_keys(database, lambda keys: keys.add(name, tenant or name, int(time.time()))))
    return OK


def list_keys(database: str) -> int:
    """Print the keys there are, without their secrets."""
    for key in _with_keys(database, lambda keys: keys.all()):
        made = datetime.fromtimestamp(key.created, UTC).date().isoformat()
        print(f"{key.name}  tenant {key.tenant}, since {made}")
    return OK


def remove_key(name: str, database: str) -> int:
    """Take a key back.

    Raises:
        ConfigError: there is none of this name.
    """
    if not _with_keys(database, lambda keys: keys.remove(name)):
        raise ConfigError(f"there is no key {name!r}; `agentkit keys list` shows those there are")
    return OK


def _with_keys(url: str, work: "Callable[[Keys], Awaitable[T]]") -> T:
    require_packages()
    from agentkit.server.store import Database
    from agentkit.server.store.keys import Keys

    async def done() -> T:
        database = Database(url)
        await database.open()
        try:
            return await work(Keys(database))
        finally:
            await database.close()

    return anyio.run(done)

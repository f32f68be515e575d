"""API keys: who has one may use a tenant's objects. Only their SHA-256 is kept."""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import delete, insert, select

from agentkit.errors import ConfigError

from .database import Database
from .tables import KEYS

_PREFIX = "ak-"
_C = KEYS.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An API key, without its secret, which nobody knows but who has it."""

    name: str
    tenant: str
    created: int


class Keys:
    """The API keys of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, tenant: str, now: int) -> str:
        """Make a key; gives the secret, which is shown only now.

        Raises:
            ConfigError: there is a key of this name.
        """
        secret = _PREFIX + secrets.token_urlsafe(32)
        async with self._database.write() as connection:
            if (await connection.execute(select(_C.name).where(_C.name == name))).first() is not None:
                raise ConfigError(f"there is a key {name!r} already; choose another name, or take it back first")
            row = {"hash": digest(secret), "tenant": tenant, "name": name, "created": now}
            await connection.execute(insert(KEYS).values(**row))
        return secret

    async def remove(self, name: str) -> bool:
        """Take a key back; whether there was one."""
        async with self._database.write() as connection:
            return bool((await connection.execute(delete(KEYS).where(_C.name == name))).rowcount)

    async def all(self) -> list[Key]:
        """All keys, the oldest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(_C.name, _C.tenant, _C.created).order_by(_C.created, _C.name))
            return [Key(name=name, tenant=tenant, created=created) for name, tenant, created in rows]

    async def any(self) -> bool:
        """Whether there are keys."""
        async with self._database.read() as connection:
            return (await connection.execute(select(_C.hash).limit(1))).first() is not None

    async def tenant(self, secret: str) -> str | None:
        """Whose objects a key opens, if it is one."""
        hashed = digest(secret)
        async with self._database.read() as connection:
            row = (await connection.execute(select(_C.hash, _C.tenant).where(_C.hash == hashed))).first()
        return str(row[1]) if row is not None and hmac.compare_digest(row[0], hashed) else None


def digest(secret: str) -> str:
    """What is kept of a key. It is random enough that its hash needs no salt."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()

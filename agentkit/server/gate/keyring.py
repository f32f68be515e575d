"""Whose request it is, by its key."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from agentkit.server.desk import Server
from agentkit.server.errors import ApiError
from agentkit.server.store.keys import Keys, digest

LOCAL = "local"
"""The tenant of a server without keys, which only this machine can reach."""
_FRESH = 5
"""Seconds after which a key is looked for again: so long a key may open that was taken back."""
_MOST = 10_000


class Unidentified(ApiError):
    """Nobody knows who asks."""

    def __init__(self, why: str) -> None:
        super().__init__(why, status=401, code="invalid_api_key", retry=False)

    @property
    def headers(self) -> dict[str, str]:
        """How to say who asks."""
        return super().headers | {"www-authenticate": "Bearer"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks."""

    tenant: str
    key: str
    """The key's hash; nothing of a server without keys."""


class Keyring:
    """The keys that were seen lately, so that most requests ask no database."""

    def __init__(self, server: Server) -> None:
        self._clock = server.settings.clock
        self._keys = Keys(server.database)
        self._known: dict[str, tuple[str, float]] = {}
        self._open: tuple[bool, float] | None = None

    async def caller(self, headers: Mapping[str, str], address: str | None) -> Caller:
        """Who asks; `address` is the server's own, None for a socket in the file system.

        Raises:
            ApiError: it takes a key, and this is none (401).
        """
        if await self._is_open():
            if address is None or is_loopback(address):
                return Caller(tenant=LOCAL, key="")
            raise Unidentified("This server has no keys, and without any it answers on its own machine only.")
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not (secret := secret.strip()):
            raise Unidentified("You have sent no API key; send it in the header 'Authorization: Bearer YOUR_KEY'.")
        hashed, now = digest(secret), self._clock()
        tenant, then = self._known.get(hashed, (None, now))
        if tenant is None or not 0 <= now - then < _FRESH:
            self._known.pop(hashed, None)
            tenant = await self._keys.tenant(secret)
            if tenant is None:
                raise Unidentified("Incorrect API key provided.")
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[hashed] = (tenant, now)
        return Caller(tenant=tenant, key=hashed)

    async def _is_open(self) -> bool:
        now = self._clock()
        if self._open is None or not 0 <= now - self._open[1] < _FRESH:
            self._open = (not await self._keys.any(), now)
        return self._open[0]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback

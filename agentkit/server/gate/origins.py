"""Which names the server answers to, and which web pages may call it.

A page that somebody visits can send requests to this machine. It is kept off by `Origin`, which browsers send and pages
cannot change, and, if its own name has been pointed at this machine (DNS rebinding), by that name in `Host`.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from agentkit.server.errors import ApiError

_ANY = "*"
_SHOWN = "x-request-id, retry-after, openai-poll-after-ms, x-should-retry, x-ratelimit-limit-requests"


@dataclass(frozen=True, kw_only=True, slots=True)
class Origins:
    """Names and web pages that are let in."""

    hosts: tuple[str, ...] = ()
    """Names besides addresses and `localhost`; `*` for all."""
    pages: tuple[str, ...] = ()
    """Origins besides the server's own; `*` for all."""

    def check(self, headers: Mapping[str, str]) -> None:
        """Let a request in that is sent to this server by name, and by no page of another.

        Raises:
            ApiError: it is not (403).
        """
        host = headers.get("host", "")
        if not self._is_ours(host):
            name = _name(host)
            raise ApiError(
                f"This server does not answer to the name {name!r}; `agentkit serve --allow-host {name}` lets it.",
                status=403,
                code="host_not_allowed",
                retry=False,
            )
        origin = headers.get("origin")
        if origin is not None and not self.is_let_in(origin, host):
            raise ApiError(
                f"Pages of {origin!r} may not call this server; `agentkit serve --allow-origin {origin}` lets them.",
                status=403,
                code="origin_not_allowed",
                retry=False,
            )

    def is_let_in(self, origin: str, host: str) -> bool:
        """Whether pages of an origin may call the server: its own, and those that it was told of."""
        if _ANY in self.pages or origin.rstrip("/") in (page.rstrip("/") for page in self.pages):
            return True
        scheme, _, place = origin.partition("://")
        return scheme in ("http", "https") and place.lower() == host.lower()

    def told(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What an answer tells the browser, so that the page may read it."""
        origin = headers.get("origin")
        if origin is None or not self.is_let_in(origin, headers.get("host", "")):
            return {"vary": "Origin"} if self.pages else {}
        return {"access-control-allow-origin": origin, "access-control-expose-headers": _SHOWN, "vary": "Origin"}

    def allowed(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What a browser is told that asks first (a preflight); `told` comes to it."""
        asked = headers.get("access-control-request-headers", "authorization, content-type")
        allowed = {
            "access-control-allow-methods": "GET, POST, DELETE",
            "access-control-allow-headers": asked,
            "access-control-max-age": "600",
        }
        if headers.get("access-control-request-private-network") == "true":
            allowed["access-control-allow-private-network"] = "true"
        return allowed

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        if _ANY in self.hosts or name == "localhost" or name in (each.lower() for each in self.hosts):
            return True
        try:
            ipaddress.ip_address(name)  # nobody can point an address at another machine
        except ValueError:
            return False
        return True


def _name(host: str) -> str:
    """The name in `Host`, without the port, as it is compared."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""

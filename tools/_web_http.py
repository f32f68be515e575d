"""One GET, and no way from it into the networks of this machine: where a request goes is decided here, hop by hop.

A host is looked up once for each hop, every address it has is checked, and the connection goes to one that was checked:
there is no second look-up that might answer otherwise. The name stays in the header Host, in SNI and in the check of
the certificate. Each redirect is a new address, with all its checks. Nothing of this machine goes along: no proxy from
the environment, no netrc, no cookies, no credentials.
One deadline covers it all; `_web_answer.py` keeps what comes back within its limits.
"""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from socket import SOCK_STREAM
from typing import TypeAlias

import anyio
import anyio.abc
import anyio.to_thread

from agentkit import ToolFailed

from ._web_address import Address, ip_refusal, name_refusal, parse, shown
from ._web_answer import Broken, Headers, Reader, read_body, read_head

Resolver: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
Check: TypeAlias = Callable[[str, Headers], None]

_REDIRECTS = 5
_ADDRESSES = 4
_ACCEPT = "text/html, application/xhtml+xml, application/json, text/plain;q=0.9, text/*;q=0.8, */*;q=0.5"
_SAID = {
    401: "it wants a login, which there is none of; use another page",
    403: "it refuses programs or wants a login; use another page",
    404: "there is no such page; check the address, or start from the site's first page",
    410: "the page is gone; use another one",
    429: "it is asked too often; wait before asking it again, or use another page",
}


async def look_up(host: str) -> Sequence[str]:
    """The IP addresses of a host, as this machine's resolver knows them."""
    found = await anyio.getaddrinfo(host, None, type=SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """What a host answered, after all redirects."""

    url: str
    """Where it came from in the end."""
    headers: Headers
    """Their names are in small letters."""
    body: bytes
    complete: bool
    """Whether that is all; if not, there was more than may be read."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What may be asked, and how much it may answer."""

    allow: Sequence[str] = ()
    """The only hosts that may be asked, such as `("example.com", "*.example.org")`, where `*.` stands for all names
    below that one. All public hosts if it is empty."""
    allow_private: bool = False
    """Whether hosts of private networks and of this machine may be asked too. Cloud metadata never is."""
    ports: Sequence[int] = (80, 443)
    seconds: float = 20
    """How long a page may take in all: looking up, connecting, redirects, reading."""
    max_bytes: int = 2_000_000
    """How much of a page is read, counted after decompression."""
    user_agent: str = "agentkit"
    """How it introduces itself."""
    ca_file: str | Path | None = None
    """Certificates of authorities to trust instead of the machine's own, in one PEM file."""
    resolve: Resolver = look_up
    """What tells the IP addresses of a host. Whatever it says is checked."""

    def __post_init__(self) -> None:
        if isinstance(self.allow, str):
            raise TypeError(f"allow={self.allow!r}: write the hosts as a tuple, such as ('example.com',)")
        for host in self.allow:
            _must_be_a_host(host)
        for name in ("seconds", "max_bytes", "chars"):
            if getattr(self, name, 1) <= 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: write a number above 0")
        if not self.user_agent.isascii() or not self.user_agent.isprintable():
            raise ValueError(f"user_agent={self.user_agent!r}: write plain letters")
        if self.ca_file is not None:
            self._trusted  # noqa: B018  (a file that cannot be read is refused here, not at the first page)

    async def get(self, url: str, check: Check) -> Response:
        """Get what is at an address; `check` may refuse it by its headers, before it is read.

        Raises:
            ToolFailed: it may not be asked, does not answer, or answers what cannot be read.
        """
        try:
            with anyio.fail_after(self.seconds):
                return await self._follow(parse(url), check)
        except TimeoutError:
            raise ToolFailed(f"{shown(url)} took over {self.seconds:g} seconds; try later, or another page") from None

    async def _follow(self, address: Address, check: Check) -> Response:
        first = address.host
        for hop in range(_REDIRECTS + 1):
            try:
                answer = await self._ask(address, check)
            except ToolFailed as error:
                raise ToolFailed(f"{first} redirects, and that fails: {error}" if hop else str(error)) from None
            if isinstance(answer, Response):
                return answer
            address = answer
        raise ToolFailed(f"{first} redirects more than {_REDIRECTS} times, perhaps for ever; use another page")

    async def _ask(self, address: Address, check: Check) -> Response | Address:
        """One hop: what is there, or where that is said to be."""
        ips = await self._checked(address)
        try:
            stream = await self._connected(address, ips)
            try:
                await stream.send(self._request(address))
                return await self._answered(address, Reader(stream), check)
            finally:
                await anyio.aclose_forcefully(stream)
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate is not valid, {error.verify_message or 'as it seems'}"
        except ssl.SSLError as error:
            why = f"it does not speak TLS as it should, {error.reason}"
        except (OSError, anyio.BrokenResourceError, anyio.EndOfStream):
            why = "the connection broke off"
        except Broken as error:
            why = str(error)
        raise ToolFailed(f"{address.host} cannot be read: {why}; try later, or another page")

    async def _answered(self, address: Address, answer: Reader, check: Check) -> Response | Address:
        status, headers = await read_head(answer)
        if status in (301, 302, 303, 307, 308):
            return _redirected(address, headers)
        if not 200 <= status < 300:
            raise ToolFailed(_refused(address, status))
        check(str(address), headers)
        empty = status in (204, 205)
        body, complete = (b"", True) if empty else await read_body(answer, headers, self.max_bytes)
        return Response(url=str(address), headers=headers, body=body, complete=complete)

    async def _checked(self, address: Address) -> Sequence[str]:
        """The IP addresses of a host, if it may be asked. If one of them is refused, all are."""
        host = address.host
        if self.allow and not any(_matches(host, pattern) for pattern in self.allow):
            raise ToolFailed(f"the host {shown(host)} is not among those that may be asked: {', '.join(self.allow)}")
        refusal = (ip_refusal if address.ip else name_refusal)(host, self.allow_private)
        if refusal:
            raise ToolFailed(refusal)
        if address.port not in self.ports:
            allowed = " and ".join(map(str, self.ports))
            raise ToolFailed(f"port {address.port} is not asked, only {allowed}; leave it out, or use another page")
        ips = [host] if address.ip else await self._resolved(host)
        for ip in ips:
            if refusal := ip_refusal(ip, self.allow_private):
                raise ToolFailed(f"{host} is not asked: its address {refusal}")
        return ips

    async def _resolved(self, host: str) -> Sequence[str]:
        try:
            ips = await self.resolve(host)
        except (OSError, UnicodeError):
            ips = ()
        if not ips:
            raise ToolFailed(f"there is no host {shown(host)}, or it cannot be looked up now; check its spelling")
        return ips

    async def _connected(self, address: Address, ips: Sequence[str]) -> anyio.abc.ByteStream:
        """A connection to one of these addresses, and to no other; the certificate is that of the name."""
        tls = await anyio.to_thread.run_sync(lambda: self._trusted) if address.scheme == "https" else None
        for ip in ips[:_ADDRESSES]:
            with anyio.move_on_after(self.seconds / 3):
                try:
                    if tls is None:
                        return await anyio.connect_tcp(ip, address.port)
                    return await anyio.connect_tcp(
                        ip, address.port, ssl_context=tls, tls_hostname=address.host, tls_standard_compatible=False
                    )
                except ssl.SSLError:
                    raise
                except (OSError, anyio.BrokenResourceError, anyio.EndOfStream):
                    continue
        raise Broken(f"nobody answers at port {address.port}")

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _request(self, address: Address) -> bytes:
        return "\r\n".join(
            [
                f"GET {address.target} HTTP/1.1",
                f"Host: {address.place}",
                f"User-Agent: {self.user_agent}",
                f"Accept: {_ACCEPT}",
                "Accept-Encoding: gzip, deflate",
                "Connection: close",
                "\r\n",
            ]
        ).encode("ascii")


def _must_be_a_host(pattern: str) -> None:
    host = pattern.removeprefix("*.")
    try:
        if parse(f"http://[{host}]/" if ":" in host else f"http://{host}/").host == host:
            return
    except ToolFailed:
        pass
    raise ValueError(f"allow={pattern!r}: write a host as 'example.com', or '*.example.com' for all names below it")


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _redirected(address: Address, headers: Headers) -> Address:
    """Where a redirect leads."""
    location = headers.get("location")
    if location is None:
        raise Broken("it redirects, and does not say where to")
    target = parse(location, address)
    if address.scheme == "https" and target.scheme != "https":
        raise ToolFailed(f"{address.host} redirects from https to http, which is not followed; use another page")
    return target


def _refused(address: Address, status: int) -> str:
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    hint = _SAID.get(status, "it fails now; try later" if status >= 500 else "use another page")
    return f"{shown(str(address))} answers {status}{phrase}: {hint}"

"""An address that a model wrote or a page redirects to: what it says, read strictly, and where it may not lead.

Whatever two programs may read in two ways is refused, not mended: numbers for an IP address in other forms than the
usual one, backslashes, white space, a name and password, letters that stand for others. An IP address is judged by
what is written here, not by Python's `is_global`, which knows more with each version; that is asked too.
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import quote, urljoin

from agentkit import ToolFailed

IP: TypeAlias = IPv4Address | IPv6Address

PORTS = {"http": 80, "https": 443}
_MAX_ADDRESS = 4096
_MAX_SHOWN = 200
_ADDRESS = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PLACE = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOTS = re.compile("[\u3002\uff0e\uff61]")
_MEANT_DIFFERENTLY = re.compile("[\xdf\u03c2]")  # other names in IDNA 2003 than in 2008

_METADATA_NAMES = (
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.azure.com",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.service.consul",
    "instance-data",
    "instance-data.ec2.internal",
    "rancher-metadata",
)
_OWN_NAMES = ("localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback", "broadcasthost")

_METADATA = "cloud metadata"
_PRIVATE = "private, or this machine"
_RESERVED = "reserved"
_TRANSITION = "an IPv6 form of an IPv4 address"
_NETWORKS: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(text), kind)
    for kind, texts in (
        # 169.254.0.0/16 is all of link-local, where most clouds have it, and fd00:ec2:: is Amazon's
        (_METADATA, "169.254.0.0/16 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32"),
        (_METADATA, "fd00:ec2::/32 fd20:ce::/32 fd00:c1::/32 fd00:42::42/128 fe80::/10"),
        (_PRIVATE, "10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16 ::1/128 fc00::/7"),
        (_RESERVED, "0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24"),
        (_RESERVED, "203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"),
        (_TRANSITION, "::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 2001::/32 2002::/16"),
        (_RESERVED, "::/128 2001::/23 2001:db8::/32 3fff::/20"),
        (_TRANSITION, "::/96"),  # after ::1 and ::
    )
    for text in texts.split()
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """An http or https address, in one spelling."""

    scheme: str
    host: str
    """In small ASCII letters; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query, as they are sent."""

    @property
    def ip(self) -> IP | None:
        """The host, if it is not a name."""
        return _ip(self.host)

    @property
    def place(self) -> str:
        """Host and port, as in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}{self.target}"


def shown(text: str) -> str:
    """A piece of somebody's text, short and harmless, for a message."""
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")


def parse(text: str, base: Address | None = None) -> Address:
    """Read an address, or a link from another one.

    Raises:
        ToolFailed: it is none, or is written in a way that may be read differently elsewhere.
    """
    if len(text) > _MAX_ADDRESS:
        raise ToolFailed(f"the address has {len(text)} characters, {_MAX_ADDRESS} are allowed")
    if not text.isprintable() or " " in text or "\\" in text:
        raise ToolFailed(
            f"the address {shown(text)} holds white space, a backslash or an invisible character; "
            "write %20 for a space and / for a backslash"
        )
    found = _ADDRESS.fullmatch(_joined(base, text) if base else text)
    if found is None:
        raise ToolFailed(f"{shown(text)} is not a web address; write all of it, such as https://example.com/page")
    scheme, authority, path, query = found[1].lower(), found[2], found[3], found[4] or ""
    if "@" in authority:
        raise ToolFailed("the address holds a user name or password, which is not sent; write it without them")
    place = _PLACE.fullmatch(authority)
    if place is None or not place[1]:
        raise ToolFailed(f"{shown(text)} names no host that can be read; write it as https://example.com/page")
    port = int(place[2] or PORTS[scheme])
    if not 0 < port < 65536:
        raise ToolFailed(f"there is no port {port}; leave it out")
    return Address(scheme=scheme, host=_host(place[1]), port=port, target=_encoded(path or "/") + _encoded(query))


def _joined(base: Address, link: str) -> str:
    if _SCHEME.match(link):
        return link
    try:
        return urljoin(str(base), link)
    except ValueError:
        raise ToolFailed(f"the link {shown(link)} cannot be read") from None


def _encoded(part: str) -> str:
    return quote(part, safe="%/:?@!$&'()*+,;=~-._[]")


def _host(written: str) -> str:
    """A host, in its one spelling."""
    if written.startswith("["):
        ip = _ip(written[1:-1])
        if not isinstance(ip, IPv6Address) or ip.scope_id:
            raise ToolFailed(f"{shown(written)} is not an IPv6 address; use the name of the host")
        return str(ip)
    host = written.lower()
    if not host.isascii():
        host = _in_ascii(host)
    host = host.removesuffix(".")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        if not isinstance(_ip(host), IPv4Address):
            raise ToolFailed(f"{shown(written)} is not an IPv4 address in its usual form; use the name of the host")
    elif not _NAME.fullmatch(host):
        raise ToolFailed(f"{shown(written)} is not the name of a host; write letters, digits, dots and hyphens")
    return host


def _in_ascii(host: str) -> str:
    """A host with other letters, as it is asked for: xn--..."""
    plain = unicodedata.normalize("NFKC", host) == host and not (_DOTS.search(host) or _MEANT_DIFFERENTLY.search(host))
    try:
        if plain:
            return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        pass
    raise ToolFailed(f"the host {shown(host)} has letters that stand for others; write it as it is registered: xn--...")


def _ip(text: str) -> IP | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def name_refusal(host: str, allow_private: bool) -> str:
    """Why a name may not be looked up at all, or nothing."""
    if _is_or_below(host, _METADATA_NAMES):
        return f"the host {shown(host)} holds a cloud's secrets and is never asked; use a public address"
    if not allow_private and _is_or_below(host, _OWN_NAMES):
        return f"the host {shown(host)} is this machine itself, which is not asked; use a public address"
    return ""


def _is_or_below(host: str, names: tuple[str, ...]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)


def ip_refusal(text: str, allow_private: bool) -> str:
    """Why an IP address may not be connected to, or nothing."""
    ip = _ip(text)
    kind = _kind(ip) if ip else "not an IP address"
    if not kind or (kind == _PRIVATE and allow_private):
        return ""
    why = "link-local, where clouds keep their secrets" if kind == _METADATA else kind
    return f"{shown(text)} is {why}, and is not connected to; use a public address"


def _kind(ip: IP) -> str:
    """What kind of address it is; nothing if it is a public one."""
    for network, kind in _NETWORKS:
        if ip.version == network.version and ip in network:
            return kind
    if isinstance(ip, IPv6Address):
        if (int(ip) >> 32) & 0xFDFFFFFF == 0x5EFE:  # ISATAP: the last half is an IPv4 address
            return _TRANSITION
        if ip not in _GLOBAL_IPV6:
            return _RESERVED
    return "" if ip.is_global else _RESERVED

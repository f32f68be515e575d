"""Strikes keys out of what is shown: out of errors, and out of what the libraries that send requests log."""

import json
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus
from weakref import WeakKeyDictionary

from agentkit.errors import ModelError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_SECRET = re.compile("auth|key|token|secret|password|cookie", re.IGNORECASE)
_NAME = r"[\w.-]*(?:auth|key|token|secret|password|cookie|signature)[\w.-]*"
_IN_LOGS = (
    (re.compile(r"(://)[^/\s@'\"]+@"), r"\1***@"),
    (re.compile(rf"(?i)([?&]{_NAME}=)[^&#\s'\"]+"), r"\1***"),
    (re.compile(rf"(?i)(['\"]{_NAME}['\"]\s*[,:]\s*b?)('[^']*'|\"[^\"]*\")"), r"\1'***'"),
)
"""User and password of a URL, a value of its query, a header as a pair or in a dict."""
_LOGGERS = (
    "openai",
    "openai._base_client",
    "httpx",
    "httpx2",
    *(
        f"{library}.{part}"
        for library in ("httpcore", "httpcore2")
        for part in ("connection", "http11", "http2", "proxy")
    ),
    "aiohttp.client",
    "aiohttp.internal",
)
_clients: "WeakKeyDictionary[AsyncOpenAI, frozenset[str]]" = WeakKeyDictionary()
"""Clients, with those of their keys that stay the same."""


def guard_logs(client: "AsyncOpenAI") -> None:
    """From now on, the libraries log no key of this client, at no level."""
    _clients[client] = frozenset(_sent_with(client))
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_no_secrets)


def keys() -> set[str]:
    """What may not be shown of all clients there are; some keys are fetched anew for each request."""
    return {client.api_key for client in list(_clients)}.union(*_clients.values())


def _no_secrets(record: logging.LogRecord) -> bool:
    told = shown = record.getMessage()
    for pattern, stars in _IN_LOGS:
        shown = pattern.sub(stars, shown)
    shown = _redacted(shown, _spellings(keys()))
    if shown != told:
        record.msg, record.args = shown, None
    return True


def strike(error: ModelError, client: "AsyncOpenAI", request: Any) -> None:
    """Strike the secrets of a request out of an error and what caused it: servers echo keys in their answers."""
    secrets = _secrets(client, request)
    link: BaseException | None = error
    while isinstance(link, ModelError):
        link.args = tuple(_redacted(arg, secrets) if isinstance(arg, str) else arg for arg in link.args)
        for name, value in vars(link).items():
            if isinstance(value, str):
                setattr(link, name, _redacted(value, secrets))
        link = link.__cause__


def _secrets(client: "AsyncOpenAI", request: Any) -> list[str]:
    """The client's key, and what the request was sent with: a key may be fetched anew for each request."""
    known = {client.api_key, *_sent_with(client)}
    if request is not None:
        known.update(_named([*request.headers.items(), *request.url.params.multi_items()]))
    return _spellings(known)


def _sent_with(client: "AsyncOpenAI") -> Iterator[str]:
    """What a client sends with each request, besides its key."""
    yield client.base_url.password
    yield from _named([*client.default_headers.items(), *client.default_query.items()])


def _named(pairs: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Values whose names say that they are secret."""
    return (value.rpartition(" ")[2] for name, value in pairs if _SECRET.search(name) and isinstance(value, str))


def _spellings(keys: Iterable[str]) -> list[str]:
    return sorted({form for key in keys if len(key) > 3 for form in forms(key)}, key=len, reverse=True)


@lru_cache(maxsize=64)
def forms(key: str) -> frozenset[str]:
    """A key as it is, in a URL, in base64, and in JSON."""
    quoted = {quote(key, safe=""), quote(key), quote_plus(key)}
    quoted |= {re.sub("%..", lambda match: match[0].lower(), each) for each in quoted}
    encoded = {encode(key.encode("utf-8", "replace")).decode().rstrip("=") for encode in (b64encode, urlsafe_b64encode)}
    escaped = json.dumps(key)[1:-1]
    return frozenset({key, *quoted, *encoded, escaped, escaped.replace("/", "\\/")})


def _redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, nor the first part of one where it was cut, from eight characters on."""
    found = [secret for secret in secrets if secret[:8] in text]
    for secret in found:
        text = text.replace(secret, "***")
    for secret in found:
        before, *parts = text.split(secret[:8])
        text = before + "".join("***" + part[_shared(part, secret[8:]) :] for part in parts)
    return text


def _shared(a: str, b: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))

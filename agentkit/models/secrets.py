"""Strikes keys out of what is shown: out of errors, and out of what the libraries that send requests log."""

import json
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus
from weakref import WeakSet

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
_clients: "WeakSet[AsyncOpenAI]" = WeakSet()


def guard_logs(client: "AsyncOpenAI") -> None:
    """From now on, the libraries log no key of this client, at no level."""
    _clients.add(client)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_no_secrets)


def _no_secrets(record: logging.LogRecord) -> bool:
    told = shown = record.getMessage()
    for pattern, stars in _IN_LOGS:
        shown = pattern.sub(stars, shown)
    for client in _clients:
        shown = _redacted(shown, _secrets(client, None))
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
    told = [client.api_key, client.base_url.password]
    pairs = [*client.default_headers.items(), *client.default_query.items()]
    if request is not None:
        pairs += [*request.headers.items(), *request.url.params.multi_items()]
    told += [value.rpartition(" ")[2] for name, value in pairs if _SECRET.search(name) and isinstance(value, str)]
    return sorted({form for key in told if len(key) > 3 for form in _forms(key)}, key=len, reverse=True)


def _forms(key: str) -> Iterable[str]:
    """A key as it is, in a URL, in base64, and in JSON."""
    yield key
    for quoted in (quote(key, safe=""), quote(key), quote_plus(key)):
        yield quoted
        yield re.sub("%..", lambda match: match[0].lower(), quoted)
    for encoded in (b64encode, urlsafe_b64encode):
        yield encoded(key.encode("utf-8", "replace")).decode().rstrip("=")
    escaped = json.dumps(key)[1:-1]
    yield escaped
    yield escaped.replace("/", "\\/")


def _redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, nor the first part of one where it was cut, from eight characters on."""
    for secret in secrets:
        if secret[:8] in text:
            before, *parts = text.replace(secret, "***").split(secret[:8])
            text = before + "".join("***" + part[_shared(part, secret[8:]) :] for part in parts)
    return text


def _shared(a: str, b: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))

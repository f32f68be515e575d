"""What the HTTP client raises -> what agentkit raises."""

import re
import sys
from base64 import b64encode
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx2
import openai

from agentkit.errors import (
    AuthFailed,
    BadResponse,
    ConnectionFailed,
    ContextTooLong,
    ModelError,
    ModelTimeout,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    ServerFailed,
)

TOO_LONG = re.compile(
    r"context[ _](length|window)|maximum (context|prompt)|too many tokens|prompt is too long", re.IGNORECASE
)
"""How servers say that a conversation does not fit the model."""
_SECRET = re.compile("auth|key|token|secret", re.IGNORECASE)
_OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}


@contextmanager
def mapped(client: openai.AsyncOpenAI) -> Generator[None]:
    """Turn the client's exceptions into `ModelError`s. They have no cause: it would show an echoed key."""
    try:
        yield
    except (openai.OpenAIError, *_transport("RequestError")) as error:
        told = _of(error, client.base_url.host)
        strike(told, client, error.request if isinstance(error, openai.APIError) else None)
        raise told from None


def _of(error: BaseException, host: str) -> ModelError:
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, openai.APIConnectionError):
        return _of_connection(error.__cause__ or error, host)
    if isinstance(error, openai.OpenAIError):
        return AuthFailed(_said(error))
    return _of_connection(error, host)


def _transport(name: str) -> Any:
    """httpx2's exception, and httpx's too: the SDK takes a client of the older kind as well."""
    older = sys.modules.get("httpx")
    return (getattr(httpx2, name), getattr(older, name)) if older else (getattr(httpx2, name),)


def _of_connection(cause: BaseException, host: str) -> ModelError:
    if isinstance(cause, _transport("TimeoutException")) and not isinstance(cause, _transport("ConnectTimeout")):
        return ModelTimeout(f"{host!r} did not answer in time; try again, or raise ModelSettings(timeout=...)")
    return ConnectionFailed(f"no connection to {host!r}, or it broke: {_said(cause)}")


def _of_status(error: openai.APIStatusError) -> ModelError:
    told = error.body if isinstance(error.body, Mapping) else {}
    said = told.get("message") or told.get("detail")  # of servers built on FastAPI, a text or a list
    message = str(said or error.message)[:2000]
    if error.status_code == 404 and (told.get("code") == "unknown_url" or not said or said == "Not Found"):
        url = error.request.url
        message += f" at {url.scheme}://{url.netloc.decode()}{url.path}; does the base URL end in /v1?"
    return of_code(
        error.status_code,
        str(told.get("code") or told.get("type") or ""),
        message,
        retry_after=_retry_after(error.response.headers),
        request_id=error.request_id,
    )


def of_code(
    status: int, code: str, message: str, *, retry_after: float | None = None, request_id: str | None = None
) -> ModelError:
    """The error that an HTTP status and a provider's error code stand for."""
    told = f"{message} (HTTP {status})" if status else message
    if status == 429 or code in ("rate_limit_exceeded", *_OUT_OF_MONEY):
        kind = QuotaExceeded if code in _OUT_OF_MONEY else RateLimited
        return kind(told, retry_after=retry_after, status=status, request_id=request_id)
    if status in (401, 403) or code in ("invalid_api_key", "authentication_error"):
        return AuthFailed(told, status=status, request_id=request_id)
    if status in (400, 413, 422) and (code == "context_length_exceeded" or TOO_LONG.search(message)):
        return ContextTooLong(told, status=status, request_id=request_id)
    if status >= 500 or status in (0, 408, 409, 425):
        return ServerFailed(told, status=status, request_id=request_id)
    return RequestRejected(told, status=status, request_id=request_id)


def bad_response(why: str, body: bytes) -> BadResponse:
    """An answer that cannot be understood, with the start of what it was."""
    start = body[:2000].decode("utf-8", "replace")
    return BadResponse(f"the server's answer cannot be understood: {why}; it starts {start[:200]!r}", body=start)


def strike(error: ModelError, client: openai.AsyncOpenAI, request: Any) -> None:
    """Strike the secrets of a request out of an error and what caused it: servers echo keys in their answers."""
    secrets = _secrets(client, request)
    link: BaseException | None = error
    while isinstance(link, ModelError):
        link.args = tuple(_redacted(arg, secrets) if isinstance(arg, str) else arg for arg in link.args)
        for name, value in vars(link).items():
            if isinstance(value, str):
                setattr(link, name, _redacted(value, secrets))
        link = link.__cause__


def _secrets(client: openai.AsyncOpenAI, request: Any) -> list[str]:
    """The client's key, and what the request was sent with: a key may be fetched anew for each request."""
    told = [client.api_key, client.base_url.password]
    if request is not None:
        pairs = [*request.headers.items(), *request.url.params.multi_items()]
        told += [value.rpartition(" ")[2] for name, value in pairs if _SECRET.search(name)]
    forms = {form for key in told if len(key) > 3 for form in (key, quote(key, safe=""), _base64(key))}
    return sorted(forms, key=len, reverse=True)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode().rstrip("=")


def _redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, nor the first part of one where it was cut, from eight characters on."""
    for secret in secrets:
        before, *parts = text.replace(secret, "***").split(secret[:8])
        text = before + "".join("***" + part[_shared(part, secret[8:]) :] for part in parts)
    return text


def _shared(a: str, b: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (RFC 9110 10.2.3; of its two forms, the number)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    return None

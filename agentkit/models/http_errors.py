"""What the HTTP client raises -> what agentkit raises."""

import re
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

from agentkit.errors import (
    AuthFailed,
    BadResponse,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    ModelError,
    ModelTimeout,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    ServerFailed,
)

_TOO_LONG = re.compile(
    r"context[ _](length|window)|maximum (context|prompt)|too many tokens|prompt is too long", re.IGNORECASE
)
_OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}


@contextmanager
def mapped(client: openai.AsyncOpenAI) -> Generator[None]:
    """Turn the client's exceptions into `ModelError`s; its key is struck out of what the server says."""
    secret, host = client.api_key, client.base_url.host
    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error, secret) from error
    except openai.APIConnectionError as error:
        raise _of_connection(error.__cause__ or error, host, secret) from error
    except _transport("RequestError") as error:
        raise _of_connection(error, host, secret) from error
    except openai.OpenAIError as error:
        raise AuthFailed(_said(error, secret)) from error
    except _transport("InvalidURL") as error:
        raise ConfigError(f"the base URL is not one: {_said(error, secret)}") from error


def _transport(name: str) -> Any:
    """httpx2's exception, and httpx's too: the SDK takes a client of the older kind as well."""
    older = sys.modules.get("httpx")
    return (getattr(httpx2, name), getattr(older, name)) if older else (getattr(httpx2, name),)


def _of_connection(cause: BaseException, host: str, secret: str) -> ModelError:
    if isinstance(cause, _transport("TimeoutException")) and not isinstance(cause, _transport("ConnectTimeout")):
        return ModelTimeout(f"{host!r} did not answer in time; try again, or raise ModelSettings(timeout=...)")
    return ConnectionFailed(f"no connection to {host!r}, or it broke: {_said(cause, secret)}")


def _of_status(error: openai.APIStatusError, secret: str) -> ModelError:
    told = error.body if isinstance(error.body, Mapping) else {}
    message = redact(str(told.get("message") or error.message)[:2000], secret)
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
    if status in (400, 413, 422) and (code == "context_length_exceeded" or _TOO_LONG.search(message)):
        return ContextTooLong(told, status=status, request_id=request_id)
    if status >= 500 or status in (0, 408, 409, 425):
        return ServerFailed(told, status=status, request_id=request_id)
    return RequestRejected(told, status=status, request_id=request_id)


def bad_response(why: str, body: bytes) -> BadResponse:
    """An answer that cannot be understood, with the start of what it was."""
    start = body[:2000].decode("utf-8", "replace")
    return BadResponse(f"the server's answer cannot be understood: {why}; it starts {start[:200]!r}", body=start)


def redact(text: str, secret: str) -> str:
    """The text with the secret struck out: servers echo keys in their error messages."""
    return text.replace(secret, "***") if len(secret) > 3 else text


def _said(error: BaseException, secret: str) -> str:
    return redact(str(error) or type(error).__name__, secret)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (RFC 9110 10.2.3; of its two forms, the number)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    return None

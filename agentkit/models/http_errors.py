"""What the HTTP client raises -> what agentkit raises."""

import re
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

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

from .secrets import strike

TOO_LONG = re.compile(
    r"context[ _](length|window)|maximum (context|prompt)|too many tokens|prompt is too long", re.IGNORECASE
)
"""How servers say that a conversation does not fit the model."""
_SHOULD_RETRY = {"true": True, "false": False}
_OUT_OF_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}


@contextmanager
def mapped(client: openai.AsyncOpenAI) -> Generator[None]:
    """Turn the client's exceptions into `ModelError`s. Nothing leads back to these: they would show an echoed key."""
    try:
        try:
            yield
        except (openai.OpenAIError, *_transport("RequestError")) as error:
            told = _of(error, client.base_url.host)
            strike(told, client, error.request if isinstance(error, openai.APIError) else None)
            raise told from None
    except ModelError as error:
        error.__context__ = None
        raise


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
    headers = error.response.headers
    told = error.body if isinstance(error.body, Mapping) else {}
    said = told.get("message") or told.get("detail")  # of servers built on FastAPI, a text or a list
    message = str(said or error.message)[:2000]
    if error.status_code == 404 and (told.get("code") == "unknown_url" or not said or said == "Not Found"):
        url = error.request.url
        message += f" at {url.scheme}://{url.netloc.decode()}{url.path}; does the base URL end in /v1?"
    if error.response.is_redirect:
        message = f"the server redirects to another address, where no key is sent; set the base URL to it: {message}"
    found = of_code(
        error.status_code,
        str(told.get("code") or told.get("type") or ""),
        message,
        request_id=error.request_id,
    )
    found.retry_after = _retry_after(headers)
    vars(found)["should_retry"] = _SHOULD_RETRY.get(headers.get("x-should-retry", ""))
    return found


def of_code(status: int, code: str, message: str, *, request_id: str | None = None) -> ModelError:
    """The error that an HTTP status and a provider's error code stand for."""
    told = f"{message} (HTTP {status})" if status else message
    if status == 429 or code in ("rate_limit_exceeded", *_OUT_OF_MONEY):
        kind = QuotaExceeded if code in _OUT_OF_MONEY else RateLimited
        return kind(told, status=status, request_id=request_id)
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
    shown = f"; it starts {start[:200]!r}" if body else ""
    return BadResponse(f"the server's answer cannot be understood: {why}{shown}", body=start)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (RFC 9110 10.2.3: a number, or a date)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if isfinite(seconds):
            return max(0.0, seconds)
    when = _date(headers.get("retry-after"))
    if when is None:
        return None
    now = _date(headers.get("date")) or datetime.now(UTC)  # by the server's own clock, if it tells
    return max(0.0, (when - now).total_seconds())


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

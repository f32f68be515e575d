"""What goes wrong with a request -> OpenAI's error envelope, whatever raised it."""

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic_core import from_json
from sqlalchemy.exc import DataError, DBAPIError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from .errors import ApiError

_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_log = logging.getLogger("agentkit.server")


class JsonRoute(APIRoute):
    """A route that reads JSON as all readers do: no NaN, no halves of characters, nothing too deep."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_Strict(request.scope, request.receive))

        return strict


class _Strict(Request):
    async def json(self) -> Any:
        try:
            return from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            told = f"We could not parse the JSON body of your request: {error}."
            raise ApiError(told, code="invalid_json") from None


def refuse_in(app: FastAPI) -> None:
    """Have the application answer so."""
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(DBAPIError, _unavailable)
    app.add_exception_handler(TimeoutError, _unavailable)
    app.add_exception_handler(Exception, _broken)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, status_code=error.status, headers=error.headers)


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    """The first of what pydantic finds wrong: 400, and the parameter's name."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = _where(first["loc"][1:], error.body)
    told = first["msg"].removeprefix("Value error, ")
    refused = ApiError(f"Invalid {where or 'body'!r}: {told}.", param=where or None, code=first["type"])
    return await _refused(request, refused)


def _where(steps: Sequence[str | int], body: Any) -> str:
    """As in `messages[0].role`, without the steps that are pydantic's own: which kind of several it has tried."""
    where, last = "", len(steps) - 1
    for n, step in enumerate(steps):
        if isinstance(body, dict):
            if step not in body and n != last:
                continue
            body = body.get(step)
        elif isinstance(body, list) and isinstance(step, int):
            body = body[step] if step < len(body) else None
        elif body is not None:
            continue
        where += f"[{step}]" if isinstance(step, int) else f".{step}" if where else str(step)
    return where


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ApiError):  # which FastAPI has made one of its own of, since the body was being read
        return await _refused(request, error.__cause__)
    told = f"Invalid URL ({request.method} {request.url.path})" if error.status_code == 404 else str(error.detail)
    answer = await _refused(request, ApiError(told, status=error.status_code))
    if error.status_code == 405:
        answer.headers["allow"] = ", ".join(_methods(request))
    return answer


async def _unstorable(request: Request, error: Exception) -> JSONResponse:
    """PostgreSQL has no text with NUL, and so no id of that kind."""
    return await _refused(request, ApiError("The request names something that no server can have.", status=404))


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    _log.error("the database does not answer: %s", type(error).__name__)
    told = "The server's database does not answer. Please try again later."
    return await _refused(request, ApiError(told, status=503, type="server_error", code="database_unavailable"))


async def _broken(request: Request, error: Exception) -> JSONResponse:
    told = "The server had an error while processing your request. Please try again."
    return await _refused(request, ApiError(told, status=500, type="server_error"))


def _methods(request: Request) -> list[str]:
    """All methods that the request's path has: each route knows its own only."""
    scopes = {method: {**request.scope, "method": method} for method in _METHODS}
    routes = request.app.routes
    return [m for m, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]

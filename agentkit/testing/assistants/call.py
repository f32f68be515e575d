"""One request to the Assistants server, and which handler answers it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import anyio

from agentkit.testing.refusal import Refusal


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Call:
    """One HTTP request, read."""

    number: int
    """Which request of this server it is, from 1."""
    method: str
    path: str
    """What follows `/v1`, decoded: `/threads/thread_1/runs`."""
    query: Mapping[str, str]
    """Of a name given several times, the values joined by commas."""
    body: dict[str, Any] | None
    """The JSON object that was sent; `None` if none was."""
    headers: Mapping[str, str]
    """Names in lower case. The caller's API key is among them."""
    raw: bytes
    """The body's bytes, such as a multipart form."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AssistantsRequest(Call):
    """One HTTP request as a test looks at it."""

    hung_up: anyio.Event
    """Set when the client went away before it had the whole answer."""


Handler: TypeAlias = Callable[..., Any]
"""`handler(call, *ids)` gives a JSON value, a `Response`, or an awaitable of one; or it raises `Refusal`."""


class Router:
    """Finds the handler of a call.

    `routes` are written as `"POST /threads/{}/runs"`, and each `{}` becomes an argument of the handler.
    The first that fits is taken.
    """

    def __init__(self, routes: Mapping[str, Handler]) -> None:
        self._routes = [(*_compiled(route), handler) for route, handler in routes.items()]

    def answer(self, call: Call) -> Any:
        """What the call's handler says.

        Raises:
            Refusal: there is no such path (404), or it does not answer to this method (405).
        """
        methods = []
        for method, path, handler in self._routes:
            if (match := path.fullmatch(call.path)) is None:
                continue
            if method == call.method:
                return handler(call, *match.groups())
            methods.append(method)
        if methods:
            wanted = " or ".join(methods)
            raise Refusal(f"/v1{call.path} answers to {wanted}, not to {call.method}.", status=405)
        raise Refusal(f"Unknown request URL: {call.method} /v1{call.path}.", status=404, code="unknown_url")


def _compiled(route: str) -> tuple[str, re.Pattern[str]]:
    method, _, path = route.partition(" ")
    return method, re.compile(path.replace("{}", "([^/]+)"))

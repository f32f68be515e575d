"""What a request does is a part of the trace that its client is in."""

from importlib.util import find_spec

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from agentkit.telemetry.propagation import carried, taken_up

_TOLD = ("traceparent", "tracestate")


class Traced:
    """Goes on with the trace of `traceparent`, unless the framework has begun a span of its own in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._can = find_spec("opentelemetry") is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's."""
        told: dict[str, str] = {}
        if scope["type"] == "http" and self._can and not carried():
            headers = Headers(scope=scope)
            told = {name: headers[name] for name in _TOLD if name in headers}
        with taken_up(told if "traceparent" in told else {}):
            await self._app(scope, receive, send)

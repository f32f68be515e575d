"""Answers that are ready when they are ready: a client that leaves in between ends the work on them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from logging import getLogger
from typing import Any, TypeAlias, TypeVar

import anyio
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agentkit.sse import HEADERS, HEARTBEAT

from .failures import failure

T = TypeVar("T")
Tell: TypeAlias = Callable[[bytes], Awaitable[None]]
DONE = b"data: [DONE]\n\n"

_HEARTBEAT_SECONDS = 15.0


def event(body: dict[str, Any], name: str = "") -> bytes:
    """A server-sent event."""
    data = to_json(body, inf_nan_mode="null")
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name else b"data: %b\n\n" % data


async def unless_gone(receive: Receive, work: Callable[[], Awaitable[T]]) -> T | None:
    """What the work comes to; None if the client left before.

    Raises:
        Exception: what the work raises.
    """
    result: T | None = None
    raised: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_until_gone, receive, group.cancel_scope)
        try:
            result = await work()
        except Exception as error:  # raised again outside of the task group, which would wrap it
            raised = error
        group.cancel_scope.cancel()
    if raised is not None:
        raise raised
    return result


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class EventStream(Response):
    """A stream of events while the work goes on.

    What goes wrong before the first event is an error with a status of its own; later, it is the last event.

    Args:
        work: Is given what sends an event.
    """

    def __init__(self, work: Callable[[Tell], Awaitable[None]]) -> None:
        super().__init__(media_type="text/event-stream")
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's."""
        sender = _Sender(send)

        async def work() -> None:
            async with sender.beating():
                await self._work(sender.tell)

        try:
            await unless_gone(receive, work)
        except OSError as error:
            if not sender.is_begun:
                raise failure(error) from error
            return  # how some servers say that the client is gone
        except Exception as error:
            told = failure(error)
            if not sender.is_begun:
                raise told from error
            if told.status >= 500:
                getLogger("agentkit").warning("a streamed answer failed: %s", told)
            await sender.tell(event(told.body, "error"))
            await sender.tell(DONE)
        await sender.end()


class _Sender:
    """Sends events, one at a time, and a comment where there was none for a while."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._turn = anyio.Lock()
        self._number = 0
        self.is_begun = False

    async def tell(self, chunk: bytes) -> None:
        async with self._turn:
            if not self.is_begun:
                self.is_begun = True
                await self._send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
            self._number += 1
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """All is said; a client that has left is told nothing."""
        if self.is_begun:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        raised: Exception | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._beat)
            try:
                yield
            except Exception as error:  # raised again outside of the task group, which would wrap it
                raised = error
            group.cancel_scope.cancel()
        if raised is not None:
            raise raised

    async def _beat(self) -> None:
        while True:
            before = self._number
            await anyio.sleep(_HEARTBEAT_SECONDS)
            if before == self._number and self.is_begun:
                await self.tell(HEARTBEAT)

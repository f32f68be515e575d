"""How a request fares badly on its way, whatever it asked for."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, TypeAlias, get_args

import anyio

from agentkit.errors import ConfigError
from agentkit.testing import chat_wire
from agentkit.testing.http_server import Drop, Response, StreamingResponse, json_response

from .quirks import dress_event, error_event

Kind: TypeAlias = Literal["lost_before", "lost_after", "cut", "end", "error", "status_before", "status_after", "hang"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What `on_request` may do to a request.

    Raises:
        ConfigError: there is no such fault, or its numbers say nothing.
    """

    kind: Kind
    """`lost_before`: the connection drops, and nothing was done. `lost_after`: all was done, a run goes on as if its
    client had hung up, and the connection drops before the answer.
    `cut`: the connection drops in mid-answer; `end`: the body ends there as if it were whole; `error`: an `error`
    event, and the end. A run goes on in all three.
    `status_before`, `status_after`: the answer is `status`, and nothing, or all, was done.
    `hang`: no answer ever, and nothing was done."""
    _: KW_ONLY
    events: int = 0
    """How many server-sent events are still sent by `cut`, `end` and `error`. Of an answer that is no stream, they
    send half."""
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer with that status."""
    reset: bool = False
    """Whether a connection drops by a TCP reset, and not by an orderly end."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ConfigError(f"there is no fault {self.kind!r}; there are {', '.join(get_args(Kind))}")
        if self.events < 0 or not 200 <= self.status <= 599:
            raise ConfigError("events counts server-sent events, from 0; status is an HTTP status from 200 to 599")

    @property
    def is_early(self) -> bool:
        """Whether it keeps the request from having any effect."""
        return self.kind in {"lost_before", "status_before", "hang"}

    async def answer(self) -> Response:
        """What the client gets instead of an answer.

        Raises:
            Drop: nothing at all.
        """
        if self.kind == "hang":
            await anyio.sleep_forever()
        if self.kind in {"status_before", "status_after"}:
            body = chat_wire.error(self.status, f"The test answers with status {self.status}.")
            return json_response(body, status=self.status, headers=self.headers)
        raise Drop(reset=self.reset)

    def halved(self, answer: Response) -> StreamingResponse:
        """An answer of which only half arrives."""

        async def half() -> AsyncGenerator[bytes, None]:
            yield answer.body[: len(answer.body) // 2]
            if self.kind == "cut":
                raise Drop(reset=self.reset)

        return StreamingResponse(status=answer.status, headers=answer.headers, pieces=half())

    async def shortened(
        self, frames: AsyncGenerator[bytes, None], quirks: frozenset[str]
    ) -> AsyncGenerator[bytes, None]:
        """A stream that breaks off after `events` events."""
        async with aclosing(frames):
            sent = 0
            while sent < self.events and (frame := await anext(frames, None)) is not None:
                yield frame
                sent += frame.startswith(b"event:")
        if self.kind == "error":
            for frame in dress_event(error_event("The server had an error while processing your request."), quirks):
                yield frame
        elif self.kind == "cut":
            raise Drop(reset=self.reset)

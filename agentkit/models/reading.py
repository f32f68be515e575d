"""Reads an answer: within its time, and no more of it than is allowed."""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anyio
import anyio.lowlevel

from agentkit.errors import BadResponse, ModelTimeout
from agentkit.turns import turn

CLOSE_SECONDS = 2.0
_PIECE = 65_536
_IN_A_ROW = 100
_LARGEST_ERROR = 262_144
"""Bytes of an error's body that are read; what follows is not."""


@dataclass(slots=True)
class Watch:
    """Watches over one answer; times are those of the event loop's clock."""

    host: str
    timeout: float | None
    idle_timeout: float | None
    until: float
    largest: int
    connection_watches: bool = False
    """Whether the connection itself ends a silence after `idle_timeout`, which costs less than to do it here."""
    fresh: bool = False
    """Whether the last piece was something that is waited for."""
    size: int = 0
    count: int = 0
    since: float = field(default_factory=anyio.current_time)
    """When the last of what was waited for has come."""

    @contextmanager
    def head(self) -> Generator[None]:
        """The time in which the answer has to begin."""
        with anyio.CancelScope(deadline=self._by(self.timeout)) as scope:
            yield
        if scope.cancelled_caught:
            raise self._late("did not begin to answer within", self.timeout, "timeout")
        self.moved()

    def _by(self, seconds: float | None) -> float:
        return self.until if seconds is None else min(self.since + seconds, self.until)

    def moved(self) -> None:
        """Something has come that was waited for."""
        self.since = anyio.current_time()
        self.fresh = True

    async def next(self, chunks: AsyncGenerator[bytes]) -> bytes | None:
        """The next piece; None when there are no more.

        Raises:
            ModelTimeout: it took too long.
            BadResponse: the answer is too large.
        """
        try:
            if self.connection_watches and self.fresh and self._by(self.idle_timeout) < self.until:
                chunk = await anext(chunks, None)
            else:
                chunk = await self._in_time(chunks)
        except Exception as error:
            if type(error).__name__ == "ReadTimeout":  # httpx2's, or httpx's
                raise self._silent() from None
            raise
        self.fresh = False
        if chunk:
            self.count += 1
            self.size += len(chunk)
            if self.size > self.largest:
                raise BadResponse(
                    f"the answer of {self.host!r} is larger than {self.largest:,} bytes, and was not read further; "
                    "raise ModelSettings(max_response_bytes=...) if it may be"
                )
            if self.count % _IN_A_ROW == 0:
                await anyio.lowlevel.checkpoint()  # a read may hold thousands of tiny pieces, all there at once
        return chunk

    async def _in_time(self, chunks: AsyncGenerator[bytes]) -> bytes | None:
        with anyio.CancelScope(deadline=self._by(self.idle_timeout)):
            return await anext(chunks, None)
        raise self._silent()

    def _silent(self) -> ModelTimeout:
        return self._late("said nothing for", self.idle_timeout, "idle_timeout")

    def _late(self, what: str, seconds: float | None, which: str) -> ModelTimeout:
        if seconds is None or anyio.current_time() >= self.until:
            return ModelTimeout(
                f"{self.host!r} was not done by the request's deadline; it is ModelSettings(deadline=...)"
            )
        return ModelTimeout(f"{self.host!r} {what} {seconds:g} seconds; try again, or raise ModelSettings({which}=...)")


async def whole(response: Any, watch: Watch) -> bytes:
    """The body of an answer, which is then closed."""
    chunks, body = pieces(response), list[bytes]()
    try:
        while (chunk := await watch.next(chunks)) is not None:
            body.append(chunk)
            watch.moved()
    except BaseException:
        await leave(chunks, 0.0)
        await close(response)
        raise
    return b"".join(body)


async def pieces(response: Any) -> AsyncGenerator[bytes]:
    """The body of an answer, decompressed in small pieces, so that no few bytes become many at once.

    Raises:
        BadResponse: it is not compressed as it says, or in a way that was not asked for.
    """
    await turn()  # hundreds of answers that come at once are read one after the other
    raw = response.aiter_raw()
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    ended = False
    try:
        if encoding in ("", "identity"):
            async for chunk in raw:
                yield chunk
        else:
            inflate = _inflate(encoding)
            async for chunk in raw:
                for piece in inflate(chunk):
                    yield piece
        ended = True
    except zlib.error:
        raise BadResponse(f"the server's answer cannot be understood: it is no {encoding!r}, as it says") from None
    finally:
        if not ended:
            await leave(raw, 0.0)


def _inflate(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BadResponse(f"the server's answer cannot be understood: it is {encoding[:50]!r}, which was not asked for")
    engine = zlib.decompressobj(zlib.MAX_WBITS | 16 if encoding != "deflate" else zlib.MAX_WBITS)
    begun = False

    def inflate(data: bytes) -> Iterator[bytes]:
        nonlocal engine, begun
        if encoding == "deflate" and not begun and data and data[0] & 15 != 8:
            engine = zlib.decompressobj(-zlib.MAX_WBITS)  # some servers leave the wrapper out
        begun = begun or bool(data)
        piece = engine.decompress(data, _PIECE)
        while piece:
            yield piece
            piece = engine.decompress(engine.unconsumed_tail, _PIECE)

    return inflate


async def leave(chunks: AsyncIterator[bytes], patience: float) -> None:
    """Read on for so many seconds, and then break off in the middle of a wait.

    httpx2 reads through generators inside generators and closes only the outermost: an exception that comes out of the
    innermost one ends them all.
    """
    with anyio.CancelScope(shield=True, deadline=anyio.current_time() + patience) as scope, suppress(Exception):
        if not patience:
            scope.cancel()
        async for _ in chunks:
            pass


async def close(response: Any) -> None:
    """Close an answer, whatever happens."""
    with anyio.move_on_after(CLOSE_SECONDS, shield=True), suppress(Exception):
        await response.aclose()


@cache
def bounded(kind: type[Any]) -> type[Any]:
    """A kind of httpx2 client that reads an error's body only so far: the SDK would read all of it."""
    import httpx2

    class Bounded(kind):  # type: ignore[misc]
        async def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
            response = await super().send(request, stream=True, **more)
            if response.is_success:
                return response
            body, chunks = b"", pieces(response)
            try:
                while len(body) < _LARGEST_ERROR and (chunk := await anext(chunks, None)) is not None:
                    body += chunk
            except BadResponse:
                pass  # it is not compressed as it says; the status says enough
            finally:
                await leave(chunks, 0.0)
                await close(response)
            told = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_BODY]
            return httpx2.Response(response.status_code, headers=told, content=body[:_LARGEST_ERROR], request=request)

    return Bounded


_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")

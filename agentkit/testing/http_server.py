"""Speaks HTTP/1.1 on a socket of this machine: the ground on which the scripted model servers stand.

Real bytes over a real connection: kept alive, chunked, dropped in the middle when a handler says so.
Source: RFC 9112 as h11 reads it; server-sent events as the WHATWG HTML standard, section 9.2, writes them.
"""

import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

import anyio
import anyio.lowlevel
import h11

_READ_SIZE = 65_536
_LARGEST_HEAD = 65_536
_TRIES = 20
_had: set[int] = set()
"""The ports that servers of this process have had: clients remember what they found behind an address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request, read to its end."""

    method: str
    path: str
    """As sent, without the query."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case; of a repeated header, the values joined by commas."""
    body: bytes
    hung_up: anyio.Event
    """Set when the client goes away before it has the whole answer; the handler is then cancelled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """An answer sent at once, with its length."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamingResponse:
    """An answer sent piece by piece, each piece as one HTTP chunk."""

    pieces: AsyncGenerator[bytes, None]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler: TypeAlias = Callable[[Request], Awaitable[Response | StreamingResponse]]


class Drop(Exception):
    """Raised by a handler, or between the pieces of a stream: the connection ends here, in mid-answer."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("the handler dropped the connection")
        self.reset = reset
        """Whether by a TCP reset, and not by an orderly end."""


class _HungUp(Exception):
    """The client was no longer there to take the answer."""


def to_json(value: Any) -> str:
    """A value as compact JSON, as providers send it: not ASCII only; half a surrogate pair stays an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as a JSON answer."""
    headers = {"content-type": "application/json", **(headers or {})}
    return Response(status=status, headers=headers, body=to_json(value).encode("utf-8"))


def sse(data: str, *, event: str | None = None) -> bytes:
    """One server-sent event."""
    lines = [] if event is None else [f"event: {event}"]
    lines += [f"data: {line}" for line in data.split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


class HttpServer:
    """Serves on a free port of 127.0.0.1 for the length of an `async with` block.

    No two servers of one process have the same port, as long as there are others.
    Leaving the block ends all connections, also those in mid-answer.
    A handler that raises makes the answer a 500 that says so, and leaving the block raises its exception:
    a failed assertion inside a handler fails the test.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._failures: list[Exception] = []
        self._port = 0

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`; known once the block is entered."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        listener = _new_listener()
        self._port = listener.getsockname()[1]
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._accept, listener)
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)  # the block's own error leaves bare, not in a group
        if not self._failures:
            return
        if error is None:
            raise self._failures[0]
        error.add_note(f"Before this, the server's handler raised {self._failures[0]!r}.")

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                try:
                    client, _ = listener.accept()
                except BlockingIOError:
                    await anyio.wait_readable(listener)
                except ConnectionError:
                    continue  # it was gone before we looked
                else:
                    self._tasks.start_soon(_Connection(client, self._handler, self._failures).serve)


def _new_listener() -> socket.socket:
    """A listener on a port that no server of this process has had before."""
    tried: list[socket.socket] = []  # they stay open meanwhile, or the same port would come again
    try:
        for _ in range(_TRIES):
            tried.append(socket.create_server(("127.0.0.1", 0), backlog=1024))
            if tried[-1].getsockname()[1] not in _had:
                break
        listener = tried.pop()
        listener.setblocking(False)
        _had.add(listener.getsockname()[1])
        return listener
    finally:
        for each in tried:
            each.close()


class _Connection:
    """One client's connection, over which it may send one request after another."""

    def __init__(self, client: socket.socket, handler: Handler, failures: list[Exception]) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = client
        self._handler = handler
        self._failures = failures
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD)

    async def serve(self) -> None:
        """Answer requests until either side has had enough."""
        with self._socket:
            try:
                while (request := await self._read()) is not None and await self._answer(request):
                    self._http.start_next_cycle()
            except h11.RemoteProtocolError as error:
                await self._complain(error)
            except (OSError, _HungUp):
                pass

    async def _read(self) -> Request | None:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
        headers: dict[str, str] = {}
        for raw_name, raw_value in head.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        path, _, query = head.target.decode("latin-1").partition("?")
        return Request(
            method=head.method.decode("ascii"),
            path=path,
            query=query,
            headers=headers,
            body=bytes(body),
            hung_up=anyio.Event(),
        )

    async def _next_event(self) -> h11.Event:
        while not isinstance(event := self._http.next_event(), h11.Event):  # it needs more data
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._receive())
        return event

    async def _answer(self, request: Request) -> bool:
        """Answer a request as long as the client is there; whether it may send another one."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, request, tasks.cancel_scope)
            await self._respond(request)
            tasks.cancel_scope.cancel()
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _watch(self, request: Request, answering: anyio.CancelScope) -> None:
        """Stop answering when the client hangs up. One that sends its next request early is not watched further."""
        # It may wake up when the answer has just been completed: then an end is no hang-up, and data the next request.
        try:
            data = await self._receive()
        except OSError:
            data = b""
        self._http.receive_data(data)
        if not data and not answering.cancel_called:
            request.hung_up.set()
            answering.cancel()

    async def _respond(self, request: Request) -> None:
        try:
            await self._write(await self._handled(request), bodiless=request.method == "HEAD")
        except Drop as drop:
            if drop.reset:
                lingering = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        except _HungUp:
            request.hung_up.set()
        except Exception as error:
            self._failures.append(error)  # in mid-answer: too late for a 500

    async def _handled(self, request: Request) -> Response | StreamingResponse:
        try:
            return await self._handler(request)
        except Drop:
            raise
        except Exception as error:
            self._failures.append(error)
            reason = f"the server's handler raised {error!r}"
            return json_response({"error": {"message": reason}}, status=500, headers={"x-should-retry": "false"})

    async def _complain(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            status = error.error_status_hint
            try:
                await self._write(Response(status=status, headers={"connection": "close"}, body=str(error).encode()))
            except _HungUp:
                pass

    async def _write(self, answer: Response | StreamingResponse, *, bodiless: bool = False) -> None:
        bodiless = bodiless or answer.status in {204, 304}
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if isinstance(answer, Response):
            headers.setdefault("content-length", str(len(answer.body)))
            head = h11.Response(status_code=answer.status, headers=list(headers.items()))
            await self._send(head, h11.Data(data=b"" if bodiless else answer.body), h11.EndOfMessage())
            return
        async with aclosing(answer.pieces) as pieces:
            await self._send(h11.Response(status_code=answer.status, headers=list(headers.items())))
            if not bodiless:
                async for piece in pieces:
                    await self._send(h11.Data(data=piece))
            await self._send(h11.EndOfMessage())

    async def _receive(self) -> bytes:
        while True:
            try:
                return self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)

    async def _send(self, *events: h11.Event) -> None:
        unsent = memoryview(b"".join(self._http.send(event) or b"" for event in events))
        try:
            while unsent:
                try:
                    unsent = unsent[self._socket.send(unsent) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._socket)
        except OSError as error:
            raise _HungUp from error
        await anyio.lowlevel.checkpoint()  # a reader in this same thread gets to see each piece

"""`HttpServer`: real HTTP on a real socket, and nothing left of it afterwards."""

import gc
import socket
import threading
from collections.abc import AsyncGenerator

import anyio
import httpx2
import pytest

from agentkit.testing.http_server import HttpServer, Request, Response, StreamingResponse, json_response, sse

pytestmark = pytest.mark.anyio


async def echo(request: Request) -> Response:
    return Response(headers={"content-type": "text/plain"}, body=request.method.encode() + b" " + request.body)


async def talk(server: HttpServer, sent: bytes) -> bytes:
    """What comes back on one connection until the server closes it."""
    received = b""
    async with await anyio.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2])) as stream:
        await stream.send(sent)
        with anyio.fail_after(5):
            async for piece in stream:
                received += piece
    return received


async def test_a_connection_is_used_again() -> None:
    """Three requests of one client come over one connection, as in production."""
    ports = set()
    async with HttpServer(echo) as server, httpx2.AsyncClient() as client:
        for word in ("one", "two", "three"):
            response = await client.post(server.url, content=word)
            assert response.text == f"POST {word}"
            ports.add(response.extensions["network_stream"].get_extra_info("client_addr"))
    assert len(ports) == 1


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    """A client that does not wait for the first answer gets both, and then the end it asked for."""
    first = b"POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\none"
    second = b"POST /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\ntwo"
    async with HttpServer(echo) as server:
        received = await talk(server, first + second)
    assert received.count(b"HTTP/1.1 200") == 2
    assert received.index(b"POST one") < received.index(b"POST two")


async def test_a_request_in_small_pieces_is_read_whole() -> None:
    """Chunked request bodies, and clients that ask before they send one, are HTTP/1.1 too."""
    fields = b"host: x\r\nconnection: close\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n"
    head = b"POST / HTTP/1.1\r\n" + fields + b"\r\n"
    async with (
        HttpServer(echo) as server,
        await anyio.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2])) as stream,
    ):
        with anyio.fail_after(5):
            for byte in head:
                await stream.send(bytes([byte]))
            assert (await stream.receive()).startswith(b"HTTP/1.1 100")
            await stream.send(b"3\r\none\r\n0\r\n\r\n")
            received = b"".join([piece async for piece in stream])
    assert received.endswith(b"POST one")


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"]
)
async def test_what_is_not_http_gets_a_400(sent: bytes) -> None:
    """Nonsense is answered and the connection closed; the server lives on."""
    async with HttpServer(echo) as server, httpx2.AsyncClient() as client:
        assert (await talk(server, sent)).startswith(b"HTTP/1.1 400")
        assert (await client.get(server.url)).status_code == 200


async def test_clients_that_say_nothing_or_half_do_no_harm() -> None:
    """A connection opened and closed, or closed within a request, is forgotten."""
    async with HttpServer(echo) as server, httpx2.AsyncClient() as client:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        for sent in (b"", b"POST / HT", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\none"):
            with socket.create_connection(address) as raw:
                raw.sendall(sent)
        assert (await client.get(server.url)).status_code == 200


@pytest.mark.parametrize("status", [200, 204])
async def test_answers_without_a_body_keep_the_connection_sound(status: int) -> None:
    """HEAD and 204 have no body, whatever the handler gives; the next request is understood."""

    async def handler(request: Request) -> Response:
        return json_response({"a": 1}, status=status)

    async with HttpServer(handler) as server, httpx2.AsyncClient() as client:
        for method in ("HEAD", "GET", "HEAD"):
            response = await client.request(method, server.url)
            assert response.status_code == status
            assert bool(response.content) == (method == "GET" and status == 200)


async def test_an_event_of_several_lines_is_one_event() -> None:
    """Every line of the data has its own field, as the HTML standard wants it."""
    assert sse("one\ntwo", event="thread.created") == b"event: thread.created\ndata: one\ndata: two\n\n"


async def test_a_large_body_goes_both_ways() -> None:
    """Larger than any socket buffer: neither side waits for the other for ever."""
    body = b"x" * 20_000_000
    with anyio.fail_after(60):
        async with HttpServer(echo) as server, httpx2.AsyncClient(timeout=60) as client:
            assert (await client.post(server.url, content=body)).content == b"POST " + body


async def test_an_error_within_a_stream_fails_the_test() -> None:
    """Too late for a 500: the client sees the answer break off, the test sees why."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise AssertionError("two")

    async def handler(request: Request) -> StreamingResponse:
        return StreamingResponse(pieces=pieces())

    async def use() -> None:
        async with HttpServer(handler) as server, httpx2.AsyncClient() as client:
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get(server.url)

    with pytest.raises(AssertionError, match="two"):
        await use()


async def test_the_error_of_the_block_leaves_it_bare() -> None:
    """A failed assertion of the test is not wrapped in a group, and tells what the handler raised before."""

    async def handler(request: Request) -> Response:
        raise LookupError("inside")

    async def use() -> None:
        async with HttpServer(handler) as server, httpx2.AsyncClient() as client:
            assert (await client.get(server.url)).status_code == 500
            raise ValueError("outside")

    with pytest.raises(ValueError, match="outside") as caught:
        await use()
    assert any("LookupError('inside')" in note for note in caught.value.__notes__)


async def test_the_block_can_be_cancelled() -> None:
    """A test's own deadline ends it, with a client waiting inside."""

    async def handler(request: Request) -> Response:
        deadline.cancel()
        await anyio.sleep_forever()
        return Response()

    with anyio.CancelScope() as deadline:
        async with HttpServer(handler) as server, httpx2.AsyncClient() as client:
            await client.get(server.url)
    assert deadline.cancelled_caught


async def test_no_two_servers_have_the_same_address() -> None:
    """What a client remembers of one server it does not believe of another, which a later test has started."""
    addresses = set[str]()
    for _ in range(1000):
        async with HttpServer(echo) as server:
            addresses.add(server.url)
    assert len(addresses) == 1000


async def test_leaving_the_block_leaves_nothing() -> None:
    """With one client idle, one in mid-request, one waiting and one in mid-stream: all are hung up on."""
    closed = []
    arrived = anyio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            closed.append("stream")

    async def handler(request: Request) -> StreamingResponse:
        if request.path == "/wait":
            arrived.set()
            try:
                await anyio.sleep_forever()
            finally:
                closed.append("handler")
        return StreamingResponse(pieces=endless())

    threads = threading.active_count()
    with anyio.fail_after(5):
        async with HttpServer(handler) as server:
            port = int(server.url.rpartition(":")[2])
            streams = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(4)]
            for stream, sent in zip(streams, [b"", b"GET /", b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n"], strict=False):
                if sent:
                    await stream.send(sent)
            await streams[3].send(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
            await arrived.wait()
            assert await streams[3].receive()
        for stream in streams:
            async with stream:
                try:
                    while await stream.receive():
                        pass
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
    assert sorted(closed) == ["handler", "stream"]
    assert threading.active_count() == threads
    with pytest.raises(OSError):
        await anyio.connect_tcp("127.0.0.1", port)
    gc.collect()  # a socket left open would be a ResourceWarning, and so an error

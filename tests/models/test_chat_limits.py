"""Answers that are too large, too slow, damaged or cut: a bounded time, bounded memory, and one error of ours."""

import gzip
import json
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import anyio
import anyio.abc
import pytest
from chat_kit import STREAMED

from agentkit import Agent, ModelError, ModelSettings, RunResult, Usage, tool
from agentkit.errors import (
    AuthFailed,
    BadResponse,
    ConnectionFailed,
    ModelTimeout,
    RateLimited,
    RequestRejected,
    ServerFailed,
    StreamBroken,
    Truncated,
)
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retry
from agentkit.testing import ChatServer, Reply
from agentkit.testing.chat_wire import Answer, chunks
from agentkit.testing.http_server import HttpServer, Request, Response, StreamingResponse, sse, to_json
from agentkit.testing.reply import as_message

pytestmark = pytest.mark.anyio

ONCE = Retry(times=0)
EVENTS = {"content-type": "text/event-stream"}
USUAL = ModelSettings()
SMALL = ModelSettings(max_response_bytes=100_000)


async def ask(url: str, streamed: bool, settings: ModelSettings = USUAL, **more: Any) -> RunResult[str]:
    agent = Agent(ChatBackend("m", base_url=f"{url}/v1", api_key="k" * 20, retry=ONCE), settings=settings, **more)
    with anyio.fail_after(20):
        if not streamed:
            return await agent.run("Hi")
        async with agent.stream("Hi") as run:
            return await run.finish()


def whole(text: str) -> bytes:
    return to_json({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()


def events(*deltas: dict[str, Any], end: bool = True) -> bytes:
    told = [sse(to_json({"choices": [{"index": 0, "delta": delta}]})) for delta in deltas]
    return b"".join([*told, sse("[DONE]")] if end else told)


def answer(text: str, streamed: bool) -> Reply:
    if streamed:
        return Reply(body=events({"content": text}), headers=EVENTS)
    return Reply(body=whole(text))


def compressed(reply: Reply, encoding: str = "gzip") -> Reply:
    body = reply.body or b""
    body = gzip.compress(body) if encoding == "gzip" else zlib.compress(body, wbits=-15 if "raw" in encoding else 15)
    return Reply(body=body, headers={**reply.headers, "content-encoding": encoding.removeprefix("raw ")})


@STREAMED
@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "raw deflate"])
async def test_an_answer_may_be_so_large_and_no_larger(encoding: str, streamed: bool) -> None:
    """Counted when it is decompressed."""
    for size, fits in [(90_000, True), (110_000, False), (5_000_000, False)]:
        reply = answer("x" * size, streamed)
        async with ChatServer([compressed(reply, encoding) if encoding else reply]) as server:
            if fits:
                assert len((await ask(server.url, streamed, SMALL)).output) == size
                continue
            with pytest.raises(BadResponse, match=r"larger than 100,000 bytes.*max_response_bytes"):
                await ask(server.url, streamed, SMALL)


@STREAMED
async def test_what_is_too_large_is_not_read_to_its_end(streamed: bool) -> None:
    """An answer without an end is left, and the server sees that nobody listens."""
    left = anyio.Event()

    async def endless(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncGenerator[bytes, None]:
            try:
                yield b'{"choices": "' if not streamed else b"data: "
                while True:
                    yield b"x" * 10_000
            finally:
                left.set()

        return StreamingResponse(pieces=pieces(), headers=EVENTS if streamed else {})

    async with HttpServer(endless) as server:
        with pytest.raises(BadResponse, match="larger than 16,000,000 bytes"):
            await ask(server.url, streamed)
        with anyio.fail_after(10):
            await left.wait()


@STREAMED
async def test_the_body_of_an_error_is_not_read_to_its_end_either(streamed: bool) -> None:
    """An error keeps its class, however much is said with it, or however much it is inflated."""

    async def endless(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncGenerator[bytes, None]:
            while True:
                yield b"x" * 100_000

        return StreamingResponse(pieces=pieces(), status=401)

    async with HttpServer(endless) as server:
        with pytest.raises(AuthFailed):
            await ask(server.url, streamed)
    bomb = gzip.compress(b"x" * 5_000_000)
    async with ChatServer([Reply(status=400, body=bomb, headers={"content-encoding": "gzip"})]) as inflated:
        with pytest.raises(RequestRejected):
            await ask(inflated.url, streamed)


@STREAMED
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "nonsense"])
async def test_an_answer_that_is_not_compressed_as_it_says_is_a_bad_response(encoding: str, streamed: bool) -> None:
    """Never the decompressor's own exception."""
    reply = answer("x" * 1000, streamed)
    for body in (b"\x1f\x8bnot gzip at all", gzip.compress(reply.body or b"")[:60] + b"\xff" * 30):
        async with ChatServer([Reply(body=body, headers={**reply.headers, "content-encoding": encoding})]) as server:
            with pytest.raises(BadResponse):
                await ask(server.url, streamed)


@asynccontextmanager
async def tcp(handle: Callable[[anyio.abc.SocketStream], Any]) -> AsyncGenerator[str]:
    """A server that does with a connection what it likes, once it has read a request."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                await stream.receive()
                await handle(stream)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                pass

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


async def drip(stream: anyio.abc.SocketStream, head: bytes, piece: bytes) -> None:
    """Send some bytes, and then a little from time to time, for ever."""
    await stream.send(head)
    while True:
        await stream.send(piece)
        with anyio.move_on_after(0.01):
            await anyio.sleep_forever()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


SLOW: list[tuple[str, bytes, bytes, ModelSettings, str]] = [
    ("a head that never ends", b"HTTP/1.1 200 OK\r\nx-a: ", b"b", ModelSettings(timeout=0.2), "begin to answer"),
    ("headers without end", b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n", ModelSettings(timeout=0.2), "begin to answer"),
    ("comments only", HEAD, chunked(b": ping\n\n"), ModelSettings(idle_timeout=0.2), "said nothing for 0.2 seconds"),
    ("pings only", HEAD, chunked(b"event: ping\ndata: {}\n\n"), ModelSettings(idle_timeout=0.2), "said nothing for"),
    ("an event that never ends", HEAD, chunked(b"x"), ModelSettings(idle_timeout=0.2), "said nothing for"),
    (
        "events without end",
        HEAD,
        chunked(b'data: {"choices":[]}\n\n'),
        ModelSettings(idle_timeout=5, deadline=0.3),
        "deadline",
    ),
    ("a body that drips", HEAD, chunked(b" "), ModelSettings(idle_timeout=5, deadline=0.3), "deadline"),
    ("silence after the head", HEAD + chunked(b": a\n\n"), b"", ModelSettings(idle_timeout=0.2), "said nothing for"),
]


@STREAMED
@pytest.mark.parametrize(("head", "piece", "settings", "words"), [case[1:] for case in SLOW], ids=[c[0] for c in SLOW])
async def test_a_server_that_keeps_one_waiting_is_left(
    head: bytes, piece: bytes, settings: ModelSettings, words: str, streamed: bool
) -> None:
    """A little now and then does not count as an answer: it has to begin, go on and end in its time."""
    if not streamed and settings.deadline is None and settings.timeout is None and piece:
        settings = ModelSettings(deadline=0.3)  # a whole body moves on with every byte
        words = "deadline"

    async def handle(stream: anyio.abc.SocketStream) -> None:
        await (drip(stream, head, piece) if piece else stream.send(head))
        await anyio.sleep_forever()

    async with tcp(handle) as url:
        with pytest.raises(ModelTimeout, match=words) as caught:
            await ask(url, streamed, settings)
    assert isinstance(caught.value, TimeoutError)


async def test_time_that_the_watcher_takes_is_not_the_servers() -> None:
    """A slow reader of a stream is not told that the server is slow."""
    reply = Reply(message="one two three four five", drip=3)
    async with ChatServer([reply]) as server:
        backend = ChatBackend("m", base_url=server.base_url, api_key="k" * 20, retry=ONCE)
        agent = Agent(backend, settings=ModelSettings(idle_timeout=0.5))
        async with agent.stream("Hi") as run:
            first = True
            async for _ in run:
                if first:
                    first = False
                    with anyio.move_on_after(0.8):
                        await anyio.sleep_forever()
        assert run.result.output == "one two three four five"


def stream_of(text: str) -> bytes:
    """A whole stream as a provider sends it."""
    told = Answer(number=1, model="m", message=as_message(text), finish_reason="stop", usage=Usage(input_tokens=1))
    return b"".join(sse(to_json(chunk)) for chunk in chunks(told, include_usage=True)) + sse("[DONE]")


def pieces_of(body: bytes, cuts: list[int]) -> list[bytes]:
    return [body[start:end] for start, end in pairwise([0, *cuts, len(body)])]


async def say(script: list[tuple[list[bytes], bool]]) -> list[str]:
    """What comes of streams in these pieces, each ending properly or with the connection."""
    said: list[str] = []
    left = iter(script)

    async def handle(request: Request) -> StreamingResponse:
        parts, ends = next(left)

        async def pieces() -> AsyncGenerator[bytes, None]:
            for part in parts:
                if part:
                    yield part
            if not ends:
                from agentkit.testing.http_server import Drop

                raise Drop(reset=False)

        return StreamingResponse(pieces=pieces(), headers=EVENTS)

    async with HttpServer(handle) as server:
        for _ in script:
            try:
                said.append((await ask(server.url, streamed=True)).output)
            except (StreamBroken, ConnectionFailed) as error:
                said.append(type(error).__name__)
    return said


TEXT = "Grüße 👋 = \u2028"
BODY = stream_of(TEXT)
ENOUGH = BODY.index(b'"finish_reason":"stop"')
"""Where the answer is whole, once the event that this stands in has come."""


def check_cuts(cuts: list[int], said: list[str], proper: bool) -> None:
    whole_from = BODY.index(b"\n\n", ENOUGH) + 2
    for cut, told in zip(cuts, said, strict=True):
        if cut >= whole_from:
            assert told == TEXT, cut
        else:
            assert told in ("StreamBroken", "ConnectionFailed"), cut
            assert told == "StreamBroken" or not proper, cut


@pytest.mark.parametrize("proper", [True, False])
async def test_a_stream_that_is_cut_at_a_byte_is_whole_or_an_error(proper: bool) -> None:
    """At some bytes, those around the end among them; `make sweep` cuts at each."""
    edge = BODY.index(b"\n\n", ENOUGH)
    cuts = [0, 1, 5, 6, 100, len(BODY) // 2, edge - 1, edge, edge + 1, edge + 2, edge + 3, len(BODY) - 3, len(BODY)]
    check_cuts(cuts, await say([([BODY[:cut]], proper) for cut in cuts]), proper)


@pytest.mark.sweep
@pytest.mark.parametrize("proper", [True, False])
async def test_a_stream_that_is_cut_at_any_byte_is_whole_or_an_error(proper: bool) -> None:
    """Each byte of it."""
    cuts = list(range(len(BODY) + 1))
    check_cuts(cuts, await say([([BODY[:cut]], proper) for cut in cuts]), proper)


async def test_a_stream_in_any_chunks_is_the_same_answer() -> None:
    """In two chunks at some places, byte by byte, and in chunks of each small size; `make sweep` tries all places."""
    pairs = [pieces_of(BODY, [cut]) for cut in range(1, len(BODY), 97)]
    sizes = [[BODY[at : at + size] for at in range(0, len(BODY), size)] for size in (1, 2, 3, 5, 64)]
    windows = BODY.replace(b"\n", b"\r\n")
    sizes += [[windows[at : at + size] for at in range(0, len(windows), size)] for size in (1, 2, 3)]
    assert set(await say([(parts, True) for parts in [*pairs, *sizes]])) == {TEXT}


@pytest.mark.sweep
async def test_a_stream_in_two_chunks_is_the_same_answer_wherever_it_is_cut() -> None:
    """In two chunks at each place, with each kind of line end."""
    for body in (BODY, BODY.replace(b"\n", b"\r\n"), BODY.replace(b"\n", b"\r"), b"\xef\xbb\xbf" + BODY):
        assert set(await say([(pieces_of(body, [cut]), True) for cut in range(1, len(body))])) == {TEXT}


async def test_a_line_may_come_byte_by_byte() -> None:
    """Thousands of chunks that are there at once: the line is joined when it ends, and others have their turn."""
    body = events({"content": "x" * 20_000})
    bits = b"".join(b"1\r\n" + body[at : at + 1] + b"\r\n" for at in range(len(body)))

    async def handle(stream: anyio.abc.SocketStream) -> None:
        await stream.send(HEAD + bits + b"0\r\n\r\n")
        await anyio.sleep_forever()

    async with tcp(handle) as url:
        assert (await ask(url, streamed=True)).output == "x" * 20_000


ODD: dict[str, tuple[Reply, type[ModelError], str]] = {
    "page": (Reply(body=b"<html>504</html>", headers={"content-type": "text/html"}), BadResponse, "<html>504"),
    "empty": (Reply(body=b""), BadResponse, "(not JSON|ended in the middle)"),
    "blank": (Reply(body=b"  \n"), BadResponse, "(not JSON|ended in the middle)"),
    "not UTF-8": (Reply(body=b'{"choices": "\xff\xfe"}'), BadResponse, "cannot be understood"),
    "UTF-16": (Reply(body='{"choices": []}'.encode("utf-16")), BadResponse, "cannot be understood"),
    "half": (Reply(body=b'{"choices": [{"mess'), BadResponse, "not JSON"),
    "array": (Reply(body=b"[]"), BadResponse, "cannot be understood"),
    "error object": (Reply(body=b'{"error": {"message": "busy", "code": 503}}'), ServerFailed, "busy"),
    "error text": (Reply(body=b'{"error": "out of order"}'), ServerFailed, "out of order"),
    "error list": (Reply(body=b'{"error": ["?"]}'), ServerFailed, "reports an error|out of|\\?"),
    "limited": (
        Reply(body=b'{"error": {"message": "slow", "code": "rate_limit_exceeded"}}'),
        RateLimited,
        "slow",
    ),
    "vLLM's": (Reply(body=b'{"object": "error", "message": "no such", "code": 404}'), RequestRejected, "no such"),
    "auth": (Reply(body=b'{"error": {"message": "who?", "code": 401}}'), AuthFailed, "who"),
    "deep": (Reply(body=b"[" * 100_000), BadResponse, "cannot be understood"),
    "huge number": (Reply(body=b'{"choices": ' + b"9" * 100_000 + b"}"), BadResponse, "cannot be understood"),
}


@STREAMED
@pytest.mark.parametrize("name", ODD)
async def test_an_answer_of_another_kind_is_one_of_our_errors(name: str, streamed: bool) -> None:
    """With the provider's own words, or the start of what came, its type and its request's id."""
    reply, kind, words = ODD[name]
    async with ChatServer([reply]) as server:
        with pytest.raises(kind, match=words) as caught:
            await ask(server.url, streamed)
    assert caught.value.request_id
    if kind is BadResponse:
        assert "HTTP 200, content type" in str(caught.value)
        assert len(str(caught.value)) < 600


SAID = {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}
EVENTS_OF_ERRORS: dict[str, tuple[bytes, type[ModelError]]] = {
    "error": (sse(json.dumps({"error": {"message": "told so", "code": 500}})), ServerFailed),
    "named error": (sse(json.dumps({"message": "told so", "code": 429}), event="error"), RateLimited),
    "named, whole": (
        sse(json.dumps({"error": {"message": "told so", "code": "invalid_api_key"}}), event="error"),
        AuthFailed,
    ),
    "vLLM's": (sse(json.dumps({"object": "error", "message": "told so", "code": 400})), RequestRejected),
    "not JSON": (sse("told so"), BadResponse),
    "half an event": (sse('{"choices": [{"delta": {"content": "told so'), BadResponse),
    "not UTF-8": (b'data: {"x": "told so\xff\xfe"}\n\n', BadResponse),
}


@pytest.mark.parametrize("name", EVENTS_OF_ERRORS)
@pytest.mark.parametrize("late", [False, True])
async def test_an_event_that_is_an_error_is_raised_as_what_it_is(name: str, late: bool) -> None:
    """At the beginning of a stream or in the middle of it, with the server's words."""
    event, kind = EVENTS_OF_ERRORS[name]
    body = sse(json.dumps(SAID)) * late + event + sse("[DONE]")
    async with ChatServer([Reply(body=body, headers=EVENTS)]) as server:
        with pytest.raises(kind, match="told so"):
            await ask(server.url, streamed=True)


CALLS = [{"index": 0, "id": "c", "function": {"name": "order", "arguments": '{"sku": "A'}}]


@STREAMED
async def test_an_answer_that_was_cut_at_the_token_limit(streamed: bool) -> None:
    """Text is an answer that says so, or `Truncated` where that is asked for; a call that was cut never runs."""
    ran: list[str] = []

    @tool
    def order(sku: str) -> str:
        ran.append(sku)
        return "ordered"

    def cut(message: dict[str, Any]) -> Reply:
        choice = {"index": 0, "delta" if streamed else "message": message, "finish_reason": "length"}
        data = to_json({"choices": [choice]})
        return Reply(body=sse(data), headers=EVENTS) if streamed else Reply(body=data.encode())

    async with ChatServer([cut({"content": "Once upon"})] * 2) as server:
        result = await ask(server.url, streamed)
        assert (result.output, result.finish_reason) == ("Once upon", "length")
        with pytest.raises(Truncated) as caught:
            await ask(server.url, streamed, ModelSettings(strict_finish=True))
        assert caught.value.partial == "Once upon"
    cut_call = cut({"content": None, "tool_calls": CALLS})
    async with ChatServer([cut_call, "Never mind.", cut_call, cut_call, "x"]) as server:
        assert (await ask(server.url, streamed, tools=[order])).output == "Never mind."
        with pytest.raises(Truncated):
            await ask(server.url, streamed, tools=[order])
    assert "cut" in server.requests[1]["messages"][-1]["content"]
    assert len(server.requests) == 4
    assert ran == []


async def test_a_response_that_comes_at_once_is_a_stream_too() -> None:
    """A server that does not stream, and one that writes no finish reason."""
    async with ChatServer([Reply(body=b'{"choices": [{"message": {"content": "Hello."}}]}')]) as server:
        assert (await ask(server.url, streamed=True)).output == "Hello."


async def test_a_redirect_is_not_followed() -> None:
    """The key and the conversation go to no other address; the error says what to do."""

    async def elsewhere(request: Request) -> Response:
        return Response(status=308, headers={"location": f"{other.url}/v1/chat/completions"})

    async with ChatServer(["x"]) as other, HttpServer(elsewhere) as server:
        with pytest.raises(RequestRejected, match=r"redirects to another address.*set the base URL"):
            await ask(server.url, streamed=False)
    assert other.requests == []

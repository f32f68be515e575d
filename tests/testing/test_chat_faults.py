"""How `ChatServer` fails, waits and is left alone: what a client has to live with, one fault at a time."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import httpx2
import openai
import pytest

from agentkit.testing.chat_server import ChatServer
from agentkit.testing.reply import Reply

pytestmark = pytest.mark.anyio

HELLO: Any = [{"role": "user", "content": "Hello?"}]


def sdk(server: ChatServer, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.base_url, api_key="test", **options)


def http(server: ChatServer) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.base_url, headers={"authorization": "Bearer test"}, verify=False)


async def ask(client: httpx2.AsyncClient, **extra: Any) -> httpx2.Response:
    return await client.post("/chat/completions", json={"model": "m", "messages": HELLO, **extra})


async def events(client: httpx2.AsyncClient, **extra: Any) -> AsyncIterator[str]:
    """The `data` of a stream's events, read as the HTML standard says."""
    body = {"model": "m", "messages": HELLO, "stream": True, **extra}
    async with client.stream("POST", "/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line:
                assert line.startswith("data: ")
                yield line.removeprefix("data: ")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_status_is_openais_error(stream: bool) -> None:
    """The SDK raises its own class for it, with the code and the headers that were scripted."""
    reply = Reply(status=429, error="Out of credit.", error_code="insufficient_quota", headers={"Retry-After": "7"})
    async with ChatServer([reply]) as server, sdk(server, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError, match=r"Out of credit\.") as caught:
            await client.chat.completions.create(model="m", messages=HELLO, stream=stream)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.request_id


async def test_a_raw_body_is_sent_as_it_is() -> None:
    """A proxy's HTML page, half a JSON, an event of another provider: whatever bytes a test needs."""
    page = Reply(status=502, body=b"<h1>Bad gateway</h1>", headers={"Content-Type": "text/html"})
    async with ChatServer([page, Reply(body=b'{"choices": [')]) as server, http(server) as client:
        html, half = await ask(client), await ask(client, stream=True)
    assert (html.status_code, html.headers["content-type"], html.text) == (502, "text/html", "<h1>Bad gateway</h1>")
    assert (half.status_code, half.headers["content-type"], half.text) == (200, "application/json", '{"choices": [')


FAULTS = [
    (Reply(fault="close_before_head"), httpx2.RemoteProtocolError, b""),
    (Reply(fault="reset_before_head"), httpx2.ReadError, b""),
    (Reply(message="A", fault="close"), httpx2.RemoteProtocolError, b""),
    (Reply(message="A", fault="reset"), httpx2.ReadError, b""),
    (Reply(message="A", fault="reset", fault_after=1), httpx2.ReadError, None),
    (Reply(message="A", fault="close", fault_after=3, drip=1), httpx2.RemoteProtocolError, b"dat"),
    (Reply(message="A", fault="close", fault_after=10**6), httpx2.RemoteProtocolError, None),
]


@pytest.mark.parametrize(("reply", "error", "arrived"), FAULTS)
async def test_an_answer_breaks_off_where_the_script_says(
    reply: Reply, error: type[Exception], arrived: bytes | None
) -> None:
    """A real client sees each fault as what it is, and what was sent before it as received."""
    got = bytearray()

    async def receive(client: httpx2.AsyncClient) -> None:
        body = {"model": "m", "messages": HELLO, "stream": True}
        async with client.stream("POST", "/chat/completions", json=body) as response:
            async for piece in response.aiter_bytes():
                got.extend(piece)

    async with ChatServer([reply]) as server, http(server) as client:
        with pytest.raises(error):
            await receive(client)
    assert got.endswith(b"\n\n") if arrived is None else bytes(got) == arrived
    assert not server.requests[0].hung_up.is_set()


async def test_a_body_can_end_early_as_if_it_were_whole() -> None:
    """A proxy that cuts a stream and closes it properly: nothing but the missing `[DONE]` tells."""
    async with ChatServer([Reply(message="Three left.", fault="end", fault_after=2)]) as server, http(server) as client:
        data = [event async for event in events(client)]
    assert [json.loads(event)["choices"][0]["delta"].get("content") for event in data] == ["", "Three le"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_can_drip(stream: bool) -> None:
    """One byte at a time, through the middle of characters, is the same answer."""
    async with ChatServer([Reply(message="Grüße 🎉", drip=1), "Grüße 🎉"]) as server, http(server) as client:
        async with client.stream(
            "POST", "/chat/completions", json={"model": "m", "messages": HELLO, "stream": stream}
        ) as response:
            pieces = [piece async for piece in response.aiter_raw()]
        normal = await ask(client, stream=stream)
    ids = [server_id.encode() for server_id in ("6b86b273ff34fce19d6b804eff5a3", "d4735e3a265e16eee03f59718b9b5")]
    assert {len(piece) for piece in pieces} == {1}
    times = (b"1750000001", b"1750000002")
    assert b"".join(pieces).replace(ids[0], ids[1]).replace(*times) == normal.content


async def test_an_answer_waits_for_an_event() -> None:
    """Before the event the server is silent; after it the client has its answer."""
    event = anyio.Event()
    arrived = anyio.Event()
    answers = []

    def script(body: Mapping[str, Any]) -> Reply:
        arrived.set()
        return Reply(message="At last.", delay_until=event)

    async with ChatServer(script) as server, http(server) as client, anyio.create_task_group() as tasks:

        async def wait() -> None:
            answers.append((await ask(client)).json()["choices"][0]["message"]["content"])

        tasks.start_soon(wait)
        await arrived.wait()
        await anyio.wait_all_tasks_blocked()
        assert not answers
        event.set()
    assert answers == ["At last."]


async def test_a_stream_can_stop_and_go_on() -> None:
    """The first pieces are there while the rest is held back: what a test of a live display needs."""
    event = anyio.Event()
    seen = []
    reply = Reply(message="Three left.", delay_until=event, delay_after=2)
    with anyio.fail_after(5):
        async with ChatServer([reply]) as server, http(server) as client:
            async for data in events(client):
                seen.append(data)
                if len(seen) == 2:
                    event.set()
    assert seen[-1] == "[DONE]"


@pytest.mark.parametrize("delay_after", [None, 0, 2])
async def test_a_client_that_goes_away_is_noticed(delay_after: int | None) -> None:
    """A cancelled run must close its request: the test sees that it did, before and within the answer."""
    arrived = anyio.Event()

    def script(body: Mapping[str, Any]) -> Reply | str:
        if arrived.is_set():
            return "Next."
        arrived.set()
        return Reply(message="Three left.", delay_until="never", delay_after=delay_after)

    async def listen(client: httpx2.AsyncClient) -> None:
        async for _ in events(client):
            pass

    with anyio.fail_after(5):
        async with ChatServer(script) as server, http(server) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen, client)
                await arrived.wait()
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            await server.requests[0].hung_up.wait()
            assert (await ask(client)).status_code == 200
            assert not server.requests[1].hung_up.is_set()


async def test_a_script_is_cancelled_when_its_client_goes_away() -> None:
    """An async script may hold resources: it is not left waiting for nobody."""
    cancelled = anyio.Event()

    async def script(body: Mapping[str, Any]) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return "never"

    with anyio.fail_after(5):
        async with ChatServer(script) as server, http(server) as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.post("/chat/completions", json={"model": "m", "messages": HELLO}, timeout=0.05)
            await cancelled.wait()

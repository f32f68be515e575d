"""A web service that shows its users what an agent does, as server-sent events, and asks them before it does it.

    python examples/web_service.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. `app` is an ASGI application, which any server of
that kind runs: `uvicorn web_service:app`. Here a very small one stands in for it, and a client asks it. It prints:

    200 text/event-stream; charset=utf-8
    approval_needed: refund {'order': 7, 'euros': 20}
    approval_needed: refund {'order': 8, 'euros': 900}
    run_finished: paused
    200 text/event-stream; charset=utf-8
    tool_started: refund {'order': 7, 'euros': 20}
    tool_started: refund {'order': 8, 'euros': 900}
    tool_finished: 20 euros for order 7 are on their way
    tool_finished: not done: it is for a manager to allow that
    run_finished: Order 7 is refunded. 900 euros for order 8 need your manager.
"""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

from agentkit import Agent, Event, RunFinished, RunStream, tool
from agentkit.paused import Approved, Denied, PausedRun
from agentkit.sse import Receive, Send, send_sse


@tool(effects="destructive", approval=True)
async def refund(order: int, euros: float) -> str:
    """Give a customer the money back.

    Args:
        order: The order's number.
        euros: How much.
    """
    return f"{euros:g} euros for order {order} are on their way"


agent = Agent("chat:gpt-5.5", name="clerk", tools=[refund])
waiting: dict[str, PausedRun] = {}
"""Runs that wait for somebody's yes, by id. A service of several processes keeps their JSON where all can read it."""


async def app(scope: Any, receive: Receive, send: Send) -> None:
    """Answer with the events of a run, which is cancelled when the client leaves.

    `/?ask=...` begins one, and `/?run=ID&yes=CALL` goes on with one that waits: its other calls are denied. Who may say
    yes is for the service to know, from its login.
    """
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    given = parse_qs(scope["query_string"].decode())
    if "ask" in given:
        run = agent.stream(given["ask"][0], approve="pause")
    else:
        paused, allowed = waiting.pop(given["run"][0]), given.get("yes", [])
        no = Denied("not done: it is for a manager to allow that")
        answers = {each.call_id: Approved() if each.call_id in allowed else no for each in paused.waiting}
        run = agent.resume_stream(paused, answers)
    await send_sse(keeping(run), receive, send, tools=agent.registry)


@asynccontextmanager
async def keeping(watched: AbstractAsyncContextManager[RunStream[str]]) -> AsyncIterator[AsyncIterator[Event]]:
    """A run, where a pause is kept before the page hears of it: it may answer at once."""

    async def events(run: RunStream[str]) -> AsyncGenerator[Event, None]:
        async for event in run:
            if isinstance(event, RunFinished) and event.result.paused:
                waiting[event.result.run_id] = event.result.paused
            yield event

    async with watched as run, aclosing(events(run)) as kept:
        yield kept


async def serve(stream: ByteStream) -> None:
    """Stand in for an ASGI server: one request on one connection."""
    path = (await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", 65536)).split()[1]

    async def receive() -> dict[str, Any]:
        try:
            await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            lines = [b"%b: %b" % header for header in message["headers"]]
            await stream.send(b"\r\n".join([b"HTTP/1.1 %d OK" % message["status"], *lines, b"", b""]))
        else:
            await stream.send(message["body"])

    async with stream:
        await app({"type": "http", "query_string": path.partition(b"?")[2]}, receive, send)


async def ask(port: int, **query: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """What a browser's EventSource does: the name and the data of each event."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(f"GET /?{urlencode(query)} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        reader = BufferedByteReceiveStream(stream)
        head = (await reader.receive_until(b"\r\n\r\n", 65536)).decode()
        print(head.split()[1], *re.findall("content-type: (.*)", head))
        name = ""
        while name not in ("run_finished", "error"):
            event = (await reader.receive_until(b"\n\n", 1_000_000)).decode()
            fields = dict(line.split(": ", 1) for line in event.split("\n"))
            if name := fields.get("event", ""):
                yield name, json.loads(fields["data"])


async def show(port: int, **query: str) -> dict[str, Any]:
    """What a page does with the events; the last one says what the run came to."""
    data: dict[str, Any] = {}
    async for name, data in ask(port, **query):
        match name:
            case "approval_needed" | "tool_started":
                print(f"{name}: {data['call']['name']} {data['call']['arguments']}")
            case "tool_finished":
                print(f"{name}: {data['result']['content']}")
            case "run_finished":
                print(f"{name}: {data['output'] or data['stopped_by']}")
            case "error":
                print(f"{name}: {data['message']}")
    return data


async def main() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        port = listener.extra(SocketAttribute.local_port)
        came_to = await show(port, ask="Refund 20 euros for order 7 and 900 for order 8.")
        small = [each["call_id"] for each in came_to["waiting"] if each["arguments"]["euros"] <= 100]
        await show(port, run=came_to["run_id"], yes=small[0])  # somebody has looked at them on the page
        group.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)

"""A web service that shows its users what an agent does, as server-sent events.

    python examples/web_service.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. `app` is an ASGI application, which any server of
that kind runs: `uvicorn web_service:app`. Here a very small one stands in for it, and a client asks it. It prints:

    200 text/event-stream; charset=utf-8
    tool_started: look_up {'city': 'Rome'}
    tool_finished: Sunny, 24 degrees.
    run_finished: It is sunny in Rome, and 24 degrees.
"""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, quote

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream

from agentkit import Agent, tool
from agentkit.sse import Receive, Send, send_sse


@tool
def look_up(city: str) -> str:
    """Look up the weather in a city.

    Args:
        city: The city's name.
    """
    return "Sunny, 24 degrees."


agent = Agent("chat:gpt-5.5", tools=[look_up])


async def app(scope: Any, receive: Receive, send: Send) -> None:
    """Answer `/?ask=...` with the events of a run, which is cancelled when the client leaves."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    [prompt] = parse_qs(scope["query_string"].decode())["ask"]
    await send_sse(agent.stream(prompt), receive, send, tools=agent.registry)


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


async def ask(port: int, prompt: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """What a browser's EventSource does: the name and the data of each event."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(f"GET /?ask={quote(prompt)} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        reader = BufferedByteReceiveStream(stream)
        head = (await reader.receive_until(b"\r\n\r\n", 65536)).decode()
        print(head.split()[1], *re.findall("content-type: (.*)", head))
        name = ""
        while name not in ("run_finished", "error"):
            event = (await reader.receive_until(b"\n\n", 1_000_000)).decode()
            fields = dict(line.split(": ", 1) for line in event.split("\n"))
            if name := fields.get("event", ""):
                yield name, json.loads(fields["data"])


async def main() -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        async for name, data in ask(listener.extra(SocketAttribute.local_port), "What is the weather in Rome?"):
            match name:
                case "tool_started":
                    print(f"{name}: {data['call']['name']} {data['call']['arguments']}")
                case "tool_finished":
                    print(f"{name}: {data['result']['content']}")
                case "run_finished":
                    print(f"{name}: {data['output']}")
                case "error":
                    print(f"{name}: {data['message']}")
        group.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)

"""A model that costs nothing: Chat Completions and Assistants over loopback, with answers made beforehand.

The first part of the path is the script of the conversation (`Scenario.script`), the tool results in the body say
where it has got to, so the server remembers nothing. HTTP/1.1 with keep-alive and `Content-Length`, no more.
"""

import asyncio
import json
import re
import sys
import time
from functools import cache

from . import assistants, task

SCRIPT = re.compile(rb"(?:POST|GET) /(\d+)x(\d+)after(\d+)in(\d+)ms(/[^? ]+)[? ]")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = bytearray()
        self.expected = 0
        self.body = 0

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.expected:
            head = self.received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = LENGTH.search(self.received, 0, head)
            self.body = head + 4
            self.expected = self.body + (int(length[1]) if length else 0)
        if len(self.received) >= self.expected:
            self.answer(bytes(self.received))
            self.received.clear()
            self.expected = 0

    def answer(self, request: bytes) -> None:
        script = SCRIPT.match(request)
        if script is None:
            self.transport.write(as_json({"cpu_seconds": time.process_time()}))
            return
        rounds, calls, history, latency = map(int, script.groups()[:4])
        if script[5] == b"/chat/completions":
            behind = request.count(b'"tool_call_id"', self.body) // calls
            answer = text() if behind >= history + rounds else tool_calls(behind, calls)
        else:
            answer = http(*assistants.answer(rounds, calls, script[5], request[self.body :]))
        if latency:
            asyncio.get_running_loop().call_later(latency / 1000, self.transport.write, answer)
        else:
            self.transport.write(answer)


@cache
def text() -> bytes:
    """The last answer of a conversation."""
    return completion({"role": "assistant", "content": task.ANSWER}, "stop")


@cache
def tool_calls(behind: int, calls: int) -> bytes:
    """The answer that asks for tools, after so many rounds."""
    asked = [task.call(behind, number) for number in range(calls)]
    return completion({"role": "assistant", "content": None, "tool_calls": asked}, "tool_calls")


def completion(message: dict[str, object], finish_reason: str) -> bytes:
    """What a Chat Completions server sends.

    Source: https://platform.openai.com/docs/api-reference/chat/object.
    """
    message |= {"refusal": None, "annotations": []}
    none = {"audio_tokens": 0, "cached_tokens": 0}
    usage = {
        "prompt_tokens": 320,
        "completion_tokens": 40,
        "total_tokens": 360,
        "prompt_tokens_details": none,
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    return as_json(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1700000000,
            "model": task.MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
            "usage": usage,
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
        }
    )


def as_json(body: dict[str, object]) -> bytes:
    """A whole HTTP response with a JSON body."""
    return http("application/json", json.dumps(body).encode())


def http(content_type: str, payload: bytes) -> bytes:
    """A whole HTTP response."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


async def serve() -> None:
    """Serve until standard input ends; the port is the one line on standard output."""
    async with await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=2048) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())

"""A bare client of the Assistants wire, for the tests of the server: it reads what is there and knows nothing of us."""

import json
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

import anyio
import httpx2

from agentkit.messages import ToolCall
from agentkit.testing import AssistantsServer

HEADERS = {"authorization": "Bearer test", "openai-beta": "assistants=v2"}


class Sent(NamedTuple):
    """A server-sent event."""

    name: str
    data: Any


def http(server: AssistantsServer, **options: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=server.base_url, headers=HEADERS, verify=False, **options)


def units_left(sku: str) -> ToolCall:
    return ToolCall(id="call_units_left", name="units_left", arguments=json.dumps({"sku": sku}))


FUNCTION = {"type": "function", "function": {"name": "units_left", "parameters": {"type": "object", "properties": {}}}}


async def get(client: httpx2.AsyncClient, path: str, **query: Any) -> Any:
    response = await client.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def post(client: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(client: httpx2.AsyncClient, path: str, method: str = "POST", **body: Any) -> str:
    """What the server says against a request, which it refuses in the API's form."""
    response = await client.request(method, path, json=body if method == "POST" else None)
    error = response.json()["error"]
    assert response.status_code in {400, 404}
    assert error["type"] == "invalid_request_error"
    assert error.keys() == {"message", "type", "param", "code"}
    assert response.headers["x-should-retry"] == "false"
    return str(error["message"])


async def frames(client: httpx2.AsyncClient, path: str, **body: Any) -> AsyncGenerator[Sent, None]:
    """A stream's events as they come, comments left out, read as the HTML standard says."""
    async with client.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = line.removeprefix("data: ")
                yield Sent(name, data if data == "[DONE]" else json.loads(data))
            else:
                assert not line or line.startswith(":")


async def stream(client: httpx2.AsyncClient, path: str, **body: Any) -> list[Sent]:
    """All events of a stream, without the `done` at its end."""
    *events, last = [event async for event in frames(client, path, **body)]
    assert last == ("done", "[DONE]")
    return events


async def leave(server: AssistantsServer, path: str, after: int, **body: Any) -> None:
    """Listen to so many events of a stream, and hang up."""
    async with http(server) as leaver:
        with anyio.CancelScope() as listening:
            async for _ in frames(leaver, path, **body):
                after -= 1
                if not after:
                    listening.cancel()


def short(events: list[Sent]) -> list[str]:
    """The names without `thread.`, and of deltas in a row only one."""
    names = [event.name.removeprefix("thread.") for event in events]
    return [name for n, name in enumerate(names) if not (n and name.endswith("delta") and names[n - 1] == name)]


async def start(client: httpx2.AsyncClient, *said: str, **settings: Any) -> tuple[str, str]:
    """A new thread and its path, and an assistant: `path, assistant_id`."""
    assistant = await post(client, "/assistants", **{"model": "m", "tools": [FUNCTION], **settings})
    thread = await post(client, "/threads", messages=[{"role": "user", "content": text} for text in said])
    return f"/threads/{thread['id']}", assistant["id"]


async def look(client: httpx2.AsyncClient, path: str, times: int = 2) -> Any:
    """A run after so many looks at it."""
    for _ in range(times - 1):
        await get(client, path)
    return await get(client, path)


async def answered(client: httpx2.AsyncClient, run: Any, output: str = "3", **more: Any) -> Any:
    """A run after all its calls were given this output."""
    return await post(client, f"{run_path(run)}/submit_tool_outputs", tool_outputs=outputs(run, output), **more)


def run_path(run: Any) -> str:
    return f"/threads/{run['thread_id']}/runs/{run['id']}"


def outputs(run: Any, output: str = "3") -> list[dict[str, str]]:
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return [{"tool_call_id": call["id"], "output": output} for call in calls]


def texts(messages: Any) -> list[str]:
    """The texts of messages, in the order given."""
    return [part["text"]["value"] for message in messages for part in message["content"]]

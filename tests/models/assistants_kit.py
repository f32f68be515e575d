"""What the tests of the Assistants backend have in common: backends, and a look at what is left on the server."""

from itertools import count
from typing import Any

import anyio
import httpx2

from agentkit import AssistantMessage
from agentkit.messages import Message
from agentkit.models.assistants import AssistantsBackend
from agentkit.testing import AssistantsServer

KEY = "sk-canary-0123456789"
_keys = count()
_HOLDING = {"queued", "in_progress", "requires_action", "cancelling"}


def backend(server: AssistantsServer, **more: Any) -> AssistantsBackend:
    """A new backend; what this process knows of the server, it shares with the others."""
    return AssistantsBackend("m", **{"base_url": server.base_url, "api_key": KEY, **more})


def another_process(server: AssistantsServer, **more: Any) -> AssistantsBackend:
    """A backend that knows nothing of what the others have found out, since they have another key."""
    return backend(server, api_key=f"{KEY}-{next(_keys)}", **more)


def runs(server: AssistantsServer) -> list[dict[str, Any]]:
    """The runs of all threads, oldest thread first."""
    return [run for thread in server.threads for run in server.runs(thread["id"])]


def statuses(server: AssistantsServer) -> list[str]:
    return [run["status"] for run in runs(server)]


def active(server: AssistantsServer) -> list[str]:
    """The states of the runs that hold their threads."""
    return [status for status in statuses(server) if status in _HOLDING]


def texts(server: AssistantsServer, thread: str) -> list[tuple[str, str]]:
    """Who has said what on a thread, oldest first."""
    return [
        (message["role"], part["text"]["value"])
        for message in server.messages(thread)
        for part in message["content"]
        if part["type"] == "text"
    ]


def thread_of(message: Message) -> str:
    """The thread that an answer stands on."""
    assert isinstance(message, AssistantMessage)
    assert message.state is not None
    return str(message.state["thread"])


def sent(server: AssistantsServer, method: str, end: str) -> list[dict[str, Any]]:
    """The bodies of the requests of this method and to this kind of path, oldest first."""
    return [r.body or {} for r in server.requests if r.method == method and r.path.endswith(end)]


def results(body: dict[str, Any]) -> list[str]:
    """The tool results that a scripted model is told since the user's last words."""
    told: list[str] = []
    for message in body["messages"]:
        told = [] if message["role"] == "user" else told + [message["content"]] * (message["role"] == "tool")
    return told


def said(body: dict[str, Any]) -> list[str]:
    """All that a scripted model is told in words, by whom it may be."""
    return [message["content"] for message in body["messages"] if isinstance(message["content"], str)]


async def ask(server: AssistantsServer, method: str, path: str, **body: Any) -> Any:
    """What somebody else asks the server."""
    headers = {"authorization": "Bearer somebody-else", "openai-beta": "assistants=v2"}
    async with httpx2.AsyncClient(base_url=server.base_url, headers=headers, verify=False) as client:
        response = await client.request(method, path, json=body if method == "POST" else None)
        assert response.status_code == 200, response.text
        return response.json()


async def until(condition: Any) -> None:
    """Wait until something is so; the test's own time limit says when it never will be."""
    while not condition():
        await anyio.lowlevel.checkpoint()

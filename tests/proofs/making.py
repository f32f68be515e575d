"""Makes on a live server what the SDK's tests take for granted: assistants, threads, finished runs, files and so on."""

from hashlib import md5
from typing import Any

import httpx2

_FUNCTION = {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
_DATA = b"The lamp is in the attic."
_HELLO = {"role": "user", "content": "Hello"}
_LOOKS = 2000


class MakingFailed(Exception):
    """The server refuses an object that a test takes for granted."""


class Maker:
    """Makes fresh objects, so that tests may change and delete them, and run side by side."""

    def __init__(self, server: httpx2.AsyncClient, model: str) -> None:
        self._server = server
        self.model = model

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """What the server answers.

        Raises:
            MakingFailed: it refuses.
        """
        answer = await self._server.request(method, path, json=body, **more)
        if answer.status_code != 200:
            raise MakingFailed(f"{method} {path} with {body} is answered {answer.status_code}: {answer.text}")
        return answer.json()

    async def ids(self, path: str) -> list[str]:
        """The ids of a list, the oldest first."""
        return [each["id"] for each in (await self.ask("GET", f"{path}?order=asc"))["data"]]

    async def until(self, path: str, status: str) -> Any:
        """The object once its status is this one.

        Raises:
            MakingFailed: it does not become so.
        """
        for _ in range(_LOOKS):
            found = await self.ask("GET", path)
            if found["status"] == status:
                return found
        raise MakingFailed(f"{path} is {found['status']!r} for good, not {status!r}")

    async def assistant(self, **more: Any) -> str:
        """An assistant."""
        return str((await self.ask("POST", "/assistants", {"model": self.model, **more}))["id"])

    async def thread(self) -> str:
        """A thread with a message."""
        return str((await self.ask("POST", "/threads", {"messages": [_HELLO]}))["id"])

    async def message(self, thread: str) -> str:
        """A message on a thread."""
        return str((await self.ask("POST", f"/threads/{thread}/messages", _HELLO))["id"])

    async def run(self, thread: str) -> Any:
        """A finished run."""
        run = await self.ask("POST", f"/threads/{thread}/runs", {"assistant_id": await self.assistant()})
        return await self.until(f"/threads/{thread}/runs/{run['id']}", "completed")

    async def waiting_run(self, thread: str) -> Any:
        """A run that waits for a function's output."""
        tool = {"type": "function", "function": _FUNCTION}
        choice = {"type": "function", "function": {"name": _FUNCTION["name"]}}
        body = {"assistant_id": await self.assistant(tools=[tool]), "tool_choice": choice}
        run = await self.ask("POST", f"/threads/{thread}/runs", body)
        return await self.until(f"/threads/{thread}/runs/{run['id']}", "requires_action")

    async def file(self) -> str:
        """A file."""
        form: dict[str, Any] = {"files": {"file": ("notes.txt", _DATA)}, "data": {"purpose": "assistants"}}
        return str((await self.ask("POST", "/files", **form))["id"])

    async def store(self, files: int = 0) -> tuple[str, list[str]]:
        """A vector store, and its files."""
        ids = [await self.file() for _ in range(files)]
        return (await self.ask("POST", "/vector_stores", {"file_ids": ids}))["id"], ids

    async def batch(self, store: str) -> str:
        """A batch of two files in a vector store."""
        body = {"file_ids": [await self.file(), await self.file()]}
        return str((await self.ask("POST", f"/vector_stores/{store}/file_batches", body))["id"])

    async def upload(self) -> str:
        """An upload without parts."""
        body = {"bytes": len(_DATA), "filename": "notes.txt", "mime_type": "text/plain", "purpose": "assistants"}
        return str((await self.ask("POST", "/uploads", body))["id"])

    async def part(self, upload: str) -> tuple[str, str]:
        """All that an upload is to hold, as one part: its id and the MD5 sum."""
        made = await self.ask("POST", f"/uploads/{upload}/parts", files={"data": ("upload", _DATA)})
        return made["id"], md5(_DATA, usedforsecurity=False).hexdigest()

    async def response(self, *, in_background: bool = False) -> str:
        """A response: finished, or one that goes on in the background."""
        background = {"background": True} if in_background else {}
        return str((await self.ask("POST", "/responses", {"model": self.model, "input": "Hello", **background}))["id"])

    async def conversation(self, items: int = 0) -> str:
        """A conversation."""
        body = {"items": [{"type": "message", **_HELLO}] * items}
        return str((await self.ask("POST", "/conversations", body))["id"])

    async def completion(self, role: str = "user") -> str:
        """A stored chat completion of two messages."""
        body = {"model": self.model, "store": True, "messages": [{"role": role, "content": "Hello"}] * 2}
        return str((await self.ask("POST", "/chat/completions", body))["id"])

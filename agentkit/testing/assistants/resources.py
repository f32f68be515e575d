"""Files and vector stores of assistants, threads and messages: found where they are named, made where asked for."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Protocol

from .call import Call
from .store import Store

_THREADS_STORE = {"expires_after": {"anchor": "last_active_at", "days": 7}}
"""A store that is made for a thread goes when nobody has used it for a week."""


class Files(Protocol):
    """Who keeps the files and the vector stores."""

    def answer(self, call: Call) -> Any:
        """What an endpoint says."""
        ...

    def content(self, file_id: str) -> bytes:
        """A file's bytes."""
        ...

    def create_store(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a vector store."""
        ...


class Resources:
    """What tools of the server work on."""

    def __init__(self, store: Store, files: Files) -> None:
        self._store = store
        self._files = files

    def made(self, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
        """The `tool_resources` that were asked for, with the ids of the stores that are made for them.

        Raises:
            Refusal: a file or a store is not there.
        """
        resources = deepcopy(dict(wanted or {}))
        for file_id in (resources.get("code_interpreter") or {}).get("file_ids") or ():
            self._know_file(file_id)
        if search := resources.get("file_search"):
            ids = list(search.get("vector_store_ids") or ())
            for store_id in ids:
                self._know_store(store_id)
            stores = search.get("vector_stores") or ()
            resources["file_search"] = {
                "vector_store_ids": ids + [self._files.create_store(body)["id"] for body in stores]
            }
        return resources

    def check(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Make sure that the files of messages are there.

        Raises:
            Refusal: one is not.
        """
        for message in messages:
            content = message.get("content")
            parts = content if isinstance(content, list) else []
            pictures = [part["image_file"]["file_id"] for part in parts if part.get("type") == "image_file"]
            for file_id in [*pictures, *(each["file_id"] for each in message.get("attachments") or ())]:
                self._know_file(file_id)

    def attach(self, thread: dict[str, Any], attachments: Sequence[Mapping[str, Any]]) -> None:
        """Give files of a message to the tools of its thread."""
        for attachment in attachments:
            tools = [tool["type"] for tool in attachment.get("tools") or ()]
            resources = thread["tool_resources"]
            if "code_interpreter" in tools:
                resources.setdefault("code_interpreter", {}).setdefault("file_ids", []).append(attachment["file_id"])
            if "file_search" in tools:
                ids = resources.setdefault("file_search", {}).setdefault("vector_store_ids", [])
                if ids:
                    self._post(f"/vector_stores/{ids[0]}/files", {"file_id": attachment["file_id"]})
                else:
                    store = self._files.create_store({"file_ids": [attachment["file_id"]], **_THREADS_STORE})
                    ids.append(store["id"])

    def _know_file(self, file_id: str) -> None:
        if self._store.strict:
            self._files.content(file_id)

    def _know_store(self, store_id: str) -> None:
        if self._store.strict:
            self._post(f"/vector_stores/{store_id}", {})  # no change; to read it would be a look at its progress

    def _post(self, path: str, body: dict[str, Any]) -> None:
        call = Call(number=0, method="POST", path=path, query={}, body=body, headers={}, raw=b"")
        self._files.answer(call)

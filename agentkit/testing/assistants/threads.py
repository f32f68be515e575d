"""All threads of the server, and how things come to be said on them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from agentkit.messages import AssistantMessage
from agentkit.models.chat.encode import encode_message
from agentkit.testing.refusal import Refusal

from .objects import new_message, new_thread, text_of
from .resources import Resources
from .runs import Runs
from .state import Run, Said, Thread
from .store import Store


class Threads:
    """The threads, each settled before a request looks at it."""

    def __init__(self, store: Store, runs: Runs, resources: Resources) -> None:
        self._store = store
        self._resources = resources
        self._runs = runs
        self._live: dict[str, Thread] = {}
        self.objects = store.shelf("thread")

    def __iter__(self) -> Iterator[Thread]:
        """Also those that were deleted: a test may look at what happened on them."""
        return iter(tuple(self._live.values()))

    def __getitem__(self, thread_id: str) -> Thread:
        return self._live[thread_id]

    def get(self, thread_id: str) -> Thread:
        """The thread, with all that has happened on it by now.

        Raises:
            Refusal: there is none (404).
        """
        self.objects.get(thread_id)
        thread = self._live[thread_id]
        self._runs.settle(thread)
        return thread

    def run(self, thread_id: str, run_id: str) -> Run:
        """A run of the thread; see `get`."""
        thread = self.get(thread_id)
        thread.runs.get(run_id)
        return thread.live[run_id]

    def create(self, body: Mapping[str, Any]) -> Thread:
        """A new thread with its first messages."""
        messages = body.get("messages") or ()
        self._check(messages)
        resources = self._resources.made(body.get("tool_resources"))
        thread = Thread(
            object=self.objects.add(new_thread(self._store, resources, body.get("metadata") or {})),
            messages=self._store.shelf("message", deleted="thread.message.deleted"),
            runs=self._store.shelf("run"),
        )
        self._live[thread.object["id"]] = thread
        self.add_messages(thread, messages)
        return thread

    def add_messages(self, thread: Thread, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add messages, all of them or none.

        Raises:
            Refusal: one says nothing, or names a file that is not there.
        """
        self._check(messages)
        return [self._add(thread, message) for message in messages]

    def change(self, thread: Thread, body: Mapping[str, Any]) -> None:
        """Change a thread's metadata and resources, if they are given."""
        if "tool_resources" in body:
            thread.object["tool_resources"] = self._resources.made(body["tool_resources"])
        if "metadata" in body:
            thread.object["metadata"] = body["metadata"] or {}

    def delete_message(self, thread: Thread, message_id: str) -> dict[str, Any]:
        """Take a message back; the model does not hear of it again."""
        answer = thread.messages.delete(message_id)
        for said in [said for said in thread.said if said.message_id == message_id]:
            if said.calls:  # their outputs stay, and so must they
                said.message_id, said.encoded = None, encode_message(AssistantMessage(tool_calls=said.calls))
            else:
                thread.said.remove(said)
        return answer

    def _check(self, messages: Sequence[Mapping[str, Any]]) -> None:
        _not_empty(messages)
        self._resources.check(messages)

    def _add(self, thread: Thread, body: Mapping[str, Any]) -> dict[str, Any]:
        fields = {name: body.get(name) for name in ("attachments", "metadata")}
        message = new_message(self._store, thread.object["id"], role=body["role"], content=body["content"], **fields)
        thread.messages.add(message)
        self._resources.attach(thread.object, message["attachments"])
        if body["role"] == "assistant":
            encoded = encode_message(AssistantMessage(text=text_of(message)))
        else:
            encoded = to_json({"role": "user", "content": body["content"]})
        thread.said.append(Said(encoded=encoded, message_id=message["id"]))
        return message


def _not_empty(messages: Sequence[Mapping[str, Any]]) -> None:
    for message in messages:
        content = message.get("content")
        parts = [content] if isinstance(content, str) else content or [""]
        words = [part.get("text", "-") if isinstance(part, dict) else part for part in parts]
        if not all(isinstance(text, str) and text.strip() for text in words):
            raise Refusal("Message content must be non-empty.")

"""Answers what is asked about assistants, threads and their messages."""

from collections.abc import Mapping
from typing import Any

from agentkit.testing.refusal import Refusal, a_string, known

from . import strict
from .call import Call, Handler
from .objects import assistant_changes, new_assistant
from .resources import Resources
from .store import Store, copied
from .threads import Threads

_PAGE = ("limit", "order", "after", "before")


class ThreadRoutes:
    """The endpoints under `/assistants` and `/threads`, but for those of runs."""

    def __init__(self, store: Store, threads: Threads, resources: Resources) -> None:
        self._store = store
        self._resources = resources
        self._threads = threads
        self.assistants = store.shelf("assistant")
        self.routes: dict[str, Handler] = {
            "POST /assistants": self._create_assistant,
            "GET /assistants": self._list_assistants,
            "GET /assistants/{}": lambda call, id: copied(self.assistants.get(id)),
            "POST /assistants/{}": self._change_assistant,
            "DELETE /assistants/{}": lambda call, id: self.assistants.delete(id),
            "POST /threads": self._create_thread,
            "GET /threads/{}": lambda call, id: copied(threads.get(id).object),
            "POST /threads/{}": self._change_thread,
            "DELETE /threads/{}": self._delete_thread,
            "POST /threads/{}/messages": self._create_message,
            "GET /threads/{}/messages": self._list_messages,
            "GET /threads/{}/messages/{}": lambda call, id, message: copied(threads.get(id).messages.get(message)),
            "POST /threads/{}/messages/{}": self._change_message,
            "DELETE /threads/{}/messages/{}": lambda call, id, message: threads.delete_message(
                threads.get(id), message
            ),
        }

    def _create_assistant(self, call: Call) -> dict[str, Any]:
        body = call.body or {}
        if self._store.strict:
            a_string(body.get("model"), "model")
            strict.check_assistant(body)
        resources = self._resources.made(body.get("tool_resources"))
        return copied(self.assistants.add(new_assistant(self._store, {**body, "tool_resources": resources})))

    def _list_assistants(self, call: Call) -> dict[str, Any]:
        known_query(self._store, call, _PAGE)
        return self.assistants.page(call.query)

    def _change_assistant(self, call: Call, assistant_id: str) -> dict[str, Any]:
        self.assistants.get(assistant_id)
        changes = assistant_changes(call.body or {})
        if self._store.strict:
            strict.check_assistant(call.body or {})
        if "tool_resources" in changes:
            changes["tool_resources"] = self._resources.made(changes["tool_resources"])
        return copied(self.assistants.update(assistant_id, changes))

    def _create_thread(self, call: Call) -> dict[str, Any]:
        body = call.body or {}
        if self._store.strict:
            strict.check_thread(body)
        return copied(self._threads.create(body).object)

    def _change_thread(self, call: Call, thread_id: str) -> dict[str, Any]:
        thread = self._threads.get(thread_id)
        body = call.body or {}
        if self._store.strict:
            known(body, ("metadata", "tool_resources"), "")
            strict.check_thread(body)
        self._threads.change(thread, body)
        return copied(thread.object)

    def _delete_thread(self, call: Call, thread_id: str) -> dict[str, Any]:
        self._threads.get(thread_id)
        return self._threads.objects.delete(thread_id)

    def _create_message(self, call: Call, thread_id: str) -> dict[str, Any]:
        thread = self._threads.get(thread_id)
        body = call.body or {}
        if self._store.strict:
            strict.check_message(body)
        if (active := thread.active) is not None:
            raise Refusal(f"Can't add messages to {thread_id} while a run {active.id} is active.")
        return copied(self._threads.add_messages(thread, [body])[0])

    def _list_messages(self, call: Call, thread_id: str) -> dict[str, Any]:
        thread = self._threads.get(thread_id)
        known_query(self._store, call, (*_PAGE, "run_id"))
        run_id = None if "ignores_run_id" in self._store.quirks else call.query.get("run_id")

        def wanted(message: Mapping[str, Any]) -> bool:
            return run_id is None or message["run_id"] == run_id

        return thread.messages.page(call.query, where=wanted)

    def _change_message(self, call: Call, thread_id: str, message_id: str) -> dict[str, Any]:
        messages = self._threads.get(thread_id).messages
        return changed(self._store, call, messages.get(message_id))


def changed(store: Store, call: Call, value: dict[str, Any]) -> dict[str, Any]:
    """An object after a request that may change its metadata."""
    body = call.body or {}
    if store.strict:
        strict.check_changes(body)
    if "metadata" in body:
        value["metadata"] = body["metadata"] or {}
    return copied(value)


def known_query(store: Store, call: Call, names: tuple[str, ...]) -> None:
    """Refuse a query that asks for what the endpoint does not know."""
    if store.strict:
        known(call.query, names, "")

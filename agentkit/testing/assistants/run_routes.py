"""Answers what is asked about runs and their steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.testing.refusal import Refusal, refuse

from . import strict
from .call import Call, Handler
from .events import opening
from .objects import new_run
from .runs import Runs
from .state import Run, Thread
from .store import Shelf, Store, copied
from .thread_routes import changed, known_query
from .threads import Threads

_PAGE = ("limit", "order", "after", "before")
_INCLUDE = "include[]"
_RESULTS = "step_details.tool_calls[*].file_search.results[*].content"


@dataclass(frozen=True, kw_only=True, slots=True)
class Follow:
    """An answer that is a run's events, from one on."""

    run: Run
    start: int
    with_results: bool
    """Whether the steps' search results have their texts."""


class RunRoutes:
    """The endpoints of runs and run steps."""

    def __init__(self, store: Store, threads: Threads, runs: Runs, assistants: Shelf) -> None:
        self._store = store
        self._threads = threads
        self._runs = runs
        self._assistants = assistants
        together = {"POST /threads/runs": self._create_with_thread}
        self.routes: dict[str, Handler] = {
            **({} if "shadowed_create_and_run" in store.quirks else together),
            "POST /threads/{}/runs": self._create,
            "GET /threads/{}/runs": self._list,
            "GET /threads/{}/runs/{}": self._read,
            "POST /threads/{}/runs/{}": self._change,
            "POST /threads/{}/runs/{}/cancel": self._cancel,
            "POST /threads/{}/runs/{}/submit_tool_outputs": self._submit,
            "GET /threads/{}/runs/{}/steps": self._list_steps,
            "GET /threads/{}/runs/{}/steps/{}": self._read_step,
        }

    def _create(self, call: Call, thread_id: str) -> Any:
        thread = self._threads.get(thread_id)
        body = call.body or {}
        assistant = self._checked(call, body)
        if (active := thread.active) is not None:
            raise Refusal(f"Thread {thread_id} already has an active run {active.id}.")
        self._threads.add_messages(thread, body.get("additional_messages") or ())
        return self._begun(call, thread, assistant)

    def _create_with_thread(self, call: Call) -> Any:
        body = call.body or {}
        assistant = self._checked(call, body, with_thread=True)
        with_resources = {"tool_resources": body.get("tool_resources"), **(body.get("thread") or {})}
        return self._begun(call, self._threads.create(with_resources), assistant, with_thread=True)

    def _checked(self, call: Call, body: Mapping[str, Any], *, with_thread: bool = False) -> dict[str, Any]:
        """The assistant of a request for a run, which is sound."""
        known_query(self._store, call, (_INCLUDE,))
        if self._store.strict:
            strict.check_run(body, lambda id: list(self._assistants.get(id)["tools"]), with_thread=with_thread)
        return self._assistants.get(str(body.get("assistant_id")))

    def _begun(self, call: Call, thread: Thread, assistant: Mapping[str, Any], *, with_thread: bool = False) -> Any:
        created = new_run(self._store, thread.object["id"], assistant, call.body or {})
        steps = self._store.shelf("run step")
        run = Run(store=self._store, thread=thread, object=thread.runs.add(created), steps=steps)
        run.coming = opening(run, with_thread=with_thread)
        run.streamed = self._wants_stream(call)
        thread.live[run.id] = run
        return self._answer(call, run)

    def _list(self, call: Call, thread_id: str) -> dict[str, Any]:
        thread = self._threads.get(thread_id)
        known_query(self._store, call, _PAGE)
        self._stop_what_stops(thread)
        return thread.runs.page(call.query)

    async def _read(self, call: Call, thread_id: str, run_id: str) -> dict[str, Any]:
        run = self._threads.run(thread_id, run_id)
        await self._runs.read(run)
        return copied(run.object)

    def _change(self, call: Call, thread_id: str, run_id: str) -> dict[str, Any]:
        return changed(self._store, call, self._threads.run(thread_id, run_id).object)

    def _cancel(self, call: Call, thread_id: str, run_id: str) -> dict[str, Any]:
        run = self._threads.run(thread_id, run_id)
        self._runs.cancel(run)
        return copied(run.object)

    def _submit(self, call: Call, thread_id: str, run_id: str) -> Any:
        run = self._threads.run(thread_id, run_id)
        body = call.body or {}
        if self._store.strict:
            strict.check_outputs(body)
        self._runs.submit(run, body.get("tool_outputs") or [], streamed=self._wants_stream(call))
        return self._answer(call, run)

    def _list_steps(self, call: Call, thread_id: str, run_id: str) -> dict[str, Any]:
        run = self._threads.run(thread_id, run_id)
        known_query(self._store, call, (*_PAGE, _INCLUDE))
        self._stop_what_stops(run.thread)
        page = run.steps.page(call.query)
        return page if _with_results(call) else without_results(page)

    def _read_step(self, call: Call, thread_id: str, run_id: str, step_id: str) -> dict[str, Any]:
        run = self._threads.run(thread_id, run_id)
        known_query(self._store, call, (_INCLUDE,))
        step = copied(run.steps.get(step_id))
        return step if _with_results(call) else without_results(step)

    def _stop_what_stops(self, thread: Thread) -> None:
        """A run that was being cancelled is cancelled when it is looked at."""
        if (active := thread.active) is not None and active.status == "cancelling":
            self._runs.play(active)

    def _wants_stream(self, call: Call) -> bool:
        return (call.body or {}).get("stream") is True and "no_streaming" not in self._store.quirks

    def _answer(self, call: Call, run: Run) -> Any:
        if run.streamed:
            return Follow(run=run, start=run.opened, with_results=_with_results(call))
        return copied(run.object)


def without_results(value: Any) -> Any:
    """A step, an event or a list of steps without the texts that searches have found."""
    if isinstance(value, list):
        return [without_results(inner) for inner in value]
    if isinstance(value, dict):
        if value.get("type") == "file_search" and "file_search" in value:
            search = value["file_search"]
            results = [{name: hit[name] for name in hit if name != "content"} for hit in search.get("results", ())]
            return {**value, "file_search": {**search, **({"results": results} if "results" in search else {})}}
        return {name: without_results(inner) for name, inner in value.items()}
    return value


def _with_results(call: Call) -> bool:
    asked = call.query.get(_INCLUDE, "")
    if asked not in {"", _RESULTS}:
        refuse(_INCLUDE, f"expected {_RESULTS!r}")
    return bool(asked)

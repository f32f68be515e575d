"""What clients do with runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from agentkit import ToolCall
from agentkit.server.desk import Server
from agentkit.server.engine.log import ITEM, items_of
from agentkit.server.errors import ApiError
from agentkit.server.files import VectorStores
from agentkit.server.store import Objects
from agentkit.server.store.runs import ThreadLocked, add_run, runs_due, runs_going
from agentkit.server.threads import ACTIVE, active_run, add_message, create_thread
from agentkit.server.wire.runs import CreateRun, CreateThreadAndRun
from agentkit.server.wire.threads import CreateThread

from .ending import end, usage_from
from .execution import RESTARTED, execute
from .feed import Feed
from .going import Going
from .objects import RUN, STEP, ended, new_run, shown_usage

_SWEEP_SECONDS = 0.5
_CANCELLED_OF = ("queued", "in_progress", "requires_action")


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """Makes runs, moves them on, and ends those whose time is over."""

    server: Server

    async def begin(self) -> None:
        """End what a process that is dead has left, and look after the runs from now on."""
        async with self.server.database.read() as connection:
            left = await runs_going(connection)
        for each in left:
            async with self.server.write(each.tenant) as objects:
                of = ("queued", "in_progress", "cancelling")
                await end(objects, each.id, "failed", self.server.now(), of=of, last_error=RESTARTED)
        self.server.loops.start_soon(self._sweep)

    async def create(self, tenant: str, thread_id: str, body: CreateRun) -> dict[str, Any]:
        """A run on a thread, in the queue.

        Raises:
            ApiError: there is no such thread or assistant, or another run has the thread.
        """
        self._require_open()
        await self.settle(tenant, thread_id)
        try:
            async with self.server.write(tenant) as objects:
                thread = await objects.get("thread", thread_id)
                return await self._created(objects, thread, body, body.additional_messages or ())
        except ThreadLocked:
            async with self.server.read(tenant) as objects:
                active = await active_run(objects, thread_id)
            raise _locked(thread_id, active) from None

    async def create_with_thread(self, tenant: str, body: CreateThreadAndRun) -> tuple[dict[str, Any], dict[str, Any]]:
        """A thread, and a run on it in the queue.

        Raises:
            ApiError: there is no such assistant, or what is said of the thread cannot be.
        """
        self._require_open()
        asked = body.thread or CreateThread()
        if body.tool_resources is not None and asked.tool_resources is None:
            asked = asked.model_copy(update={"tool_resources": body.tool_resources})
            asked.model_fields_set.add("tool_resources")
        async with self.server.write(tenant) as objects:
            thread = await create_thread(objects, asked, self.server.now(), self.server.part(VectorStores))
            return thread, await self._created(objects, thread, body, ())

    async def _created(
        self, objects: Objects, thread: dict[str, Any], body: CreateRun | CreateThreadAndRun, messages: Sequence[Any]
    ) -> dict[str, Any]:
        now = self.server.now()
        assistant = await objects.get("assistant", body.assistant_id)
        if (active := await active_run(objects, thread["id"])) is not None:
            raise _locked(thread["id"], active)
        for message in messages:
            await add_message(objects, thread, message, now, self.server.part(VectorStores))
        run = new_run(assistant, thread["id"], body.given(), now, self.server.settings.run_seconds)
        await add_run(objects, run)
        return run

    def watch(self, run_id: str, *, with_results: bool) -> Feed:
        """What a client is told of a run that is about to start."""
        return self.server.part(Going).watch(run_id, with_results=with_results)

    def start(self, tenant: str, run_id: str) -> None:
        """Execute a run that is queued."""
        self.server.part(Going).begin(run_id)
        self.server.tasks.start_soon(execute, self.server, tenant, run_id)

    async def cancel(self, tenant: str, thread_id: str, run_id: str) -> dict[str, Any]:
        """Ask a run to stop.

        Raises:
            ApiError: there is none, or it is over.
        """
        await self.settle(tenant, thread_id)
        async with self.server.write(tenant) as objects:
            run = await objects.get(RUN, run_id, parent=thread_id)
            before = run["status"]
            run |= {"status": "cancelling", "required_action": None}
            if before not in _CANCELLED_OF or not await objects.put(RUN, run, of=_CANCELLED_OF):
                raise ApiError(f"Cannot cancel run with status '{before}'.", retry=False)
        going = self.server.part(Going)
        if (feed := going.feed(run_id)) is not None:
            feed.publish("thread.run.cancelling", run)
        if going.stop(run_id, "cancelled") is None:
            self.start(tenant, run_id)  # which finds that there is nothing to do but to end it
        return run

    async def submit(
        self, tenant: str, thread_id: str, run_id: str, outputs: Sequence[tuple[str, str]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give a run what its calls came to; the step that is done with it, and the run in the queue.

        Raises:
            ApiError: there is none, or it waits for nothing, or for something else.
        """
        self._require_open()
        await self.settle(tenant, thread_id)
        async with self.server.write(tenant) as objects:
            run = await objects.get(RUN, run_id, parent=thread_id)
            if run["status"] != "requires_action":
                raise _takes_none(run["status"])
            wanted = [call["id"] for call in run["required_action"]["submit_tool_outputs"]["tool_calls"]]
            got = [call_id for call_id, _ in outputs]
            if sorted(wanted) != sorted(got):
                raise ApiError(f"Expected tool outputs for call_ids {wanted}, got {got}", retry=False)
            kept = await objects.private(RUN, run_id)
            step = await self._answered(objects, run, kept, dict(outputs))
            run |= {"status": "queued", "required_action": None}
            private = {name: kept[name] for name in ("paused", "used", "cited")} | {"outputs": dict(outputs)}
            if not await objects.put(RUN, run, of=("requires_action",), private=private):
                raise _takes_none((await objects.get(RUN, run_id))["status"])
        return step, run

    async def _answered(
        self, objects: Objects, run: Mapping[str, Any], kept: Mapping[str, Any], outputs: Mapping[str, str]
    ) -> dict[str, Any]:
        """The step of the calls, done; they are part of the thread's log now."""
        step = await objects.get(STEP, kept["step"])
        shown = step["step_details"]["tool_calls"]
        for call in shown:
            if call["id"] in outputs:
                call["function"]["output"] = outputs[call["id"]]
        step = ended(step, "completed", self.server.now(), usage=shown_usage(usage_from(kept["due"])))
        await objects.put(STEP, step)
        for item in items_of(shown, [ToolCall(**call) for call in kept["asked"]], {**kept["results"], **outputs}):
            await objects.add(ITEM, item, parent=run["thread_id"])
        return step

    async def settle(self, tenant: str, thread_id: str) -> None:
        """End the run of a thread if its time is over."""
        async with self.server.read(tenant) as objects:
            run = await active_run(objects, thread_id)
        if run is not None and run["expires_at"] <= self.server.now():
            await self._expire(tenant, run["id"])

    async def _expire(self, tenant: str, run_id: str) -> None:
        going = self.server.part(Going)
        if (execution := going.stop(run_id, "expired")) is not None:
            await execution.ended.wait()
            return
        async with self.server.write(tenant) as objects:
            await end(objects, run_id, "expired", self.server.now(), of=ACTIVE)

    async def _sweep(self) -> None:
        """Look again and again for runs whose time is over."""
        while True:
            await anyio.sleep(_SWEEP_SECONDS)
            async with self.server.database.read() as connection:
                due = await runs_due(connection, self.server.now())
            for each in due:
                await self._sweep_up(each.tenant, each.id)

    async def _sweep_up(self, tenant: str, run_id: str) -> None:
        async with self.server.read(tenant) as objects:
            run = await objects.find(RUN, run_id)
        if run is None:
            return
        if run["status"] != "cancelling":
            await self._expire(tenant, run_id)
        elif self.server.part(Going).stop(run_id, "cancelled") is None:
            async with self.server.write(tenant) as objects:
                await end(objects, run_id, "cancelled", self.server.now(), of=("cancelling",))

    def _require_open(self) -> None:
        if self.server.draining:
            raise ApiError("The server is shutting down.", status=503, type="server_error", retry=True)


def _locked(thread_id: str, active: Mapping[str, Any] | None) -> ApiError:
    other = active["id"] if active else "of another client"
    return ApiError(f"Thread {thread_id} already has an active run {other}.", retry=False)


def _takes_none(status: str) -> ApiError:
    return ApiError(f'Runs in status "{status}" do not accept tool outputs.', retry=False)

"""What clients do with runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio

from agentkit import ToolCall
from agentkit.server.desk import Server
from agentkit.server.engine.log import ITEM, items_of
from agentkit.server.errors import ApiError
from agentkit.server.files import VectorStores
from agentkit.server.store import Objects
from agentkit.server.store.runs import Found, ThreadLocked, add_run, runs_due, runs_left, runs_wanted, say_alive
from agentkit.server.threads import ACTIVE, active_run, add_message, create_thread
from agentkit.server.wire.runs import CreateRun, CreateThreadAndRun
from agentkit.server.wire.threads import CreateThread

from .ending import Ending, end, usage_from
from .execution import CANCELLED, RESTARTED, execute
from .feed import Feed
from .going import Going
from .objects import RUN, STEP, ended, new_run, shown_usage

_SWEEP_SECONDS = 0.5
_KEPT = ("paused", "used", "cited", "written")
_SWEEPS_PER_LOOK = 10
_LEASE_SECONDS = 20
_LEFT = Ending(status="failed", of=("queued", "in_progress", "cancelling"), last_error=RESTARTED)
_CANCELLED_OF = ("queued", "in_progress", "requires_action")


@dataclass(frozen=True, kw_only=True, slots=True)
class Runner:
    """Makes runs, moves them on, and ends those whose time is over."""

    server: Server

    async def begin(self) -> None:
        """End what processes that are dead have left, and look after the runs from now on."""
        await self._look_for_the_dead()
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
                thread = await objects.get("thread", thread_id, lock=True)
                return await self._created(objects, thread, body, body.additional_messages or ())
        except ThreadLocked:
            async with self.server.read(tenant) as objects:
                active = await active_run(objects, thread_id)
            raise _locked(thread_id, active["id"] if active else "of another client") from None

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
            raise _locked(thread["id"], active["id"])
        held = await objects.find("lock", thread["id"])  # by a response: the thread is a conversation too
        if held is not None and held["until"] > now:
            raise _locked(thread["id"], held["response"])
        for message in messages:
            await add_message(objects, thread, message, now, self.server.part(VectorStores))
        run = new_run(assistant, thread["id"], body.given(), now, self.server.settings.run_seconds)
        await add_run(objects, run, self.server.part(Going).worker)
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
            run = await objects.get(RUN, run_id, parent=thread_id, lock=True)
            before = run["status"]
            run |= {"status": "cancelling", "required_action": None}
            if before not in _CANCELLED_OF or not await objects.put(RUN, run, of=_CANCELLED_OF):
                raise ApiError(f"Cannot cancel run with status '{before}'.", retry=False)
        going = self.server.part(Going)
        if (feed := going.feed(run_id)) is not None:
            feed.publish("thread.run.cancelling", run)
        if going.stop(run_id, "cancelled") is None and before == "requires_action":
            self.start(tenant, run_id)  # which finds that there is nothing to do but to end it
        return run  # one that another process executes is ended there

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
            run = await objects.get(RUN, run_id, parent=thread_id, lock=True)
            if run["status"] != "requires_action":
                raise _takes_none(run["status"])
            wanted = [call["id"] for call in run["required_action"]["submit_tool_outputs"]["tool_calls"]]
            got = [call_id for call_id, _ in outputs]
            if sorted(wanted) != sorted(got):
                raise ApiError(f"Expected tool outputs for call_ids {wanted}, got {got}", retry=False)
            kept = await objects.private(RUN, run_id)
            step = await self._answered(objects, run, kept, dict(outputs))
            run |= {"status": "queued", "required_action": None}
            private = {name: kept[name] for name in _KEPT} | {"outputs": dict(outputs)}
            worker = self.server.part(Going).worker
            if not await objects.put(RUN, run, of=("requires_action",), private=private, ref=worker):
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
            runs = await objects.all(RUN, thread_id, last=1)
        if runs and runs[0]["status"] in ACTIVE and runs[0]["expires_at"] <= self.server.now():
            await self._expire(tenant, runs[0]["id"])

    async def _expire(self, tenant: str, run_id: str) -> None:
        going = self.server.part(Going)
        if (execution := going.stop(run_id, "expired")) is not None:
            await execution.ended.wait()
            return
        async with self.server.write(tenant) as objects:
            await end(objects, run_id, Ending(status="expired", of=ACTIVE), self.server.now())

    async def _sweep(self) -> None:
        """Look again and again for runs whose time is over."""
        for number in count(1):
            await anyio.sleep(_SWEEP_SECONDS)
            going = self.server.part(Going)
            ids = going.ids
            async with self.server.database.read() as connection:
                due = await runs_due(connection, self.server.now())
                wanted = await runs_wanted(connection, ids)
            for run_id in set(ids) - wanted:
                going.stop(run_id, "cancelled")
            for each in due:
                await self._sweep_up(each)
            if number % _SWEEPS_PER_LOOK == 0 and not self.server.database.is_sqlite:
                await self._look_for_the_dead()

    async def _look_for_the_dead(self) -> None:
        """Say that this process lives, and end the runs of those that have not said so for a while.

        A file is one process's: what others have begun there is left from before.
        """
        now, database, worker = self.server.now(), self.server.database, self.server.part(Going).worker
        if not database.is_sqlite:
            async with database.write() as connection:
                await say_alive(connection, worker, now + _LEASE_SECONDS)
        async with database.read() as connection:
            left = await runs_left(connection, worker, None if database.is_sqlite else now)
        for each in left:
            async with self.server.write(each.tenant) as objects:
                await end(objects, each.id, _LEFT, now)

    async def _sweep_up(self, found: Found) -> None:
        """End a run whose time is over, or one that is to be cancelled if it was this process's."""
        async with self.server.read(found.tenant) as objects:
            run = await objects.find(RUN, found.id)
        going = self.server.part(Going)
        if run is None:
            return
        if run["status"] != "cancelling":
            if going.stop(found.id, "expired") is None:
                await self._expire(found.tenant, found.id)
        elif found.worker == going.worker and found.id not in going.ids:
            async with self.server.write(found.tenant) as objects:
                await end(objects, found.id, CANCELLED, self.server.now())

    def _require_open(self) -> None:
        if self.server.draining:
            raise ApiError("The server is shutting down.", status=503, type="server_error", retry=True)


def _locked(thread_id: str, by: str) -> ApiError:
    return ApiError(f"Thread {thread_id} already has an active run {by}.", retry=False)


def _takes_none(status: str) -> ApiError:
    return ApiError(f'Runs in status "{status}" do not accept tool outputs.', retry=False)

"""A thread belongs to its run, or to the response that goes on on it as a conversation, until that ends."""

from typing import Any

from agentkit.server.store import Objects

ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
"""States of a run that holds its thread."""


async def active_run(objects: Objects, thread_id: str) -> dict[str, Any] | None:
    """The run that holds a thread: it can only be the last one."""
    runs = await objects.all("run", thread_id, last=1)
    return runs[0] if runs and runs[0]["status"] in ACTIVE else None


async def holder(objects: Objects, thread_id: str, now: int) -> str | None:
    """The id of the run or of the response that holds a thread."""
    run = await active_run(objects, thread_id)
    if run is not None:
        return str(run["id"])
    lock = await objects.find("lock", thread_id)
    return lock["response"] if lock is not None and lock["until"] > now else None

"""A thread belongs to its run while that goes on."""

from typing import Any

from agentkit.server.store import Objects

ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
"""States of a run that holds its thread."""


async def active_run(objects: Objects, thread_id: str) -> dict[str, Any] | None:
    """The run that holds a thread: it can only be the last one."""
    runs = await objects.all("run", thread_id, last=1)
    return runs[0] if runs and runs[0]["status"] in ACTIVE else None

"""How a run ends before its time, and what is in progress ends with it."""

from collections.abc import Collection, Mapping
from typing import Any

from agentkit import Usage
from agentkit.server.engine.log import MESSAGE
from agentkit.server.store import Objects

from .objects import RUN, STEP, ended, shown_usage

Happened = tuple[str, dict[str, Any]]
"""What has happened: the name of a server-sent event, and its object."""
_BROKEN_OFF = {
    "cancelled": "run_cancelled",
    "expired": "run_expired",
    "failed": "run_failed",
    "incomplete": "max_tokens",
}


async def end(
    objects: Objects,
    run_id: str,
    status: str,
    now: int,
    *,
    of: Collection[str],
    used: Usage | None = None,
    unsaved: Mapping[str, dict[str, Any]] | None = None,
    reason: str | None = None,
    **changes: Any,
) -> list[Happened]:
    """End a run, and all of it that is in progress; nothing happens if it is in none of the states `of`.

    Args:
        objects: Where it is.
        run_id: Which.
        status: How it ends.
        now: When.
        of: The states it may be in.
        used: All that it has used, if that is not kept with it.
        unsaved: Messages and steps in progress as they stand, by id, where that is not stored.
        reason: Why its message is incomplete, if that does not follow from `status`.
        changes: What else is said of the run.
    """
    run = await objects.find(RUN, run_id)
    if run is None:
        return []
    kept = await objects.private(RUN, run_id) or {}
    usage = shown_usage(used or usage_from(kept.get("used", {})))
    run = ended(run, status, now, required_action=None, usage=usage, **changes)
    if not await objects.put(RUN, run, of=of, active=False, private=None):
        return []
    happened = list[Happened]()
    for step in await objects.all(STEP, run_id):
        if step["status"] == "in_progress":
            step = (unsaved or {}).get(step["id"], step)
            happened += await _with_step(objects, step, status, now, unsaved or {}, reason or _BROKEN_OFF[status])
    return [*happened, (f"thread.run.{status}", run)]


async def _with_step(
    objects: Objects, step: dict[str, Any], status: str, now: int, unsaved: Mapping[str, dict[str, Any]], reason: str
) -> list[Happened]:
    happened = list[Happened]()
    details = step["step_details"]
    if details["type"] == "message_creation":
        id = details["message_creation"]["message_id"]
        message = unsaved.get(id) or await objects.find(MESSAGE, id, parent=step["thread_id"])
        if message is not None:
            message |= {"status": "incomplete", "incomplete_at": now, "incomplete_details": {"reason": reason}}
            await objects.put(MESSAGE, message, parent=step["thread_id"])
            happened.append(("thread.message.incomplete", message))
    how = "failed" if status == "incomplete" else status
    step = ended(step, how, now)
    await objects.put(STEP, step)
    return [*happened, (f"thread.run.step.{how}", step)]


def usage_from(kept: Mapping[str, int | None]) -> Usage:
    """What was used, as it is kept with a run."""
    return Usage(input_tokens=kept.get("input"), output_tokens=kept.get("output"))


def kept_usage(usage: Usage) -> dict[str, int | None]:
    """What was used, to be kept with a run."""
    return {"input": usage.input_tokens, "output": usage.output_tokens}

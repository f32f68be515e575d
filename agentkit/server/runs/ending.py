"""How a run ends before its time, and what is in progress ends with it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """An end of a run before its time."""

    status: str
    of: Collection[str] = ("in_progress",)
    """The states it may be in; in another one, nothing happens to it."""
    last_error: Mapping[str, str] | None = None
    incomplete_details: Mapping[str, str] | None = None
    reason: str | None = None
    """Why its message is incomplete, if that does not follow from `status`."""


async def end(
    objects: Objects,
    run_id: str,
    how: Ending,
    now: int,
    *,
    used: Usage | None = None,
    unsaved: Mapping[str, dict[str, Any]] | None = None,
) -> list[Happened]:
    """End a run, and all of it that is in progress.

    Args:
        objects: Where it is.
        run_id: Which.
        how: How it ends.
        now: When.
        used: All that it has used, if that is not kept with it.
        unsaved: Messages and steps in progress as they stand, by id, where that is not stored.
    """
    run = await objects.find(RUN, run_id, lock=True)
    if run is None:
        return []
    kept = await objects.private(RUN, run_id) or {}
    said = {"last_error": how.last_error, "incomplete_details": how.incomplete_details, "required_action": None}
    usage = shown_usage(used or usage_from(kept.get("used", {})))
    run = ended(run, how.status, now, usage=usage, **said)
    if not await objects.put(RUN, run, of=how.of, active=False, private=None):
        return []
    happened = list[Happened]()
    for step in await objects.all(STEP, run_id):
        if step["status"] == "in_progress":
            happened += await _with_step(objects, (unsaved or {}).get(step["id"], step), how, now, unsaved or {})
    return [*happened, (f"thread.run.{how.status}", run)]


async def _with_step(
    objects: Objects, step: dict[str, Any], how: Ending, now: int, unsaved: Mapping[str, dict[str, Any]]
) -> list[Happened]:
    happened = list[Happened]()
    details = step["step_details"]
    if details["type"] == "message_creation":
        id = details["message_creation"]["message_id"]
        message = unsaved.get(id) or await objects.find(MESSAGE, id, parent=step["thread_id"])
        if message is not None:
            why = {"reason": how.reason or _BROKEN_OFF[how.status]}
            message |= {"status": "incomplete", "incomplete_at": now, "incomplete_details": why}
            await objects.put(MESSAGE, message, parent=step["thread_id"])
            happened.append(("thread.message.incomplete", message))
    status = "failed" if how.status == "incomplete" else how.status
    step = ended(step, status, now)
    await objects.put(STEP, step)
    return [*happened, (f"thread.run.step.{status}", step)]


def usage_from(kept: Mapping[str, int | None]) -> Usage:
    """What was used, as it is kept with a run."""
    return Usage(input_tokens=kept.get("input"), output_tokens=kept.get("output"))


def kept_usage(usage: Usage) -> dict[str, int | None]:
    """What was used, to be kept with a run."""
    return {"input": usage.input_tokens, "output": usage.output_tokens}

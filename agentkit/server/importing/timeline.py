"""The order of what a thread holds: its messages, and between them the calls that its runs have made."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agentkit.server.engine.log import ITEM, MESSAGE

Entry = tuple[str, dict[str, Any]]
"""The kind of an object, and the object."""
Body = Mapping[str, Any]


def in_order(bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Oldest first.

    Lists of the API were newest first, unless asked otherwise, and times are whole seconds: what has the same time
    stays as it was in the file, which may have to be read backwards.
    """
    bodies = list(bodies)
    if len(bodies) > 1 and _is_backwards(bodies):
        bodies.reverse()
    return sorted(bodies, key=lambda body: body["created_at"])


def _is_backwards(bodies: Sequence[Body]) -> bool:
    first, last = bodies[0], bodies[-1]
    if first["created_at"] != last["created_at"]:
        return bool(first["created_at"] > last["created_at"])
    return (first.get("role"), last.get("role")) == ("assistant", "user") or (
        (first.get("type"), last.get("type")) == ("message_creation", "tool_calls")
    )


def timeline(messages: Sequence[dict[str, Any]], steps: Iterable[Body]) -> Iterator[Entry]:
    """A thread's log: a model is told of the calls before what was said of them.

    Args:
        messages: Oldest first.
        steps: The steps of all runs, oldest first.
    """
    before, rest = _placed(messages, steps)
    for message in messages:
        while rest and rest[0]["created_at"] < message["created_at"]:
            yield from _calls(rest.pop(0))
        for step in before[message["id"]]:
            yield from _calls(step)
        yield MESSAGE, message
    for step in rest:
        yield from _calls(step)


def _placed(messages: Sequence[Body], steps: Iterable[Body]) -> tuple[dict[str, list[Body]], list[Body]]:
    """Steps of calls by the message that their run has written next, and those of which none is known."""
    written = {message["id"] for message in messages}
    before: dict[str, list[Body]] = defaultdict(list)
    waiting: dict[str, list[Body]] = defaultdict(list)
    for step in steps:
        details = step["step_details"]
        if step["type"] == "tool_calls":
            waiting[step["run_id"]].append(step)
        elif details["message_creation"]["message_id"] in written:
            before[details["message_creation"]["message_id"]] += waiting.pop(step["run_id"], [])
    for message in messages:  # where the steps that wrote messages were not saved
        before[message["id"]] += waiting.pop(message["run_id"] or "", [])
    return before, sorted((step for each in waiting.values() for step in each), key=lambda step: step["created_at"])


def _calls(step: Body) -> Iterator[Entry]:
    """The functions that one answer has called, and what they came to; the server's own tools are told by the step."""
    turn = _made("item_", step["id"], "")
    for call in step["step_details"]["tool_calls"]:
        if call["type"] == "function" and call["function"]["output"] is not None:
            function, about = call["function"], {"call_id": call["id"], "status": "completed"}
            asked = {"name": function["name"], "arguments": function["arguments"], "turn": turn, **about}
            yield ITEM, {"id": _made("fc_", step["id"], call["id"]), "type": "function_call", **asked}
            told = {"output": function["output"], **about}
            yield ITEM, {"id": _made("fco_", step["id"], call["id"]), "type": "function_call_output", **told}


def _made(prefix: str, *of: str) -> str:
    """An id that is the same the next time."""
    return prefix + hashlib.sha256("\0".join(of).encode()).hexdigest()[:24]

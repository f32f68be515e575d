"""What happens in a run, in the exact order of its server-sent events.

Each function is a generator, and an event takes effect on the stored objects just before it is yielded: who draws
three events has a run to which three things have happened.
"""

from collections.abc import Iterator
from typing import Any

from agentkit.messages import AssistantMessage, HostedCall, ToolCall, Usage, clean
from agentkit.models.chat.encode import encode_message

from .deltas import hosted_deltas, message_deltas, pieces
from .objects import new_message, new_step, text_of, usage_of
from .quirks import Event
from .state import Run, Said, Turn
from .store import copied

_NOTHING = Usage(input_tokens=0, output_tokens=0)
_BROKEN_OFF = {"cancelled": "run_cancelled", "expired": "run_expired", "failed": "run_failed"}


def opening(run: Run, *, with_thread: bool = False) -> Iterator[Event]:
    """A run is created and started."""
    if with_thread:
        yield Event("thread.created", copied(run.thread.object))
    yield _run_event(run, "created")
    yield from _starting(run)


def resuming(run: Run, step: dict[str, Any]) -> Iterator[Event]:
    """A run goes on, now that the step of its calls has their outputs."""
    yield _step_event(step, "completed")
    yield from _starting(run)


def answering(run: Run, turn: Turn) -> Iterator[Event]:
    """The model's turn: what it says, and what becomes of the run."""
    if turn.reply.status >= 300:
        yield from ending(run, "failed", error=_last_error(turn))
        return
    said, reason = turn.message, _why_incomplete(run, turn)
    for call in said.hosted_calls:
        yield from _hosting(run, call)
    if said.text or said.refusal or said.files or not said.tool_calls:
        yield from _saying(run, turn, incomplete=None if said.tool_calls else reason)
    if said.tool_calls:
        yield from _calling(run, said.tool_calls)
        run.due = turn.usage
    if reason is not None:
        run.object["incomplete_details"] = {"reason": reason}
        yield from _over(run, "incomplete", step_status="failed")
    elif said.tool_calls:
        calls = [_function_call(call) for call in said.tool_calls]
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
        run.object.update(status="requires_action", required_action=action)
        yield _run_event(run, "requires_action")
    else:
        yield from _over(run, "completed", step_status="completed")


def cancelling(run: Run) -> Iterator[Event]:
    """A run is asked to stop, and stops."""
    run.object.update(status="cancelling", required_action=None)
    yield _run_event(run, "cancelling")
    yield from ending(run, "cancelled")


def ending(run: Run, status: str, *, error: dict[str, Any] | None = None) -> Iterator[Event]:
    """A run ends before its time, cancelled, expired or failed, and what was in progress ends with it."""
    if (message := run.message) is not None:
        yield _break_off(run, message, _BROKEN_OFF[status])
    run.object["last_error"] = error
    yield from _over(run, status, step_status=status)


def finish_step(run: Run, status: str) -> dict[str, Any]:
    """End the step in progress, and charge it with what is due."""
    step, used = run.step, run.due
    assert step is not None
    run.step = run.due = None
    if used is not None:
        run.usages.append(used)
    elif status == "completed":
        used = _NOTHING  # the last step of a turn is charged with all of it
    step.update({"status": status, f"{status}_at": run.store.now(), "usage": used and usage_of(used)})
    return step


def _starting(run: Run) -> Iterator[Event]:
    run.object["status"] = "queued"
    yield _run_event(run, "queued")
    run.object["status"] = "in_progress"
    run.object["started_at"] = run.object["started_at"] or run.store.now()
    yield _run_event(run, "in_progress")


def _saying(run: Run, turn: Turn, *, incomplete: str | None) -> Iterator[Event]:
    """A message, from the creation of its step to its end."""
    said = turn.message
    message = new_message(run.store, run.thread.object["id"], role="assistant")
    message.update(status="in_progress", completed_at=None, assistant_id=run.object["assistant_id"], run_id=run.id)
    details = {"type": "message_creation", "message_creation": {"message_id": message["id"]}}
    yield from _beginning(run, details)
    run.message = run.thread.messages.add(message)
    yield Event("thread.message.created", copied(message))
    yield Event("thread.message.in_progress", copied(message))
    for delta in message_deltas(message["content"], said):
        yield Event("thread.message.delta", {"id": message["id"], "object": "thread.message.delta", "delta": delta})
    if incomplete is not None:
        yield _break_off(run, message, "content_filter" if incomplete == "content_filter" else "max_tokens")
    else:
        run.message = None
        message.update(status="completed", completed_at=run.store.now())
        _remember(run, message)
        yield Event("thread.message.completed", copied(message))
    run.due = None if said.tool_calls else turn.usage
    yield _step_event(finish_step(run, "completed"), "completed")


def _hosting(run: Run, call: HostedCall) -> Iterator[Event]:
    """The step of a tool that the server runs itself."""
    details: dict[str, Any] = {"type": "tool_calls", "tool_calls": []}
    yield from _beginning(run, details)
    for delta in hosted_deltas(details["tool_calls"], call):
        yield _step_delta(run, delta)
    yield _step_event(finish_step(run, "completed"), "completed")


def _calling(run: Run, calls: tuple[ToolCall, ...]) -> Iterator[Event]:
    """The step of a turn's calls, all of them in one, until somebody answers them."""
    told = {"type": "tool_calls", "tool_calls": [_step_call(call, call.arguments) for call in calls]}
    details: dict[str, Any] = {"type": "tool_calls", "tool_calls": []}
    begun = _beginning(run, details)
    for event in begun:
        if "doubled_deltas" in run.store.quirks:
            event.data["step_details"] = copied(told)
        yield event
    for index, call in enumerate(calls):
        kept = _step_call(call, "")
        details["tool_calls"].append(kept)
        yield _step_delta(run, {"index": index, **copied(kept)})
        for piece in pieces(call.arguments):
            kept["function"]["arguments"] += piece
            yield _step_delta(run, {"index": index, "type": "function", "function": {"arguments": piece}})


def _beginning(run: Run, details: dict[str, Any]) -> Iterator[Event]:
    run.step = run.steps.add(new_step(run, details))
    yield _step_event(run.step, "created")
    yield _step_event(run.step, "in_progress")


def _break_off(run: Run, message: dict[str, Any], reason: str) -> Event:
    run.message = None
    message.update(status="incomplete", incomplete_at=run.store.now(), incomplete_details={"reason": reason})
    _remember(run, message)
    return Event("thread.message.incomplete", copied(message))


def _remember(run: Run, message: dict[str, Any]) -> None:
    """Let the next turns know what was said."""
    if message["content"]:
        run.spoken = Said(
            message_id=message["id"], encoded=encode_message(AssistantMessage(text=clean(text_of(message))))
        )
        run.thread.said.append(run.spoken)


def _over(run: Run, status: str, *, step_status: str) -> Iterator[Event]:
    if run.step is not None:
        yield _step_event(finish_step(run, step_status), step_status)
    used = sum(run.usages, Usage()) if run.usages else _NOTHING
    run.object.update(status=status, required_action=None, usage=usage_of(used))
    if f"{status}_at" in run.object:
        run.object[f"{status}_at"] = run.store.now()
    yield _run_event(run, status)


def _why_incomplete(run: Run, turn: Turn) -> str | None:
    """Why the run ends with this turn though there was more to say."""
    if turn.reply.finish_reason == "content_filter":
        return "content_filter"
    spent = sum(run.usages, turn.usage)
    budgets = {"max_completion_tokens": spent.output_tokens, "max_prompt_tokens": spent.input_tokens}
    for name, tokens in budgets.items():
        most = run.object[name]
        if most is not None and (tokens or 0) > most:
            return name
    return "max_completion_tokens" if turn.reply.finish_reason == "length" else None


def _last_error(turn: Turn) -> dict[str, Any]:
    reply = turn.reply
    usual = "rate_limit_exceeded" if reply.status == 429 else "server_error"
    message = reply.error or f"The script answers with status {reply.status}."
    return {"code": reply.error_code or usual, "message": message}


def _run_event(run: Run, name: str) -> Event:
    return Event(f"thread.run.{name}", copied(run.object))


def _step_event(step: dict[str, Any], name: str) -> Event:
    return Event(f"thread.run.step.{name}", copied(step))


def _step_delta(run: Run, call: dict[str, Any]) -> Event:
    assert run.step is not None
    delta = {"step_details": {"type": "tool_calls", "tool_calls": [call]}}
    return Event("thread.run.step.delta", {"id": run.step["id"], "object": "thread.run.step.delta", "delta": delta})


def _function_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _step_call(call: ToolCall, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments, "output": None}}

"""Runs and their steps, as clients are shown them.

Source: OpenAI's API reference, "The run object" and "The run step object".
"""

from collections.abc import Mapping
from typing import Any

from agentkit import Usage
from agentkit.server.ids import new_id

RUN, STEP = "run", "step"
INHERITED = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")
"""What a run has of its assistant, unless it is told otherwise."""


def new_run(
    assistant: Mapping[str, Any], thread_id: str, given: Mapping[str, Any], now: int, seconds: int
) -> dict[str, Any]:
    """A run in the queue: the assistant's settings, and over them what the request says."""
    settings = {name: given.get(name, assistant[name]) for name in INHERITED}
    instructions = (settings["instructions"], given.get("additional_instructions"))
    return {
        "id": new_id("run"),
        "object": "thread.run",
        "created_at": now,
        "thread_id": thread_id,
        "assistant_id": assistant["id"],
        "status": "queued",
        "required_action": None,
        "last_error": None,
        "expires_at": now + seconds,
        "started_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "incomplete_details": None,
        **settings,
        "instructions": "\n".join(filter(None, instructions)),
        "metadata": given.get("metadata", {}),
        "usage": None,
        "max_prompt_tokens": given.get("max_prompt_tokens"),
        "max_completion_tokens": given.get("max_completion_tokens"),
        "truncation_strategy": {"last_messages": None, **given.get("truncation_strategy", {"type": "auto"})},
        "tool_choice": given.get("tool_choice", "auto"),
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
    }


def new_step(run: Mapping[str, Any], details: Mapping[str, Any], now: int) -> dict[str, Any]:
    """A step that begins."""
    return {
        "id": new_id("step"),
        "object": "thread.run.step",
        "created_at": now,
        "run_id": run["id"],
        "assistant_id": run["assistant_id"],
        "thread_id": run["thread_id"],
        "type": details["type"],
        "status": "in_progress",
        "cancelled_at": None,
        "completed_at": None,
        "expired_at": None,
        "failed_at": None,
        "last_error": None,
        "step_details": details,
        "metadata": {},
        "usage": None,
    }


def new_answer(run: Mapping[str, Any], now: int) -> dict[str, Any]:
    """A message that a run begins to write."""
    return {
        "id": new_id("message"),
        "object": "thread.message",
        "created_at": now,
        "thread_id": run["thread_id"],
        "status": "in_progress",
        "incomplete_details": None,
        "completed_at": None,
        "incomplete_at": None,
        "role": "assistant",
        "content": [],
        "assistant_id": run["assistant_id"],
        "run_id": run["id"],
        "attachments": [],
        "metadata": {},
    }


def shown_usage(usage: Usage) -> dict[str, Any]:
    """What was used, as clients are told it."""
    return {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens or 0,
    }


def ended(body: Mapping[str, Any], status: str, now: int, **changes: Any) -> dict[str, Any]:
    """A run or a step that has come to its end."""
    return {**body, "status": status, **({f"{status}_at": now} if f"{status}_at" in body else {}), **changes}


def without_results(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step without the texts that its searches have found."""
    calls = step["step_details"].get("tool_calls", ())
    if not any(call["type"] == "file_search" for call in calls):
        return dict(step)
    return {**step, "step_details": {**step["step_details"], "tool_calls": [_shown(call) for call in calls]}}


def _shown(call: Mapping[str, Any]) -> Mapping[str, Any]:
    if call["type"] != "file_search":
        return call
    found = call["file_search"].get("results", ())
    results = [{name: value for name, value in hit.items() if name != "content"} for hit in found]
    return {**call, "file_search": {**call["file_search"], "results": results}}

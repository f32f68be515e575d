"""The objects of the wire as they are when they are new.

Source: OpenAI's API reference, "The assistant object", "The thread object", "The message object", "The run object" and
"The run step object".
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from agentkit.messages import Usage

from .state import Run
from .store import Store

_RUN_SECONDS = 600
"""How long a run may take, and wait for the outputs of its calls."""
_ASSISTANT: dict[str, Any] = {
    "name": None,
    "description": None,
    "model": "",
    "instructions": None,
    "tools": [],
    "tool_resources": {},
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "response_format": "auto",
    "reasoning_effort": None,
}
_INHERITED = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")


def new_assistant(store: Store, body: Mapping[str, Any]) -> dict[str, Any]:
    """An assistant as it was asked for."""
    envelope = {"id": store.new_id("asst_"), "object": "assistant", "created_at": store.now()}
    return {**envelope, **deepcopy(_ASSISTANT), **_given(body, _ASSISTANT)}


def assistant_changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an assistant that are given, null for what a new one has: the others stay."""
    return {
        name: deepcopy(usual if body[name] is None else body[name])
        for name, usual in _ASSISTANT.items()
        if name in body
    }


def new_thread(store: Store, resources: dict[str, Any], metadata: dict[str, str]) -> dict[str, Any]:
    """A thread, without its messages."""
    return {
        "id": store.new_id("thread_"),
        "object": "thread",
        "created_at": store.now(),
        "metadata": metadata,
        "tool_resources": resources,
    }


def new_message(
    store: Store, thread_id: str, *, role: str, content: Any = (), attachments: Any = (), metadata: Any = None
) -> dict[str, Any]:
    """A message, whole: what a run writes is in progress first."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {
        "id": store.new_id("msg_"),
        "object": "thread.message",
        "created_at": store.now(),
        "thread_id": thread_id,
        "status": "completed",
        "incomplete_details": None,
        "completed_at": store.now(),
        "incomplete_at": None,
        "role": role,
        "content": [_stored_part(part) for part in parts],
        "assistant_id": None,
        "run_id": None,
        "attachments": list(attachments or ()),
        "metadata": metadata or {},
    }


def new_run(store: Store, thread_id: str, assistant: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """A run in the queue: the assistant's settings, and over them the request's."""
    settings = {name: deepcopy(assistant[name]) for name in _INHERITED} | _given(body, _INHERITED)
    instructions = [settings["instructions"] or "", body.get("additional_instructions") or ""]
    now = store.now()
    return {
        "id": store.new_id("run_"),
        "object": "thread.run",
        "created_at": now,
        "thread_id": thread_id,
        "assistant_id": assistant["id"],
        "status": "queued",
        "required_action": None,
        "last_error": None,
        "expires_at": now + _RUN_SECONDS,
        "started_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "incomplete_details": None,
        **settings,
        "instructions": "\n".join(part for part in instructions if part),
        "metadata": body.get("metadata") or {},
        "usage": None,
        "max_prompt_tokens": body.get("max_prompt_tokens"),
        "max_completion_tokens": body.get("max_completion_tokens"),
        "truncation_strategy": body.get("truncation_strategy") or {"type": "auto", "last_messages": None},
        "tool_choice": body.get("tool_choice") or "auto",
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
    }


def new_step(run: Run, details: dict[str, Any]) -> dict[str, Any]:
    """A step of a run, in progress; `details` stay the caller's to fill."""
    return {
        "id": run.store.new_id("step_"),
        "object": "thread.run.step",
        "created_at": run.store.now(),
        "run_id": run.id,
        "assistant_id": run.object["assistant_id"],
        "thread_id": run.object["thread_id"],
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


def usage_of(usage: Usage) -> dict[str, Any] | None:
    """What was used, as the wire says it; `None` if it is not known."""
    if usage.total_tokens is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens,
    }


def text_of(message: Mapping[str, Any]) -> str:
    """A message's words, or those with which it was refused."""
    said = {part["type"]: part for part in reversed(message["content"])}
    return str(said["text"]["text"]["value"] if "text" in said else said.get("refusal", {"refusal": ""})["refusal"])


def _stored_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part as it is read: its text has become an object."""
    if part["type"] == "text":
        return {"type": "text", "text": {"value": part["text"], "annotations": []}}
    return {"type": part["type"], part["type"]: {"detail": "auto", **part[part["type"]]}}


def _given(body: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: deepcopy(body[name]) for name in names if body.get(name) is not None}

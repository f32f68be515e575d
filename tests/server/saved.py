"""What people have saved of OpenAI's Assistants API before it was switched off."""

from typing import Any

FUNCTION: dict[str, Any] = {
    "name": "units_left",
    "description": "Count the units of a product in stock.",
    "parameters": {
        "type": "object",
        "properties": {"sku": {"type": "string", "description": "The product code."}},
        "required": ["sku"],
        "additionalProperties": False,
    },
    "strict": True,
}
ASSISTANT: dict[str, Any] = {
    "id": "asst_abc123",
    "object": "assistant",
    "created_at": 1_716_000_000,
    "name": "clerk",
    "description": None,
    "model": "gpt-4o",
    "instructions": "You work in a shop.",
    "tools": [{"type": "function", "function": FUNCTION}, {"type": "file_search"}],
    "tool_resources": {"file_search": {"vector_store_ids": ["vs_old"]}},
    "metadata": {"shop": "north"},
    "top_p": 1.0,
    "temperature": 0.2,
    "response_format": "auto",
}
THREAD: dict[str, Any] = {
    "id": "thread_abc123",
    "object": "thread",
    "created_at": 1_716_000_100,
    "metadata": {"customer": "7"},
    "tool_resources": {},
}


def message(id: str, role: str, said: str, at: int, **more: Any) -> dict[str, Any]:
    """A message, as the API answered it."""
    return {
        "id": id,
        "object": "thread.message",
        "created_at": at,
        "thread_id": "thread_abc123",
        "status": None,
        "incomplete_details": None,
        "completed_at": None,
        "incomplete_at": None,
        "role": role,
        "content": [{"type": "text", "text": {"value": said, "annotations": []}}],
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {},
        **more,
    }


def run(status: str = "completed", **more: Any) -> dict[str, Any]:
    """A run, as the API answered it."""
    return {
        "id": "run_1",
        "object": "thread.run",
        "created_at": 1_716_000_110,
        "assistant_id": "asst_abc123",
        "thread_id": "thread_abc123",
        "status": status,
        "started_at": 1_716_000_111,
        "expires_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": 1_716_000_115,
        "required_action": None,
        "last_error": None,
        "model": "gpt-4o",
        "instructions": "You work in a shop.",
        "tools": ASSISTANT["tools"],
        "metadata": {},
        "incomplete_details": None,
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        "temperature": 0.2,
        "top_p": 1.0,
        "max_prompt_tokens": None,
        "max_completion_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        **more,
    }


def step(id: str, at: int, details: dict[str, Any]) -> dict[str, Any]:
    """A step of the run."""
    return {
        "id": id,
        "object": "thread.run.step",
        "created_at": at,
        "run_id": "run_1",
        "assistant_id": "asst_abc123",
        "thread_id": "thread_abc123",
        "type": details["type"],
        "status": "completed",
        "cancelled_at": None,
        "completed_at": at,
        "expired_at": None,
        "failed_at": None,
        "last_error": None,
        "step_details": details,
        "usage": {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60},
    }


CALLED = {"name": "units_left", "arguments": '{"sku": "A-1"}', "output": "3"}
STEPS = [  # newest first, as lists of the API were
    step("step_2", 1_716_000_114, {"type": "message_creation", "message_creation": {"message_id": "msg_2"}}),
    step(
        "step_1",
        1_716_000_112,
        {"type": "tool_calls", "tool_calls": [{"id": "call_1", "type": "function", "function": CALLED}]},
    ),
]
MESSAGES = [
    message("msg_2", "assistant", "Three left.", 1_716_000_114, assistant_id="asst_abc123", run_id="run_1"),
    message("msg_1", "user", "Have you got A-1?", 1_716_000_105),
]


def listed(objects: list[Any]) -> dict[str, Any]:
    """A page of a list."""
    return {"object": "list", "data": objects, "first_id": None, "last_id": None, "has_more": False}

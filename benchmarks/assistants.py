"""The same conversations on the Assistants wire: what such a server sends, made beforehand.

A run's events, whole objects among them, are those that the API's description lists for a streamed run.
"""

import json
import re
from functools import cache

from . import task

LAST_CALL = re.compile(rb'"call_(\d+)_\d+"')
PIECE = 24
"""Characters of one delta."""


def answer(rounds: int, calls: int, path: bytes, body: bytes) -> tuple[str, bytes]:
    """The content type and the body of the answer to a request, whose path follows the base URL."""
    if path.endswith((b"/runs", b"/submit_tool_outputs")):
        told = LAST_CALL.findall(body)
        behind = int(told[-1]) + 1 if told else 0
        return "text/event-stream", spoken(behind) if behind >= rounds else asked(behind, calls)
    if path == b"/threads":
        return "application/json", json.dumps({"id": "thread_bench", "object": "thread"}).encode()
    made = json.loads(body) | {"id": "asst_bench", "object": "assistant"} if body else {"object": "list", "data": []}
    return "application/json", json.dumps(made).encode()


@cache
def asked(behind: int, calls: int) -> bytes:
    """A turn of the model that asks for tools, after so many rounds."""
    wanted = [task.call(behind, number) for number in range(calls)]
    step = f"step_{behind}"
    begun = {"type": "tool_calls", "tool_calls": []}
    pieces = [
        {"index": index, "type": "function", **piece}
        for index, call in enumerate(wanted)
        for piece in (
            {"id": call["id"], "function": {"name": call["function"]["name"], "arguments": "", "output": None}},
            {"function": {"arguments": call["function"]["arguments"]}},
        )
    ]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": wanted}}
    return events(
        *opening(behind, calls),
        ("thread.run.step.created", step_object(step, "in_progress", begun)),
        ("thread.run.step.in_progress", step_object(step, "in_progress", begun)),
        *(("thread.run.step.delta", step_delta(step, piece)) for piece in pieces),
        ("thread.run.requires_action", run_object("requires_action", required_action=action)),
    )


@cache
def spoken(behind: int) -> bytes:
    """The turn of the model that ends the conversation."""
    step = f"step_{behind}"
    made = {"type": "message_creation", "message_creation": {"message_id": "msg_bench"}}
    whole = [{"type": "text", "text": {"value": task.ANSWER, "annotations": []}}]
    pieces = [task.ANSWER[start : start + PIECE] for start in range(0, len(task.ANSWER), PIECE)]
    used = {"prompt_tokens": 320, "completion_tokens": 40, "total_tokens": 360}
    return events(
        *opening(behind, 1),
        ("thread.run.step.created", step_object(step, "in_progress", made)),
        ("thread.run.step.in_progress", step_object(step, "in_progress", made)),
        ("thread.message.created", message_object("in_progress", [])),
        ("thread.message.in_progress", message_object("in_progress", [])),
        *(("thread.message.delta", message_delta(piece)) for piece in pieces),
        ("thread.message.completed", message_object("completed", whole)),
        ("thread.run.step.completed", step_object(step, "completed", made, usage=used)),
        ("thread.run.completed", run_object("completed", usage=used)),
    )


def opening(behind: int, calls: int) -> list[tuple[str, dict[str, object]]]:
    """How a turn begins: with the last step's results if there is one, and the run under way."""
    begun = [("thread.run.created", run_object("queued"))]
    if behind:
        done = [task.call(behind - 1, number) for number in range(calls)]
        outputs = [call | {"function": call["function"] | {"output": "dry"}} for call in done]
        details = {"type": "tool_calls", "tool_calls": outputs}
        used = {"prompt_tokens": 320, "completion_tokens": 40, "total_tokens": 360}
        begun = [("thread.run.step.completed", step_object(f"step_{behind - 1}", "completed", details, usage=used))]
    return [
        *begun,
        ("thread.run.queued", run_object("queued")),
        ("thread.run.in_progress", run_object("in_progress")),
    ]


def run_object(status: str, **more: object) -> dict[str, object]:
    """A run, as whole as the API shows it."""
    return {
        "id": "run_bench",
        "object": "thread.run",
        "created_at": 1700000000,
        "assistant_id": "asst_bench",
        "thread_id": "thread_bench",
        "status": status,
        "started_at": None,
        "expires_at": 1700000600,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": task.MODEL,
        "instructions": task.INSTRUCTIONS,
        "tools": task.TOOLS,
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": None,
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        **more,
    }


def step_object(id: str, status: str, details: dict[str, object], **more: object) -> dict[str, object]:
    """A step of the run."""
    return {
        "id": id,
        "object": "thread.run.step",
        "created_at": 1700000000,
        "run_id": "run_bench",
        "assistant_id": "asst_bench",
        "thread_id": "thread_bench",
        "type": details["type"],
        "status": status,
        "cancelled_at": None,
        "completed_at": None,
        "expires_at": 1700000600,
        "failed_at": None,
        "last_error": None,
        "step_details": details,
        "usage": None,
        **more,
    }


def message_object(status: str, content: list[dict[str, object]]) -> dict[str, object]:
    """The message that the run writes."""
    return {
        "id": "msg_bench",
        "object": "thread.message",
        "created_at": 1700000000,
        "assistant_id": "asst_bench",
        "thread_id": "thread_bench",
        "run_id": "run_bench",
        "status": status,
        "incomplete_details": None,
        "incomplete_at": None,
        "completed_at": None,
        "role": "assistant",
        "content": content,
        "attachments": [],
        "metadata": {},
    }


def step_delta(id: str, call: dict[str, object]) -> dict[str, object]:
    """A piece of a tool call."""
    delta = {"step_details": {"type": "tool_calls", "tool_calls": [call]}}
    return {"id": id, "object": "thread.run.step.delta", "delta": delta}


def message_delta(text: str) -> dict[str, object]:
    """A piece of a message's text."""
    content = [{"index": 0, "type": "text", "text": {"value": text, "annotations": []}}]
    return {"id": "msg_bench", "object": "thread.message.delta", "delta": {"content": content}}


def events(*told: tuple[str, dict[str, object]]) -> bytes:
    """A whole stream of server-sent events."""
    sent = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told]
    return "".join([*sent, "event: done\ndata: [DONE]\n\n"]).encode()

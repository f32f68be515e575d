"""Responses as clients see them. Pure."""

from collections.abc import Mapping
from typing import Any

from agentkit import Usage
from agentkit.server.errors import ApiError
from agentkit.server.ids import new_id
from agentkit.server.wire.responses import CreateResponse

RESPONSE = "response"
"""The kind of object."""
GOING = ("queued", "in_progress")
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "user",
)


def new_response(body: CreateResponse, now: int, conversation: str | None) -> dict[str, Any]:
    """A response that has not begun, with all that it was asked for."""
    given = body.given()
    reasoning, text = given.get("reasoning", {}), given.get("text", {})
    return {
        "id": new_id("response"),
        "object": "response",
        "created_at": now,
        "completed_at": None,
        "status": "queued" if body.background else "in_progress",
        "background": bool(body.background),
        "error": None,
        "incomplete_details": None,
        "model": body.model,
        "output": [],
        "usage": None,
        **{name: given.get(name) for name in _ECHOED},
        "conversation": None if conversation is None else {"id": conversation},
        "metadata": given.get("metadata", {}),
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": "default",
        "store": given.get("store", True),
        "temperature": given.get("temperature", 1.0),
        "text": {"format": text.get("format", {"type": "text"}), "verbosity": text.get("verbosity", "medium")},
        "tool_choice": given.get("tool_choice", "auto"),
        "tools": [_tool(each) for each in given.get("tools", ())],
        "top_logprobs": given.get("top_logprobs", 0),
        "top_p": given.get("top_p", 1.0),
        "truncation": given.get("truncation", "disabled"),
    }


def _tool(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["type"] != "function":
        return dict(given)
    usual = {"description": None, "parameters": None, "strict": True}
    return {**usual, **given}


def used(usage: Usage) -> dict[str, Any]:
    """What a response has used."""
    return {
        "input_tokens": usage.input_tokens or 0,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens or 0,
    }


def failed_with(error: ApiError) -> dict[str, Any]:
    """The `error` of a response that has failed."""
    code = "rate_limit_exceeded" if error.status == 429 else "invalid_prompt" if error.status < 500 else "server_error"
    return {"code": code, "message": str(error)}

"""What a Chat Completions server puts on the wire: pure functions from what was said to JSON values.

Source: OpenAI's API reference, "Chat completion object" and "Chat completion chunk object".
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agentkit.messages import AssistantMessage, ToolCall, Usage

from .http_server import to_json

_PIECE = 8
"""Characters of one delta."""
_EPOCH = 1_750_000_000
_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer, and what is said about it."""

    number: int
    """Which answer of this server; its id and its time follow from that, so that two runs say the same."""
    model: str
    message: AssistantMessage
    finish_reason: str
    usage: Usage


def request_id(number: int) -> str:
    """What a provider calls its n-th exchange."""
    return f"req_{_digest(number, 32)}"


def error(status: int, message: str, code: str | None = None) -> dict[str, Any]:
    """An error body, of the type and code that go with the status."""
    kind, usual = _ERRORS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    message = message or f"The script answers with status {status}."
    return {"error": {"message": message, "type": kind, "param": None, "code": code or usual}}


def count(body: Mapping[str, Any], message: AssistantMessage) -> Usage:
    """Tokens at four characters each: not a tokenizer's count, but the same one each time."""
    asked = to_json([body.get("messages"), body.get("tools")])
    said = [message.text, message.refusal or "", message.reasoning]
    said += [part for call in message.tool_calls for part in (call.name, call.arguments)]
    return Usage(
        input_tokens=_tokens(asked),
        output_tokens=max(1, sum(map(_tokens, said))),
        cache_read_tokens=0,
        reasoning_tokens=_tokens(message.reasoning),
    )


def with_own_ids(calls: Iterable[ToolCall], body: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls with ids as a provider gives them: new to the request's conversation, at most 40 characters."""
    conversation = to_json(body.get("messages"))
    named: dict[str, ToolCall] = {}
    for call in calls:
        own, n = call.id[:40], 1
        while own in named or to_json(own) in conversation:
            n += 1
            own = f"{call.id[:36]}_{n}"
        named[own] = replace(call, id=own)
    return tuple(named.values())


def completion(answer: Answer) -> dict[str, Any]:
    """The whole answer in one object."""
    said = answer.message
    message: dict[str, Any] = {
        "role": "assistant",
        "content": said.text if said.text or not (said.tool_calls or said.refusal) else None,
        "refusal": said.refusal,
        "annotations": [],
    }
    if said.reasoning:
        message["reasoning_content"] = said.reasoning
    if said.tool_calls:
        message["tool_calls"] = [_call(call) for call in said.tool_calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    usage = _usage(answer.usage)
    return {**_envelope(answer, "chat.completion"), "choices": [choice], **({"usage": usage} if usage else {})}


def chunks(answer: Answer, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The answer as the events of a stream, without the `[DONE]` at its end."""
    envelope = _envelope(answer, "chat.completion.chunk")
    usage = _usage(answer.usage) if include_usage else None
    if usage:
        envelope["usage"] = None
    for delta in _deltas(answer.message):
        yield {**envelope, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    last = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": answer.finish_reason}
    yield {**envelope, "choices": [last]}
    if usage:
        yield {**envelope, "choices": [], "usage": usage}


def azure_preamble() -> dict[str, Any]:
    """The event without choices, id or model that Azure sends before all others."""
    filtered = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}
    results = [{"prompt_index": 0, "content_filter_results": filtered}]
    return {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": results}


def _deltas(message: AssistantMessage) -> Iterator[dict[str, Any]]:
    first = None if message.tool_calls or message.refusal else ""
    yield {"role": "assistant", "content": first, "refusal": None}
    for name, text in (
        ("reasoning_content", message.reasoning),
        ("content", message.text),
        ("refusal", message.refusal or ""),
    ):
        for piece in _pieces(text):
            yield {name: piece}
    for index, call in enumerate(message.tool_calls):
        yield {"tool_calls": [{"index": index, **_call(call), "function": {"name": call.name, "arguments": ""}}]}
        for piece in _pieces(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _envelope(answer: Answer, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{_digest(answer.number, 29)}",
        "object": kind,
        "created": _EPOCH + answer.number,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    }


def _usage(usage: Usage) -> dict[str, Any]:
    """What is known, in the provider's words; nothing if nothing is."""
    asked = {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": usage.cache_write_tokens}
    known = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": _known(asked) or None,
        "completion_tokens_details": _known({"reasoning_tokens": usage.reasoning_tokens}) or None,
    }
    return _known(known)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _tokens(text: str) -> int:
    return -(-len(text) // 4)


def _digest(number: int, length: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:length]

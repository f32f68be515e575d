"""A `ModelRequest` -> the body of a Chat Completions request. Pure; a body is a join of bytes that were encoded once.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from pydantic_core import from_json, to_json

from agentkit.messages import (
    AssistantMessage,
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    UserMessage,
)
from agentkit.models.base import ModelRequest
from agentkit.models.functions import function_tools, response_format, tool_choice
from agentkit.registry import ToolRegistry

WIRE = "chat"


def encode(request: ModelRequest, model: str, *, stream: bool) -> bytes:
    """The request's body as JSON.

    Raises:
        ConfigError: the server is to run tools itself.
    """
    request.without_hosted_tools(WIRE)
    messages = [message.encoded(WIRE, encode_message) for message in _with_pictures(request.messages)]
    if request.instructions:
        messages.insert(0, to_json({"role": "system", "content": request.instructions}))
    parts = [b'{"model":', to_json(model), b',"messages":[', b",".join(messages), b"]"]
    if len(request.tools):
        parts += [b',"tools":', request.tools.encoded(WIRE, encode_tools)]
    options = _options(request, stream=stream)
    if options:
        parts += [b",", to_json(options)[1:-1]]
    parts.append(b"}")
    return b"".join(parts)


def encode_tools(tools: ToolRegistry) -> bytes:
    """The tools as JSON functions, strict where their arguments have a strict form."""
    return to_json(function_tools(tools, WIRE))


def encode_message(message: Message) -> bytes:
    """One message as JSON."""
    match message:
        case UserMessage(content=content):
            said = content if isinstance(content, str) else [_part(part) for part in content]
            return to_json({"role": "user", "content": said})
        case AssistantMessage():
            return to_json(_assistant(message))
        case ToolResult():
            content = message.content or "(see below)" * bool(message.parts)
            return to_json({"role": "tool", "tool_call_id": message.call_id, "content": content})


def _with_pictures(messages: Sequence[Message]) -> Sequence[Message]:
    """A tool's message can hold text only, so pictures of results come in a user's message after all of these."""
    if not any(isinstance(message, ToolResult) and message.parts for message in messages):
        return messages
    told: list[Message] = []
    for kind, group in groupby(messages, type):
        told += (same := list(group))
        shown = [result for result in same if isinstance(result, ToolResult) and result.parts]
        if kind is ToolResult and shown:
            told.append(UserMessage(content=tuple(part for result in shown for part in _parts_of(result))))
    return told


def _parts_of(result: ToolResult) -> Iterator[Part]:
    yield TextPart(text=f"From the result of {result.name} ({result.call_id}):")
    yield from result.parts


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, ImagePart):
        return {"type": "image_url", "image_url": {"url": part.url}}
    if isinstance(part, FilePart):
        return {"type": "text", "text": f"[the file {part.id}, which cannot be read here]"}
    return {"type": "text", "text": part.text}


def _assistant(message: AssistantMessage) -> dict[str, Any]:
    text = message.text or message.refusal
    if not message.tool_calls:
        return {"role": "assistant", "content": text or ""}
    return {"role": "assistant", "content": text or None, "tool_calls": [_call(call) for call in message.tool_calls]}


def _call(call: ToolCall) -> dict[str, Any]:
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", call.name)[:64] or "unnamed"
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": _object(call.arguments)}}


def _object(arguments: str) -> str:
    """The arguments as they are if they are a JSON object, else an empty one: servers refuse anything else."""
    try:
        fits = isinstance(from_json(arguments, allow_inf_nan=False), dict)
    except ValueError:
        fits = False
    return arguments if fits else "{}"


def _options(request: ModelRequest, *, stream: bool) -> dict[str, Any]:
    settings = request.settings
    options: dict[str, Any] = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_completion_tokens": min(filter(None, (settings.max_tokens, request.longest_answer)), default=None),
        "stop": settings.stop or None,
        "seed": settings.seed,
        "reasoning_effort": settings.reasoning_effort,
        "response_format": response_format(request.output),
    }
    if len(request.tools):
        options["tool_choice"] = tool_choice(settings)
        options["parallel_tool_calls"] = settings.parallel_tool_calls
    if stream:
        options |= {"stream": True, "stream_options": {"include_usage": True}}
    return {name: value for name, value in options.items() if value is not None} | dict(settings.extra)

"""What is sent to an Assistants server: a `ModelRequest` -> an assistant, messages, a run. Pure.

Source: the OpenAPI description of OpenAI's API, Assistants v2.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

from pydantic_core import to_json

from agentkit.errors import ConfigError
from agentkit.hosted import CodeInterpreter, FileSearch
from agentkit.messages import AssistantMessage, FilePart, ImagePart, Message, Part, ToolCall, ToolResult, UserMessage
from agentkit.models.base import ModelRequest
from agentkit.models.functions import function_tools, response_format, tool_choice
from agentkit.registry import ToolRegistry

MARK = "agentkit"
"""In an assistant's metadata: the fingerprint of its content. In a thread's: that agentkit has made it."""
OPERATION = "agentkit_op"
"""In the metadata of a run or a message: which request has made it, so that a lost one can be found."""
LEAST_TOKENS = 256
"""The smallest limit on tokens that the wire knows."""
_TOOLS = 128
_INSTRUCTIONS = 256_000
_OWN = {"assistant_id", "additional_messages", "stream"}
_METADATA = 14  # of 16, two are agentkit's


def encode_assistant(request: ModelRequest, model: str) -> dict[str, Any]:
    """The assistant that answers such requests: all that does not change from one run to the next.

    Raises:
        ConfigError: the wire has no room for it.
    """
    settings = request.settings
    for name in ("stop", "seed"):
        if getattr(settings, name) not in (None, ()):
            raise ConfigError(f"ModelSettings({name}=...) is nothing that the Assistants wire knows; leave it out")
    if len(request.instructions) > _INSTRUCTIONS:
        raise ConfigError(
            f"instructions have {len(request.instructions)} characters; an assistant takes {_INSTRUCTIONS}"
        )
    tools = [*function_tools(request.tools, "assistants"), *_hosted(request.tools)]
    if len(tools) > _TOOLS:
        raise ConfigError(f"the agent has {len(tools)} tools; an assistant takes {_TOOLS}")
    body = {
        "model": model,
        "instructions": request.instructions,
        "tools": tools,
        "tool_resources": encode_resources(request.tools, "assistant"),
        **_sampling(request),
    }
    body = {name: value for name, value in body.items() if value is not None}
    fingerprint = blake2b(to_json(body), digest_size=16).hexdigest()
    return {**body, "name": "agentkit", "metadata": {MARK: fingerprint}}


def encode_thread(resources: Mapping[str, Any] | None, metadata: Mapping[str, str]) -> bytes:
    """A new thread."""
    return as_json({"tool_resources": resources, "metadata": {**metadata, MARK: "thread"}})


def encode_run(
    request: ModelRequest, assistant: str, messages: Sequence[Mapping[str, Any]], metadata: Mapping[str, str]
) -> dict[str, Any]:
    """A new run, without what it says of the assistant."""
    settings = request.settings
    if own := _OWN & settings.extra.keys():
        raise ConfigError(f"ModelSettings(extra={{{min(own)!r}: ...}}): this is agentkit's to say; leave it out")
    if not isinstance(settings.extra.get("metadata", {}), Mapping):
        raise ConfigError(f"ModelSettings(extra=...): metadata is {settings.extra['metadata']!r:.80}, not a dict")
    limits = [limit for limit in (settings.max_tokens, request.tokens_left) if limit is not None]
    calls = {"tool_choice": tool_choice(settings), "parallel_tool_calls": settings.parallel_tool_calls}
    return {
        "assistant_id": assistant,
        "additional_messages": messages or None,
        "max_completion_tokens": max(LEAST_TOKENS, min(limits)) if limits else None,
        **(calls if len(request.tools) else {}),
        **settings.extra,
        "metadata": {**settings.extra.get("metadata", {}), **metadata},
        "stream": True,
    }


def encode_overrides(request: ModelRequest, model: str) -> dict[str, Any]:
    """What a run says of an assistant that is not agentkit's, and so is left as it is."""
    return {"model": model or None, "additional_instructions": request.instructions or None, **_sampling(request)}


def encode_outputs(outputs: Iterable[tuple[str, str]]) -> bytes:
    """The results of all tool calls that a run waits for."""
    told = [{"tool_call_id": id, "output": output} for id, output in outputs]
    return as_json({"tool_outputs": told, "stream": True})


def encode_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A conversation as the messages of a thread, which are texts: calls and their results are told in words.

    Empty messages are left out, since the wire refuses them.
    """
    told: list[dict[str, Any]] = []
    calls: dict[str, ToolCall] = {}
    results: list[str] = []
    for message in messages:
        if isinstance(message, ToolResult):
            call = calls.get(message.call_id) or ToolCall(id="", name=message.name, arguments="")
            results.append(f"{call.name}({call.arguments}) gave: {message.as_text}")
            continue
        told += _results(results)
        results = []
        if isinstance(message, AssistantMessage):
            calls |= {call.id: call for call in message.tool_calls}
            told += [{"role": "assistant", "content": message.text}] if message.text.strip() else []
        else:
            told += _said(message)
    return [*told, *_results(results)]


def _results(results: Sequence[str]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "\n\n".join(["Meanwhile, tools were called:", *results])}] if results else []


def _said(message: UserMessage) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"role": "user", "content": message.content}] if message.content.strip() else []
    files = [part for part in message.content if isinstance(part, FilePart) and part.use != "image"]
    content = [_part(part) for part in message.content if part not in files and not _is_empty(part)]
    if not content and not files:
        return []
    attachments = [{"file_id": file.id, "tools": [{"type": file.use}]} for file in files]
    told = {"role": "user", "content": content or "(see the attached files)"}
    return [told | ({"attachments": attachments} if attachments else {})]


def _is_empty(part: Part) -> bool:
    return not isinstance(part, ImagePart | FilePart) and not part.text.strip()


def _part(part: Part) -> dict[str, Any]:
    match part:
        case ImagePart(url=url):
            return {"type": "image_url", "image_url": {"url": url}}
        case FilePart(id=id):
            return {"type": "image_file", "image_file": {"file_id": id}}
        case _:
            return {"type": "text", "text": part.text}


def _hosted(tools: ToolRegistry) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for tool in tools.hosted:
        most = tool.max_results if isinstance(tool, FileSearch) else None
        told.append({"type": tool.type, **({tool.type: {"max_num_results": most}} if most else {})})
    return told


def encode_resources(tools: ToolRegistry, keeper: str) -> dict[str, Any] | None:
    """The files of hosted tools that an assistant or a thread keeps."""
    resources: dict[str, Any] = {}
    for tool in tools.hosted:
        match tool:
            case FileSearch(stores=stores) if stores and tool.keep == keeper:
                resources[tool.type] = {"vector_store_ids": list(stores)}
            case CodeInterpreter(files=files) if files and tool.keep == keeper:
                resources[tool.type] = {"file_ids": list(files)}
            case _:
                pass
    return resources or None


def _sampling(request: ModelRequest) -> dict[str, Any]:
    settings = request.settings
    return {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "reasoning_effort": settings.reasoning_effort,
        "response_format": response_format(request.output),
    }


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Make sure that the wire takes it.

    Raises:
        ConfigError: it does not.
    """
    if len(metadata) > _METADATA:
        raise ConfigError(f"metadata has {len(metadata)} pairs; there is room for {_METADATA}")
    for key, value in metadata.items():
        if not isinstance(cast("object", value), str) or len(key) > 64 or len(value) > 512:
            raise ConfigError(f"metadata {key!r:.80}: keys are texts of up to 64 characters, values of up to 512")


def as_json(body: Mapping[str, Any]) -> bytes:
    """A request's body; what is None is left out."""
    return to_json({name: value for name, value in body.items() if value is not None})

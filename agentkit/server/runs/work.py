"""A run -> what the engine is to do."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit import Message, ModelSettings
from agentkit.server.engine import Work
from agentkit.server.functions import functions_of


def work_of(
    run: Mapping[str, Any],
    tenant: str,
    *,
    history: Sequence[Message],
    resources: Mapping[str, Sequence[str]],
    settings: ModelSettings,
    seconds: float,
) -> Work:
    """What the engine is to do.

    Args:
        run: The run as clients see it.
        tenant: Whose it is.
        history: What was said.
        resources: Files and vector stores that its tools may use.
        settings: How the model samples; see `sampling_of`.
        seconds: How long it may run.
    """
    truncation = run["truncation_strategy"]
    return Work(
        model=run["model"],
        tenant=tenant,
        history=history,
        settings=settings,
        instructions=run["instructions"],
        functions=functions_of([tool["function"] for tool in run["tools"] if tool["type"] == "function"]),
        hosted=[tool for tool in run["tools"] if tool["type"] != "function"],
        resources=resources,
        schema=_schema(run["response_format"]),
        last_messages=truncation.get("last_messages") if truncation["type"] == "last_messages" else None,
        output_tokens=run["max_completion_tokens"],
        input_tokens=run["max_prompt_tokens"],
        seconds=seconds,
    )


def resources_of(*holders: Mapping[str, Any]) -> dict[str, list[str]]:
    """The files and vector stores of an assistant and a thread together."""
    found: dict[str, list[str]] = {"file_ids": [], "vector_store_ids": []}
    for holder in holders:
        for resource in (holder.get("tool_resources") or {}).values():
            for name, ids in resource.items():
                found[name] += [id for id in ids if id not in found[name]]
    return found


def sampling_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """How the model is to sample, as `Catalog.sampling` takes it; what is usual is left to the model."""
    form = run["response_format"]
    is_object = isinstance(form, Mapping) and form["type"] == "json_object"
    return {
        "temperature": None if run["temperature"] == 1 else run["temperature"],
        "top_p": None if run["top_p"] == 1 else run["top_p"],
        "reasoning_effort": run["reasoning_effort"],
        "tool_choice": _choice(run["tool_choice"]),
        "parallel_tool_calls": None if run["parallel_tool_calls"] else False,
        "extra": {"response_format": {"type": "json_object"}} if is_object else None,
    }


def _choice(chosen: str | Mapping[str, Any]) -> str | None:
    if isinstance(chosen, str):
        return None if chosen == "auto" else chosen
    return str(chosen["function"]["name"] if chosen["type"] == "function" else chosen["type"])


def _schema(form: str | Mapping[str, Any]) -> Mapping[str, Any] | None:
    if isinstance(form, str) or form["type"] != "json_schema":
        return None
    schema: Mapping[str, Any] | None = form["json_schema"].get("schema")
    return schema

"""What the Chat Completions and the Assistants wire spell alike: functions, tool choice, JSON answers. Pure."""

import json
from functools import lru_cache
from typing import Any

from agentkit.dialects import Strictness, export_tool, strict
from agentkit.models.base import ModelSettings, OutputFormat
from agentkit.registry import ToolRegistry


def function_tools(tools: ToolRegistry, dialect: str) -> list[dict[str, Any]]:
    """The tools as functions, in the dialect of a wire."""
    return [export_tool(tool, dialect) for tool in tools]


def tool_choice(settings: ModelSettings) -> Any:
    """Which tool the model may or must call; None if nothing is said about it."""
    if settings.tool_choice in (None, "auto", "none", "required"):
        return settings.tool_choice
    return {"type": "function", "function": {"name": settings.tool_choice}}


def response_format(output: OutputFormat | None) -> Any:
    """The form of the answer; None for text. It is strict where that means the same, and as it is where not."""
    if output is None:
        return None
    form = format_strictness(output).schema
    described = {"schema": output.schema} if form is None else {"schema": form, "strict": True}
    return {"type": "json_schema", "json_schema": {"name": output.name, **described}}


def format_strictness(output: OutputFormat) -> Strictness:
    """Whether the form of an answer has a strict form, and if not, why: `strict: no, because ...`."""
    return _strictness(json.dumps(output.schema))


@lru_cache(maxsize=256)
def _strictness(schema: str) -> Strictness:
    return strict(json.loads(schema))

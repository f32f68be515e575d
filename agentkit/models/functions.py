"""What the Chat Completions and the Assistants wire spell alike: functions, tool choice, JSON answers. Pure."""

from typing import Any

from agentkit.dialects import export_tool
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
    """The form of the answer; None for text."""
    if output is None:
        return None
    return {"type": "json_schema", "json_schema": {"name": output.name, "schema": output.schema}}

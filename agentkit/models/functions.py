"""What the Chat Completions and the Assistants wire spell alike: functions, tool choice, JSON answers. Pure."""

from typing import Any

from agentkit.models.base import ModelSettings, OutputFormat
from agentkit.registry import ToolRegistry


def function_tools(tools: ToolRegistry) -> list[dict[str, Any]]:
    """The tools as JSON functions."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


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

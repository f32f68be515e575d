"""Tools as providers and protocols spell them: pure functions from a tool to JSON.

export_tool(units_left, "anthropic")    {"name": "units_left", "description": ..., "input_schema": ...}
notes_on(units_left, "chat")            ("strict: yes",)
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from agentkit.errors import ToolDefinitionError

from .anthropic import anthropic
from .described import Described, Export
from .gemini import gemini
from .mcp import mcp
from .openai import assistants, chat, responses
from .strict import Strictness, require_strict, strict

DIALECTS: Mapping[str, Callable[[Described], Export]] = {
    "chat": chat,
    "responses": responses,
    "assistants": assistants,
    "anthropic": anthropic,
    "mcp": mcp,
    "gemini": gemini,
}
"""How each spells a tool."""


def export_tool(tool: Described, dialect: str) -> dict[str, Any]:
    """A tool as a provider or protocol spells it. What its author would not expect to be lost is warned of.

    Raises:
        ToolDefinitionError: there is no such dialect.
    """
    export = _exported(tool, dialect)
    for loss in export.losses:
        warnings.warn(f"tool {tool.name!r}: {loss}", UserWarning, stacklevel=2)
    return export.spec


def notes_on(tool: Described, dialect: str) -> tuple[str, ...]:
    """What a dialect says otherwise than the tool does, or cannot say: `strict: no, because ...`.

    Raises:
        ToolDefinitionError: there is no such dialect.
    """
    export = _exported(tool, dialect)
    return (*export.losses, *export.notes)


def _exported(tool: Described, dialect: str) -> Export:
    if dialect not in DIALECTS:
        raise ToolDefinitionError(f"there is no dialect {dialect!r}; there are {', '.join(DIALECTS)}")
    return DIALECTS[dialect](tool)


__all__ = [
    "DIALECTS",
    "Described",
    "Export",
    "Strictness",
    "export_tool",
    "notes_on",
    "require_strict",
    "strict",
]

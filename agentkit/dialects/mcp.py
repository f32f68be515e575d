"""Tools as the Model Context Protocol spells them.

Source: https://modelcontextprotocol.io/specification/2025-11-25/server/tools and its `ToolAnnotations`.
"""

from copy import deepcopy
from typing import Any

from .described import Described, Export

_HINTS: dict[str | None, dict[str, bool]] = {
    None: {},
    "read": {"readOnlyHint": True, "destructiveHint": False},
    "write": {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False},
    "external": {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": True},
    "destructive": {"readOnlyHint": False, "destructiveHint": True},
}
"""Only what the declared effects say: where nothing is said, the protocol's own defaults assume the worst."""


def mcp(tool: Described) -> Export:
    """MCP: a name, a description, a schema, and hints on what a call does."""
    spec: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": deepcopy(dict(tool.parameters)),
    }
    hints = dict(_HINTS[tool.policy.effects])
    if tool.policy.effects is not None or tool.policy.idempotent:
        hints["idempotentHint"] = tool.policy.may_repeat
    return Export(spec={**spec, "annotations": hints} if hints else spec)

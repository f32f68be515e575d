"""Tools as Anthropic's Messages API spells them.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/strict-tool-use and
.../build-with-claude/structured-outputs#json-schema-limitations. Strict tools are few (20 in a request, with 24
optional parameters and 16 unions among them all), so a tool is strict only where `@tool(strict=True)` asks for it.
"""

import re
from copy import deepcopy
from typing import Any

from .described import Described, Export
from .limits import Limits
from .strict import Rules, strict

_RULES = Rules(
    keywords=frozenset({"pattern", "format"}),
    formats=frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}),
    null_for_optional=False,
    limits=Limits(),
    is_recursive=False,
)
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def anthropic(tool: Described) -> Export:
    """Messages: a name, a description and a schema."""
    spec: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "input_schema": deepcopy(dict(tool.parameters)),
    }
    notes = [
        f"{name}: Anthropic takes names of parameters of 1 to 64 letters, digits, _, . and -; rename it"
        for name in tool.parameters.get("properties", ())
        if not _PROPERTY.fullmatch(name)
    ]
    if tool.policy.strict:
        strictness = strict(tool.parameters, _RULES)
        notes.append(str(strictness))
        if strictness.schema is not None:
            spec = {**spec, "input_schema": strictness.schema, "strict": True}
    return Export(spec=spec, notes=tuple(notes))

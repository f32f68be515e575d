"""Tools as OpenAI's wires spell them: strict where that means the same.

Sources: https://platform.openai.com/docs/api-reference/chat/create, .../responses/create and .../assistants; the API
refuses a description of more than 1,024 characters.
"""

from copy import deepcopy
from typing import Any

from .described import Described, Export
from .strict import strict

_DESCRIPTION = 1024


def chat(tool: Described) -> Export:
    """Chat Completions: a function inside a tool. A tool that is not strict does not say so."""
    function, is_strict, notes, losses = _function(tool)
    marked = {**function, "strict": True} if is_strict else function
    return Export(spec={"type": "function", "function": marked}, notes=notes, losses=losses)


def assistants(tool: Described) -> Export:
    """Assistants: as Chat Completions."""
    return chat(tool)


def responses(tool: Described) -> Export:
    """Responses: flat, and strict unless told otherwise, so each tool says what it is."""
    function, is_strict, notes, losses = _function(tool)
    return Export(spec={"type": "function", **function, "strict": is_strict}, notes=notes, losses=losses)


def _function(tool: Described) -> tuple[dict[str, Any], bool, tuple[str, ...], tuple[str, ...]]:
    description = tool.description
    losses: tuple[str, ...] = ()
    if len(description) > _DESCRIPTION:
        many = f"{len(description):,} characters, and OpenAI takes {_DESCRIPTION:,}"
        losses = (f"the description has {many}, so its end is cut off; shorten it",)
        description = f"{description[: _DESCRIPTION - 1]}…"
    parameters, notes = deepcopy(dict(tool.parameters)), ("strict: no, because @tool(strict=False) says so",)
    is_strict = False
    if tool.policy.strict is not False:
        strictness = strict(tool.parameters)
        parameters, is_strict = strictness.schema or parameters, strictness.schema is not None
        notes = (str(strictness),)
    return {"name": tool.name, "description": description, "parameters": parameters}, is_strict, notes, losses

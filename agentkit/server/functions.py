"""Functions of the client's, as Chat Completions and Responses describe them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import ApiError


def function(spelled: Mapping[str, Any]) -> dict[str, Any]:
    """A function whose parameters are an object, whatever little is said of them."""
    return {**spelled, "parameters": {"type": "object", "properties": {}, **spelled.get("parameters", {})}}


def narrowed(
    functions: Sequence[Mapping[str, Any]], names: Sequence[str], *, keep: bool = False
) -> list[Mapping[str, Any]]:
    """The functions of these names, or all of them where the others are to be kept.

    Raises:
        ApiError: a name is none of them.
    """
    known = {each["name"] for each in functions}
    for name in names:
        if name not in known:
            raise ApiError(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    return [each for each in functions if keep or each["name"] in names]

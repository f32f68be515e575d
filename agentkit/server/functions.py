"""Functions of the client's, as Chat Completions and Responses describe them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from .errors import ApiError, unfit


def function(spelled: Mapping[str, Any]) -> dict[str, Any]:
    """A function whose parameters are an object, whatever little is said of them."""
    return {**spelled, "parameters": {"type": "object", "properties": {}, **(spelled.get("parameters") or {})}}


def functions_of(spelled: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The functions, each of another name.

    Raises:
        ApiError: two have one name.
    """
    check_depth(spelled, "tools")
    names = [each["name"] for each in spelled]
    if twin := next((name for name in names if names.count(name) > 1), None):
        raise unfit("tools", f"two functions are called {twin!r}")
    return [function(each) for each in spelled]


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


def check_depth(value: Any, where: str) -> None:
    """Make sure that a schema is not so deep that it could not be told again.

    Raises:
        ApiError: it is.
    """
    try:
        to_json(value)
    except ValueError as error:
        raise unfit(where, f"it has no JSON form: {error}") from None

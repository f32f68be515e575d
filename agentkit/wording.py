"""What is written of a call: its arguments as JSON, and what goes wrong in words for a model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import anyio

from .cancellation import is_cancelled
from .errors import InvalidArguments, JournalFailed, ToolError, ToolTimeout, said
from .invoke import is_async
from .journal import Effect
from .messages import ToolResult
from .results import shorten
from .tool import Tool

_ERROR_CHARS = 500
_PLAIN = (str, int, float, bool, type(None))


def as_json(name: str, arguments: Mapping[str, Any]) -> str:
    """Arguments that a program gives, as a model would write them.

    Raises:
        InvalidArguments: they have no JSON form.
    """
    from pydantic_core import to_json  # on first use: it costs a good part of `import agentkit`

    try:
        return to_json(arguments, inf_nan_mode="constants").decode()
    except (ValueError, RecursionError) as error:
        raise InvalidArguments(f"the arguments for {name!r} have no JSON form: {error}") from None


def canonical(tool: Tool, arguments: str) -> str:
    """What calls of the same arguments have in common: the values that the function gets, where these are plain.

    Others as the model wrote them: what a type of somebody's own shows of itself need not be all that it is.
    """
    from json import dumps

    written = tool.arguments.read(arguments)
    plain = {name: value for name, value in tool.values(arguments).items() if type(value) in _PLAIN}
    return dumps(written | plain, sort_keys=True)


def words(error: BaseException, masked: Callable[[str], str] = str, *, hide: bool = False) -> str:
    """An error in words a model can act on; only its type, if they are hidden, unless the tool has chosen them."""
    text = masked(said(error))
    if isinstance(error, ToolError):
        return text or "the tool failed"
    kind = type(error).__name__
    return kind if hide or not text else f"{kind}: {shorten(text, _ERROR_CHARS)}"


def is_failure(error: BaseException) -> bool:
    """Whether a tool has failed, and not just said no in its own words."""
    return not isinstance(error, ToolError) or isinstance(error, ToolTimeout)


def masked(tool: Tool, arguments: str, words: str) -> str:
    """An error's words without the values of arguments that are secret."""
    if not tool.arguments.secrets:
        return words
    try:
        given = tool.arguments.read(arguments)
    except InvalidArguments:
        return words
    for text in sorted(_leaves([given.get(name) for name in tool.arguments.secrets]), key=len, reverse=True):
        words = words.replace(text, "***").replace(repr(text)[1:-1], "***")
    return words


def ended(tool: Tool) -> str:
    """What has become of a call that took too long."""
    killed = is_async(tool.function) or tool.policy.isolation
    return "was stopped" if killed else "was given up; it may still take effect"


def came_to(effect: Effect, error: BaseException, tool: Tool) -> Effect:
    """How a call has ended that raised: by itself, or stopped from outside."""
    if not isinstance(error, Exception):
        return replace(effect, state="unknown")
    hide = tool.policy.errors == "hide"
    text = type(error).__name__ if tool.secret_result or tool.arguments.secrets else words(error, hide=hide)
    told = ToolResult(call_id="", name=effect.tool, content=text, is_error=True, untrusted=tool.policy.gives_untrusted)
    return replace(effect, state="unknown" if isinstance(error, ToolTimeout) else "completed", result=told)


def is_for_the_model(error: BaseException) -> bool:
    """Whether this went wrong in the tool; if not, it must end the run."""
    if isinstance(error, JournalFailed):
        return False
    return isinstance(error, Exception | anyio.get_cancelled_exc_class()) and not is_cancelled(error)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _leaves(each)
    elif value not in (None, "", True, False):
        yield str(value)

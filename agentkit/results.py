"""What a tool returned -> the text that the model reads."""

from .errors import ToolFailed
from .messages import clean


def to_text(value: object, *, limit: int) -> str:
    """A tool's return value as text: a string as it is, everything else as JSON.

    Models, dataclasses, dates, decimals, sets and paths become JSON the way pydantic writes them; NaN becomes null
    and bytes base64. Text longer than `limit` characters loses its middle, and says so.

    Raises:
        ToolFailed: the value has no JSON form; the message names its type.
    """
    return shorten(clean(str.__str__(value) if isinstance(value, str) else _json(value)), limit)


def _json(value: object) -> str:
    from pydantic_core import to_json  # on first use: it costs a good part of `import agentkit`

    try:
        return to_json(value, fallback=_fallback, bytes_mode="base64", inf_nan_mode="null").decode()
    except UnicodeEncodeError:
        raise ToolFailed("the result holds text that is not valid Unicode; the tool should clean it") from None
    except (ValueError, RecursionError) as error:
        if isinstance(cause := error.__cause__ or error, ToolFailed):
            raise cause from None
        raise ToolFailed(f"the result, {_named(value)}, has no JSON form: {error}") from None


def _fallback(value: object) -> object:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if type(value).__str__ is object.__str__:  # it would read as <object at 0x...>, which helps nobody
        raise ToolFailed(f"the result holds {_named(value)}, which has no JSON form; return text or plain data")
    return str(value)


def _named(value: object) -> str:
    kind = type(value)
    return f"a {kind.__qualname__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"


def shorten(text: str, limit: int) -> str:
    """The text if it has at most `limit` characters, else its head and tail and how much is left out between."""
    if len(text) <= limit:
        return text
    marker = f"\n… {len(text) - limit} characters omitted …\n"
    head = limit // 2
    return f"{text[:head]}{marker}{text[len(text) - (limit - head) :]}"

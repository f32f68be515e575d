"""What a tool returned -> what the model reads: text, and the pictures and files that go with it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .errors import ToolFailed
from .messages import FilePart, ImagePart, Message, Part, TextPart, ToolResult, clean

MARKER_CHARS = 50
"""What it takes at most to say how much was left out."""
LEAST_RESULT_CHARS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """A result as the model reads it."""

    text: str
    parts: tuple[ImagePart | FilePart, ...] = ()
    full: str | None = None
    """The whole text, where `text` is cut."""


def to_content(value: object, *, limit: int) -> Content:
    """A tool's return value for the model: a string as it is, a part or a list with parts by its parts, else JSON.

    Models, dataclasses, dates, decimals, sets and paths become JSON the way pydantic writes them; NaN becomes null
    and bytes base64. Text longer than `limit` characters loses its middle, and says so.

    Raises:
        ToolFailed: the value has no JSON form; the message names its type.
    """
    pieces = _pieces(value)
    parts = tuple(piece for piece in pieces if isinstance(piece, ImagePart | FilePart))
    whole = clean("\n".join(_texts(pieces)) if pieces else _text(value))
    shown = shorten(whole, limit)
    return Content(text=shown, parts=parts, full=None if shown is whole else whole)


def _pieces(value: object) -> list[object]:
    """The parts of a value that is one, or of a list that has one; of any other value none."""
    if isinstance(value, Part):
        return [value]
    if type(value) in (list, tuple) and any(isinstance(each, Part) for each in _each(value)):
        return list(_each(value))
    return []


def _each(value: object) -> Iterable[object]:
    return value if isinstance(value, Iterable) else ()


def _texts(pieces: Iterable[object]) -> Iterator[str]:
    for piece in pieces:
        if isinstance(piece, TextPart):
            yield piece.text
        elif not isinstance(piece, Part):
            yield _text(piece)


def _text(value: object) -> str:
    return str.__str__(value) if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    from pydantic_core import to_json  # on first use: it costs a good part of `import agentkit`

    formless: list[object] = []

    def fallback(part: object) -> object:
        if isinstance(part, BaseException):
            return f"{type(part).__name__}: {part}"
        text = str(part)
        if text.startswith("<") and " at 0x" in text:  # which would help nobody
            formless.append(part)
        return text

    try:
        text = to_json(value, fallback=fallback, bytes_mode="base64", inf_nan_mode="null").decode()
    except UnicodeEncodeError:
        raise ToolFailed("the result holds text that is not valid Unicode; the tool should clean it") from None
    except (ValueError, RecursionError) as error:
        raise ToolFailed(f"the result, {named(value)}, has no JSON form: {error}") from None
    if formless:
        raise ToolFailed(f"the result holds {named(formless[0])}, which has no JSON form; return text or plain data")
    return text


def named(value: object) -> str:
    """What a value is, in words: `a str`, `a decimal.Decimal`."""
    kind = type(value)
    return f"a {kind.__qualname__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"


def shorten(text: str, limit: int) -> str:
    """The text if it has at most `limit` characters, else its head and tail and how much is left out between."""
    if len(text) <= limit:
        return text
    marker = f"\n… {len(text) - limit} characters omitted …\n"
    head = limit // 2
    return f"{text[:head]}{marker}{text[len(text) - (limit - head) :]}"


def cut_result(result: ToolResult, limit: int) -> ToolResult:
    """A result in so many characters, without pictures."""
    text = result.as_text
    if len(text) > limit:
        text = shorten(text, limit - MARKER_CHARS)
    return replace(result, content=text, parts=())


def last_results(messages: Sequence[Message]) -> int:
    """Where the results begin that a conversation ends with."""
    start = len(messages)
    while start and isinstance(messages[start - 1], ToolResult):
        start -= 1
    return start


def ever_shorter(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """A conversation, and then with the results that it ends with in half as many characters, again and again."""
    yield messages
    start = last_results(messages)
    results = [each for each in messages[start:] if isinstance(each, ToolResult)]
    longest = max((len(each.as_text) for each in results), default=0)
    while longest > LEAST_RESULT_CHARS:
        longest = max(longest // 2, LEAST_RESULT_CHARS)
        yield [*messages[:start], *(cut_result(each, longest) for each in results)]

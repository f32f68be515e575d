"""JSON text, read so that every reader of JSON would read the same in it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import Any, NoReturn

from .errors import InvalidArguments

DEPTH = 64
"""How many lists and objects may be inside each other."""

_NAME_CHARS = 100
_TOO_DEEP = f"The arguments are too deep: more than {DEPTH} lists and objects inside each other"
_TOO_LARGE = re.compile(r"\d[eE]\+?0*\d{3}|\d{309}")


def read(text: str, *, exact: bool = False, names: bool = True) -> Any:
    """JSON text -> its value.

    Args:
        text: The text.
        exact: Whether a number with more digits than a float holds stays text.
        names: Whether an error may name a key.

    Raises:
        InvalidArguments: broken JSON, NaN or Infinity, a number beyond all floats, a key twice in one object, or more
            levels than `DEPTH`.
    """
    try:
        value = _DECODERS[exact].decode(text)
    except RecursionError:
        raise InvalidArguments(_TOO_DEEP) from None
    except _Twice as twice:
        which = f"the key {cut(twice.key, _NAME_CHARS)!r}" if names else "a key"
        raise InvalidArguments(f"The arguments are not valid JSON: {which} is there twice") from None
    except json.JSONDecodeError as error:
        raise InvalidArguments(f"The arguments are not valid JSON: {error}") from None
    except ValueError as error:
        words = "a number has too many digits" if "digits" in str(error) else str(error)
        raise InvalidArguments(f"The arguments are not valid JSON: {words}") from None
    level = [value]
    for _ in range(DEPTH):
        level = [each for each in _inside(level) if isinstance(each, dict | list)]
        if not level:
            return value
    raise InvalidArguments(_TOO_DEEP)


def is_doubtful(text: str, keys: int) -> bool:
    """Whether `read` could refuse JSON text that pydantic has read as one object with so many known keys.

    As many colons as keys: no key is there twice, and no other object is inside. This is cheap, and most calls are so.
    """
    return text.count(":") != keys or text.count("[") >= DEPTH or "NaN" in text or "Infinity" in text


def is_too_large(text: str) -> bool:
    """Whether there may be a number in JSON text that is beyond all floats."""
    return _TOO_LARGE.search(text) is not None


class _Twice(ValueError):
    def __init__(self, key: str) -> None:
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _Twice(twice)
    return values


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if isinf(number):
        raise ValueError("a number is too large")
    return number


def _exact(digits: str) -> float | str:
    number = float(digits)
    if len(digits) <= 15 and "e" not in digits.lower():
        return number
    try:
        return number if Decimal(digits) == Decimal(repr(number)) else digits
    except InvalidOperation:  # an exponent beyond all limits
        return digits


_DECODERS = [
    json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=parse)
    for parse in (_finite, _exact)
]


def _inside(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


def object_text(arguments: str | bytes, *, repair: bool = False) -> str:
    """The text of the one object: nothing and `null` stand for {}, and an object inside a string is taken out, once.

    Args:
        arguments: What a model wrote.
        repair: Whether a Markdown fence, or words, around the object are taken away.

    Raises:
        InvalidArguments: they are not text.
    """
    try:
        text = (arguments if isinstance(arguments, str) else arguments.decode()).strip()
    except UnicodeDecodeError:
        raise InvalidArguments("The arguments are not valid JSON: they are not UTF-8 text") from None
    if text in ("", "null"):
        return "{}"
    if text.startswith('"') and ((inner := read(text)).lstrip().startswith("{") or (repair and "{" in inner)):
        text = inner.strip()
    return _alone(text) if repair else text


def _alone(text: str) -> str:
    """The one object in a text, without the words around it; the text as it is, if these may be more than words."""
    begin, end = text.find("{"), text.rfind("}") + 1
    around = text[:begin] + text[end:]
    return text[begin:end] if 0 <= begin < end and not _STRUCTURE.search(around) else text


_STRUCTURE = re.compile(r'[][{}"]')


def cut(text: str, length: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"

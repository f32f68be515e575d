"""JSON text, read so that every reader of JSON would read the same in it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from math import isinf, log
from typing import Any, NoReturn

from pydantic_core import PydanticSerializationError, to_jsonable_python

from .errors import InvalidArguments

DEPTH = 64
"""How many lists and objects may be inside each other."""

_NAME_CHARS = 100
_TOO_DEEP = "The arguments are too deep: more than {} lists and objects inside each other"
_TOO_LARGE = re.compile(r"\d(?:[eE]\+?0*\d{3}|\d{308})")
_TRIES = 20_000


def read(text: str, *, exact: bool = False, names: bool = True, depth: int = DEPTH) -> Any:
    """JSON text -> its value.

    Args:
        text: The text.
        exact: Whether a number with more digits than a float holds stays text.
        names: Whether an error may name a key.
        depth: How many lists and objects may be inside each other.

    Raises:
        InvalidArguments: broken JSON, NaN or Infinity, a number beyond all floats, a key twice in one object, or too
            deep.
    """
    try:
        value = _DECODERS[exact].decode(text)
    except RecursionError:
        raise InvalidArguments(_TOO_DEEP.format(depth)) from None
    except _Twice as twice:
        which = f"the key {cut(twice.key, _NAME_CHARS)!r}" if names else "a key"
        raise InvalidArguments(f"The arguments are not valid JSON: {which} is there twice") from None
    except json.JSONDecodeError as error:
        raise InvalidArguments(f"The arguments are not valid JSON: {error}") from None
    except ValueError as error:
        words = "a number has too many digits" if "digits" in str(error) else str(error)
        raise InvalidArguments(f"The arguments are not valid JSON: {words}") from None
    level = [value]
    for _ in range(depth):
        level = [each for each in _inside(level) if isinstance(each, dict | list)]
        if not level:
            return value
    raise InvalidArguments(_TOO_DEEP.format(depth))


def depth_for(schema: Mapping[str, Any]) -> int:
    """How deep the JSON for a schema may be, so that validating it takes no long.

    Where a union of objects holds itself, every choice is tried at every level: three choices at 20 levels are 3.5
    billion tries. (A union with a discriminator is a `oneOf`, and tries one.)
    """
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    refers = {name: set(_REFERENCE.findall(json.dumps(each))) for name, each in definitions.items()}
    choices = max((_choices(each) for name, each in definitions.items() if _holds(name, name, refers)), default=1)
    return DEPTH if choices < 2 else max(4, int(log(_TRIES) / log(choices)))


_REFERENCE = re.compile(r'"\$ref": "#/\$defs/([^"]*)"')


def _holds(name: str, other: str, refers: Mapping[str, set[str]]) -> bool:
    """Whether a definition has another one somewhere in it."""
    found, fresh = set[str](), {name}
    while fresh:
        found |= (fresh := set().union(*(refers.get(each, set()) for each in fresh)) - found)
    return other in found


def _choices(schema: Any) -> int:
    """How many objects the largest union in a schema has to choose from."""
    if not isinstance(schema, dict):
        return max((_choices(each) for each in schema), default=1) if isinstance(schema, list) else 1
    union = ["object" if "$ref" in each else each.get("type") for each in schema.get("anyOf", ())]
    alike = max(union.count("object"), union.count("array"))
    return max([1, alike, *(_choices(each) for each in schema.values())])


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


def as_json(default: object) -> Any:
    """A default in JSON.

    Raises:
        PydanticSerializationError: it has no place there: it is infinite, or of a type of its own.
    """
    if default is None or type(default) in (bool, int, str):
        return default
    try:
        value = to_jsonable_python(sorted(default, key=repr) if isinstance(default, frozenset) else default)
        json.dumps(value, allow_nan=False)
    except Exception as error:  # whatever an object of somebody's own does when looked at
        raise PydanticSerializationError(type(error).__name__) from error
    return value

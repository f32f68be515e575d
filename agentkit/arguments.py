"""The arguments of one call: the JSON text a model wrote -> what to call the function with, or words on what is wrong.

`schema.describe` builds an `Arguments` once for a function; every call goes through its `bind`.
"""

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from pydantic_core import ErrorDetails, ValidationError, to_json

from .errors import InvalidArguments

DEPTH = 64
"""How many lists and objects may be inside each other."""

_PROBLEMS_SHOWN = 10
_NAME_CHARS = 100
_MESSAGE_CHARS = 200
_VALUE_CHARS = 60
_FORM_CHARS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """How the arguments of one function are read, checked and handed over."""

    tool: str
    validate: Callable[[str], dict[str, Any]]
    """JSON text -> values of the function's types by parameter. Raises pydantic's ValidationError."""
    properties: Mapping[str, Any]
    """The JSON Schema of each parameter that the model sees."""
    secrets: frozenset[str]
    """Parameters whose values appear in no error."""
    context: Sequence[str]
    """Parameters that receive the context."""
    positional: Sequence[str]
    """Parameters that go by position. Where one has a default, `validate` fills it in."""
    rest: str | None
    """The parameter `*rest`."""
    careful: bool
    """Whether the text is read strictly before it is validated, and not only where it looks doubtful.

    Needed where `validate` adds defaults (so that keys cannot be counted), or where a float would lose digits.
    """

    repair: bool = False
    """Whether a Markdown fence or words around the object are taken away."""

    def bind(self, arguments: str | bytes, context: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments to call the function with.

        Raises:
            InvalidArguments: the text is not one strict JSON object, or does not fit the schema.
        """
        values = self._validated(_object_text(arguments))
        for name in self.context:
            values[name] = context
        positional = [values.pop(name) for name in self.positional]
        if self.rest is not None:
            positional += values.pop(self.rest, ())
        return tuple(positional), values

    def read(self, arguments: str | bytes) -> dict[str, Any]:
        """The JSON object as the model wrote it, not validated.

        Raises:
            InvalidArguments: the text is not one strict JSON object.
        """
        value = strict(_object_text(arguments))
        if not isinstance(value, dict):
            raise InvalidArguments(f"The arguments of {self.tool!r} are not one JSON object")
        return value

    def _validated(self, text: str) -> dict[str, Any]:
        if self.careful:
            text = json.dumps(strict(text))
        try:
            values = self.validate(text)
        except ValidationError as error:
            raise InvalidArguments(self._explained(error, text)) from None
        if not self.careful and _is_doubtful(text, len(values)):
            strict(text)
        return values

    def _explained(self, error: ValidationError, text: str) -> str:
        """A line for each place where something is wrong: the path, the problem, the value, the form expected."""
        problems = error.errors(include_url=False, include_context=False)
        if not problems[0]["loc"]:
            return f"The arguments of {self.tool!r} are not one JSON object: {problems[0]['msg']}"
        given = strict(text)
        found: dict[str, dict[str, None]] = {}
        for problem in problems[:_PROBLEMS_SHOWN]:
            path, words = self._problem(problem, given)
            found.setdefault(path, {})[words] = None
        lines = [f"- {path}: {'; or: '.join(words)}{self._form(path)}" for path, words in found.items()]
        if len(problems) > _PROBLEMS_SHOWN:
            lines.append(f"- and {len(problems) - _PROBLEMS_SHOWN} more")
        return "\n".join([f"The arguments do not fit {self.tool!r}:", *lines])

    def _problem(self, problem: ErrorDetails, given: Any) -> tuple[str, str]:
        """Where the problem is, and what it is."""
        name = str(problem["loc"][0])
        if name not in self.properties:
            return _cut(name, _NAME_CHARS), f"there is no such argument; {self._nearest(name)}"
        if name in self.secrets:
            return name, "does not fit"
        *outer, last = problem["loc"]
        if problem["type"] == "missing":
            return _shown(_path(outer, given) + _step(last)), "is missing"
        words = _cut(" ".join(problem["msg"].split()), _MESSAGE_CHARS)
        return _shown(_path(problem["loc"], given)), words + _got(problem["input"])

    def _nearest(self, name: str) -> str:
        if near := difflib.get_close_matches(name[:_NAME_CHARS], self.properties):
            return f"did you mean {' or '.join(map(repr, near))}?"
        return f"there are only {', '.join(map(repr, self.properties))}" if self.properties else "there are none"

    def _form(self, path: str) -> str:
        """The form expected of a parameter, if `path` is one and a line has room for it."""
        schema = self.properties.get(path, {})
        form = json.dumps({k: v for k, v in schema.items() if k not in _NOT_FORM}, ensure_ascii=False)
        return f"; expected: {form}" if schema and "$ref" not in form and len(form) <= _FORM_CHARS else ""


_NOT_FORM = ("description", "default", "examples", "title")


def strict(text: str) -> Any:
    """JSON text -> its value, if every reader of JSON would read the same. A float too long for Python stays text.

    Raises:
        InvalidArguments: broken JSON, NaN or Infinity, a key twice in one object, or more levels than `DEPTH`.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise InvalidArguments(_TOO_DEEP) from None
    except ValueError as error:
        raise InvalidArguments(f"The arguments are not valid JSON: {error}") from None
    level = [value]
    for _ in range(DEPTH):
        level = [each for each in _inside(level) if isinstance(each, dict | list)]
        if not level:
            return value
    raise InvalidArguments(_TOO_DEEP)


_TOO_DEEP = f"The arguments are too deep: more than {DEPTH} lists and objects inside each other"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {_cut(twice, _NAME_CHARS)!r} is there twice")
    return values


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _exact(digits: str) -> float | str:
    number = float(digits)
    if len(digits) <= 15 and "e" not in digits.lower():
        return number
    try:
        return number if Decimal(digits) == Decimal(repr(number)) else digits
    except InvalidOperation:  # an exponent beyond all limits
        return digits


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_exact)


def _inside(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value


def _is_doubtful(text: str, keys: int) -> bool:
    """Whether `strict` could refuse JSON text that pydantic has read as one object with so many known keys.

    As many colons as keys: no key is there twice, and no other object is inside. This is cheap, and most calls are so.
    """
    return text.count(":") != keys or text.count("[") >= DEPTH or "NaN" in text or "Infinity" in text


def _object_text(arguments: str | bytes) -> str:
    """The text of the one object: nothing and `null` stand for {}, and an object inside a string is taken out, once."""
    try:
        text = (arguments if isinstance(arguments, str) else arguments.decode()).strip()
    except UnicodeDecodeError:
        raise InvalidArguments("The arguments are not valid JSON: they are not UTF-8 text") from None
    if text in ("", "null"):
        return "{}"
    if text.startswith('"') and (inner := strict(text)).lstrip().startswith("{"):
        return str(inner)
    return text


def _path(loc: Iterable[Any], given: Any) -> str:
    """`.items[2].price`. Steps that are not in the arguments (pydantic's names of a union's choices) are left out."""
    path = ""
    for step in loc:
        if (isinstance(given, dict) and step in given) or (isinstance(given, list) and step in range(len(given))):
            path += _step(step)
            given = given[step]
    return path


def _step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _shown(path: str) -> str:
    return _cut(path.removeprefix("."), _NAME_CHARS)


def _got(value: Any) -> str:
    """The value, unless it is long."""
    text = to_json(value, fallback=repr).decode()
    return f", got {text}" if len(text) <= _VALUE_CHARS else ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

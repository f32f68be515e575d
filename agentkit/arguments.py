"""The arguments of one call: the JSON text a model wrote -> what to call the function with, or words on what is wrong.

`schema.describe` builds an `Arguments` once for a function; every call goes through its `bind`.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import ErrorDetails, ValidationError, to_json

from .errors import InvalidArguments
from .mend import Mender, takes_anything
from .strict_json import DEPTH, cut, is_doubtful, is_too_large, object_text, read

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
    """Whether a Markdown fence or words around the object are taken away, and a string around a list or an object."""
    schema: Mapping[str, Any] = field(default_factory=dict)
    """The JSON Schema of all of them."""
    depth: int = DEPTH
    """How many lists and objects may be inside each other."""
    takes_anything: bool = field(init=False)
    """Whether some value may be any JSON."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes_anything", bool(self.schema) and takes_anything(self.schema))

    def bind(self, arguments: str | bytes, context: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The positional and keyword arguments to call the function with.

        Raises:
            InvalidArguments: the text is not one strict JSON object, or does not fit the schema.
        """
        values = self.named(arguments)
        for name in self.context:
            values[name] = context
        positional = [values.pop(name) for name in self.positional]
        if self.rest is not None:
            positional += values.pop(self.rest, ())
        return tuple(positional), values

    def named(self, arguments: str | bytes) -> dict[str, Any]:
        """The arguments by parameter, as the function's types; what the model left out is not there.

        Raises:
            InvalidArguments: see `bind`.
        """
        return self._validated(object_text(arguments, repair=self.repair))

    def read(self, arguments: str | bytes) -> dict[str, Any]:
        """The JSON object as the model meant it, not validated: what it left out by null is not there.

        Raises:
            InvalidArguments: the text is not one strict JSON object.
        """
        value, _ = self._meant(object_text(arguments, repair=self.repair))
        if not isinstance(value, dict):
            raise InvalidArguments(f"The arguments of {self.tool!r} are not one JSON object")
        return value

    def _validated(self, text: str) -> dict[str, Any]:
        is_read = self.careful or self.repair or self.depth < DEPTH or "null" in text
        if is_read:
            value, changed = self._meant(text)
            text = json.dumps(value) if changed or self.careful else text
        values, wrong = dict[str, Any](), ""
        try:
            values = self.validate(text)
        except ValidationError as error:
            wrong = self._explained(error, text)
        if wrong:  # not while pydantic's error is at hand: it holds what was sent, secrets and all
            raise InvalidArguments(wrong)
        if not is_read and (is_doubtful(text, len(values)) or (self.takes_anything and is_too_large(text))):
            self._read(text)
        return values

    def _meant(self, text: str) -> tuple[Any, bool]:
        """The value of JSON text as the model meant it, and whether it wrote it otherwise."""
        value = self._read(text)
        mender = Mender(definitions=self.schema.get("$defs", {}), repair=self.repair)
        mender.mend(value, [self.schema])
        return value, mender.changed

    def _read(self, text: str) -> Any:
        try:
            return read(text, exact=self.careful, names=not self.secrets, depth=self.depth)
        except InvalidArguments as error:
            raise InvalidArguments(self._misfit(text) or str(error)) from None

    def _misfit(self, text: str) -> str:
        """What is around the one object, and should not be."""
        if "{" not in text or text[0] in '{["':
            return ""
        what = "are in a Markdown fence" if "```" in text else "have something before the JSON object"
        return f"The arguments of {self.tool!r} {what}; send nothing but the object: {self._example()}"

    def _example(self) -> str:
        """What the object looks like, where a line has room for it."""
        names = self.schema.get("required") or self.properties
        shown = {name: _PLACEHOLDERS.get(self.properties[name].get("type"), "...") for name in names}
        text = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {form}" for name, form in shown.items())
        return f"{{{text}}}" if len(text) <= _FORM_CHARS else "{...}"

    def _explained(self, error: ValidationError, text: str) -> str:
        """A line for each place where something is wrong: the path, the problem, the value, the form expected."""
        problems = error.errors(include_url=False, include_context=False)
        if not problems[0]["loc"]:
            wrong = f"The arguments of {self.tool!r} are not one JSON object: {problems[0]['msg']}"
            return self._misfit(text) or f"{wrong}; send {self._example()}"
        given = self._read(text)
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
            return _shown(_step(name)) or "''", f"there is no such argument; {self._nearest(name)}"
        if name in self.secrets:
            return name, "does not fit"
        *outer, last = problem["loc"]
        if problem["type"] == "missing":
            return _shown(_path(outer, given) + _step(last)), "is missing"
        words = cut(" ".join(problem["msg"].split()), _MESSAGE_CHARS) + _got(problem["input"])
        if problem["type"] in _HOLDERS and str(problem["input"]).lstrip().startswith(("[", "{")):
            words += "; send it as JSON, not inside a string"
        return _shown(_path(problem["loc"], given)), words

    def _nearest(self, name: str) -> str:
        if near := difflib.get_close_matches(name[:_NAME_CHARS], self.properties):
            return f"did you mean {' or '.join(map(repr, near))}?"
        return f"there are only {', '.join(map(repr, self.properties))}" if self.properties else "there are none"

    def _form(self, path: str) -> str:
        """The form expected of a parameter, if `path` is one and a line has room for it."""
        schema = self.properties.get(path, {})
        form = json.dumps({k: v for k, v in schema.items() if k not in _NOT_FORM}, ensure_ascii=False)
        return f"; expected: {form}" if schema and "$ref" not in form and len(form) <= _FORM_CHARS else ""


_HOLDERS = frozenset(
    f"{kind}_type"
    for kind in ("list", "dict", "set", "frozen_set", "tuple", "model", "dataclass", "model_attributes", "mapping")
)
_NOT_FORM = ("description", "default", "examples", "title")


_PLACEHOLDERS = {
    "string": '"..."',
    "integer": "1",
    "number": "1.5",
    "boolean": "true",
    "array": "[...]",
    "object": "{...}",
}


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
    text = cut(path.removeprefix("."), _NAME_CHARS)
    return text if text.isprintable() else json.dumps(text)


def _got(value: Any) -> str:
    """The value, unless it is long."""
    text = to_json(value, fallback=repr).decode()
    return f", got {text}" if len(text) <= _VALUE_CHARS else ""

"""Where two JSON values, or two recordings, are not the same."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .described import HIDDEN, is_set
from .recorder import Recording, Step

NOTHING = "nothing"
_LONGEST = 160
_BEFORE = 40
"""Characters shown before the place where two texts part."""
_ORDER = ("messages", "instructions", "tools", "output", "settings")
"""Of a model request, what is compared first."""
_ACCIDENTAL = frozenset(
    {"id", "call_id", "key", "state", "conversation", "usage", "usage_pending", "retries", "revision"}
)
"""What differs from run to run even where the same is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """The first place where two runs part."""

    step: str
    field: str
    """`given.messages[2].content`, `result.message.text` ..."""
    one: str
    """What the first has there, as JSON, or a piece of it."""
    other: str

    def __str__(self) -> str:
        return f"{self.step}, {self.field}:\n  A: {self.one}\n  B: {self.other}"


def difference(one: Any, other: Any, field: str = "") -> tuple[str, str, str] | None:
    """The first place where two JSON values differ, and what each has there; None if they are the same."""
    if type(one) is type(other):
        if isinstance(one, dict):
            return _of_objects(one, other, field)
        if isinstance(one, list):
            return _of_lists(one, other, field)
        if isinstance(one, str) and one != other:
            return None if _is_hidden_in(one, other) else (field, *_parting(one, other))
    return None if one == other and isinstance(one, bool) == isinstance(other, bool) else (field, *_shown(one, other))


def first_difference(one: Recording, other: Recording) -> Difference | None:
    """Where two recorded runs part: in what a step is, what goes in, what it comes to, or in how the run ends.

    Ids, the server's own state, usage and time are not compared.
    """
    for a, b in _pairs(one.steps, other.steps):
        if a is None or b is None or a.name != b.name:
            called = (a or b).called  # type: ignore[union-attr]
            return Difference(step=called, field="name", one=_name(a), other=_name(b))
        for field, x, y in (
            ("given", a.given, b.given),
            ("error", _words(a), _words(b)),
            ("result", _came_to(a), _came_to(b)),
        ):
            if found := difference(_essential(x), _essential(y), field):
                return Difference(step=a.called, field=found[0], one=found[1], other=found[2])
    if found := difference(_outcome(one), _outcome(other)):
        return Difference(step="the end", field=found[0], one=found[1], other=found[2])
    return None


def _pairs(one: Sequence[Step], other: Sequence[Step]) -> Iterator[tuple[Step | None, Step | None]]:
    """The steps of two runs by their numbers; a number may be missing where a program was killed."""
    left, right = ({step.number: step for step in steps} for steps in (one, other))
    for number in sorted(left.keys() | right.keys()):
        yield left.get(number), right.get(number)


def _name(step: Step | None) -> str:
    return NOTHING if step is None else step.name


def _came_to(step: Step) -> Any:
    """What a step returned; of one that stores, that is a revision, which means nothing."""
    return None if step.name == "session" else step.result


def _words(step: Step) -> Any:
    if step.cancelled:
        return "cancelled"
    return step.error and {"class": step.error.get("class"), "message": step.error.get("message")}


def _outcome(recording: Recording) -> dict[str, Any]:
    end = recording.end
    if end is None:
        return {"end": None}
    error = end.get("error") or {}
    return {"end": end["end"], "output": end.get("output"), "stopped_by": end.get("stopped_by")} | {
        name: error.get(name) for name in ("class", "message")
    }


def _essential(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {n: _essential(each) for n, each in value.items() if n not in _ACCIDENTAL and is_set(each)}
    return [_essential(each) for each in value] if isinstance(value, list) else value


def _of_objects(one: dict[str, Any], other: dict[str, Any], field: str) -> tuple[str, str, str] | None:
    for name in sorted(one.keys() | other.keys(), key=lambda name: _ORDER.index(name) if name in _ORDER else 99):
        place = f"{field}.{name}" if field else name
        if name not in one or name not in other:
            return place, _at(one, name), _at(other, name)
        if found := difference(one[name], other[name], place):
            return found
    return None


def _of_lists(one: list[Any], other: list[Any], field: str) -> tuple[str, str, str] | None:
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if found := difference(a, b, f"{field}[{number}]"):
            return found
    if len(one) == len(other):
        return None
    number = min(len(one), len(other))
    return f"{field}[{number}]", _at(dict(enumerate(one)), number), _at(dict(enumerate(other)), number)


def _is_hidden_in(one: str, other: str) -> bool:
    """Whether the first is the second but for what is hidden in it."""
    pieces = one.split(HIDDEN)
    return len(pieces) > 1 and re.fullmatch(".*".join(map(re.escape, pieces)), other, re.DOTALL) is not None


def _parting(one: str, other: str) -> tuple[str, str]:
    """Two texts around the place where they part."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = max(0, same - _BEFORE) if max(len(one), len(other)) > _LONGEST else 0
    return _piece(one, begin), _piece(other, begin)


def _piece(text: str, begin: int) -> str:
    piece = json.dumps(text[begin : begin + _LONGEST], ensure_ascii=False)
    return "..." * (begin > 0) + piece + "..." * (len(text) > begin + _LONGEST)


def _at(values: Mapping[Any, Any], place: object) -> str:
    return _short(values[place]) if place in values else NOTHING


def _shown(one: Any, other: Any) -> tuple[str, str]:
    return _short(one), _short(other)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

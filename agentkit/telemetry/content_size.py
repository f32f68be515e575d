"""How much of a value is shown: whatever it is, what comes out is JSON, and no larger than the room there is."""

import json
import math
from collections.abc import Mapping
from typing import Any

from .content_secrets import HIDDEN, MARGIN, Redactor, is_private, without_bytes

DEPTH = 16
"""Lists and objects inside each other: readers of protobuf give up at 100 messages, and each of these is three."""
_WORD = 200
_LEAST = 16
_SPARE = 60
"""Bytes for saying what was left out."""
_LARGEST_INT = 2**63


compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""A value as JSON text, as the conventions want it on spans."""


def bytes_of(value: Any) -> int:
    """How many bytes a value's JSON has."""
    if type(value) is str and value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return len(value) + 2
    return len(compact(value).encode())


def shown(text: str, limit: int, redact: Redactor) -> str:
    """A text without secrets; of one with more than `limit` characters, head and tail, and how much is left out."""
    text, half = redact.long(without_bytes(text)), limit // 2
    if len(text) <= limit + 4 * MARGIN:
        whole = redact(text)
        if len(whole) <= limit:
            return whole
        return f"{whole[:half]}\n… {len(whole) - 2 * half} characters omitted …\n{whole[len(whole) - half :]}"
    head = redact(text[: half + 2 * MARGIN])[:-MARGIN][:half]
    tail = redact(text[len(text) - half - 2 * MARGIN :])[MARGIN:]
    return f"{head}\n… {len(text) - 2 * half} characters omitted …\n{tail[max(0, len(tail) - half) :]}"


class Room:
    """Takes values in until there is no room left; then it says so in their place."""

    def __init__(self, left: int, text_chars: int, redact: Redactor) -> None:
        """Begin with `left` bytes."""
        self.left = left
        self._text_chars = text_chars
        self._redact = redact

    def text(self, text: str) -> str:
        """A text, as much of it as there is room for."""
        return self._taken(text, min(self._text_chars, self.left))

    def word(self, word: str) -> str:
        """A name or an id, which is short unless somebody makes a joke."""
        return self._taken(word, min(_WORD, self.left // 4))

    def value(self, value: Any, depth: int = DEPTH, *, hides: bool = True) -> Any:
        """A JSON value; what is none is told by its type.

        Args:
            value: The value.
            depth: How many lists and objects may be inside each other.
            hides: Whether what has the name of a secret is one.
        """
        match value:
            case None | bool():
                return self._counted(value)
            case str():
                return self.text(str.__str__(value))
            case int():
                value = int(value)
                return self._counted(value) if -_LARGEST_INT <= value < _LARGEST_INT else self.text(_digits(value))
            case float():
                value = float(value)
                return self._counted(value if math.isfinite(value) else str(value))
            case Mapping() | list() | tuple() if depth == 0:
                return self._counted("… too deep …")
            case Mapping():
                return self._mapping(value, depth - 1, hides)
            case list() | tuple():
                return self._list(value, depth - 1, hides)
            case bytes() | bytearray():
                return self._counted(f"… {len(value)} bytes omitted …")
        return self._counted(f"<{type(value).__name__}>")

    def _mapping(self, given: Mapping[Any, Any], depth: int, hides: bool) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        self.left -= 2
        for name, value in given.items():
            if self.left < _SPARE:
                taken[_free("…", taken)] = self._counted(f"{len(given) - len(taken)} more omitted")
                break
            name = str(name)
            is_hidden = hides and is_private(name) and not isinstance(value, bool | int | float | None)
            name = _free(self.word(name) or "…", taken)  # an empty name is dropped, with its value
            self.left -= 2
            taken[name] = self._counted(HIDDEN) if is_hidden else self.value(value, depth, hides=hides)
        return taken

    def _list(self, given: "list[Any] | tuple[Any, ...]", depth: int, hides: bool) -> list[Any]:
        taken: list[Any] = []
        self.left -= 2
        for value in given:
            if self.left < _SPARE:
                taken.append(self._counted(f"… {len(given) - len(taken)} more omitted …"))
                break
            self.left -= 1
            taken.append(self.value(value, depth, hides=hides))
        return taken

    def _taken(self, text: str, limit: int) -> str:
        limit = max(limit, _LEAST)
        told = shown(text, limit, self._redact)
        while (size := bytes_of(told)) > max(self.left, _SPARE) and limit > _LEAST:
            limit = max(_LEAST, min(limit - 1, limit * self.left // size - _SPARE))
            told = shown(text, limit, self._redact)
        self.left -= size
        return told

    def _counted(self, value: Any) -> Any:
        self.left -= bytes_of(value)
        return value


def _digits(value: int) -> str:
    return str(value) if value.bit_length() < 10_000 else f"a number of {value.bit_length()} bits"


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """A name that no other has: two may be the same when secrets are struck out of them."""
    if name not in taken:
        return name
    return next(each for number in range(2, len(taken) + 3) if (each := f"{name} {number}") not in taken)

"""Text from models and tools, made safe to show: it cannot move the cursor, colour or rename a terminal."""

import json
import re
from collections.abc import Collection

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 controls but tab and line feed, what turns the direction of text, and lone surrogates."""


def safe(text: str) -> str:
    r"""The text with its control characters written out, `\x1b` for escape; `\r\n` is a line's end like `\n`."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def readable(text: str) -> str:
    r"""The text with all that cannot be seen written out: for what a person decides on, it has no place to hide in."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def one_line(text: str, longest: int) -> str:
    """The text in one line of at most so many characters."""
    looked_at = text[: 4 * longest]
    line = safe(" ".join(looked_at.split()))
    return line if len(line) <= longest and looked_at == text else f"{line[: longest - 3]}..."


def arguments(text: str, secrets: Collection[str] = ()) -> str:
    """The JSON of a tool call's arguments as `sku="A-1", n=2`; what is no JSON object is shown as it is."""
    try:
        given = {name: json.dumps(value, ensure_ascii=False) for name, value in json.loads(text).items()}
    except (ValueError, AttributeError, RecursionError):
        return "***" if secrets else text
    return ", ".join(f"{readable(name)}={'***' if name in secrets else readable(given[name])}" for name in given)


def as_json(value: object) -> str:
    """The value as JSON, or what Python writes for it where there is none."""
    from pydantic_core import to_json

    try:
        return to_json(value, fallback=repr, inf_nan_mode="constants").decode()
    except (ValueError, RecursionError):
        return repr(value)


def duration(seconds: float) -> str:
    """`12 ms` or `1.4 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def count(number: int, noun: str) -> str:
    """`1 tool call`, `2 tool calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""Reads the form in which a file comes.

Source: RFC 7578, and RFC 2046 5.1 for what lies between its boundaries.
"""

import re
from dataclasses import dataclass

from agentkit.testing.refusal import Refusal

_BOUNDARY = re.compile(r'multipart/form-data\s*;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*', re.IGNORECASE)
_DISPOSITION = re.compile(
    r'content-disposition:\s*form-data\s*;\s*name="([^"]*)"(?:\s*;\s*filename="([^"]*)")?\s*', re.IGNORECASE
)
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field of a form."""

    content: bytes
    filename: str | None
    """If it is a file."""


def read_form(body: bytes, content_type: str) -> dict[str, Field]:
    """The fields of a form by name.

    Raises:
        Refusal: it is none, or it is damaged.
    """
    match = _BOUNDARY.fullmatch(content_type)
    if match is None:
        raise Refusal(f"Expected 'multipart/form-data' with a boundary, got {content_type!r}.")
    boundary = f"\r\n--{match[1] or match[2]}".encode()
    first, *parts = (b"\r\n" + body).split(boundary)
    if first or not parts or parts.pop().rstrip(b"\r\n") != b"--":
        raise Refusal("The form does not begin and end with its boundary.")
    return dict(_field(part) for part in parts)


def _field(part: bytes) -> tuple[str, Field]:
    head, gap, content = part.partition(b"\r\n\r\n")
    if not gap or not head.startswith(b"\r\n"):
        raise Refusal("A field of the form has no headers.")
    try:
        lines = head[2:].decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise Refusal("The headers of a form's field are not UTF-8.") from None
    found = [match for line in lines if (match := _DISPOSITION.fullmatch(line))]
    if len(found) != 1:
        raise Refusal(f"A field of the form needs one 'Content-Disposition' header with a name, in {lines!r}.")
    name, filename = found[0].groups()
    return name, Field(content=content, filename=None if filename is None else _unescaped(filename))


def _unescaped(name: str) -> str:
    return re.sub("%22|%0D|%0A", lambda match: _ESCAPES[match[0]], name)

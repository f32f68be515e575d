"""HTML, cut into tags and text as the standard says: what is not closed goes on to the end.

So each character is looked at once or twice, and there is no page that takes long. (Python's own parser has been slow
on some, and every version of it is another parser.)
"""

import html
import re
from collections.abc import Mapping
from typing import Protocol

_MAX_VALUE = 4000
_TAG = re.compile(r"</?([a-zA-Z][^\s/>]*+)")
_ATTRIBUTE = re.compile(
    r"""[\s/]*+(?:(?P<end>>)|(?P<name>[^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?P<value>"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+))?)"""
)
_QUOTE_NEXT = re.compile(r"\s*+=\s*+[\"']")
_COMMENT_END = re.compile(r"--!?>")
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9a-fA-F]{7,}+);?")
_ONLY_TEXT = frozenset(["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"])
_WANTED = frozenset(["href", "hidden", "aria-hidden", "style", "alt", "open", "start", "type"])


class Page(Protocol):
    """What is told of a page, from its beginning to its end."""

    def open(self, name: str, attributes: Mapping[str, str]) -> None:
        """A tag begins something; only some attributes are told."""

    def close(self, name: str) -> None:
        """A tag ends something, which may never have begun."""

    def raw(self, name: str, source: str) -> None:
        """The text of something in which there are no tags."""

    def say(self, text: str) -> None:
        """Text between tags."""


def read(source: str, page: Page) -> None:
    """Cut HTML into tags and text."""
    at, end = 0, len(source)
    while at < end:
        begin = source.find("<", at)
        if begin < 0:
            begin = end
        if begin > at:
            page.say(unescaped(source[at:begin]))
        at = begin
        if at == end:
            return
        tag = _TAG.match(source, at)
        if tag is None:
            at = _not_a_tag(source, at, page)
            continue
        name = tag[1].lower()
        found = _attributes(source, tag.end())
        if found is None:
            return
        attributes, at = found
        if tag[0].startswith("</"):
            page.close(name)
            continue
        page.open(name, attributes)
        if name in _ONLY_TEXT:
            stop = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(source, at)
            page.raw(name, source[at : stop.start() if stop else end])
            at = stop.start() if stop else end


def _not_a_tag(source: str, at: int, page: Page) -> int:
    """After a `<` that begins no tag: a comment, or itself."""
    if source.startswith("<!--", at):
        closed = _COMMENT_END.search(source, at + 2)
        return closed.end() if closed else len(source)
    if source.startswith(("<!", "<?", "</"), at):
        close = source.find(">", at)
        return close + 1 if close >= 0 else len(source)
    page.say("<")
    return at + 1


def _attributes(source: str, at: int) -> tuple[dict[str, str], int] | None:
    """The attributes of a tag that matter here, and where it ends; None if it does not."""
    found: dict[str, str] = {}
    while attribute := _ATTRIBUTE.match(source, at):
        at = attribute.end()
        if attribute["end"]:
            return found, at
        if attribute["value"] is None and _QUOTE_NEXT.match(source, at):
            return None
        name = attribute["name"].lower() if len(attribute["name"]) < 20 else ""
        if name in _WANTED and name not in found:
            value = attribute["value"] or ""
            value = value[1:-1] if value[:1] in ('"', "'") else value
            found[name] = unescaped(value[:_MAX_VALUE])
    return None


def unescaped(text: str) -> str:
    return html.unescape(_LONG_NUMBER.sub("\ufffd", text)) if "&" in text else text

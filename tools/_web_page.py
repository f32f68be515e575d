"""HTML to text that reads well: headings, paragraphs, lists, rows of tables, links with where they lead.

Who writes a page can put text into it that a reader does not see and a model would. Scripts, comments and what is
marked as hidden are left out; what only a style sheet hides cannot be told from other text.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin

from ._web_html import read, unescaped
from ._web_text import LINE_ENDS, cleaned

_SPACE = re.compile(r"[ \t\n\r\f\xa0]+")
_HIDDEN_STYLE = re.compile(
    r"display\s*+:\s*+none|visibility\s*+:\s*+(?:hidden|collapse)"
    r"|(?:opacity|font-size)\s*+:\s*+(?:0++(?:\.0*+)?|\.0++)(?![.\d])",
    re.IGNORECASE,
)
_ONLY_BARS = re.compile(r"[ |\n]++")
_BLANK_LINES = re.compile(r"\n{3,}")
_MAX_LINK = 2000
_MAX_LINKS = 10_000
_MAX_LINK_CHARS = 1_000_000
_MAX_STYLE = 2000
_MAX_TITLE = 300
_MAX_LOOK_UP = 64
_MAX_INDENT = 8

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_VOID, _NOT_READ, _PARAGRAPHS, _LINES = (
    frozenset(names.split())
    for names in (
        "area base br col embed hr img input link meta param source track wbr",
        "script style template svg canvas iframe object audio video select datalist noembed noframes textarea title "
        "xmp",
        "p h1 h2 h3 h4 h5 h6 ul ol dl table pre blockquote figure hr article section",
        "address aside body caption dd details dialog div dt fieldset figcaption footer form header legend li main nav "
        "option search summary tbody tfoot thead tr",
    )
)
_ENDED_BY: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    # a tag -> what it ends if that is open, unless something of these stands between
    "li": (frozenset(["li"]), frozenset(["ul", "ol", "table"])),
    **dict.fromkeys(["dt", "dd"], (frozenset(["dt", "dd"]), frozenset(["dl", "table"]))),
    **dict.fromkeys(["td", "th"], (frozenset(["td", "th"]), frozenset(["table"]))),
    "tr": (frozenset(["tr"]), frozenset(["table"])),
    **dict.fromkeys(["tbody", "thead", "tfoot"], (frozenset(["tbody", "thead", "tfoot"]), frozenset(["table"]))),
    "a": (frozenset(["a"]), frozenset(["table"])),
}
_ENDS_P = (frozenset(["p"]), frozenset(["table", "td", "th", "button", "li"]))


def text_of_html(source: str, url: str) -> tuple[str, str]:
    """The title of a page, and its text."""
    page = _Page(url)
    read(source, page)
    return " ".join(cleaned(page.title).split()), page.text()


class _Page:
    """A page as it is read: what is open, and the text so far."""

    def __init__(self, url: str) -> None:
        self.title = ""
        self._base = url
        self._has_base = False
        self._links = self._link_chars = 0
        self._open: list[_Element] = []
        self._names: Counter[str] = Counter()
        self._hidden = 0
        self._verbatim = 0
        self._lists: list[int | None] = []
        """The number of the next item, or None for bullets."""
        self._out: list[str] = []
        self._words = 0
        """How often something that can be seen was written."""
        self._gap = 0
        """How many line ends come before what is written next, and then `_prefix`."""
        self._prefix = ""
        self._cells = 0
        self._row_words = self._row_out = 0
        self._fresh_cell = False

    def text(self) -> str:
        """All of it."""
        while self._open:
            self._end()
        lines = (line.rstrip() for line in cleaned("".join(self._out)).split("\n"))
        return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")

    def open(self, name: str, attributes: Mapping[str, str]) -> None:
        """A tag begins something."""
        if name in _VOID:
            self._void(name, attributes)
            return
        if name in _ENDED_BY:
            self._end_last(*_ENDED_BY[name])
        if name in _PARAGRAPHS or name in _LINES:
            self._end_last(*_ENDS_P)
        hidden = name in _NOT_READ or _is_hidden(name, attributes)
        link = self._link(attributes.get("href", "")) if name == "a" and not self._hidden else ""
        self._open.append(_Element(name, hidden, link, self._words))
        self._names[name] += 1
        if hidden:
            self._hidden += 1
        elif not self._hidden:
            self._begin(name, attributes)

    def close(self, name: str) -> None:
        """A tag ends something, and whatever is still open in it."""
        if name == "br":
            self._void(name, {})
        if self._names[name]:
            while self._end() != name:
                pass

    def raw(self, name: str, source: str) -> None:
        """The text of something in which there are no tags."""
        if name == "title" and not self.title and not self._names["svg"]:
            self.title = unescaped(source[:_MAX_TITLE])

    def say(self, text: str) -> None:
        """Text between tags."""
        if self._hidden:
            return
        fresh = bool(self._gap) or not self._out
        if self._verbatim:
            text = LINE_ENDS.sub("\n", text)
            text = text.removeprefix("\n") if fresh else text
        else:
            text = _SPACE.sub(" ", text)
            text = text.lstrip(" ") if fresh or self._out[-1][-1] in " \n" else text
        if text:
            self._write(text)

    def _write(self, text: str) -> None:
        if self._gap and self._out and not self._fresh_cell:
            self._out.append("\n" * self._gap)
        if self._prefix:
            self._out.append(self._prefix)
        self._gap, self._prefix, self._fresh_cell = 0, "", False
        self._out.append(text)
        self._words += not _ONLY_BARS.fullmatch(text)

    def _void(self, name: str, attributes: Mapping[str, str]) -> None:
        if name == "base" and not self._has_base:
            self._base, self._has_base = _link(self._base, attributes.get("href", "")) or self._base, True
        elif self._hidden or _is_hidden(name, attributes):
            return
        elif name == "br" and self._verbatim:
            self.say("\n")
        elif name == "br":
            self._gap = min(self._gap + 1, 2)
        elif name == "hr":
            self._gap = 2
            self._write("---")
            self._gap = 2
        elif name == "img" and (alt := " ".join(attributes.get("alt", "").split())[:_MAX_TITLE]):
            self.say(f"[image: {alt}]")

    def _begin(self, name: str, attributes: Mapping[str, str]) -> None:
        self._gap = max(self._gap, self._gap_of(name))
        if name in ("ul", "ol"):
            start = attributes.get("start", "")
            number = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1
            self._lists.append(number if name == "ol" else None)
        elif name == "li":
            number_or_none = self._lists[-1] if self._lists else None
            if number_or_none is not None:
                self._lists[-1] = number_or_none + 1
            marker = "-" if number_or_none is None else f"{number_or_none}."
            self._prefix = "  " * min(len(self._lists) - 1, _MAX_INDENT) + f"{marker} "
        elif name in _HEADINGS:
            self._prefix = "#" * int(name[1]) + " "
        elif name == "sup" and self._out and not self._gap:
            self._prefix = "^"
        elif name == "pre":
            self._verbatim += 1
        elif name == "tr":
            self._gap = 1 if self._cells else self._gap
            self._cells, self._fresh_cell = 0, False
            self._row_words, self._row_out = self._words, len(self._out)
        elif name in ("td", "th"):
            if self._cells:
                self._next_cell()
            self._cells += 1

    def _next_cell(self) -> None:
        """A bar, in the line of the cells before it."""
        if self._words > self._row_words:
            self._gap = 0
        self._write("| " if self._gap or not self._out else " | ")
        self._fresh_cell = True

    def _end_last(self, names: frozenset[str], barriers: frozenset[str]) -> None:
        """End the innermost of these, if that is near and nothing stands between."""
        if any(self._names[name] for name in names):
            for element in reversed(self._open[-_MAX_LOOK_UP:]):
                if element.name in names:
                    self.close(element.name)
                    return
                if element.name in barriers:
                    return

    def _end(self) -> str:
        """End what was opened last."""
        element = self._open.pop()
        self._names[element.name] -= 1
        if element.hidden:
            self._hidden -= 1
        elif not self._hidden:
            self._finish(element)
        return element.name

    def _link(self, href: str) -> str:
        """Where a link leads. Many long ones would make a page far longer than it is, so there is an end to that."""
        if self._links >= _MAX_LINKS or self._link_chars >= _MAX_LINK_CHARS:
            return ""
        link = _link(self._base, href)
        self._links += 1
        self._link_chars += len(link)
        return link

    def _finish(self, element: "_Element") -> None:
        if element.link and self._words > element.words and self._out[-1].strip() != element.link:
            last = self._out[-1]
            self._out[-1] = last.rstrip(" ")
            self._out.append(f" ({element.link})" + " " * last.endswith(" "))
        if element.name in ("ul", "ol"):
            self._lists.pop()
        elif element.name == "pre":
            self._verbatim -= 1
        elif element.name in ("li", "sup", *_HEADINGS):
            self._prefix = ""
        elif element.name == "tr" and self._words == self._row_words:
            del self._out[self._row_out :]  # a row of empty cells
        self._gap = max(self._gap, self._gap_of(element.name))

    def _gap_of(self, name: str) -> int:
        """How many line ends stand before and after it."""
        if name in _PARAGRAPHS:
            return 1 if self._lists and name in ("ul", "ol", "p") else 2
        return 1 if name in _LINES else 0


class _Element(NamedTuple):
    """What is open."""

    name: str
    hidden: bool
    link: str
    words: int
    """How much had been written before it."""


def _is_hidden(name: str, attributes: Mapping[str, str]) -> bool:
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden", "").lower() == "true"
        or (name == "dialog" and "open" not in attributes)
        or _HIDDEN_STYLE.search(attributes.get("style", "")[:_MAX_STYLE]) is not None
    )


def _link(base: str, href: str) -> str:
    """Where a link leads, if that is elsewhere and on the web."""
    href = "".join(href.split())
    if not href or href.startswith("#"):
        return ""
    try:
        link = urljoin(base, href)
    except ValueError:
        return ""
    web = link.lower().startswith(("http://", "https://", "mailto:"))
    return link if web and len(link) <= _MAX_LINK and link.isprintable() else ""

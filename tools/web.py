"""Web: reading a page, or finding words in it, on the public web and nowhere else.

`load_tools("web")` reaches all public hosts, `Web(allow=("docs.python.org",)).tools` the ones you name. What an address
may be, and where a request may go, is in `_web_address.py` and `_web_http.py`: not to this machine, not to its
networks, not to a cloud's metadata, whatever a host's name resolves to and wherever it redirects.

A model that has read something secret can tell it to any host that it may ask, in the address. If it has secrets to
keep, name the hosts. And a page says what its writer wants: treat what it asks for as you would a stranger's wish.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio.to_thread

from agentkit import ToolFailed, tool

from ._web_address import shown
from ._web_http import Reach, Response
from ._web_page import text_of_html
from ._web_text import cleaned, decoded

_HTML = ("text/html", "application/xhtml+xml")
_TEXT = re.compile(
    r"text/.+|.+[+/](json|xml)|application/(x-)?(javascript|ecmascript|yaml|toml|sql|ndjson|jsonl|json5)"
)
_CHARSET = re.compile(r"""charset\s{0,9}=\s{0,9}["']?([\w.:-]{1,40})""", re.IGNORECASE)
_BEGINS_AS_HTML = re.compile(r"\s{0,99}<(!doctype html|html|head|body)\b", re.IGNORECASE)
_MAX_WANTED = 200
_MAX_FOUND = 20
_AROUND = 200


@dataclass(frozen=True, kw_only=True)
class Web(Reach):
    """Tools that read web pages: `Agent(tools=Web(allow=("docs.python.org",)).tools)`."""

    chars: int = 20_000
    """How much of a page a call returns; the model can read on from there."""

    @property
    def tools(self) -> list[Callable[..., Awaitable[str]]]:
        """The tools, for an agent."""
        return [self.fetch_page, self.find_in_page]

    @tool(effects="external", idempotent=True)
    async def fetch_page(self, url: str, offset: int = 0) -> str:
        """Read a page of the web, as text.

        Args:
            url: The whole address, such as https://example.com/page.
            offset: The character to start from, to read on in a long page.
        """
        page = await self._page(url)
        if not 0 <= offset <= len(page.text):
            raise ToolFailed(f"offset {offset} is outside the page; it has {len(page.text)} characters")
        end = len(page.text)
        if end - offset > self.chars:
            end = offset + self.chars
            near = end - self.chars // 10
            end = page.text.rfind("\n", near, end) + 1 or page.text.rfind(" ", near, end) + 1 or end
        lines = [page.heading, "", page.text[offset:end] or "[there is no text on the page]"]
        if end < len(page.text):
            lines.append(f"[cut at character {end} of {len(page.text)}; read on with offset={end}]")
        elif not page.complete:
            lines.append(f"[the page goes on; only its first {self.max_bytes} bytes can be read]")
        return "\n".join(lines)

    @tool(effects="external", idempotent=True)
    async def find_in_page(self, url: str, text: str) -> str:
        """Find words in a page of the web, and what stands around them.

        Args:
            url: The whole address, such as https://example.com/page.
            text: The words to find, next to each other; capitals and small letters are the same.
        """
        words = text.split()
        if not words or len(text) > _MAX_WANTED:
            raise ToolFailed(f"text must be a word or a few, at most {_MAX_WANTED} characters")
        page = await self._page(url)
        lines, shown_to = [page.heading, ""], 0
        for found in re.finditer(r"\s++".join(map(re.escape, words)), page.text, re.IGNORECASE):
            if found.start() < shown_to:
                continue
            if len(lines) > _MAX_FOUND + 1:
                lines.append("[there is more; write rarer words]")
                break
            start, shown_to = max(0, found.start() - _AROUND), found.end() + _AROUND
            lines.append(f"offset {found.start()}: {' '.join(page.text[start:shown_to].split())}")
        if not shown_to:
            lines.append("[nothing found]")
        if not page.complete:
            lines.append(f"[the page goes on; only its first {self.max_bytes} bytes can be read]")
        return "\n".join(lines)

    async def _page(self, url: str) -> "_Page":
        response = await self.get(url, _must_be_text)
        return await anyio.to_thread.run_sync(_read, response)


fetch_page, find_in_page = Web().fetch_page, Web().find_in_page


@dataclass(frozen=True, kw_only=True, slots=True)
class _Page:
    heading: str
    """Its address, and its title if it has one."""
    text: str
    complete: bool


def _read(response: Response) -> _Page:
    kind, charset = _type(response.headers)
    text = decoded(response.body, charset)
    if "\0" in text[:4096]:
        raise ToolFailed(f"{shown(response.url)} is called text and is none, it cannot be read; use another page")
    heading = f"Page: {response.url}"
    if kind in _HTML or (not kind and _BEGINS_AS_HTML.match(text)):
        title, text = text_of_html(text, response.url)
        heading += f"\nTitle: {title}" * bool(title)
    return _Page(heading=heading, text=cleaned(text), complete=response.complete)


def _type(headers: Mapping[str, str]) -> tuple[str, str]:
    """What a page is, and in which letters it is written, as its header says."""
    said = headers.get("content-type", "")
    charset = _CHARSET.search(said)
    return said.partition(";")[0].strip().lower(), charset[1] if charset else ""


def _must_be_text(url: str, headers: Mapping[str, str]) -> None:
    kind, _ = _type(headers)
    if kind and not _TEXT.fullmatch(kind):
        length = headers.get("content-length", "")
        size = (
            f"{int(length)} bytes" if length.isascii() and length.isdigit() and len(length) < 20 else "of unknown size"
        )
        raise ToolFailed(f"{shown(url)} is {shown(kind)}, {size}, which is not read; use a page in HTML, JSON or text")

"""The process that reads one PDF, Word document or HTML page: started by path, and imported by nobody.

Such files are made by strangers, and the libraries that read them were not made for that: here they may take only so
much memory and time, and whoever started this ends it. In: the file's path, and how many bytes of text at most.
Out: the text in UTF-8; or, with exit code 3, why there is none.
"""

import codecs
import logging
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any

_PAGES = 5_000
_UNPACKED = 256 * 2**20
_MEMORY = 2**30
_SECONDS = 60


_SILENT = frozenset({"script", "style", "template", "noscript", "svg"})
_BREAKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
        "header hr li main nav ol p pre section table title tr ul",
    )
)
_HEADINGS = {f"h{n}": "#" * n + " " for n in range(1, 7)}


class Unreadable(Exception):
    """There is no text to be had, and why."""


def pdf(path: str) -> Iterator[str]:
    """The text of each page."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("The PDF needs a password.")
        if len(reader.pages) > _PAGES:
            raise Unreadable(f"The PDF has more than {_PAGES} pages.")
        for page in reader.pages:
            yield page.extract_text() + "\n\n"
    except Unreadable:
        raise
    except Exception as error:  # what a broken file leads to is of any kind
        raise Unreadable(f"The PDF cannot be read: {type(error).__name__}.") from None


def docx(path: str) -> Iterator[str]:
    """The text of each paragraph and of each row of a table."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > _UNPACKED:
                raise Unreadable("The document would take too much memory when it is unpacked.")
        yield from _blocks(_opened(path))
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(f"The document cannot be read: {type(error).__name__}.") from None


def _opened(path: str) -> Any:
    import docx as library

    return library.Document(path)


def _blocks(document: Any) -> Iterator[str]:
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            for row in block.rows:
                yield " | ".join(cell.text for cell in row.cells) + "\n"
            yield "\n"
        else:
            level = block.style.name if block.style is not None else ""
            yield ("# " if level.startswith("Heading") else "") + block.text + "\n\n"


class _Words(HTMLParser):
    """What a page says, with a line for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._silent = 0
        self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        self._verbatim += tag == "pre"
        if tag in _BREAKS:
            self.said.append("\n" if tag in ("br", "tr", "li") else "\n\n")
        if tag in ("td", "th"):
            self.said.append(" | ")
        self.said.append("- " if tag == "li" else _HEADINGS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(self._silent - (tag in _SILENT), 0)
        self._verbatim = max(self._verbatim - (tag == "pre"), 0)
        if tag in _BREAKS and tag not in ("li", "tr"):
            self.said.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            spaced = data[:1].isspace() * " " + " ".join(data.split()) + data[-1:].isspace() * " "
            self.said.append(data if self._verbatim else spaced)


def html(path: str) -> Iterator[str]:
    """What a page says."""
    with open(path, "rb") as file:
        text = _decoded(file.read())
    page = _Words()
    page.feed(text)
    page.close()
    lines = [line.rstrip() for line in "".join(page.said).split("\n")]
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1]):
            kept.append(line if line.startswith("    ") else line.lstrip())
    yield "\n".join(kept).strip()


def _decoded(data: bytes) -> str:
    """A page's text; what it says of its encoding counts where it is no UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8-sig")
    said = re.search(rb"charset=[\"']?([\w.:-]{1,40})", data[:4096])
    with suppress(LookupError, UnicodeDecodeError):
        return data.decode(said.group(1).decode() if said else "cp1252")
    return data.decode("cp1252", "replace")


def _limit() -> None:
    with suppress(ImportError):
        import resource

        for kind, limit in {"RLIMIT_AS": _MEMORY, "RLIMIT_CPU": _SECONDS, "RLIMIT_CORE": 0}.items():
            with suppress(OSError, ValueError, AttributeError):  # macOS refuses some
                resource.setrlimit(getattr(resource, kind), (limit, limit))


def main() -> None:
    """Read the file that the command names."""
    kind, path, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
    _limit()
    out, written = sys.stdout.buffer, 0
    try:
        for piece in {"pdf": pdf, "docx": docx, "html": html}[kind](path):
            encoded = piece.encode("utf-8", "replace")
            written += len(encoded)
            if written > most:
                raise Unreadable(f"The file has more than {most} bytes of text.")
            out.write(encoded)
        out.flush()
    except (Unreadable, MemoryError) as error:
        sys.stderr.write(str(error) or "The file takes too much memory.")
        sys.stderr.flush()
        os._exit(3)


if __name__ == "__main__":
    main()

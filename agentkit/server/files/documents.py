"""A file -> its text: plain text of any kind, HTML, PDF, Word documents."""

import codecs
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Literal

import anyio
import anyio.to_thread
from anyio.abc import Process

Code = Literal["server_error", "unsupported_file", "invalid_file"]

_MAX_TEXT = 40 * 2**20
"""Bytes of text that one file may have."""
_SECONDS = 90.0
"""How long a document may take to be read."""
_READER = str(Path(__file__).with_name("read_document.py"))
_HTML = (".html", ".htm", ".xhtml")
_SILENT = frozenset({"script", "style", "template", "noscript", "svg"})
_BREAKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
        "header hr li main nav ol p pre section table title tr ul",
    )
)
_HEADINGS = {f"h{n}": "#" * n + " " for n in range(1, 7)}


class Unread(Exception):
    """A file has no text that can be read."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code


async def text_of(filename: str, pieces: AsyncIterator[bytes]) -> str:
    """A file's text.

    Raises:
        Unread: it has none, and why.
    """
    with tempfile.TemporaryFile() if sys.platform == "win32" else tempfile.NamedTemporaryFile() as kept:
        async for piece in pieces:
            await anyio.to_thread.run_sync(kept.write, piece)
        kept.flush()
        kind = await anyio.to_thread.run_sync(_kind, kept, filename)
        if kind in ("pdf", "docx"):
            text = await _elsewhere(kind, kept.name)
        else:
            text = await anyio.to_thread.run_sync(_plain, kept, kind)
    if not text.strip():
        raise Unread("invalid_file", "The file has no text in it.")
    return text.replace("\0", "")


def _kind(file: IO[bytes], filename: str) -> str:
    file.seek(0)
    start = file.read(1024)
    if b"%PDF-" in start:
        return "pdf"
    if start.startswith(b"PK\3\4"):
        file.seek(0)
        with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError), zipfile.ZipFile(file) as archive:
            if "word/document.xml" in archive.namelist():
                return "docx"
        if not filename.lower().endswith(".docx"):
            raise Unread("unsupported_file", "The file is an archive, which cannot be read; unpack it first.")
        raise Unread("invalid_file", "The document cannot be read: it is no Word document.")
    opening = start.lstrip().lower()
    return "html" if filename.lower().endswith(_HTML) or opening.startswith((b"<!doctype html", b"<html")) else "text"


def _plain(file: IO[bytes], kind: str) -> str:
    file.seek(0, io.SEEK_END)
    if file.tell() > _MAX_TEXT:
        raise Unread("invalid_file", f"The file has more than {_MAX_TEXT} bytes of text.")
    file.seek(0)
    text = _decoded(file.read())
    return _without_tags(text) if kind == "html" else text


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        with suppress(UnicodeDecodeError):
            return data.decode("utf-16")
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8-sig")
        if not _is_binary(data):
            return text
    if not _is_binary(data):
        with suppress(UnicodeDecodeError):
            return data.decode("cp1252")
    raise Unread("unsupported_file", "The file is neither text nor a PDF, a Word document or HTML.")


def _is_binary(data: bytes) -> bool:
    """Whether there are bytes in it that no text has."""
    sample = data[: 2**16]
    odd = sum(byte < 32 and byte not in b"\t\n\r\f\b\x1b" for byte in sample)
    return b"\0" in sample or odd > len(sample) // 100


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


def _without_tags(text: str) -> str:
    page = _Words()
    page.feed(text)
    page.close()
    lines = [line.rstrip() for line in "".join(page.said).split("\n")]
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1]):
            kept.append(line if line.startswith("    ") else line.lstrip())
    return "\n".join(kept).strip()


async def _elsewhere(kind: str, path: str) -> str:
    """The text of a document that is read in a process of its own."""
    command = [sys.executable, "-I", "-X", "utf8", _READER, kind, path, str(_MAX_TEXT)]
    with anyio.move_on_after(_SECONDS):
        async with await anyio.open_process(command, stdin=subprocess.DEVNULL) as process:
            try:
                return await _said(process)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
    raise Unread("invalid_file", f"The file took longer than {_SECONDS:g} seconds to read.")


async def _said(process: Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    said = bytearray()
    async for piece in process.stdout:
        said += piece
    why = b""
    async for piece in process.stderr:
        why = (why + piece)[-2000:]
    await process.wait()
    if process.returncode == 3:
        raise Unread("invalid_file", why.decode(errors="replace"))
    if process.returncode == 0:
        return said.decode(errors="replace")
    if b"ModuleNotFoundError" in why:
        raise Unread("server_error", "This server cannot read such files; tell its owner to install agentkit[server].")
    raise Unread("invalid_file", "The file cannot be read: reading it took too much memory or time.")

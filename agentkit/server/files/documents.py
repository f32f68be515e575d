"""A file -> its text: plain text of any kind, HTML, PDF, Word documents."""

import codecs
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

import anyio
import anyio.to_thread
from anyio.abc import Process

Code = Literal["server_error", "unsupported_file", "invalid_file"]

_MAX_TEXT = 40 * 2**20
"""Bytes of text that one file may have."""
_SECONDS = 30.0
"""How long a document may take to be read."""
_READER = str(Path(__file__).with_name("read_document.py"))
_HTML = (".html", ".htm", ".xhtml")


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
        if kind == "text":
            text = await anyio.to_thread.run_sync(_plain, kept)
        else:
            text = await _elsewhere(kind, kept.name)
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


def _plain(file: IO[bytes]) -> str:
    file.seek(0, io.SEEK_END)
    if file.tell() > _MAX_TEXT:
        raise Unread("invalid_file", f"The file has more than {_MAX_TEXT} bytes of text.")
    file.seek(0)
    return _decoded(file.read())


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


async def _elsewhere(kind: str, path: str) -> str:
    """The text of a document that is read in a process of its own."""
    command = [sys.executable, "-I", "-X", "utf8", _READER, kind, path, str(_MAX_TEXT)]
    with anyio.move_on_after(_SECONDS):
        environment = {name: os.environ[name] for name in ("SYSTEMROOT", "TMPDIR") if name in os.environ}
        async with await anyio.open_process(command, stdin=subprocess.DEVNULL, env=environment) as process:
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

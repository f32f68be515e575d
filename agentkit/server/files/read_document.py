"""The process that reads one PDF or Word document: started by path, and imported by nobody.

Such files are made by strangers, and the libraries that read them were not made for that: here they may take only so
much memory and time, and whoever started this ends it. In: the file's path, and how many bytes of text at most.
Out: the text in UTF-8; or, with exit code 3, why there is none.
"""

import logging
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_PAGES = 5_000
_UNPACKED = 256 * 2**20
_MEMORY = 3 * 2**30
_SECONDS = 120


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
        for piece in {"pdf": pdf, "docx": docx}[kind](path):
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

"""Files: listing, reading, searching and, if asked for, writing one folder, and nothing outside it.

`load_tools("files")` gives the reading tools for the process's current directory, `Files("./docs").tools` for any
folder. `Files("./docs", write=True).tools` has writing ones too, and somebody must say yes to each of their calls.
The folder is the caller's choice; the model only names what is inside it. `_folder.py` keeps it there.
"""

import re
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from os import stat_result
from pathlib import Path

from agentkit import ToolFailed, tool

from ._folder import MAX_FILE_SIZE, entries, files, read, remove, rewrite, text_of, visible

_MAX_READ = 50_000
_MAX_LISTED = 500
_MAX_SEARCHED = 50_000_000
_MAX_MATCHES = 100
_MAX_LINE = 200


@dataclass(frozen=True)
class Files:
    """Tools for the files in one folder: `Agent(tools=Files("./docs").tools)`."""

    root: str | Path
    """If it is relative, it starts from the current directory at the time of each call."""
    write: bool = False
    """Whether files may be written and deleted, call by call, with somebody's approval."""

    @property
    def tools(self) -> list[Callable[..., str]]:
        """The tools, for an agent: three that read, and with `write` three that write."""
        reading: list[Callable[..., str]] = [self.list_files, self.read_file, self.find_in_files]
        return [*reading, self.write_file, self.edit_file, self.delete_file] if self.write else reading

    @tool(effects="read", trusted=False)
    def list_files(self, folder: str = ".") -> str:
        """List the files and folders in a folder.

        Args:
            folder: The folder, such as docs or docs/guide; the top one if not given.
        """
        found = entries(self.root, folder)
        lines = [_listed(name, info) for name, info in found[:_MAX_LISTED]]
        if len(found) > _MAX_LISTED:
            lines.append(f"[cut at {_MAX_LISTED} entries, there are more; find_in_files finds files by name too]")
        return "\n".join(lines) or "[the folder is empty]"

    @tool(effects="read", trusted=False)
    def read_file(self, path: str, offset: int = 0) -> str:
        """Read a text file.

        Args:
            path: The file, such as docs/guide.md.
            offset: The byte to start from, to read on in a long file.
        """
        size, data = read(self.root, path, offset, _MAX_READ + 1)
        if b"\0" in data:
            raise ToolFailed(f"{path!r} is not a text file, it cannot be read")
        if len(data) <= _MAX_READ:
            return data.decode("utf-8", "replace") or "[the file is empty]"
        end = _MAX_READ
        while end > _MAX_READ - 4 and data[end] & 0xC0 == 0x80:  # not in the middle of a UTF-8 character
            end -= 1
        note = f"[cut at byte {offset + end} of {size}; read on with offset={offset + end}]"
        return f"{data[:end].decode('utf-8', 'replace')}\n{note}"

    @tool(effects="read", trusted=False)
    def find_in_files(self, text: str, folder: str = ".", ignore_case: bool = False) -> str:
        """Find which files mention some words, and the lines, in a folder and all folders in it.

        Args:
            text: The exact words or letters to find.
            folder: The folder to search; all if not given.
            ignore_case: Whether capitals and small letters are the same.
        """
        if not text or "\n" in text:
            raise ToolFailed("text must be a part of one line; write the words to find")
        fold = str.casefold if ignore_case else str
        paths, complete = files(self.root, folder)
        found: list[str] = []
        skipped = searched = 0
        for path, _ in paths:
            if len(found) > _MAX_MATCHES or searched > _MAX_SEARCHED:
                complete = False
                break
            if fold(text) in fold(path.rpartition("/")[2]):
                found.append(visible(path))
            data = text_of(self.root, path)
            if data is None:
                skipped += 1
                continue
            searched += len(data)
            found += [f"{visible(path)}:{hit}" for hit in islice(_hits(data, fold(text), fold), _MAX_MATCHES + 1)]
        lines = found[:_MAX_MATCHES] or ["[nothing found]"]
        if skipped:
            lines.append(f"[{skipped} files skipped: not text, not readable, or over {MAX_FILE_SIZE} bytes]")
        if not complete or len(found) > _MAX_MATCHES:
            lines.append("[cut: there is more to search; name a smaller folder or rarer words]")
        return "\n".join(lines)

    @tool(effects="destructive", approval=True, sequential=True)
    def write_file(self, path: str, text: str, replace: bool = False) -> str:
        """Write a new text file, or replace one.

        Args:
            path: The file, such as docs/guide.md; folders that are missing are made.
            text: All that the file is to hold.
            replace: Whether a file that is there already may be replaced.
        """
        self._must_write()
        data = _encoded(text)

        def content(old: bytes | None) -> bytes:
            if old is not None and not replace:
                raise ToolFailed(f"{path!r} is there already; use edit_file, or replace=true to write it anew")
            return data

        return f"{visible(path)} written, {rewrite(self.root, path, content, make_folders=True)} bytes"

    @tool(effects="write", approval=True, sequential=True)
    def edit_file(self, path: str, old: str, new: str, all: bool = False) -> str:
        """Replace a piece of text in a file.

        Args:
            path: The file, such as docs/guide.md.
            old: The text to replace, to the letter, with enough around it that it is there only once.
            new: The text to put in its place.
            all: Whether to replace it everywhere.
        """
        self._must_write()
        if old == new or not old:
            raise ToolFailed("nothing would change; write in old what is in the file, and in new what is to be there")
        _encoded(old)
        _encoded(new)
        where = ""

        def content(data: bytes | None) -> bytes:
            nonlocal where
            edited, where = _edited(_text(path, data), old, new, all)
            return edited.encode()

        rewrite(self.root, path, content)
        return f"{visible(path)} changed {where}"

    @tool(effects="destructive", approval=True, sequential=True)
    def delete_file(self, path: str) -> str:
        """Delete a file.

        Args:
            path: The file, such as docs/guide.md.
        """
        self._must_write()
        remove(self.root, path)
        return f"{visible(path)} deleted"

    def _must_write(self) -> None:
        if not self.write:
            raise ToolFailed("this folder may only be read; tell the user")


list_files, read_file, find_in_files = Files(".").list_files, Files(".").read_file, Files(".").find_in_files


def _hits(text: str, wanted: str, fold: Callable[[str], str]) -> Iterator[str]:
    """The number of each line with the words, and the line around them."""
    if wanted not in fold(text):
        return
    for number, line in enumerate(text.split("\n"), start=1):
        at = fold(line).find(wanted)
        if at >= 0:
            start = max(0, at - _MAX_LINE // 4)
            yield f"{number}: {line[start : start + _MAX_LINE].strip()}"


def _listed(name: str, info: stat_result) -> str:
    if stat.S_ISDIR(info.st_mode):
        return f"{visible(name)}/"
    if stat.S_ISREG(info.st_mode):
        return f"{visible(name)} ({info.st_size} bytes)"
    return f"{visible(name)} ({'link' if stat.S_ISLNK(info.st_mode) else 'device or pipe'}, not readable)"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ToolFailed("the text holds half a character (a lone surrogate); write whole ones") from None


def _text(path: str, data: bytes | None) -> str:
    """The whole of a file that is to be edited."""
    if data is None:
        raise ToolFailed(f"there is no {path!r}; list_files shows what there is, write_file makes a new one")
    if len(data) > MAX_FILE_SIZE:
        raise ToolFailed(f"{path!r} has over {MAX_FILE_SIZE} bytes, which is too much to edit")
    try:
        if b"\0" not in data:
            return data.decode()
    except UnicodeDecodeError:
        pass
    raise ToolFailed(f"{path!r} is not text in UTF-8, an edit would damage it")


def _edited(text: str, old: str, new: str, everywhere: bool) -> tuple[str, str]:
    """The text with `new` for `old`, and where that was. Line breaks do not matter, and stay of the file's kind."""
    plain, old, new = (each.replace("\r\n", "\n") for each in (text, old, new))
    times = plain.count(old)
    if not times:
        raise ToolFailed("the file does not hold the old text; read_file shows what it holds, letter by letter")
    first = plain.find(old)
    if not everywhere and plain.find(old, first + 1) >= 0:
        times = max(times, 2)  # they may overlap
        raise ToolFailed(f"the old text is there {times} times; write more of what is around it, or all=true")
    if len(text) + times * (len(new) - len(old)) > MAX_FILE_SIZE:
        raise ToolFailed(f"the file would have over {MAX_FILE_SIZE} bytes; split it")
    breaks = [found.start() - number for number, found in enumerate(re.finditer("\r\n", text))]
    if len(breaks) * 2 > plain.count("\n"):
        new = new.replace("\n", "\r\n")
    kept, place = [], 0
    for part in plain.split(old):
        start, end = (each + bisect_left(breaks, each) for each in (place, place + len(part)))
        kept.append(text[start:end])
        place += len(part) + len(old)
    where = f"in line {plain.count(chr(10), 0, first) + 1}"
    return new.join(kept), where if times == 1 else f"in {times} places, the first {where}"

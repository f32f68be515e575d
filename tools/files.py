"""Files: listing, reading and searching one folder, and nothing outside it.

`load_tools("files")` gives these tools for the process's current directory, `Files("./docs").tools` for any folder.
The folder is the caller's choice; the model only names what is inside it. Nothing is ever written.

A path is opened name by name, each inside the folder before it, and a link is never followed: whoever changes the
tree meanwhile cannot lead the way out of it. Python cannot do that on Windows; there the path is checked for links
before it is used and again after. A hard link is the file itself: no program can tell that it has another name outside.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from agentkit import ToolFailed, tool

_MAX_PATH = 4096
_MAX_DEPTH = 40
_MAX_READ = 50_000
_MAX_LISTED = 500
_MAX_FOLDER = 10_000
_MAX_ENTRIES = 20_000
_MAX_FILES = 5_000
_MAX_FILE_SIZE = 1_000_000
_MAX_SEARCHED = 50_000_000
_MAX_MATCHES = 100
_MAX_LINE = 200


@dataclass(frozen=True)
class Files:
    """Tools for the files in one folder: `Agent(tools=Files("./docs").tools)`."""

    root: str | Path
    """If it is relative, it starts from the current directory at the time of each call."""

    @property
    def tools(self) -> list[Callable[..., str]]:
        """The three tools, for an agent."""
        return [self.list_files, self.read_file, self.find_in_files]

    @tool
    def list_files(self, folder: str = ".") -> str:
        """List the files and folders in a folder.

        Args:
            folder: The folder, such as docs or docs/guide; the top one if not given.
        """
        entries = _entries(self.root, folder)
        lines = [_listed(name, info) for name, info in entries[:_MAX_LISTED]]
        if len(entries) > _MAX_LISTED:
            lines.append(f"[cut at {_MAX_LISTED} entries, there are more; find_in_files finds files by name too]")
        return "\n".join(lines) or "[the folder is empty]"

    @tool
    def read_file(self, path: str, offset: int = 0) -> str:
        """Read a text file.

        Args:
            path: The file, such as docs/guide.md.
            offset: The byte to start from, to read on in a long file.
        """
        size, data = _read(self.root, path, offset, _MAX_READ + 1)
        if b"\0" in data:
            raise ToolFailed(f"{path!r} is not a text file, it cannot be read")
        if len(data) <= _MAX_READ:
            return data.decode("utf-8", "replace") or "[the file is empty]"
        end = _MAX_READ
        while end > _MAX_READ - 4 and data[end] & 0xC0 == 0x80:  # not in the middle of a UTF-8 character
            end -= 1
        note = f"[cut at byte {offset + end} of {size}; read on with offset={offset + end}]"
        return f"{data[:end].decode('utf-8', 'replace')}\n{note}"

    @tool
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
        paths, complete = _files(self.root, folder)
        found: list[str] = []
        skipped = searched = 0
        for path in paths:
            if len(found) > _MAX_MATCHES or searched > _MAX_SEARCHED:
                complete = False
                break
            if fold(text) in fold(path.rpartition("/")[2]):
                found.append(_visible(path))
            data = _text_of(self.root, path)
            if data is None:
                skipped += 1
                continue
            searched += len(data)
            found += [f"{_visible(path)}:{hit}" for hit in islice(_hits(data, fold(text), fold), _MAX_MATCHES + 1)]
        lines = found[:_MAX_MATCHES] or ["[nothing found]"]
        if skipped:
            lines.append(f"[{skipped} files skipped: not text, not readable, or over {_MAX_FILE_SIZE} bytes]")
        if not complete or len(found) > _MAX_MATCHES:
            lines.append("[cut: there is more to search; name a smaller folder or rarer words]")
        return "\n".join(lines)


list_files, read_file, find_in_files = Files(".").list_files, Files(".").read_file, Files(".").find_in_files


@contextmanager
def _opened(root: str | Path, path: str) -> Iterator[int | str]:
    """The file or folder at a path, open for as long as the block runs (on Windows: its path, checked)."""
    parts = _parts(path)
    try:
        if os.open in os.supports_dir_fd:
            handle = _open_by_name(root, parts)
            try:
                yield handle
            finally:
                os.close(handle)
        else:
            yield _checked(root, parts)
            _checked(root, parts)
    except OSError as error:
        raise ToolFailed(_explained(path, error)) from None


def _parts(path: str) -> tuple[str, ...]:
    """The names a path is made of, none of which leads up or out."""
    pure = PurePath(path)
    if pure.anchor or ".." in pure.parts or (os.name == "nt" and ":" in path):
        raise ToolFailed(f"{path[:_MAX_LINE]!r} leads out of the folder; write a path inside it, such as docs/guide.md")
    try:
        usable = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        usable = False
    if not usable or len(path) > _MAX_PATH:
        raise ToolFailed(f"{path[:_MAX_LINE]!r} cannot be the name of a file; list_files shows what there is")
    return pure.parts


def _open_by_name(root: str | Path, parts: tuple[str, ...]) -> int:
    try:
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ToolFailed(f"the tool's own folder cannot be opened ({error.strerror}); tell the user") from None
    for number, name in enumerate(parts, start=1):
        # Without O_NONBLOCK, opening a named pipe waits for somebody to write into it.
        last = os.O_NONBLOCK | os.O_NOCTTY
        flags = os.O_RDONLY | os.O_NOFOLLOW | (last if number == len(parts) else os.O_DIRECTORY)
        try:
            inner = os.open(name, flags, dir_fd=handle)
        finally:
            os.close(handle)
        handle = inner
    return handle


def _checked(root: str | Path, parts: tuple[str, ...]) -> str:
    """The real path, if there is no link on the way."""
    plain = os.path.join(os.path.realpath(root), *parts)
    if os.path.normcase(os.path.realpath(plain, strict=True)) != os.path.normcase(plain):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return plain


def _explained(path: str, error: OSError) -> str:
    name = repr(path[:_MAX_LINE])
    if isinstance(error, FileNotFoundError):
        return f"there is no {name}; list_files shows what there is"
    if isinstance(error, NotADirectoryError) or error.errno in (errno.ELOOP, errno.EMLINK):
        return f"{name} is not a folder, or there is a link on the way, and links are not followed"
    return f"{name} cannot be opened: {error.strerror}"


def _read(root: str | Path, path: str, offset: int, count: int) -> tuple[int, bytes]:
    """The size of a file, and some of its bytes."""
    with _opened(root, path) as handle:
        info = os.stat(handle)
        if stat.S_ISDIR(info.st_mode):
            raise ToolFailed(f"{path!r} is a folder; use list_files")
        if not stat.S_ISREG(info.st_mode):
            raise ToolFailed(f"{path!r} is a device or a pipe, not a file; it cannot be read")
        if not 0 <= offset <= info.st_size:
            raise ToolFailed(f"offset {offset} is outside the file; it has {info.st_size} bytes")
        with open(handle, "rb", closefd=isinstance(handle, str)) as file:
            file.seek(offset)
            return info.st_size, file.read(count)


def _entries(root: str | Path, folder: str) -> list[tuple[str, os.stat_result]]:
    """The names in a folder, in order, with what they are."""
    entries = []
    with _opened(root, folder) as handle, os.scandir(handle) as found:
        for entry in islice(found, _MAX_FOLDER):
            try:
                entries.append((entry.name, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                continue  # removed a moment ago
    return sorted(entries)


def _files(root: str | Path, folder: str) -> tuple[list[str], bool]:
    """The paths of the files in a folder and below it, nearest first, and whether these are all."""
    folders = [PurePath(folder).as_posix()]
    deepest = folders[0].count("/") + _MAX_DEPTH
    paths: list[str] = []
    seen, complete = 0, True
    for current in folders:
        try:
            entries = _entries(root, current)
        except ToolFailed:
            if current == folders[0]:
                raise
            continue  # removed a moment ago, or not ours to read
        seen += len(entries)
        if seen > _MAX_ENTRIES or len(paths) > _MAX_FILES:
            return paths[:_MAX_FILES], False
        complete = complete and len(entries) < _MAX_FOLDER
        for name, info in entries:
            path = name if current == "." else f"{current}/{name}"
            if stat.S_ISREG(info.st_mode):
                paths.append(path)
            elif stat.S_ISDIR(info.st_mode) and path.count("/") <= deepest:
                folders.append(path)
            elif stat.S_ISDIR(info.st_mode):
                complete = False
    return paths[:_MAX_FILES], complete and len(paths) <= _MAX_FILES


def _text_of(root: str | Path, path: str) -> str | None:
    """A file as text, if it is text and neither gone nor too large."""
    try:
        size, data = _read(root, path, 0, _MAX_FILE_SIZE)
    except ToolFailed:
        return None
    return None if size > _MAX_FILE_SIZE or b"\0" in data else data.decode("utf-8", "replace")


def _hits(text: str, wanted: str, fold: Callable[[str], str]) -> Iterator[str]:
    """The number of each line with the words, and the line around them."""
    if wanted not in fold(text):
        return
    for number, line in enumerate(text.split("\n"), start=1):
        at = fold(line).find(wanted)
        if at >= 0:
            start = max(0, at - _MAX_LINE // 4)
            yield f"{number}: {line[start : start + _MAX_LINE].strip()}"


def _listed(name: str, info: os.stat_result) -> str:
    if stat.S_ISDIR(info.st_mode):
        return f"{_visible(name)}/"
    if stat.S_ISREG(info.st_mode):
        return f"{_visible(name)} ({info.st_size} bytes)"
    return f"{_visible(name)} ({'link' if stat.S_ISLNK(info.st_mode) else 'device or pipe'}, not readable)"


def _visible(name: str) -> str:
    """A file's name in one line, whatever characters are in it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)

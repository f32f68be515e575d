"""One folder, and nothing outside it: how the ready-made tools open, list and write what is in it.

A path is opened name by name, each inside the folder before it, and a link is never followed: whoever changes the
tree meanwhile cannot lead the way out of it. Linux's `openat2` would refuse the same paths, and is not everywhere.
Python cannot do that on Windows; there the path is checked for links before it is used and again after, and nothing
is written. A hard link is the file itself: no program can tell that it has another name outside.

What is written is a new file that takes the old one's name: a reader finds the old content or the new, never a mix,
and a hard link's other name keeps the old. Writers of ours wait for each other, by a lock on the folder.
"""

import errno
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path, PurePath
from typing import NamedTuple, TypeAlias

from agentkit import ToolFailed

Root: TypeAlias = str | Path

MAX_FILE_SIZE = 1_000_000
MAX_FOLDER = 10_000
_MAX_NAME = 200
_MAX_PATH = 4096
_MAX_DEPTH = 40
_MAX_ENTRIES = 20_000
_MAX_FILES = 5_000
_LOCK_SECONDS = 10
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# Without O_NONBLOCK, opening a named pipe waits for somebody to write into it.
_FILE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_WINDOWS_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3])\s*(\..*)?")


@contextmanager
def opened(root: Root, path: str) -> Iterator[int | str]:
    """The file or folder at a path, open for as long as the block runs (on Windows: its path, checked)."""
    parts = _parts(path)
    with _explained(path, "opened"):
        if os.open in os.supports_dir_fd:
            handle = _open_by_name(root, parts, os.O_RDONLY | _FILE)
            try:
                _must_not_be_the_kernels(path, os.fstat(handle))
                yield handle
            finally:
                os.close(handle)
        else:
            yield _checked(root, parts)
            _checked(root, parts)


def read(root: Root, path: str, offset: int, count: int) -> tuple[int, bytes]:
    """The size of a file, and some of its bytes."""
    with opened(root, path) as handle:
        info = os.stat(handle)
        _must_be_a_file(path, info)
        if not 0 <= offset <= info.st_size:
            raise ToolFailed(f"offset {offset} is outside the file; it has {info.st_size} bytes")
        with open(handle, "rb", closefd=isinstance(handle, str)) as file:
            file.seek(offset)
            return info.st_size, file.read(count)


def text_of(root: Root, path: str) -> str | None:
    """A file as text, if it is text and neither gone nor too large."""
    try:
        size, data = read(root, path, 0, MAX_FILE_SIZE)
    except ToolFailed:
        return None
    return None if size > MAX_FILE_SIZE or b"\0" in data else data.decode("utf-8", "replace")


def entries(root: Root, folder: str) -> list[tuple[str, os.stat_result]]:
    """The names in a folder, in order, with what they are."""
    found = []
    with opened(root, folder) as handle, os.scandir(handle) as names:
        for entry in islice(names, MAX_FOLDER):
            try:
                found.append((entry.name, entry.stat(follow_symlinks=False)))
            except FileNotFoundError:
                continue  # removed a moment ago
    return sorted(found)


def files(root: Root, folder: str, hidden: bool = True) -> tuple[list[tuple[str, os.stat_result]], bool]:
    """The files in a folder and below it, as paths with what they are, nearest first, and whether these are all."""
    folders = [PurePath(folder).as_posix()]
    deepest = folders[0].count("/") + _MAX_DEPTH
    found: list[tuple[str, os.stat_result]] = []
    seen, complete = 0, True
    for current in folders:
        try:
            inside = entries(root, current)
        except ToolFailed:
            if current == folders[0]:
                raise
            continue  # removed a moment ago, or not ours to read
        seen += len(inside)
        if seen > _MAX_ENTRIES or len(found) > _MAX_FILES:
            return found[:_MAX_FILES], False
        complete = complete and len(inside) < MAX_FOLDER
        for name, info in inside:
            path = name if current == "." else f"{current}/{name}"
            if name.startswith(".") and not hidden:
                continue
            if stat.S_ISREG(info.st_mode):
                found.append((path, info))
            elif stat.S_ISDIR(info.st_mode) and path.count("/") <= deepest:
                folders.append(path)
            elif stat.S_ISDIR(info.st_mode):
                complete = False
    return found[:_MAX_FILES], complete and len(found) <= _MAX_FILES


def rewrite(root: Root, path: str, content: Callable[[bytes | None], bytes], *, make_folders: bool = False) -> int:
    """Write what `content` makes of the bytes that are there now, or of None where there is no file; the new size.

    Of a file over `MAX_FILE_SIZE` it gets a byte more than that. `make_folders` makes those on the way.
    """
    with _place(root, path, make_folders) as (folder, name):
        old = _present(folder, name, path)
        data = content(old.data if old else None)
        if len(data) > MAX_FILE_SIZE:
            raise ToolFailed(f"{_named(path)} would have {len(data)} bytes, {MAX_FILE_SIZE} are allowed; split it")
        if old is None and len(os.listdir(folder)) >= MAX_FOLDER:
            raise ToolFailed(f"the folder of {_named(path)} is full, it has {MAX_FOLDER} entries; use another one")
        with _new_file(folder, data, old) as new:
            if _present(folder, name, path) != old:
                raise ToolFailed(f"{_named(path)} was changed by somebody else meanwhile; read it again, then write")
            if old:
                os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                _name_new(folder, new, name)
        os.fsync(folder)
        return len(data)


def remove(root: Root, path: str) -> None:
    """Delete a file."""
    with _place(root, path, make_folders=False) as (folder, name):
        _must_be_a_file(path, os.stat(name, dir_fd=folder, follow_symlinks=False))
        os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def visible(name: str) -> str:
    """A file's name in one line, whatever characters are in it."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def _parts(path: str) -> tuple[str, ...]:
    """The names a path is made of, none of which leads up or out."""
    pure = PurePath(path)
    if pure.anchor or ".." in pure.parts or (os.name == "nt" and _means_more_on_windows(pure)):
        raise ToolFailed(f"{_named(path)} leads out of the folder; write a path inside it, such as docs/guide.md")
    try:
        usable = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        usable = False
    if not usable or len(path) > _MAX_PATH:
        raise ToolFailed(f"{_named(path)} cannot be the name of a file; list_files shows what there is")
    return pure.parts


def _means_more_on_windows(path: PurePath) -> bool:
    return any(":" in part or _WINDOWS_DEVICE.fullmatch(part) for part in path.parts)


def _named(path: str) -> str:
    return repr(path[:_MAX_NAME])


def _open_by_name(root: Root, parts: tuple[str, ...], last: int, make_folders: bool = False) -> int:
    try:
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ToolFailed(f"the tool's own folder cannot be opened ({error.strerror}); tell the user") from None
    for number, name in enumerate(parts, start=1):
        try:
            if make_folders:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=handle)
            inner = os.open(name, last if number == len(parts) else _FOLDER, dir_fd=handle)
        finally:
            os.close(handle)
        handle = inner
    return handle


def _checked(root: Root, parts: tuple[str, ...]) -> str:
    """The real path, if there is no link on the way."""
    plain = os.path.join(os.path.realpath(root), *parts)
    if os.path.normcase(os.path.realpath(plain, strict=True)) != os.path.normcase(plain):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return plain


@contextmanager
def _explained(path: str, done: str) -> Iterator[None]:
    """What the system says about a path, in words that a model can act on."""
    try:
        yield
    except FileNotFoundError:
        raise ToolFailed(f"there is no {_named(path)}; list_files shows what there is") from None
    except OSError as error:
        if isinstance(error, NotADirectoryError) or error.errno in (errno.ELOOP, errno.EMLINK):
            why = "is not a folder, or there is a link on the way, and links are not followed"
        else:
            why = f"cannot be {done}: {error.strerror}"
        raise ToolFailed(f"{_named(path)} {why}") from None


def _must_be_a_file(path: str, info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise ToolFailed(f"{_named(path)} is a folder; use list_files")
    if stat.S_ISLNK(info.st_mode):
        raise ToolFailed(f"{_named(path)} is a link, and links are not followed")
    if not stat.S_ISREG(info.st_mode):
        raise ToolFailed(f"{_named(path)} is a device or a pipe, not a file")


def _must_not_be_the_kernels(path: str, info: os.stat_result) -> None:
    """Also not where the caller's folder holds them: what is in them are the machine's settings and other programs."""
    for place in ("/proc", "/sys"):
        if os.path.ismount(place) and os.stat(place).st_dev == info.st_dev:
            raise ToolFailed(f"{_named(path)} is a part of {place}, which holds no files; it cannot be opened")


@contextmanager
def _place(root: Root, path: str, make_folders: bool) -> Iterator[tuple[int, str]]:
    """The folder that a path's last name is in, open and locked for other writers of ours, and that name."""
    if os.open not in os.supports_dir_fd:
        raise ToolFailed("this system cannot hold a folder open, so nothing is written here; tell the user")
    parts = _parts(path)
    if not parts:
        raise ToolFailed(f"{_named(path)} is the folder itself; write a path inside it, such as docs/guide.md")
    if len(parts) > _MAX_DEPTH:
        raise ToolFailed(f"{_named(path)} has {len(parts)} names, {_MAX_DEPTH} are allowed; write a shorter path")
    with _explained(path, "written"):
        folder = _open_by_name(root, parts[:-1], _FOLDER, make_folders)
        try:
            _must_not_be_the_kernels(path, os.fstat(folder))
            _lock(folder)
            yield folder, parts[-1]
        finally:
            os.close(folder)


def _lock(folder: int) -> None:
    import fcntl  # Windows has none

    ends = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends:
                raise ToolFailed("somebody else has been writing in this folder for long; try again later") from None
            time.sleep(0.005)
        except OSError:
            return None  # not every file system can lock a folder


class _Present(NamedTuple):
    """A file as it is before it is written."""

    mode: int
    owner: int
    group: int
    size: int
    data: bytes


def _present(folder: int, name: str, path: str) -> _Present | None:
    """What a name stands for now: a file that may be written, or nothing."""
    try:
        _must_be_a_file(path, os.stat(name, dir_fd=folder, follow_symlinks=False))  # opening a device may do things
        handle = os.open(name, os.O_RDWR | _FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(handle, "rb") as file:
        info = os.fstat(handle)
        _must_be_a_file(path, info)
        if not info.st_mode & 0o222:
            raise ToolFailed(f"{_named(path)} is write-protected")
        return _Present(info.st_mode & 0o777, info.st_uid, info.st_gid, info.st_size, file.read(MAX_FILE_SIZE + 1))


@contextmanager
def _new_file(folder: int, data: bytes, old: _Present | None) -> Iterator[str]:
    """A file with this content under a name of its own, which is gone at the end of the block.

    Where the system can make a file without a name, it has none before it is whole and safe on the disk.
    """
    name = f".{secrets.token_hex(8)}.tmp"
    handle, nameless = _created(folder, name, old.mode if old else 0o666)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            if old:
                with suppress(PermissionError):
                    os.fchown(handle, old.owner, old.group)
                os.fchmod(handle, old.mode)
            os.fsync(handle)
            if nameless:
                os.link(f"/proc/self/fd/{handle}", name, dst_dir_fd=folder)
        yield name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _created(folder: int, name: str, mode: int) -> tuple[int, bool]:
    """A new file, open, and whether it still has no name."""
    if hasattr(os, "O_TMPFILE") and os.path.exists("/proc/self/fd"):
        with suppress(OSError):  # not every file system can
            return os.open(".", os.O_WRONLY | os.O_TMPFILE, mode, dir_fd=folder), True
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=folder), False


def _name_new(folder: int, new: str, name: str) -> None:
    """Give a new file its name, but not one that somebody has taken meanwhile."""
    try:
        os.link(new, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # not every file system has links
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)

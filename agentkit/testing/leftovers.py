"""Whether a piece of a program leaves something behind: tasks, threads, spans, open files, children."""

import faulthandler
import gc
import os
import re
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import anyio
import anyio.lowlevel
import anyio.to_thread

from agentkit.telemetry import Telemetry
from agentkit.telemetry.open_spans import open_spans

_IDLE = {
    ("queue.py", "get"),
    ("_thread_cache.py", "_work"),
    (os.path.join("futures", "thread.py"), "_worker"),
}
"""Where the threads of pools wait for work: the file's end, and the function."""
_STACK = re.compile(r"hread 0x([0-9a-f]+)[^\n]*\n((?:  File [^\n]*\n?)*)")
_FRAME = re.compile(r'  File "([^"\n]*)", line \d+ in ([^\n]*)')
_POOLS = (os.path.join("anyio", "_backends"), os.path.join("trio", "_core"), os.path.join("concurrent", "futures"))
_FOR_GOOD = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Children that Python starts once and keeps."""
_FDS = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), None)
_MOMENT = 0.02


class nothing_left_behind:  # reads as what it is: `with nothing_left_behind():`
    """Around a block of a test: it fails if the block leaves something behind, and says what.

        async with nothing_left_behind():
            await agent.run("...")

    It finds tasks (with `async with`), threads, spans that have not ended, open file descriptors, child processes, and
    files in the folder for temporary files, which is an empty one within the block. Threads of pools that wait for
    work are no leftovers. What the process opens meanwhile in other threads counts too, so use one at a time; and what
    a library keeps for good when it is first used is not there before: use that once outside.

    Args:
        grace: Seconds that what is ending may take.
        telemetry: Where spans go; the application's own OpenTelemetry set-up, if not given.

    Raises:
        AssertionError: something is left; if the block fails, that is a note on its own error.
    """

    def __init__(self, *, grace: float = 1.0, telemetry: Telemetry | None = None) -> None:
        self._grace = grace
        self._telemetry = telemetry
        self._before: Mapping[str, Mapping[object, str]] = {}
        self._folder = ""
        self._outer: tuple[str | None, str | None] = (None, None)

    def __enter__(self) -> "nothing_left_behind":
        self._outer = tempfile.tempdir, os.environ.get("TMPDIR")
        self._folder = tempfile.mkdtemp(prefix="agentkit-")
        tempfile.tempdir = os.environ["TMPDIR"] = self._folder
        self._before = self._now()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        ends = time.monotonic() + self._grace
        try:
            left = self._left() and self._collected()
            while left and time.monotonic() < ends:
                _wait_for(left)
                left = self._left()
        finally:
            self._restore()
        _tell(left, error)

    async def __aenter__(self) -> "nothing_left_behind":
        await anyio.lowlevel.checkpoint()
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        ends, left = time.monotonic() + self._grace, dict[str, dict[object, str]]()
        try:
            with anyio.CancelScope(shield=True):
                left = self._left() and self._collected()
                while left and time.monotonic() < ends:
                    await anyio.lowlevel.checkpoint()
                    if "thread" in left or "child process" in left:
                        await anyio.to_thread.run_sync(_wait_for, left)
                    left = self._left()
        finally:
            self._restore()
        _tell(left, error)

    def _left(self) -> dict[str, dict[object, str]]:
        """What is there now, and was not before."""
        now = self._now()
        fresh = {
            kind: {each: name for each, name in found.items() if each not in self._before.get(kind, {})}
            for kind, found in now.items()
        }
        return {kind: found for kind, found in fresh.items() if found}

    def _collected(self) -> dict[str, dict[object, str]]:
        """What is left once objects are gone that only hold each other, with the files they have open."""
        gc.collect()
        return self._left()

    def _now(self) -> dict[str, dict[object, str]]:
        look: dict[str, Callable[[], dict[object, str]]] = {
            "task": _tasks,
            "thread": _threads,
            "open span": lambda: open_spans(self._telemetry),
            "child process": _children,
            "temporary file": lambda: _files(self._folder),
            "file descriptor": _descriptors,
        }
        return {kind: found() for kind, found in look.items()}

    def _restore(self) -> None:
        tempfile.tempdir, before = self._outer
        if before is None:
            os.environ.pop("TMPDIR", None)
        else:
            os.environ["TMPDIR"] = before
        shutil.rmtree(self._folder, ignore_errors=True)


def _tell(left: Mapping[str, Mapping[object, str]], error: BaseException | None) -> None:
    if not left:
        return
    told = "left behind: " + "; ".join(f"{kind} {name}" for kind, found in left.items() for name in found.values())
    if error is None:
        raise AssertionError(told)
    error.add_note(told)


def _tasks() -> dict[object, str]:
    try:
        return {task.id: repr(task.name) for task in anyio.get_running_tasks()}
    except (RuntimeError, anyio.NoEventLoopError):
        return {}  # nothing runs here


def _threads() -> dict[object, str]:
    idle = _idle_threads()
    found = [each for each in threading.enumerate() if each is not threading.current_thread()]
    return {thread: repr(thread.name) for thread in found if thread.ident not in idle}


def _idle_threads() -> set[int]:
    """The threads of pools that wait for work: there, the innermost function is one that waits."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        told = file.read()
    stacks = {int(ident, 16): _FRAME.findall(frames) for ident, frames in _STACK.findall(told)}
    idle = {ident for ident, frames in stacks.items() if _waits(frames)}
    if told.endswith("...\n"):  # there are so many threads that not all are told: nothing is said of the others
        idle |= {each.ident for each in threading.enumerate() if each.ident is not None} - stacks.keys()
    return idle


def _waits(frames: Sequence[tuple[str, str]]) -> bool:
    inner = next((frame for frame in frames if not frame[0].endswith("threading.py")), ("", ""))
    in_pool = any(pool in file for file, _ in frames for pool in _POOLS)
    return in_pool and any(inner[0].endswith(file) and inner[1] == name for file, name in _IDLE)


def _children() -> dict[object, str]:
    """Child processes by id, and since when they live: an id may be used again."""
    found: dict[object, str] = {}
    for each in Path("/proc").glob("[0-9]*/stat") if sys.platform == "linux" else ():
        with suppress(OSError, ValueError):
            words = each.read_text().rpartition(")")[2].split()
            if int(words[1]) == os.getpid():
                command = (each.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                ended = ", which has ended and was not waited for" if words[0] == "Z" else ""
                if not any(known in command for known in _FOR_GOOD):
                    found[each.parent.name, words[19]] = f"{each.parent.name} ({command or '?'}{ended})"
    return found


def _files(folder: str) -> dict[object, str]:
    return {each: repr(str(each.relative_to(folder))) for each in sorted(Path(folder).rglob("*"))}


def _descriptors() -> dict[object, str]:
    found: dict[object, str] = {}
    for name in os.listdir(_FDS) if _FDS else ():
        with suppress(OSError):  # the one by which the folder is read is closed by now
            about = os.fstat(int(name))
            found[name, about.st_dev, about.st_ino] = f"{name} ({_opened(int(name), about.st_mode)})"
    return found


def _opened(descriptor: int, mode: int) -> str:
    """What a descriptor is open on."""
    if stat.S_ISSOCK(mode):
        with suppress(OSError, ValueError), socket.socket(fileno=os.dup(descriptor)) as copy:
            return f"a socket at {copy.getsockname()!r}"
    with suppress(OSError):
        return os.readlink(f"{_FDS}/{descriptor}")
    return "?"


def _wait_for(left: Mapping[str, Mapping[object, str]]) -> None:
    """Wait a moment for something that may be about to end."""
    thread = next((each for each in left.get("thread", ()) if isinstance(each, threading.Thread)), None)
    if thread is not None and thread is not threading.current_thread():
        thread.join(_MOMENT)
    elif child := next(iter(left.get("child process", ())), None):
        with suppress(OSError, AttributeError):
            _wait_for_child(int(child[0]))  # type: ignore[index]


def _wait_for_child(pid: int) -> None:
    import select

    descriptor = os.pidfd_open(pid)
    try:
        select.select([descriptor], [], [], _MOMENT)
    finally:
        os.close(descriptor)

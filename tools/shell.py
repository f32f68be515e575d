"""Shell: running a command in one folder. Each call needs somebody's approval.

`load_tools("shell")` gives it for the process's current directory, `Shell("./project").tools` for any folder.

A command gets no key of yours: of the environment it sees PATH and a few more names, and what you add. It has nothing
to read and a time limit, and all that it started is killed when it ends, when its time is over, or when the run is
cancelled. It is not locked in: it may read and change what this process's user may, and reach the network.
Not on Windows, where all that a command has started cannot be found.
"""

import codecs
import os
import secrets
import shlex
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

from agentkit import ToolFailed, tool

_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
_MARK = "AGENTKIT_COMMAND"
_MAX_COMMAND = 30_000
_CHUNK = 65_536
_FLOOD = 100_000_000
_KILL_SECONDS = 5
_MAX_PASSES = 100


@dataclass(frozen=True, eq=False)
class Shell:
    """A tool that runs commands in one folder: `Agent(tools=Shell("./project").tools)`."""

    folder: str | Path
    """Where each command starts. If it is relative, it starts from the current directory at the time of each call."""
    commands: Sequence[str] | None = None
    """The only programs that may be called, such as `("git", "ls")`, and then without a shell. None for anything.
    Many programs can call others, so this guides a model; it does not lock it in."""
    seconds: float = 60
    """How long a command may take."""
    bytes: int = 30_000
    """How much is kept of what it prints, half from the beginning and half from the end."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to add to the few that it gets."""

    def __post_init__(self) -> None:
        if isinstance(self.commands, str):
            raise TypeError(f"commands={self.commands!r}: write the programs as a tuple, such as ('git', 'ls')")

    @property
    def tools(self) -> list[Callable[[str], Awaitable[str]]]:
        """The tool, for an agent; where only some programs may be called, it names them."""
        if self.commands is None:
            return [self.run_command]
        told = f"Run one of these programs, and read what it prints: {', '.join(self.commands)}. There is no shell."
        run = self.run_command

        @tool(description=told, effects="destructive", approval=True, sequential=True, trusted=False)
        async def run_command(command: str) -> str:
            """Run a program.

            Args:
                command: The program and its arguments, such as git log -3; quotes work, pipes and variables do not.
            """
            return await run(command)

        return [run_command]

    @tool(effects="destructive", approval=True, sequential=True, trusted=False)
    async def run_command(self, command: str) -> str:
        """Run a shell command, and read what it prints. What it leaves running is stopped.

        Args:
            command: The command line, such as git log -3 | head; it has no input.
        """
        if os.name != "posix":
            raise ToolFailed("commands cannot be run safely on this system; tell the user")
        if len(command) > _MAX_COMMAND:
            raise ToolFailed(f"the command has over {_MAX_COMMAND} characters; put what is long into a file")
        words = ["/bin/sh", "-c", command] if self.commands is None else _words(command, self.commands)
        printed, mark = _Printed(self.bytes), secrets.token_hex(16)
        readable, writable = os.pipe()
        try:
            process = await self._started(words, mark, writable)
            left = False
            try:
                with anyio.move_on_after(self.seconds):
                    await _ended(process, readable, printed)
            finally:
                status = process.returncode  # None if it has not ended by itself
                with anyio.move_on_after(_KILL_SECONDS, shield=True):
                    try:
                        left = await _killed(process.pid, mark)
                    finally:
                        await process.aclose()
            _drain(readable, printed)
        finally:
            os.close(readable)
        return self._told(status, printed, left)

    async def _started(self, words: Sequence[str], mark: str, writable: int) -> anyio.abc.Process:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment = {"PATH": os.defpath, "TERM": "dumb", **inherited, **self.environment, _MARK: mark}
        try:
            with anyio.CancelScope(shield=True):  # half started, it could not be stopped
                return await anyio.open_process(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=writable,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env=environment,
                    start_new_session=True,
                )
            raise AssertionError("a shielded scope was cancelled")
        except (OSError, ValueError) as error:
            raise ToolFailed(self._not_started(words[0], error)) from None
        finally:
            os.close(writable)

    def _not_started(self, program: str, error: Exception) -> str:
        if not os.path.isdir(self.folder):
            return "the tool's own folder cannot be opened; tell the user"
        if isinstance(error, FileNotFoundError):
            return f"there is no program {program!r} here"
        why = error.strerror if isinstance(error, OSError) else "it holds characters that no program can be given"
        return f"the command cannot be run: {why}"

    def _told(self, status: int | None, printed: "_Printed", left: bool) -> str:
        text = printed.text()
        if status is None:
            why = f"it printed over {_FLOOD} bytes" if printed.size > _FLOOD else f"{self.seconds:g} seconds were over"
            raise ToolFailed(f"{text}\n[stopped, with all it had started: {why}]")
        end = f"exit status {status}" if status >= 0 else f"ended by {signal.Signals(-status).name}"
        return f"{text}\n[{end}{'; what it left running was stopped' if left else ''}]"


run_command = Shell(".").run_command


class _Printed:
    """What a command prints: the beginning and the end, and how much it was."""

    def __init__(self, limit: int) -> None:
        self.half = limit // 2
        self.size = 0
        self.head, self.tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        self.size += len(data)
        room = self.half - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        if len(self.tail) > self.half + _CHUNK:
            del self.tail[: -self.half]

    def text(self) -> str:
        head, tail = bytes(self.head), bytes(self.tail[-self.half :])
        if b"\0" in head or b"\0" in tail:
            return f"[{self.size} bytes that are not text]"
        missing = self.size - len(head) - len(tail)
        if not missing:
            return (head + tail).decode("utf-8", "replace").rstrip("\n") or "[no output]"
        first = codecs.getincrementaldecoder("utf-8")("replace").decode(head)  # not with half a character at its end
        last = tail.lstrip(bytes(range(0x80, 0xC0))).decode("utf-8", "replace").rstrip("\n")
        return f"{first}\n[{missing} bytes left out]\n{last}"


def _words(command: str, allowed: Sequence[str]) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ToolFailed(f"the command cannot be read: {error}") from None
    if not words or words[0] not in allowed:
        raise ToolFailed(f"only these programs may be run, each by itself: {', '.join(allowed)}")
    return words


async def _ended(process: anyio.abc.Process, readable: int, printed: _Printed) -> None:
    """Wait until a command has ended or printed far too much, and read meanwhile."""
    async with anyio.create_task_group() as group:

        async def collect() -> None:
            while printed.size <= _FLOOD:
                await anyio.wait_readable(readable)
                data = os.read(readable, _CHUNK)
                if not data:
                    return  # it prints no more, and may go on
                printed.add(data)
            group.cancel_scope.cancel()

        group.start_soon(collect)
        await process.wait()
        group.cancel_scope.cancel()  # what it left running may hold the pipe open


def _drain(readable: int, printed: _Printed) -> None:
    """What was printed and not read yet; somebody who escaped might print for ever."""
    os.set_blocking(readable, False)
    with suppress(BlockingIOError):
        while printed.size <= _FLOOD and (data := os.read(readable, _CHUNK)):
            printed.add(data)


async def _killed(pid: int, mark: str) -> bool:
    """Kill a command with all that it has started; whether there was any of it left."""
    try:
        os.killpg(pid, signal.SIGKILL)
        left = True
    except (ProcessLookupError, PermissionError):  # macOS refuses where all have ended, and are not looked after yet
        left = False
    return await anyio.to_thread.run_sync(_strays_killed, mark) or left


def _strays_killed(mark: str) -> bool:
    """Kill what has left a command's process group, where the system tells each process's environment (Linux)."""
    wanted, killed = f"{_MARK}={mark}".encode(), False
    for _ in range(_MAX_PASSES):
        strays = 0
        for name in os.listdir("/proc") if hasattr(os, "pidfd_open") and os.path.isdir("/proc/self") else ():
            strays += name.isdigit() and _stray_killed(int(name), wanted)
        if not strays:
            break
        killed = True
    return killed


def _stray_killed(pid: int, wanted: bytes) -> bool:
    with suppress(OSError):
        handle = os.pidfd_open(pid)  # whoever gets its number next is not meant
        try:
            if wanted in Path(f"/proc/{pid}/environ").read_bytes():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                return True
        finally:
            os.close(handle)
    return False

"""A terminal with a program in it."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PATIENCE = 20.0
"""Seconds for what must happen; nothing waits as long unless it fails."""


class Terminal:
    """What a person at a terminal types and sees."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self._process = process
        self._master = master
        self.seen = ""
        """All that was shown so far, what was typed included."""
        self._waited_for = 0

    def type(self, text: str) -> None:
        r"""Press keys: `\r` is Enter, `\x03` Ctrl-C, `\x04` Ctrl-D."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until a text is shown, after what was waited for before."""
        while text not in self.seen[self._waited_for :]:
            assert self._read(), f"{text!r} was never shown, but: {self.seen!r}"
        self._waited_for = self.seen.index(text, self._waited_for) + len(text)

    def end(self) -> int:
        """Wait until the program has ended; returns its exit code."""
        while self._read():
            pass
        return self._process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        assert ready, f"nothing more was shown after: {self.seen!r}"
        try:
            data = os.read(self._master, 4096)
        except OSError:  # Linux says so when the program has ended
            return False
        self.seen += data.decode().replace("\r\n", "\n")
        return bool(data)


@contextmanager
def terminal(*arguments: str, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """`agentkit` with these arguments, in a terminal of its own."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agentkit", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", **environment},
        start_new_session=True,
        preexec_fn=_take_the_terminal,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _take_the_terminal() -> None:
    """Make the terminal the one whose Ctrl-C this session gets."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)

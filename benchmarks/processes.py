"""The processes of a benchmark: started with a clean environment, told a line, asked for a line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.upper().startswith(("OPENAI_", "OTEL_", "AGENTKIT_", "PYTHONASYNCIO", "PYTHONDEV", "PYTHONDONTWRITE"))
    and not name.upper().endswith("_PROXY")
}
"""Without what would change the measurement: proxies, tracing, another server, modules compiled each time."""


class Worker:
    """A Python process that answers each line with a line of JSON."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def hear(self) -> Any:
        """The next line it prints.

        Raises:
            RuntimeError: it has ended; its traceback is on standard error.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with status {self._process.wait()}")
        return json.loads(line)

    def ask(self) -> Any:
        """Have it run once, and hear what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.hear()


@contextmanager
def started(*arguments: str) -> Iterator[Worker]:
    """`python -m ...`, killed at the end of the block."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=ENVIRONMENT, cwd=ROOT
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def program(source: str) -> Any:
    """The JSON that a Python program prints, run to its end in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, env=ENVIRONMENT, cwd=ROOT)
    return json.loads(done.stdout)

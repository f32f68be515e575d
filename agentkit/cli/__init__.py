"""The command line: `agentkit run`, `agentkit chat`, `agentkit tools`. Its libraries are the extra `agentkit[cli]`."""

import os
import sys
import threading
import time
from importlib.util import find_spec
from io import TextIOWrapper

_GRACE = 0.5
"""Seconds for threads to end by themselves."""


def main() -> None:
    """The program `agentkit`; it ends the process with its exit code."""
    if not all(map(find_spec, ("typer", "rich"))):
        print('agentkit: the command line needs further packages: pip install "agentkit[cli]"', file=sys.stderr)
        sys.exit(2)
    from .app import app

    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal's encoding lacks is no reason to crash
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")
    try:
        app(prog_name="agentkit")
    except SystemExit as ended:
        _end(ended.code if isinstance(ended.code, int) else 0)


def _end(code: int) -> None:
    """End the process, also where the thread of a tool that was given up on is still at work: nobody waits for it."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    patience = time.monotonic() + _GRACE
    for thread in others:
        thread.join(max(0.0, patience - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)

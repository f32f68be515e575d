"""The command line: `agentkit run`, `agentkit chat`, `agentkit tools`. Its libraries are the extra `cli`."""

import os
import sys
import threading
import time
from importlib.util import find_spec

_STREAMS = (("stdin", "r", "replace"), ("stdout", "w", "backslashreplace"), ("stderr", "w", "backslashreplace"))
_GRACE = 0.5
"""Seconds for threads to end by themselves."""


def main() -> None:
    """The program `agentkit`; it ends the process with its exit code."""
    if not all(map(find_spec, ("typer", "rich"))):
        print("agentkit: the command line needs further packages: pip install typer rich", file=sys.stderr)
        sys.exit(2)
    from .app import app

    _open_streams()
    try:
        app(prog_name="agentkit")
    except SystemExit as ended:
        _end(ended.code if isinstance(ended.code, int) else 0)


def _open_streams() -> None:
    """Make the standard streams usable: closed ones are empty, and what an encoding lacks is no reason to crash."""
    for name, mode, errors in _STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as we run
        getattr(sys, name).reconfigure(errors=errors)


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

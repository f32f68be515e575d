"""The command line: `agentkit run`, `agentkit chat` and `agentkit tools`. Its libraries are the extra `agentkit[cli]`."""

import os
import sys
import threading
from io import TextIOWrapper


def main() -> None:
    """The program `agentkit`; it ends the process with its exit code."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print('agentkit: the command line needs further packages: pip install "agentkit[cli]"', file=sys.stderr)
        sys.exit(2)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal's encoding lacks is no reason to crash
            stream.reconfigure(errors="replace" if stream is sys.stdin else "backslashreplace")
    try:
        app(prog_name="agentkit")
    finally:
        _leave_behind_abandoned_threads()

"""Asking the person at the terminal for a yes to a tool call."""

import os
import sys
from contextlib import suppress
from typing import Literal, TypeAlias

import anyio

from agentkit.approval import Approval, Approve
from agentkit.errors import ToolDenied

from .screen import Screen
from .text import as_json, readable

Answer: TypeAlias = Literal["ask", "all", "none"]

_LONGEST = 2000
"""Characters of one argument that are shown, unless all is."""


def approver(answer: Answer, screen: Screen, *, whole: bool = False) -> Approve:
    """Who says yes or no: the person at the terminal, if there is one, or what they have said beforehand."""
    match answer:
        case "all":
            return _yes
        case "none":
            return _no
        case _:
            return Asker(screen, whole=whole)


async def _yes(approval: Approval) -> bool:
    return True


async def _no(approval: Approval) -> bool:
    raise ToolDenied(f"not run: {approval.call.name} needs approval, and whoever started this allows no such call")


class Asker:
    """Asks for one call after the other; only a `y` that is typed after the question is a yes."""

    def __init__(self, screen: Screen, *, whole: bool) -> None:
        self._screen = screen
        self._longest = sys.maxsize if whole else _LONGEST
        self._turn = anyio.Lock()

    async def __call__(self, approval: Approval) -> bool:
        """Ask for one call.

        Raises:
            ToolDenied: there is no terminal to ask at.
        """
        name = approval.call.name
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            self._screen.note(f"{name} needs approval, and there is no terminal to ask at; --approve all runs it")
            raise ToolDenied(f"not run: {name} needs somebody's approval, and nobody can be asked here")
        async with self._turn:
            _forget_what_was_typed()
            with self._screen.asking(self._details(approval), f"Run {readable(name)}? [y/N] "):
                return (await _line()).strip().lower() in ("y", "yes")

    def _details(self, approval: Approval) -> str:
        effects = f", which is {approval.effects}" if approval.effects else ""
        why = "; what was read before it may come from outside, and may be behind it" if approval.tainted else ""
        shown = [f"{readable(approval.call.name)} needs approval{effects}{why}"]
        for name, value in approval.arguments.items():
            text = "***" if name in approval.secrets else readable(as_json(value))
            if len(text) > self._longest:
                text = f"{text[: self._longest]}... and {len(text) - self._longest:,} characters more"
            shown.append(f"  {readable(name)}: {text}")
        return "\n".join(shown)


def _forget_what_was_typed() -> None:
    """What was typed before a question was seen is no answer to it."""
    with suppress(ImportError, OSError):
        import termios

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


async def _line() -> str:
    """The next line from the terminal; nothing if it ends. The wait can be cancelled, and blocks nobody."""
    if sys.platform == "win32":
        return await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    await anyio.wait_readable(sys.stdin)
    return os.read(sys.stdin.fileno(), 4096).decode(errors="replace")

"""`agentkit chat`: a conversation with an agent, line by line."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from agentkit import Agent, Session
from agentkit.approval import Approve

from .approval import approver
from .failures import FAILURES, OK, told
from .options import ChatOptions
from .run import follow, trace_file
from .screen import Screen
from .setup import build_agent

_HELP = """\
/help   these commands
/tools  the tools there are
/trace  show the spans of each turn from now on, or no longer
/reset  forget the conversation
/quit   leave, as Ctrl-D does
Ctrl-C stops the turn that is going on; what was said stays said."""
_PROMPT = "> "


def chat(options: ChatOptions) -> int:
    """Talk until the person leaves; returns the exit code."""
    screen = Screen(whole=options.debug)
    agent, note = build_agent(options, options.file, os.environ)
    if note:
        screen.note(note)
    approve = approver(options.approve, screen, whole=options.debug)
    conversation = Conversation(agent, screen, approve, options)
    for line in _lines():
        if not conversation.take(line):
            break
    return OK if sys.stdin.isatty() else conversation.code


class Conversation:
    """An agent, a person, and what was said between them."""

    def __init__(self, agent: Agent[Any], screen: Screen, approve: Approve, options: ChatOptions) -> None:
        self._agent = agent
        self._screen = screen
        self._trace = options.trace
        self._debug = options.debug
        self._run = partial(follow, screen=screen, approve=approve, file=trace_file(options))
        self._session = Session("chat")
        self.code = OK
        """The exit code of the last turn that failed."""

    def take(self, line: str) -> bool:
        """Do what a line says; false if it says to leave."""
        match line.strip():
            case "":
                pass
            case "/quit":
                return False
            case "/help":
                self._screen.note(_HELP)
            case "/tools":
                self._screen.tools(self._agent.registry)
            case "/trace":
                self._trace = not self._trace
                self._screen.note(f"spans are {'shown' if self._trace else 'no longer shown'}")
            case "/reset":
                self._session = Session("chat")
                self._screen.note("the conversation is forgotten")
            case command if command.startswith("/") and command[1:].isalpha():
                self._screen.note(f"there is no command {command}\n{_HELP}")
            case prompt:
                self._turn(prompt)
        return True

    def _turn(self, prompt: str) -> None:
        try:
            self._run(self._agent, prompt, session=self._session, trace=self._trace)
        except FAILURES as error:
            self.code = told(error, debug=self._debug)


def _lines() -> Iterator[str]:
    """What the person says, line by line; Ctrl-C at the prompt drops the line begun."""
    with suppress(ImportError):
        import readline  # noqa: F401  # with it, lines can be edited and recalled
    while True:
        try:
            yield _line()
        except EOFError:
            return
        except KeyboardInterrupt:
            print(file=sys.stderr)


def _line() -> str:
    if not sys.stdin.isatty():
        return input()
    if sys.stdout.isatty():
        return input(_PROMPT)
    print(_PROMPT, end="", file=sys.stderr, flush=True)
    return input()

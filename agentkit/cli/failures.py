"""How a command ends when something goes wrong: an exit code, and a line that says why."""

import sys
import traceback

from agentkit import AgentError, ConfigError, LimitExceeded

from .text import one_line, safe

OK, FAILED, MISUSED, LIMITED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = (
    "Exit codes: 0 it worked; 1 the run failed; 2 usage or configuration; 3 a limit was reached; 130 interrupted."
)
FAILURES = (Exception, KeyboardInterrupt, SystemExit)
"""What may end a command. A tool may raise SystemExit: then the run has failed, whatever its code says."""
_LONGEST = 1000


def exit_code(error: BaseException) -> int:
    """The exit code that tells a shell what happened."""
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case LimitExceeded():
            return LIMITED
        case ConfigError():
            return MISUSED
        case _:
            return FAILED


def reason(error: BaseException) -> str:
    """What happened, in one line."""
    match error:
        case KeyboardInterrupt():
            return "interrupted"
        case LimitExceeded(which=which, limit=limit):
            return f"the run reached its limit of {limit:g} {which}; raise it with --{which}"
        case AgentError():
            return one_line(str(error), _LONGEST)
        case SystemExit(code=code):
            return f"a tool ended the program, with code {code!r}"
        case _:
            return one_line(f"{type(error).__name__}: {error}; --debug shows where", _LONGEST)


def told(error: BaseException, *, debug: bool) -> int:
    """Say on stderr what happened, with `debug` also where; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        raise error  # whoever read the answer has gone; Typer ends the program quietly
    if debug:
        where(error)
    after_the_echo = "\n" if isinstance(error, KeyboardInterrupt) and sys.stderr.isatty() else ""  # of ^C
    print(f"{after_the_echo}agentkit: {reason(error)}", file=sys.stderr)
    return exit_code(error)


def where(error: BaseException) -> None:
    """Show an error's traceback on stderr."""
    print(safe("".join(traceback.format_exception(error))), end="", file=sys.stderr)

"""How a command ends when something goes wrong: an exit code, and a line that says why."""

import sys
import traceback

from agentkit.errors import AgentError, ConfigError, LimitExceeded

from .text import one_line

OK, FAILED, MISUSED, LIMITED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = (
    "Exit codes: 0 it worked; 1 the run failed; 2 usage or configuration; 3 a limit was reached; 130 interrupted."
)
_LONGEST = 1000

Failure = Exception | KeyboardInterrupt | SystemExit
"""What a command may be ended by. SystemExit: a tool can raise it, and the run has failed then, whatever code it has."""
FAILURES = (Exception, KeyboardInterrupt, SystemExit)


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
        case SystemExit():
            return f"a tool ended the program, with code {error.code!r}"
        case _:
            return one_line(f"{type(error).__name__}: {error}; --debug shows where", _LONGEST)


def told(error: BaseException, *, debug: bool) -> int:
    """Say on stderr what happened, with `debug` also where; returns the exit code."""
    if debug:
        traceback.print_exception(error)
    print(f"agentkit: {reason(error)}", file=sys.stderr)
    return exit_code(error)

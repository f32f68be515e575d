"""The program `agentkit`: its commands, and how they are called."""

from importlib.metadata import version
from typing import Annotated

import typer

from .failures import EXIT_CODES
from .options import ChatOptions, RunOptions, finish, takes

app = typer.Typer(
    help="Run agents, and look at the tools they may have.",
    epilog=EXIT_CODES,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
tools = typer.Typer(help="What tools there are, and what they do.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tools, name="tools")

Name = Annotated[str, typer.Argument(help="now, clock:now or ./tools/x.py:name.")]


def _version(asked: bool) -> None:
    if asked:
        print(f"agentkit {version('agentkit')}")
        raise typer.Exit


@app.callback()
def program(
    asked: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")] = False,
) -> None:
    """Run agents, and look at the tools they may have."""

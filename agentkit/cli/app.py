"""The program `agentkit`: its commands, and how they are called."""

from importlib.metadata import version
from typing import Annotated

import typer

from .failures import EXIT_CODES
from .options import ChatOptions, Debug, RunOptions, finish, takes

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
    asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
    ] = False,
) -> None:
    """Run agents, and look at the tools they may have."""


@app.command("run", epilog=EXIT_CODES)
@takes(RunOptions)
def run_command(options: RunOptions) -> int:
    """Run an agent once: that of an agent file, or one of the model and tools named here.

    The answer goes to stdout with its control characters written out, everything else to stderr; --json has it exact.

    \b
    agentkit run --tools clock "What is the time in Europe/Berlin?"
    agentkit run agent.toml - --json < question.txt
    """
    from .run import run  # here and below on use: --help is to be there at once

    return run(options)


@app.command("chat", epilog=EXIT_CODES)
@takes(ChatOptions)
def chat_command(options: ChatOptions) -> int:
    """Talk with an agent, line by line, in one conversation that is kept in memory.

    Ctrl-C stops a turn, Ctrl-D ends the conversation, /help says what else there is.
    """
    from .chat import chat

    return chat(options)


@tools.command("list")
def list_command(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Modules and files; all that are installed if none.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the tools there are, one a line."""
    from .tools import list_tools

    finish(lambda: list_tools(sources or [], debug=debug), debug=debug)


@tools.command("show")
def show_command(name: Name, debug: Debug = False) -> None:
    """Print what a model is told about a tool, as JSON, and where the tool is from."""
    from .tools import show_tools

    finish(lambda: show_tools(name), debug=debug)


@tools.command("call")
def call_command(
    name: Name,
    arguments: Annotated[list[str] | None, typer.Argument(help="key=value ..., or one JSON object in quotes.")] = None,
    debug: Debug = False,
) -> None:
    """Call a tool the way a model's call is run, and print its result."""
    from .tools import call_tool

    finish(lambda: call_tool(name, arguments or []), debug=debug)

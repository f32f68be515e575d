"""The options of the commands, as records; and what makes a command of a function that takes such a record."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_type_hints

import typer

from .failures import FAILURES, told

Options = TypeVar("Options")


Debug = Annotated[
    bool, typer.Option("--debug", "-v", help="Show arguments and results whole, and where an error came from.")
]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentOptions:
    """What `run` and `chat` have in common: the agent."""

    tools: Annotated[
        list[str] | None,
        typer.Option(help="Tools, by module (clock), tool (calc:calculate) or file (./tools/x.py); a,b or repeated."),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            help="Who answers, such as chat:gpt-5.5. If not given: the agent file's model, AGENTKIT_MODEL, a model on "
            "OpenAI (OPENAI_MODEL) if OPENAI_API_KEY or OPENAI_BASE_URL is set, or local:needle, a small offline one."
        ),
    ] = None
    instructions: Annotated[str | None, typer.Option(help="What the model is told before the conversation.")] = None
    iterations: Annotated[int | None, typer.Option(help="Model calls of one run, at most.")] = None
    seconds: Annotated[float | None, typer.Option(help="Time of one run, at most.")] = None
    tokens: Annotated[int | None, typer.Option(help="Input and output tokens of one run, at most.")] = None
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Ask the server for whole answers.")] = False
    approve: Annotated[
        Literal["ask", "all", "none"],
        typer.Option(help="Calls of tools that need approval: ask at the terminal, run all of them, or none."),
    ] = "ask"
    trace: Annotated[bool, typer.Option("--trace", help="Show the spans of a run, with their durations.")] = False
    trace_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Add the spans of a run to a file, for `agentkit trace`.")
    ] = None
    debug: Debug = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions(AgentOptions):
    """`agentkit run`."""

    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[AGENT] PROMPT",
            help="agent.toml or ./file.py:name, and the prompt, in quotes; - reads it from stdin.",
        ),
    ]
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; what went wrong is in it, as `error`.")
    ] = False
    record: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the run to a new file, for `replay` and `diff`.")
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatOptions(AgentOptions):
    """`agentkit chat`."""

    file: Annotated[str | None, typer.Argument(metavar="[AGENT]", help="agent.toml or ./file.py:name.")] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeOptions:
    """`agentkit serve`."""

    agents: Annotated[
        list[str] | None,
        typer.Argument(metavar="[AGENT]...", help="agent.toml or ./file.py:name; each is offered as a model."),
    ] = None
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]WIRE:MODEL",
            help="Who answers for a model name: gpt-4o=chat:gpt-5.5; without NAME=, for all other names. Repeated. "
            "If not given: AGENTKIT_MODEL, a model on OpenAI if OPENAI_API_KEY is set, or local:needle.",
        ),
    ] = None
    database: Annotated[
        str, typer.Option(metavar="URL", help="An SQLite file, or postgresql://user:password@host/database.")
    ] = "agentkit.db"
    host: Annotated[str, typer.Option(help="The address to listen on; another than this machine's needs keys.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name by which clients reach the server. Repeated.")
    ] = None
    allow_origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Web pages from there may call the server. Repeated.")
    ] = None
    code_interpreter: Annotated[
        bool, typer.Option("--code-interpreter", help="Let models run Python, in a sandbox.")
    ] = False
    run_seconds: Annotated[int, typer.Option(min=1, help="How long a run may take, waiting for outputs included.")] = (
        600
    )
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="How often each key may ask.")] = None
    strict_beta: Annotated[
        bool, typer.Option("--strict-beta", help="Refuse Assistants requests without OpenAI-Beta: assistants=v2.")
    ] = False
    debug: Debug = False


@dataclass(frozen=True, kw_only=True, slots=True)
class MigrateOptions:
    """`agentkit migrate`."""

    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="JSON, JSON lines, or folders of them."),
    ]
    to: Annotated[
        str | None, typer.Option(metavar="AGENT.toml", help="Write the assistant as an agent file, and no database.")
    ] = None
    assistant: Annotated[
        str | None,
        typer.Option(metavar="ID", help="With --to: which one, if there are several."),
    ] = None
    database: Annotated[str, typer.Option(metavar="URL", help="The server's database, as for `serve`.")] = "agentkit.db"
    tenant: Annotated[str, typer.Option(help="Whose the objects will be: the tenant of a key.")] = "local"
    replace: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="The new id of a file or a vector store. Repeated."),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="What is there already becomes what the files say (or the agent file).")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and tell all, and keep nothing.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: all that was left out, and why.")] = False
    debug: Debug = False


def takes(options: type[Options]) -> Callable[[Callable[[Options], int]], Callable[..., None]]:
    """A command for Typer out of a function from a record of options to an exit code.

    Typer wants a parameter for each option; here it finds the fields of the record.
    """

    def command(body: Callable[[Options], int]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            finish(lambda: body(options(**given)), debug=given["debug"])

        run.__doc__ = body.__doc__
        run.__signature__ = inspect.signature(options)  # type: ignore[attr-defined]
        run.__annotations__ = get_type_hints(options, include_extras=True)
        return run

    return command


def finish(work: Callable[[], int], *, debug: bool = False) -> NoReturn:
    """Do the work of a command and end with its exit code, or with that of what went wrong, which is told."""
    try:
        code = work()
    except FAILURES as error:
        code = told(error, debug=debug)
    raise typer.Exit(code)

"""The program `agentkit`: its commands, and how they are called."""

from importlib.metadata import version
from typing import Annotated, Literal

import typer

from .failures import EXIT_CODES
from .options import ChatOptions, Debug, MigrateOptions, RunOptions, ServeOptions, finish, takes

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
trace = typer.Typer(help="What recorded runs did, span by span.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(trace, name="trace")

keys = typer.Typer(help="API keys of a server: who may use it.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keys, name="keys")

Kept = Annotated[str, typer.Option("--database", metavar="URL", help="The server's database, as for `serve`.")]
Name = Annotated[str, typer.Argument(help="now, clock:now, ./tools/x.py:name or agent.toml:name.")]
Sources = Annotated[
    list[str] | None, typer.Argument(help="Modules, files and agent files; all that are installed if none.")
]
TraceFile = Annotated[
    str, typer.Argument(metavar="FILE", help="What `run --trace-file` or a collector wrote: OTLP-JSON lines, or .gz.")
]
TraceId = Annotated[str | None, typer.Option("--trace", metavar="ID", help="Only the trace whose id begins like this.")]
Last = Annotated[bool, typer.Option("--last", help="Only the trace that began last.")]
COMPARED = "Exit codes: 0 the same; 1 different; 2 usage, or no recording; 130 interrupted."
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    """Run an agent once: the one that is named, or one of the model and tools named here.

    The answer goes to stdout with its control characters written out, everything else to stderr; --json has it exact.

    \b
    agentkit run --tools clock "What is the time in Europe/Berlin?"
    agentkit run agent.toml - --json < question.txt
    agentkit run ./shop.py:clerk "Have you got A-1?"
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


@app.command("serve", epilog=EXIT_CODES)
@takes(ServeOptions)
def serve_command(options: ServeOptions) -> int:
    """Serve the Assistants API, Responses, Conversations and Chat Completions, for any OpenAI client.

    Assistants, threads, runs, files and vector stores are kept in the database. Ctrl-C stops, once runs have ended.

    \b
    agentkit serve
    agentkit serve clerk.toml --model gpt-4o=chat:gpt-5.5 --database postgresql://localhost/agents
    OPENAI_BASE_URL=http://127.0.0.1:8000/v1 python your_old_assistants_program.py
    """
    from .serve import serve

    return serve(options)


@app.command("migrate")
@takes(MigrateOptions)
def migrate_command(options: MigrateOptions) -> int:
    """Import assistants and threads that were saved as JSON from OpenAI's Assistants API, with their ids and times.

    Or write such an assistant as an agent file. Exit codes: 0 all was taken; 1 something was left out; 2 usage.

    \b
    agentkit migrate assistants.json threads/ --database agentkit.db
    agentkit migrate assistants.json --assistant asst_abc123 --to agent.toml
    """
    from .migrate import migrate

    return migrate(options)


@app.command("replay", epilog=COMPARED)
def replay_command(
    recording: Annotated[str, typer.Argument(metavar="RECORDING", help="The file that a Recorder wrote.")],
    agent: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="agent.toml or ./file.py:name, to see if it does the same.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Show a recorded run again. No model is asked and no tool is called; with AGENT, its first divergence is told.

    \b
    agentkit replay run.jsonl agent.toml
    """
    from .replay import replay_run

    finish(lambda: replay_run(recording, agent, debug=debug), debug=debug)


@app.command("diff", epilog=COMPARED)
def diff_runs_command(
    one: Annotated[str, typer.Argument(metavar="A", help="A recording.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Print where two recorded runs part, and what each took. Ids and times are not compared.

    \b
    agentkit diff yesterday.jsonl today.jsonl
    """
    from .replay import diff_runs

    finish(lambda: diff_runs(one, other, as_json=as_json), debug=debug)


@trace.command("show")
def show_trace_command(
    file: TraceFile,
    trace_id: TraceId = None,
    last: Last = False,
    errors: Annotated[bool, typer.Option("--errors", help="Only what failed, and the spans around it.")] = False,
    debug: Debug = False,
) -> None:
    """Print traces as trees: what was done, how long it took, tokens, cost, errors and events.

    \b
    agentkit run agent.toml "What is new?" --trace-file trace.jsonl
    agentkit trace show trace.jsonl --last
    """
    from .trace import show_trace

    finish(lambda: show_trace(file, trace_id, last=last, errors=errors), debug=debug)


@trace.command("html")
def trace_page_command(
    file: TraceFile,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="OUT.html", help="The page; FILE with .html if not given.")
    ] = None,
    trace_id: TraceId = None,
    last: Last = False,
    debug: Debug = False,
) -> None:
    """Write traces as one page that opens from disk, with no network: a waterfall, and all that each span says.

    \b
    agentkit trace html trace.jsonl -o trace.html
    """
    from .trace import write_page

    finish(lambda: write_page(file, trace_id, output, last=last), debug=debug)


@keys.command("add")
def add_key_command(
    name: Annotated[str, typer.Argument(help="What the key is called.")],
    tenant: Annotated[
        str | None,
        typer.Option(help="Whose objects it opens; keys of one tenant see the same. If not given, as the key."),
    ] = None,
    database: Kept = "agentkit.db",
    debug: Debug = False,
) -> None:
    """Make a key, and print it. It is shown only once: the server keeps its hash."""
    from .keys import add_key

    finish(lambda: add_key(name, tenant, database), debug=debug)


@keys.command("list")
def list_keys_command(database: Kept = "agentkit.db", debug: Debug = False) -> None:
    """Print the names of the keys there are."""
    from .keys import list_keys

    finish(lambda: list_keys(database), debug=debug)


@keys.command("remove")
def remove_key_command(
    name: Annotated[str, typer.Argument(help="What the key is called.")],
    database: Kept = "agentkit.db",
    debug: Debug = False,
) -> None:
    """Take a key back; a server that runs notices within seconds."""
    from .keys import remove_key

    finish(lambda: remove_key(name, database), debug=debug)


@tools.command("list")
def list_command(sources: Sources = None, debug: Debug = False) -> None:
    """Print the tools there are, one a line, and what is declared of them."""
    from .tools import list_tools

    finish(lambda: list_tools(sources or [], debug=debug), debug=debug)


@tools.command("show")
def show_command(name: Name, debug: Debug = False) -> None:
    """Print what a model is told about a tool, as JSON, where it is from, and what is declared of it."""
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


@tools.command("export")
def export_command(
    sources: Sources = None,
    dialect: Annotated[str, typer.Option(help="chat, responses, assistants, anthropic, mcp or gemini.")] = "chat",
    debug: Debug = False,
) -> None:
    """Print tools as a provider's API takes them, as JSON."""
    from .registry import export_tools

    finish(lambda: export_tools(sources or [], dialect), debug=debug)


@tools.command("lint")
def lint_command(
    sources: Sources = None,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Findings to leave out; a,b or repeated.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print what is wrong with tools, or will be. Fails if there is an error among it.

    \b
    agentkit tools lint agent.toml --ignore not-strict
    """
    from .registry import lint_tools

    finish(
        lambda: lint_tools(sources or [], as_json=as_json, strict=strict, ignored=ignore or [], debug=debug),
        debug=debug,
    )


@tools.command("lock")
def lock_command(
    sources: Sources = None,
    output: Annotated[str, typer.Option("--output", "-o", help="The lock file.")] = "tools.lock.json",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if it is not up to date.")] = False,
    debug: Debug = False,
) -> None:
    """Write down what tools are, so that `diff` can tell what becomes of them."""
    from .registry import lock_tools

    finish(lambda: lock_tools(sources or [], output, check=check), debug=debug)


@tools.command("diff")
def diff_command(
    one: Annotated[
        str, typer.Argument(metavar="A", help="A lock file (.json) or sources (clock,./tools/x.py): what was.")
    ],
    other: Annotated[
        str | None,
        typer.Argument(metavar="[B]", help="The same: what is. If not given, A is, and tools.lock.json was."),
    ] = None,
    fail_on: Annotated[
        Literal["breaking", "prompt-only", "compatible"], typer.Option(help="The least that is a failure.")
    ] = "breaking",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Print what has become of tools. Fails if a call that fitted before may not fit now.

    \b
    agentkit tools diff agent.toml
    agentkit tools diff old.lock.json new.lock.json --fail-on prompt-only
    """
    from .registry import diff_tools

    finish(lambda: diff_tools(one, other, fail_on=fail_on, as_json=as_json), debug=debug)

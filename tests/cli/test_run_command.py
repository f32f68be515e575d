"""`agentkit run`."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_outcome import Cli

from agentkit import AssistantMessage, ToolCall, Usage
from agentkit.cli.setup import choose_model
from agentkit.testing import call
from agentkit.testing.chat_server import ChatServer
from agentkit.testing.reply import Reply

ASKED = [call("units_left", sku="A-1")]


def test_stdout_has_the_answer_and_nothing_else(cli: Cli, shop: str) -> None:
    """Whoever pipes the answer gets the answer; tool calls, what they took and what was spent are on stderr."""
    talkative = AssistantMessage(text="Let me look.", tool_calls=tuple(ASKED))
    with ChatServer.in_thread([talkative, "Three left."]) as server:
        done = cli("run", "--tools", shop, "Any A-1?", server=server)
    assert (done.code, done.stdout) == (0, "Three left.\n")
    note, started, finished, spent = done.stderr.splitlines()
    assert note == "model chat:gpt-5.5, the default; choose another with --model or OPENAI_MODEL"
    assert started == '-> units_left(sku="A-1")'
    assert finished.startswith("<- units_left: 3 (")
    assert finished.endswith("s)")
    assert "tokens in" in spent
    assert "2 iterations, 1 tool call, " in spent


def test_what_the_provider_does_not_say_is_unknown(cli: Cli) -> None:
    """Unknown tokens are not zero tokens."""
    with ChatServer.in_thread([Reply(message="Hi.", usage=Usage())] * 2) as server:
        shown = cli("run", "Hi", server=server)
        data = json.loads(cli("run", "Hi", "--json", server=server).stdout)
    assert "tokens unknown, 1 iteration, 0 tool calls" in shown.stderr
    assert data["usage"]["input_tokens"] is None


def test_a_failed_tool_call_is_shown_as_failed(cli: Cli, shop: str) -> None:
    """The run goes on, and whoever watches sees what the model was told."""
    with ChatServer.in_thread([[call("broken")], "Sorry."]) as server:
        done = cli("run", "--tools", f"{shop}:broken", "Go", server=server)
    assert (done.code, done.stdout) == (0, "Sorry.\n")
    assert "<- broken failed: out of order (" in done.stderr


def test_trace_shows_the_spans(cli: Cli, shop: str) -> None:
    """`--trace` shows what the run did as a tree, with durations, and also of a run that failed."""
    with ChatServer.in_thread([[call("broken")], Reply(status=400, error="no")]) as server:
        done = cli("run", "--tools", shop, "--trace", "--model", "chat:m", "Go", server=server)
    lines = done.stderr.splitlines()
    tree = [line.split("  ")[0].lstrip(" │├└─`|+-") for line in lines if " ms" in line and "(" not in line]
    assert tree == ["invoke_agent", "chat m", "execute_tool broken", "chat m"]
    assert "ToolFailed" in lines[-4] + lines[-3] + lines[-2]
    assert lines[-1] == "agentkit: no (HTTP 400)"


def test_nothing_a_model_or_a_tool_says_reaches_the_terminal_as_a_command(cli: Cli, shop: str) -> None:
    """Control characters are written out and markup is not read, in answers, arguments and results."""
    evil = "\x1b]0;owned\x07[red]x[/red]\x9b31m\u202e\r[/]"
    arguments = json.dumps({"text": evil}, ensure_ascii=True)
    with ChatServer.in_thread([[ToolCall(id="c", name="echo", arguments=arguments)], evil] * 2) as server:
        shown = cli("run", "--tools", shop, "Go", server=server)
        exact = cli("run", "--tools", shop, "Go", "--json", server=server)
    assert shown.stdout == "\\x1b]0;owned\\x07[red]x[/red]\\x9b31m\\u202e\\r[/]\n"
    assert "<- echo: \\x1b]0;owned\\x07[red]x[/red]\\x9b31m\\u202e [/]" in shown.stderr
    assert not set(shown.stdout + shown.stderr + exact.stdout) & set("\x1b\x07\x9b\u202e\r")
    assert json.loads(exact.stdout)["output"] == evil


def test_long_arguments_and_results_are_cut_unless_asked_for(cli: Cli, shop: str) -> None:
    """A tool call takes a line, however long what it says is; `-v` shows it whole."""
    long = "word\n" * 500
    with ChatServer.in_thread([[call("echo", text=long)], "Done."] * 2) as server:
        cut = cli("run", "--tools", shop, "Go", server=server)
        whole = cli("run", "--tools", shop, "-v", "Go", server=server)
    assert len(cut.stderr.splitlines()) == 4
    assert max(map(len, cut.stderr.splitlines())) < 150
    assert long in whole.stderr


def test_json_is_one_object_with_everything(cli: Cli, shop: str) -> None:
    """A program that runs an agent reads all of the run from one JSON object."""
    with ChatServer.in_thread([ASKED, "Three left."]) as server:
        done = cli("run", "--tools", shop, "--json", "--trace", "--model", "chat:m", "Any A-1?", server=server)
    data = json.loads(done.stdout)
    assert (done.code, done.stderr) == (0, "")
    assert (data["output"], data["iterations"], data["tool_calls"]) == ("Three left.", 2, 1)
    assert [message["role"] for message in data["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert data["usage"]["input_tokens"] > 0
    assert data["finish_reason"] == "stop"
    assert len(data["run_id"]) == 32
    assert [span["name"] for span in data["trace"][0]["children"]] == ["chat m", "execute_tool units_left", "chat m"]
    assert "error" not in data


FAILURES: list[tuple[Any, list[str], int, str, str]] = [
    ([Reply(status=400, error="bad thing")], [], 1, "RequestRejected", "bad thing (HTTP 400)"),
    ([Reply(status=401, error="Wrong key sk-s3cr3t.")], [], 1, "AuthFailed", "Wrong key"),
    ([ASKED] * 2, ["--iterations", "2"], 3, "LimitExceeded", "limit of 2 iterations; raise it with --iterations"),
    ([ASKED] * 2, ["--tokens", "1"], 3, "LimitExceeded", "limit of 1 tokens; raise it with --tokens"),
    (
        [Reply(message="x", delay_until="never")],
        ["--seconds", "0.3"],
        3,
        "RunTimeout",
        "limit of 0.3 seconds; raise it with --seconds",
    ),
    ([], ["--model", "chat"], 2, "ConfigError", "model 'chat': write \"wire:model\""),
    ([], ["--tools", "clok"], 2, "ConfigError", "did you mean 'clock'?"),
    ([], ["--iterations", "0"], 2, "ConfigError", "--iterations 0: must be above 0"),
    ([], ["--seconds", "nan"], 2, "ConfigError", "--seconds nan: must be above 0"),
    ([[call("leave")]], [], 1, "SystemExit", "a tool ended the program, with code 0"),
]


@pytest.mark.parametrize(("script", "options", "code", "kind", "said"), FAILURES, ids=lambda value: str(value)[:30])
def test_what_goes_wrong_is_a_line_and_an_exit_code(
    cli: Cli, shop: str, script: Any, options: list[str], code: int, kind: str, said: str
) -> None:
    """A person reads one plain line, a shell the exit code, a program the same in JSON; nobody the key."""
    with ChatServer.in_thread([*script, *script]) as server:
        shown = cli("run", "--tools", shop, *options, "Go", server=server)
        as_json = cli("run", "--tools", shop, *options, "Go", "--json", server=server)
    assert (shown.code, as_json.code) == (code, code)
    assert shown.stdout == ""
    assert said in shown.stderr.splitlines()[-1]
    assert "Traceback" not in shown.stderr
    data = json.loads(as_json.stdout)
    assert data["error"]["type"] == kind
    assert said in data["error"]["message"]
    assert data["output"] is None
    assert "s3cr3t" not in f"{shown} {as_json}"


def test_what_was_said_before_a_failure_is_in_the_json(cli: Cli, shop: str) -> None:
    """The history and the tokens of a run that failed are not lost."""
    with ChatServer.in_thread([ASKED, ASKED]) as server:
        data = json.loads(cli("run", "--tools", shop, "--iterations", "1", "Go", "--json", server=server).stdout)
    assert [message["role"] for message in data["messages"]] == ["user", "assistant", "tool"]
    assert data["usage"]["output_tokens"] > 0
    assert data["run_id"]


def test_debug_shows_where_an_error_came_from(cli: Cli) -> None:
    """Whoever looks for the cause asks for the traceback, and still gets the plain line at the end."""
    with ChatServer.in_thread([Reply(status=400, error="no")]) as server:
        done = cli("run", "--debug", "Go", server=server)
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1] == "agentkit: no (HTTP 400)"


def test_a_dash_reads_the_prompt_from_stdin(cli: Cli) -> None:
    """Long prompts come through a pipe."""
    with ChatServer.in_thread(["Done."]) as server:
        assert cli("run", "-", server=server, stdin="one\ntwo é\n").stdout == "Done.\n"
        assert server.requests[0]["messages"][-1]["content"] == "one\ntwo é\n"


def test_an_agent_file_and_the_options_on_top_of_it(cli: Cli, shop: str, tmp_path: Path) -> None:
    """Options replace what the file says; tools are added to those of the file."""
    (tmp_path / "agent.toml").write_text(
        f'model = "chat:a"\ninstructions = "Old."\ntools = ["{shop}:echo"]\n[limits]\niterations = 1\n', "utf-8"
    )
    with ChatServer.in_thread(["1", "2", ASKED, "3"]) as server:
        as_it_is = cli("run", "agent.toml", "Go", server=server)
        cli("run", "agent.toml", "Go", "--model", "chat:b", "--instructions", "New.", server=server)
        more = ["--iterations", "2", "--tools", f"{shop}:broken, {shop}:units_left"]
        assert cli("run", "agent.toml", "Go", *more, server=server).stdout == "3\n"
        first, second, third, _ = server.requests
    assert "model chat" not in as_it_is.stderr
    assert (first["model"], first["messages"][0]["content"]) == ("chat:a"[5:], "Old.")
    assert (second["model"], second["messages"][0]["content"]) == ("b", "New.")
    assert [tool["function"]["name"] for tool in third["tools"]] == ["echo", "broken", "units_left"]


def test_an_agent_file_without_a_model_takes_the_usual_one(cli: Cli, tmp_path: Path) -> None:
    """A file can leave the model to whoever runs it."""
    (tmp_path / "agent.toml").write_text('instructions = "Hi."', "utf-8")
    with ChatServer.in_thread(["1"]) as server:
        done = cli("run", "agent.toml", "Go", server=server, OPENAI_MODEL="m")
        assert server.requests[0]["model"] == "m"
    assert "model chat:m, as OPENAI_MODEL says" in done.stderr


def test_no_stream_asks_for_whole_answers(cli: Cli, shop: str) -> None:
    """Servers that cannot stream can be used, and tool calls are still shown as they happen."""
    with ChatServer.in_thread([ASKED, "Three."] * 2) as server:
        whole = cli("run", "--no-stream", "--tools", shop, "Go", server=server)
        cli("run", "--tools", shop, "Go", server=server)
        assert [bool(request.get("stream")) for request in server.requests] == [False, False, True, True]
    assert whole.stdout == "Three.\n"
    assert "-> units_left" in whole.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hello", "world"], "put the prompt in quotes"),
        (["agent.toml"], "there is no prompt after 'agent.toml'"),
        (["agent.toml", "Go"], "agent file 'agent.toml': it cannot be read: No such file"),
        ([" "], "the prompt is empty"),
        (["-"], "the prompt is empty"),
    ],
)
def test_a_call_that_cannot_be_meant_is_explained(cli: Cli, words: list[str], said: str) -> None:
    """The line says what to write instead."""
    done = cli("run", "--model", "chat:m", *words)
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_server_without_a_key_is_explained(cli: Cli) -> None:
    """Some servers need no key, and the SDK does: the line says what to do."""
    done = cli("run", "Go", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert done.code == 2
    assert "set OPENAI_API_KEY" in done.stderr
    assert "any text, for a server that needs none" in done.stderr


@pytest.mark.parametrize(
    ("environment", "model", "said"),
    [
        ({}, "local:needle", "an offline demo model: it picks among at most 5 simple tools, in English"),
        ({"OPENAI_API_KEY": ""}, "local:needle", "set OPENAI_API_KEY or --model for anything else"),
        ({"OPENAI_API_KEY": "k"}, "chat:gpt-5.5", "the default; choose another with --model or OPENAI_MODEL"),
        ({"OPENAI_BASE_URL": "http://x"}, "chat:gpt-5.5", "the default"),
        ({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "m"}, "chat:m", "as OPENAI_MODEL says"),
        ({"AGENTKIT_MODEL": "chat:z", "OPENAI_API_KEY": "k", "OPENAI_MODEL": "m"}, "chat:z", "as AGENTKIT_MODEL says"),
    ],
)
def test_the_environment_chooses_where_nobody_else_has(environment: dict[str, str], model: str, said: str) -> None:
    """The order that `--help` promises; whichever it is, a line says so."""
    chosen, note = choose_model(environment)
    assert chosen == model
    assert note.startswith(f"model {model}, ")
    assert said in note


def test_trace_without_spans_says_why(cli: Cli) -> None:
    """Nobody wonders where the tree is."""
    with ChatServer.in_thread(["1"]) as server:
        done = cli("run", "--trace", "Go", server=server, OTEL_SDK_DISABLED="true")
    assert "there are no spans; OTEL_SDK_DISABLED switches them off" in done.stderr

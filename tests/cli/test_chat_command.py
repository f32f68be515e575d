"""`agentkit chat`, fed through a pipe; `test_the_program.py` has it on a terminal."""

import builtins
from collections.abc import Iterator

import pytest
from cli_outcome import Cli

from agentkit.testing import call
from agentkit.testing.chat_server import ChatServer
from agentkit.testing.reply import Reply


def texts(request: dict[str, list[dict[str, str | None]]]) -> list[str | None]:
    return [message["content"] for message in request["messages"]]


def test_a_conversation_remembers_what_was_said(cli: Cli, shop: str) -> None:
    """Each turn goes on from the one before; only the answers are on stdout."""
    with ChatServer.in_thread([[call("units_left", sku="A-1")], "Three.", "Four."]) as server:
        done = cli("chat", "--tools", shop, server=server, stdin="Any A-1?\n\n  \nAnd B-2?\n")
        assert texts(server.requests[-1]) == ["Any A-1?", None, "3", "Three.", "And B-2?"]
    assert (done.code, done.stdout) == (0, "Three.\nFour.\n")
    assert '-> units_left(sku="A-1")' in done.stderr


def test_reset_forgets_it(cli: Cli) -> None:
    """After /reset the model is told nothing of what was said before."""
    with ChatServer.in_thread(["1", "2"]) as server:
        cli("chat", server=server, stdin="one\n/reset\ntwo\n")
        assert texts(server.requests[-1]) == ["two"]


def test_a_turn_that_fails_does_not_end_the_conversation(cli: Cli) -> None:
    """The next line is taken; a script that pipes its lines still learns from the exit code that one failed."""
    with ChatServer.in_thread(["1", Reply(status=400, error="no"), "3"]) as server:
        done = cli("chat", server=server, stdin="one\ntwo\nthree\n")
        assert texts(server.requests[-1]) == ["one", "1", "two", "three"]
    assert (done.code, done.stdout) == (1, "1\n3\n")
    assert "agentkit: no (HTTP 400)" in done.stderr


def test_commands_are_not_sent_to_the_model(cli: Cli, shop: str) -> None:
    """/help, /tools and the like, also one that there is not, are answered here; a path is no command."""
    with ChatServer.in_thread(["1"]) as server:
        done = cli("chat", "--tools", shop, server=server, stdin="/help\n/tools\n/tool\n/etc/passwd?\n/quit\nmore\n")
        assert [texts(request) for request in server.requests] == [["/etc/passwd?"]]
    assert "/reset  forget the conversation" in done.stderr
    assert "units_left: Count the units of a product in stock.\n" in done.stderr
    assert "there is no command /tool\n" in done.stderr
    assert done.code == 0


def test_ctrl_c_at_the_prompt_drops_the_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a line is being written does not end the conversation."""
    typed: Iterator[str | type[BaseException]] = iter(["one", KeyboardInterrupt, "two", EOFError])

    def pressed() -> str:
        line = next(typed)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr(builtins, "input", pressed)
    with ChatServer.in_thread(["1", "2"]) as server:
        done = cli("chat", server=server)
    assert (done.code, done.stdout) == (0, "1\n2\n")


def test_trace_is_switched_on_and_off(cli: Cli) -> None:
    """/trace shows the spans of each turn from then on, until it is given again."""
    with ChatServer.in_thread(["1", "2", "3"]) as server:
        done = cli("chat", server=server, stdin="one\n/trace\ntwo\n/trace\nthree\n")
    assert done.stderr.count("invoke_agent") == 1


def test_an_agent_that_cannot_be_made_is_a_config_error(cli: Cli) -> None:
    """A mistake in the options is told before the conversation begins."""
    done = cli("chat", "nothing.toml", stdin="hello\n")
    assert done.code == 2
    assert "agent file 'nothing.toml': it cannot be read" in done.stderr

"""What `agentkit run` and `agentkit chat` do about tools that need approval."""

import pytest
from cli_outcome import Cli

from agentkit import ToolCall
from agentkit.testing import call
from agentkit.testing.chat_server import ChatServer

DELETE = call("delete_order", order="7")


def results(server: ChatServer) -> list[str]:
    """What the model was told of its calls."""
    return [message["content"] for message in server.requests[-1]["messages"] if message["role"] == "tool"]


def test_without_a_terminal_nothing_is_run(cli: Cli, asking: str) -> None:
    """Nobody can be asked in a pipe: the model is told so, and the person how to allow it."""
    with ChatServer.in_thread([[DELETE], "Sorry."]) as server:
        done = cli("run", "--tools", asking, "Go", server=server, stdin="y\n")
        assert results(server) == ["not run: delete_order needs somebody's approval, and nobody can be asked here"]
    assert (done.code, done.stdout) == (0, "Sorry.\n")
    assert "there is no terminal to ask at; --approve all runs it\n" in done.stderr


@pytest.mark.parametrize("form", [[], ["--json"], ["--no-stream"]])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("all", "7 is gone"),
        ("none", "not run: delete_order needs approval, and whoever started this allows no such call"),
    ],
)
def test_an_answer_can_be_given_beforehand(cli: Cli, asking: str, answer: str, told: str, form: list[str]) -> None:
    """`--approve all` is a yes to every call, and `none` a no that the model is told."""
    with ChatServer.in_thread([[DELETE], "Done."]) as server:
        done = cli("run", "--tools", asking, "--approve", answer, *form, "Go", server=server)
        assert results(server) == [told]
    assert done.code == 0


def test_a_chat_takes_the_same_option(cli: Cli, asking: str) -> None:
    """In each turn."""
    with ChatServer.in_thread([[DELETE], "1", [DELETE], "2"]) as server:
        done = cli("chat", "--tools", asking, "--approve", "all", server=server, stdin="one\ntwo\n")
        assert results(server) == ["7 is gone"] * 2
    assert done.stdout == "1\n2\n"


def test_another_word_is_refused(cli: Cli) -> None:
    """A typing mistake is no yes."""
    assert cli("run", "--approve", "al", "Go").code == 2


def test_secrets_are_not_shown(cli: Cli, asking: str) -> None:
    """Neither among the arguments of a call nor as its result, also where the arguments are no JSON; `-v` or not."""
    calls = [call("pay", amount=3, pin="1234"), ToolCall(id="c2", name="pay", arguments='{"pin": "1234", ')]
    with ChatServer.in_thread([calls, "Paid."] * 2) as server:
        for more in ([], ["-v"]):
            done = cli("run", "--tools", asking, "--approve", "all", *more, "Go", server=server)
            assert "-> pay(amount=3, pin=***)\n" in done.stderr
            assert "-> pay(***)\n" in done.stderr
            assert "<- pay: *** (" in done.stderr
            assert "1234" not in done.stderr
            assert "4711" not in done.stderr
        assert "receipt 4711" in results(server)[0]


def test_a_call_from_the_command_line_is_approved_by_that(cli: Cli, asking: str) -> None:
    """Whoever types the call has said yes to it."""
    done = cli("tools", "call", f"{asking}:delete_order", "order=7")
    assert (done.code, done.stdout) == (0, "7 is gone\n")

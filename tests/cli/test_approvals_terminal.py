"""A person at a terminal, asked whether a tool may be called."""

import json
import threading
from typing import Any

import pytest

from agentkit import ToolCall
from agentkit.testing import call
from agentkit.testing.chat_server import ChatServer
from agentkit.testing.reply import ScriptedReply

pytest.importorskip("pty", reason="there are no such terminals on this system")
from terminal import PATIENCE, terminal

DELETE = call("delete_order", order="7")
QUESTION = "Run delete_order? [y/N] "
REFUSED = "not run: the call was not approved"


def environment(server: ChatServer) -> dict[str, str]:
    return {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k", "OPENAI_MODEL": "m", "NO_COLOR": "1"}


def results(server: ChatServer) -> list[str]:
    """What the model was told of its calls."""
    return [message["content"] for message in server.requests[-1]["messages"] if message["role"] == "tool"]


def test_only_yes_is_a_yes(asking: str) -> None:
    """Enter alone is a no, Ctrl-D is, and so is whatever nobody can be sure of."""
    typed = {"y\r": True, "n\r": False, "YES\r": True, "\r": False, "yep\r": False, "\x04": False}
    calls = [call("delete_order", order=str(n)) for n in range(len(typed))]
    with (
        ChatServer.in_thread([calls, "Done."]) as server,
        terminal("run", "--tools", asking, "Go", environment=environment(server)) as person,
    ):
        for n, keys in enumerate(typed):
            person.wait_for("delete_order needs approval, which is destructive\n")
            person.wait_for(f'  order: "{n}"\n')
            person.wait_for(QUESTION)
            person.type(keys)
        assert person.end() == 0
        assert results(server) == [f"{n} is gone" if yes else REFUSED for n, yes in enumerate(typed.values())]


def test_what_was_typed_before_the_question_is_no_answer(asking: str) -> None:
    """A `y` that was meant for something else deletes nothing."""
    typed = threading.Event()

    def answers(body: dict[str, Any]) -> ScriptedReply:
        assert typed.wait(PATIENCE)
        return "Done." if body["messages"][-1]["role"] == "tool" else [DELETE]

    with (
        ChatServer.in_thread(answers) as server,
        terminal("run", "--tools", asking, "Go", environment=environment(server)) as person,
    ):
        person.wait_for("model ")
        person.type("y\ry\r")
        person.wait_for("y\ny\n")
        typed.set()
        person.wait_for(QUESTION)
        person.type("n\r")
        assert person.end() == 0
        assert results(server) == [REFUSED]


def test_what_is_asked_about_cannot_hide(asking: str) -> None:
    """Control characters, invisible ones and those that turn the text around are written out; secrets are not shown."""
    evil = "7\x1b[2K\u202e\u200b\U000e0041\r\nRun look? [y/N] y"
    arguments = json.dumps({"order": evil})
    calls = [ToolCall(id="c1", name="delete_order", arguments=arguments), call("pay", amount=3, pin="1234")]
    with (
        ChatServer.in_thread([calls, "Done."]) as server,
        terminal("run", "--tools", asking, "Go", environment=environment(server)) as person,
    ):
        person.wait_for('  order: "7\\u001b[2K\\u202e\\u200b\\U000e0041\\r\\nRun look? [y/N] y"\n')
        person.wait_for("? [y/N] ")
        person.type("\r")
        person.wait_for("  amount: 3\n  pin: ***\n")
        person.wait_for("Run pay? [y/N] ")
        person.type("y\r")
        assert person.end() == 0
        assert results(server) == [REFUSED, "receipt 4711"]
    assert "1234" not in person.seen
    assert "4711" not in person.seen
    assert not set(person.seen) & set("\x1b\u202e\u200b\U000e0041")


def test_long_arguments_are_cut_where_one_sees_it(asking: str) -> None:
    """A person is not flooded, and is told how much there is that was not shown."""
    with (
        ChatServer.in_thread([[call("delete_order", order="7" * 5000)], "Done."]) as server,
        terminal("run", "--tools", asking, "Go", environment=environment(server)) as person,
    ):
        person.wait_for("... and 3,002 characters more\n")
        person.wait_for(QUESTION)
        person.type("n\r")
        assert person.end() == 0


def test_one_is_asked_about_one_call_at_a_time(asking: str) -> None:
    """Other tools do not wait for the answer, and what they do is shown above the question."""
    calls = [DELETE, call("look"), call("delete_order", order="8")]
    with (
        ChatServer.in_thread([calls, "Done."]) as server,
        terminal("run", "--tools", asking, "Go", environment=environment(server)) as person,
    ):
        person.wait_for("<- look: seen")
        person.wait_for(QUESTION)
        assert person.seen.count("needs approval") == 1
        person.type("y\r")
        person.wait_for('  order: "8"\n')
        person.wait_for(QUESTION)
        person.type("n\r")
        assert person.end() == 0
        assert results(server) == ["7 is gone", "seen", REFUSED]


def test_ctrl_c_at_the_question_ends_the_run(asking: str) -> None:
    """Nothing is deleted, and nothing keeps the program."""
    with (
        ChatServer.in_thread([[DELETE], "Done."]) as server,
        terminal("run", "--tools", asking, "Go", environment=environment(server)) as person,
    ):
        person.wait_for(QUESTION)
        person.type("\x03")
        assert person.end() == 130
        assert len(server.requests) == 1
    assert "is gone" not in person.seen


def test_a_chat_goes_on_after_a_question(asking: str) -> None:
    """Whether it was answered or interrupted; the next line is not taken for an answer."""
    with (
        ChatServer.in_thread([[DELETE], "Gone.", [DELETE], [DELETE], "Kept."]) as server,
        terminal("chat", "--tools", asking, environment=environment(server)) as person,
    ):
        person.wait_for("> ")
        person.type("one\r")
        person.wait_for(QUESTION)
        person.type("y\r")
        person.wait_for("Gone.\n")
        person.wait_for("> ")
        person.type("two\r")
        person.wait_for(QUESTION)
        person.type("\x03")
        person.wait_for("agentkit: interrupted\n")
        person.wait_for("> ")
        person.type("three\r")
        person.wait_for(QUESTION)
        person.type("n\r")
        person.wait_for("Kept.\n")
        person.wait_for("> ")
        person.type("\x04")
        assert person.end() == 0
        told = results(server)
    assert told[0] == "7 is gone"
    assert told[1] == "not run: the run ended before this call began"
    assert told[2] == REFUSED

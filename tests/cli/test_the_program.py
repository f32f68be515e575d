"""The program as it is installed: a process with pipes, signals and a terminal."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.testing import call
from agentkit.testing.chat_server import ChatServer
from agentkit.testing.reply import Reply, ScriptedReply

pytest.importorskip("pty", reason="there are no such terminals and signals on this system")
from terminal import PATIENCE, Terminal, terminal

STUCK = '''
import threading

from agentkit import tool


@tool
def stuck() -> str:
    """Never come back."""
    threading.Event().wait()
    return ""
'''


class Script:
    """Answers of a server one after the other, and a way to wait until it was asked so many times."""

    def __init__(self, *replies: ScriptedReply) -> None:
        self._replies = iter(replies)
        self._asked = threading.Semaphore(0)

    def __call__(self, body: dict[str, Any]) -> ScriptedReply:
        self._asked.release()
        return next(self._replies)

    def wait_for_request(self) -> None:
        assert self._asked.acquire(timeout=PATIENCE)


HANGS = Reply(message="x", delay_until="never")


def environment(server: ChatServer) -> dict[str, str]:
    return {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k", "OPENAI_MODEL": "m"}


def agentkit(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentkit", *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )


@pytest.fixture
def stuck(tmp_path: Path) -> str:
    (tmp_path / "stuck.py").write_text(STUCK, encoding="utf-8")
    return "./stuck.py"


def test_a_pipe_gets_the_answer_only(shop: str) -> None:
    """The installed program keeps its answer, and what it says about it, apart; and writes no colours into a pipe."""
    with ChatServer.in_thread([[call("units_left", sku="A-1")], "Three left — é."]) as server:
        done = agentkit("run", "--tools", shop, "--trace", "Any?", **environment(server))
    assert (done.returncode, done.stdout) == (0, "Three left — é.\n")
    assert "execute_tool units_left" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_terminal_or_pipe_that_knows_only_ascii_is_no_reason_to_crash(shop: str) -> None:
    """What the encoding lacks is written out."""
    with ChatServer.in_thread(["é"]) as server:
        done = agentkit("run", "Any?", PYTHONIOENCODING="ascii", **environment(server))
    assert (done.returncode, done.stdout) == (0, "\\xe9\n")


def test_help_comes_at_once() -> None:
    """`--help` loads neither the SDK nor anything else that is only needed to run."""
    code = "import sys; from agentkit.cli.app import app; app(['run', '--help'], standalone_mode=False); "
    code += "print('loaded:', *sorted({'openai', 'httpx2', 'opentelemetry', 'asyncio', 'needle'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert "Exit codes: 0 it worked; 1 the run failed; 2 usage" in done.stdout.replace("\n ", "")
    assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_without_its_libraries_the_program_says_how_to_get_them(library: str) -> None:
    """Whoever installed agentkit without the extra reads one line."""
    code = f"import sys; sys.modules[{library!r}] = None; from agentkit.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    wanted = "agentkit: the command line needs further packages: pip install typer rich\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", wanted)


def test_a_reader_that_goes_away_is_no_crash() -> None:
    """`agentkit run ... | head` does not end in a traceback."""
    with ChatServer.in_thread(["x" * 100_000]) as server:
        command = [sys.executable, "-m", "agentkit", "run", "Go"]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=os.environ | environment(server), **pipes) as process:
            process.stdout.close()
            said = process.stderr.read().decode()
    assert said == "model chat:m, as OPENAI_MODEL says\n"
    assert process.returncode == 1


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_interrupt_ends_a_run(options: list[str]) -> None:
    """SIGINT cancels what is going on; the exit code is 130, and JSON is still JSON."""
    script = Script(HANGS)
    with ChatServer.in_thread(script) as server:
        command = [sys.executable, "-m", "agentkit", "run", "Go", *options]
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=os.environ | environment(server), **pipes) as process:
            script.wait_for_request()
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    if options:
        assert json.loads(stdout)["error"] == {"type": "KeyboardInterrupt", "message": "interrupted"}
    else:
        assert (stdout, stderr.decode().splitlines()[-1]) == (b"", "agentkit: interrupted")


def test_a_time_limit_holds_also_where_a_tool_never_comes_back(stuck: str) -> None:
    """The process ends when the run does; a thread that hangs does not keep it."""
    with ChatServer.in_thread([[call("stuck")]]) as server:
        done = agentkit("run", "--tools", stuck, "--seconds", "1", "Go", **environment(server))
    assert done.returncode == 3


@pytest.fixture
def talk(stuck: str) -> Iterator[tuple[Terminal, Script, ChatServer]]:
    script = Script(HANGS, [call("stuck")], "Hello again.")
    with (
        ChatServer.in_thread(script) as server,
        terminal("chat", "--tools", stuck, environment=environment(server)) as person,
    ):
        yield person, script, server


def test_ctrl_c_stops_a_turn_and_the_conversation_goes_on(talk: tuple[Terminal, Script, ChatServer]) -> None:
    """Whatever is interrupted, a model call or a tool, the next turn works and knows what was said and done."""
    person, script, server = talk
    person.wait_for("> ")
    person.type("one\r")
    script.wait_for_request()
    person.type("\x03")
    person.wait_for("agentkit: interrupted\n")
    person.type("two\r")
    person.wait_for("-> stuck()")
    person.type("\x03")
    person.wait_for("agentkit: interrupted\n")
    person.type("three\r")
    person.wait_for("Hello again.\n")
    person.wait_for("> ")
    person.type("\x04")
    assert person.end() == 0
    said = [(message["role"], message.get("content")) for message in server.requests[-1]["messages"]]
    assert [role for role, _ in said] == ["user", "user", "assistant", "tool", "user"]
    assert [content for role, content in said if role == "user"] == ["one", "two", "three"]
    assert str(said[3][1]).startswith("interrupted: ")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_sees_the_answer_as_it_arrives(shop: str, no_color: str) -> None:
    """Text is shown before the answer is complete; in colour, unless NO_COLOR is set."""
    script = Script([call("broken")], Reply(message="one two three four", delay_until="never", delay_after=3))
    with (
        ChatServer.in_thread(script) as server,
        terminal("run", "--tools", shop, "Go", environment={**environment(server), "NO_COLOR": no_color}) as person,
    ):
        person.wait_for("one")
        assert "four" not in person.seen
        person.type("\x03")
        assert person.end() == 130
    assert "<- broken failed: out of order" in person.seen
    assert ("\x1b[" in person.seen) is not bool(no_color)


def test_closed_streams_are_empty_ones() -> None:
    """Whoever starts the program without a stdin, a stdout or a stderr still gets a run."""
    with ChatServer.in_thread(["1", "2", "3"]) as server:
        command = f"'{sys.executable}' -m agentkit"
        run = {"shell": True, "env": os.environ | environment(server), "capture_output": True, "check": False}
        no_output = subprocess.run(f"{command} run Go >&- 2>&-", **run)
        no_input = subprocess.run(f"{command} chat <&-", **run)
        no_prompt = subprocess.run(f"{command} run - <&-", **run)
        assert len(server.requests) == 1
    assert [done.returncode for done in (no_output, no_input, no_prompt)] == [0, 0, 2]
    assert b"the prompt is empty" in no_prompt.stderr


@pytest.mark.parametrize("options", [[], ["--no-stream"]])
def test_a_terminal_shows_the_answer_once(options: list[str]) -> None:
    """Whether it came in pieces or whole, and with a line's end of its own."""
    with (
        ChatServer.in_thread(["Hello again."]) as server,
        terminal("run", "Go", *options, environment=environment(server)) as person,
    ):
        assert person.end() == 0
    assert person.seen.count("Hello again.") == person.seen.count("Hello again.\n") == 1

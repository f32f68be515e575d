"""An agent in a Python file, named on the command line as `./file.py:name`."""

import json
from pathlib import Path

import pytest
from cli_outcome import Cli

from agentkit.testing import call
from agentkit.testing.chat_server import ChatServer

PYTHON = """
from dataclasses import dataclass

from agentkit import Agent, Limits

from stock_of_the_desk import units_left


@dataclass
class Answer:
    left: int


clerk = Agent("chat:m", instructions="Be kind.", tools=[units_left], limits=Limits(iterations=3))
counter = Agent("chat:m", output=Answer | list[int], tools=[units_left])
unnamed = Agent("")
if __name__ == "__main__":
    raise SystemExit("it is not to be run as a program")
"""
STOCK = '''
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    return 3
'''
ASKED = [call("units_left", sku="A-1")]


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """An agent, and the file of its tools beside it, in a folder below this one."""
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "clerks.py").write_text(PYTHON, encoding="utf-8")
    (tmp_path / "desk" / "stock_of_the_desk.py").write_text(STOCK, encoding="utf-8")


def test_an_agent_in_a_python_file_is_run(cli: Cli) -> None:
    """With its own instructions, tools and limits; a file finds those beside it."""
    with ChatServer.in_thread([ASKED, "Three left."]) as server:
        done = cli("run", "./desk/clerks.py:clerk", "Any A-1?", server=server)
    assert (done.code, done.stdout) == (0, "Three left.\n")
    assert '-> units_left(sku="A-1")' in done.stderr
    assert server.requests[0]["messages"][0]["content"] == "Be kind."


def test_options_win_over_the_agent(cli: Cli, shop: str) -> None:
    """As they do over an agent file; tools are added to its own."""
    given = ["--instructions", "Be brief.", "--iterations", "1", "--tools", f"{shop}:echo"]
    with ChatServer.in_thread([ASKED]) as server:
        done = cli("run", "./desk/clerks.py:clerk", "Any A-1?", *given, server=server)
    assert done.code == 3
    body = server.requests[0]
    assert body["messages"][0]["content"] == "Be brief."
    assert [each["function"]["name"] for each in body["tools"]] == ["units_left", "echo"]


def test_an_answer_that_is_no_text_is_shown_as_json(cli: Cli) -> None:
    """Programs get JSON with `--json` and without."""
    with ChatServer.in_thread(['{"value": {"left": 3}}', '{"value": [1, 2]}']) as server:
        shown = cli("run", "./desk/clerks.py:counter", "Any A-1?", server=server)
        exact = cli("run", "./desk/clerks.py:counter", "--json", "Any A-1?", server=server)
    assert (shown.code, shown.stdout) == (0, '{"left":3}\n')
    assert json.loads(exact.stdout)["output"] == [1, 2]


def test_an_agent_without_a_model_gets_the_users(cli: Cli) -> None:
    """As an agent file without one does."""
    with ChatServer.in_thread(["Hello."]) as server:
        done = cli("run", "./desk/clerks.py:unnamed", "Hi", server=server)
    assert done.stdout == "Hello.\n"
    assert done.stderr.startswith("model chat:gpt-5.5, the default")


def test_one_talks_with_an_agent_in_a_python_file(cli: Cli) -> None:
    """`chat` takes what `run` takes."""
    with ChatServer.in_thread(["Hello.", "Bye."]) as server:
        done = cli("chat", "./desk/clerks.py:clerk", stdin="Hi\nBye\n", server=server)
    assert (done.code, done.stdout.split()) == (0, ["Hello.", "Bye."])


WRONG = {
    "no such agent": (("./desk/clerks.py:nobody", "Hi"), "has no agent 'nobody'; it has: clerk, counter, unnamed"),
    "no such file": (("./desk/none.py:clerk", "Hi"), "'./desk/none.py' cannot be read"),
    "no prompt": (("./desk/clerks.py:clerk",), "there is no prompt after './desk/clerks.py:clerk'"),
    "no name": (
        ("./desk/clerks.py", "Hi"),
        "2 prompts were given; put the prompt in quotes (an agent is agent.toml, or",
    ),
    "no quotes": (("./desk/clerks.py:clerk", "Any", "A-1?"), "2 prompts were given"),
    "a tool": (("./desk/stock_of_the_desk.py:units_left", "Hi"), "has no agent 'units_left'; it has: none"),
    "a file that fails": (("./desk/broken.py:clerk", "Hi"), "fails on import: ZeroDivisionError: "),
    "no Python": (("./desk/wrong.py:clerk", "Hi"), "fails on import: SyntaxError: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_names_no_agent_is_a_wrong_use(cli: Cli, tmp_path: Path, name: str) -> None:
    """Exit code 2, and words on what to write."""
    (tmp_path / "desk" / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "desk" / "wrong.py").write_text("if\n", encoding="utf-8")
    words, told = WRONG[name]
    done = cli("run", *words, "--model", "chat:m")
    assert (done.code, done.stdout) == (2, "")
    assert told in done.stderr


def test_a_prompt_may_speak_of_a_python_file(cli: Cli) -> None:
    """One prompt with words in it names no agent."""
    with ChatServer.in_thread(["A clerk."]) as server:
        done = cli("run", "What is ./desk/clerks.py:clerk", server=server)
    assert (done.code, done.stdout) == (0, "A clerk.\n")

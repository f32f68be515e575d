"""`agentkit run --record`, `agentkit replay` and `agentkit diff`."""

import json
from pathlib import Path

import pytest
from cli_outcome import Cli

from agentkit.testing import ChatServer, call

AGENT = 'model = "chat:m"\nname = "clerk"\ninstructions = "Be kind."\ntools = ["./shop.py"]\n'
PYTHON = """
from agentkit import Agent, tool


@tool
def units_left(sku: str, minimum: int | None = None) -> int:
    raise AssertionError("a replay calls no tool")


clerk = Agent("chat:m", name="clerk", instructions="Be kind.", tools=[units_left])
"""


@pytest.fixture
def recorded(cli: Cli, shop: str, tmp_path: Path) -> str:
    """A run that was recorded from the command line."""
    (tmp_path / "agent.toml").write_text(AGENT, encoding="utf-8")
    with ChatServer.in_thread([[call("units_left", sku="A-1")], "Three \x1b[31mleft."]) as server:
        done = cli("run", "agent.toml", "Any A-1?", "--record", "run.jsonl", server=server)
    assert done.code == 0
    return "run.jsonl"


def test_a_recorded_run_is_shown_again(cli: Cli, recorded: str) -> None:
    """Without a model and without the agent: the calls and the answer, made safe for a terminal, and what it took."""
    done = cli("replay", recorded)
    assert (done.code, done.stdout) == (0, "Three \\x1b[31mleft.\n")
    first, asked, told, last = done.stderr.splitlines()
    assert first.startswith("clerk, model m, 2")
    assert asked == '-> units_left(sku="A-1")'
    assert told.startswith("<- units_left: 3 (")
    assert "model calls 2, tool calls 1" in last
    assert "sk-s3cr3t" not in Path(recorded).read_text(encoding="utf-8")


def test_an_agent_that_does_the_same_is_told_so(cli: Cli, recorded: str) -> None:
    """Exit code 0; no key and no server is needed."""
    done = cli("replay", recorded, "agent.toml")
    assert (done.code, done.stdout) == (0, "Three \\x1b[31mleft.\n")
    assert done.stderr.splitlines()[-1] == "the run is as it was recorded"


def test_an_agent_that_does_something_else_is_told_where(cli: Cli, recorded: str, tmp_path: Path) -> None:
    """Exit code 1, the step, the field, what it was and what it is."""
    (tmp_path / "agent.toml").write_text(AGENT.replace("kind", "rude"), encoding="utf-8")
    done = cli("replay", recorded, "agent.toml")
    assert done.code == 1
    assert "the replay diverges at step 1 (model), in its instructions" in done.stderr
    assert 'recorded was "Be kind.", now it is "Be rude."' in done.stderr


def test_an_agent_in_python_is_replayed(cli: Cli, recorded: str, tmp_path: Path) -> None:
    """By its file and name."""
    (tmp_path / "clerk.py").write_text(PYTHON, encoding="utf-8")
    done = cli("replay", recorded, "./clerk.py:clerk")
    assert done.code == 1
    assert "in its tools." in done.stderr  # it has fewer of them
    assert cli("replay", recorded, "./clerk.py:nobody").code == 2
    assert cli("replay", recorded, "./nothing.py:clerk").code == 2
    assert cli("replay", recorded, "clerk").code == 2


def test_a_run_that_failed_is_shown_to_its_end(cli: Cli, shop: str, tmp_path: Path) -> None:
    """And an agent that fails in the same way does the same."""
    (tmp_path / "agent.toml").write_text(AGENT, encoding="utf-8")
    with ChatServer.in_thread([[call("units_left", sku="A-1")]]) as server:
        done = cli("run", "agent.toml", "Any?", "--iterations", "1", "--record", "run.jsonl", server=server)
    assert done.code == 3
    assert "ended with LimitExceeded" in cli("replay", "run.jsonl").stderr
    (tmp_path / "agent.toml").write_text(AGENT + "[limits]\niterations = 1\n", encoding="utf-8")
    done = cli("replay", "run.jsonl", "agent.toml")
    assert done.code == 0
    assert "the run ends as it was recorded: the run reached its limit of 1 iterations" in done.stderr


def test_a_recording_that_breaks_off_is_shown_to_there(cli: Cli, recorded: str) -> None:
    """What a killed program has left."""
    whole = Path(recorded).read_text(encoding="utf-8").splitlines(keepends=True)
    Path(recorded).write_text("".join(whole[:3]) + whole[3][:20], encoding="utf-8")
    done = cli("replay", recorded)
    assert done.code == 0
    assert "the recording breaks off here" in done.stderr
    assert cli("diff", recorded, recorded).code == 0


@pytest.mark.parametrize("command", [("replay", "none.jsonl"), ("diff", "none.jsonl", "none.jsonl")])
def test_what_is_no_recording_is_a_wrong_use(cli: Cli, command: tuple[str, ...], tmp_path: Path) -> None:
    """Exit code 2."""
    assert cli(*command).code == 2
    (tmp_path / "none.jsonl").write_text("[1]\n", encoding="utf-8")
    done = cli(*command)
    assert (done.code, done.stdout) == (2, "")
    assert "damaged in line 1" in done.stderr


def test_the_same_runs_are_the_same(cli: Cli, recorded: str) -> None:
    """Exit code 0, and what each took."""
    done = cli("diff", recorded, recorded)
    assert done.code == 0
    assert "the runs are the same" in done.stdout
    assert "model calls" in done.stdout


def test_where_two_runs_part_is_printed(cli: Cli, recorded: str, shop: str) -> None:
    """Exit code 1; also as JSON."""
    with ChatServer.in_thread([[call("units_left", sku="A-2")], "None."]) as server:
        cli("run", "agent.toml", "Any A-1?", "--record", "other.jsonl", server=server)
    done = cli("diff", recorded, "other.jsonl")
    assert done.code == 1
    told = done.stdout.splitlines()
    at = told.index("step 1 (model), result.message.tool_calls[0].arguments:")
    assert told[at + 1].startswith('  A: "{')
    assert told[at + 2].startswith('  B: "{')
    as_json = cli("diff", recorded, "other.jsonl", "--json")
    assert as_json.code == 1
    found = json.loads(as_json.stdout)
    assert found["difference"]["field"] == "result.message.tool_calls[0].arguments"
    assert found["a"]["tool calls"] == found["b"]["tool calls"] == 1


def test_a_recording_is_not_overwritten(cli: Cli, recorded: str) -> None:
    """Exit code 2, before a model is asked."""
    before = Path(recorded).read_bytes()
    with ChatServer.in_thread([]) as server:
        done = cli("run", "agent.toml", "Any?", "--record", recorded, server=server)
    assert done.code == 2
    assert Path(recorded).read_bytes() == before

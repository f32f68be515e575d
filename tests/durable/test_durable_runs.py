"""A run whose process is killed goes on where it was, in another one."""

import subprocess
import sys
from pathlib import Path

import pytest

from agentkit import Agent, ConfigError
from agentkit.testing import ScriptedModel

PROGRAM = Path(__file__).parent / "durable_program.py"
pytest.importorskip("dbos", reason="a durable engine: pip install dbos")


def start(folder: Path, *hang: str) -> "subprocess.Popen[bytes]":
    asked = [sys.executable, PROGRAM, f"sqlite:///{folder}/dbos.db", folder / "log", *hang]
    return subprocess.Popen(asked, stdout=subprocess.PIPE)


def lines(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text("utf-8").splitlines() if log.exists() else []


@pytest.mark.parametrize(
    "hang", [pytest.param(1, marks=pytest.mark.sweep), 2, pytest.param(3, marks=pytest.mark.sweep)]
)
def test_nothing_that_was_done_is_done_again(tmp_path: Path, hang: int) -> None:
    """Killed in a tool of each round: completed model and tool calls, failed ones too, give what they gave; the tool
    that was interrupted is called again with the same key."""
    first = start(tmp_path, str(hang))
    assert first.stdout is not None
    assert first.stdout.readline() == b"hangs\n"
    first.kill()
    first.communicate()
    before = lines(tmp_path)
    second = start(tmp_path)
    second.communicate(timeout=30)
    assert second.returncode == 0
    after = lines(tmp_path)[len(before) :]
    assert after[-1] == "result All steps are done."
    assert [line for line in before if line.startswith("model")] == [f"model {n + 1}" for n in range(hang)]
    assert [line for line in after if line.startswith("model")] == [f"model {n + 1}" for n in range(hang, 4)]
    keys = [line.split()[2] for line in before + after if line.startswith(f"tool {hang} ")]
    assert len(keys) == 2, "the interrupted tool is called once more"
    assert len(set(keys)) == 1, "and can tell that it is the same call"
    assert sorted(line for line in before + after if line.startswith("done")) == ["done 1", "done 2", "done 3"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_durable_steps_outside_of_a_workflow_say_what_to_write() -> None:
    """A newcomer's mistake."""
    from agentkit.durable import DurableSteps

    with pytest.raises(ConfigError, match=r"in a function with @DBOS\.workflow\(\)"):
        await Agent(ScriptedModel(["Hi."])).run("Hi.", steps=DurableSteps())

"""The examples that `make demo` and the command line start with."""

import subprocess
import sys
from pathlib import Path

import pytest

from agentkit.agent_file import load_agent

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.local_model
def test_the_demo_shows_a_model_choosing_tools() -> None:
    """`make demo` works without a key, server or network: for each question the model picks the right tools."""
    done = subprocess.run([sys.executable, EXAMPLES / "demo.py"], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    called = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  calls ")]
    assert called == ["now", "count_text", "calculate", "convert"]
    assert "calculate(expression=128 * 46) -> 5888" in done.stdout
    assert done.stdout.count("invoke_agent demo") == 3
    assert "execute_tool convert" in done.stdout


def test_the_agent_file_is_one() -> None:
    """The example that people copy loads, with a model, limits and few enough tools for the embedded model."""
    agent = load_agent(EXAMPLES / "agent.toml")
    assert agent.model == "chat:gpt-5.5"
    assert agent.limits.iterations == 6
    assert 1 < len(agent.registry) <= 5

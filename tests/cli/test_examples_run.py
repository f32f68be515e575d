"""The examples that `make demo` and the command line start with."""

import os
import re
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


@pytest.mark.parametrize("rich", [True, False])
def test_the_assistants_example_shows_its_upload(rich: bool) -> None:
    """On stderr, with the bar of `rich` or, where that is not installed, in plain text."""
    hidden = "" if rich else "sys.modules['rich'] = None; "
    program = f"import runpy, sys; {hidden}runpy.run_path({str(EXAMPLES / 'assistants.py')!r}, run_name='__main__')"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\s*returns.txt( ━+)? 100%( 0:00:00)?\s*", done.stderr)
    assert ("━" in done.stderr) == rich


def test_the_agent_file_is_one() -> None:
    """The example that people copy loads, with a model, limits and few enough tools for the embedded model."""
    agent = load_agent(EXAMPLES / "agent.toml")
    assert agent.model == "chat:gpt-5.5"
    assert agent.limits.iterations == 6
    assert 1 < len(agent.registry) <= 5

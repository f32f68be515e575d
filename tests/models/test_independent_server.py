"""Against an OpenAI-compatible server that nobody here wrote: PyPI's `llmock`, started by the test."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit import Agent, ToolResult, tool

pytest.importorskip("llmock", reason="the independent server is not installed: pip install llmock")

SCRIPTS = Path(sys.executable).parent


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    return 3


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [SCRIPTS / "llmock", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "Uvicorn running" in line:
                    break
            else:
                pytest.fail("llmock did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def environment(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    return server


@pytest.mark.anyio
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_agent_runs_unchanged_on_another_server(environment: str, streamed: bool) -> None:
    """`OPENAI_BASE_URL` is all it takes: the server asks for the tool, gets the result, and answers."""
    agent = Agent("chat:gpt-5.5", tools=[units_left])
    if streamed:
        async with agent.stream("How many A-1?") as run:
            result = await run.finish()
    else:
        result = await agent.run("How many A-1?")
    assert [m.content for m in result.messages if isinstance(m, ToolResult)] == ["3"]
    assert result.output
    assert result.usage.total_tokens


def test_the_command_line_runs_unchanged_on_another_server(environment: str) -> None:
    """`agentkit run` with the server's address in the environment; the answer is on standard output."""
    done = subprocess.run(
        [SCRIPTS / "agentkit", "run", "What time is it in Rome?", "--tools", "clock:now", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ},
    )
    told = json.loads(done.stdout)
    assert told["output"]
    assert told["tool_calls"] == 1


def test_the_servers_own_verdict_is_that_the_client_behaves(environment: str) -> None:
    """llmock grades its clients; a warning fails."""
    subprocess.run([SCRIPTS / "llmock", "report", "--strict", "--url", environment], check=True, capture_output=True)
    with urllib.request.urlopen(f"{environment}/_llmock/requests", timeout=10) as answer:
        assert json.load(answer)

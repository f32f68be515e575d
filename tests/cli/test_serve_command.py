"""`agentkit serve` and `agentkit keys`, as programs."""

import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_outcome import Cli

from agentkit.testing import ChatServer, Reply

pytest.importorskip("fastapi", reason="the server's packages: pip install '.[server]'")


@contextmanager
def served(folder: Path, *options: str, env: dict[str, str] | None = None) -> Iterator["tuple[Any, str]"]:
    """The program, and where it answers; it is killed in the end, if it is still there."""
    asked = [sys.executable, "-m", "agentkit", "serve", "--port", "0", "--database", str(folder / "s.db"), *options]
    with subprocess.Popen(asked, stderr=subprocess.PIPE, encoding="utf-8", env=env, cwd=folder) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "OPENAI_BASE_URL=" in line)
            yield process, line.partition("OPENAI_BASE_URL=")[2].strip()
        finally:
            if process.poll() is None:
                process.kill()


def ask(url: str, body: Any = None, key: str = "any") -> Any:
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
        return json.loads(answer.read())


AGENT = """
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call


@tool
def units_left(sku: str) -> int:
    \"\"\"Count the units of a product in stock.\"\"\"
    return 3


clerk = Agent(ScriptedModel([[call("units_left", sku="A-1")], "We have three."]), tools=[units_left])
"""


def test_an_agent_is_a_model_for_any_client(tmp_path: Path) -> None:
    """By the name that it has in its file; its tools run here."""
    (tmp_path / "shop.py").write_text(AGENT, encoding="utf-8")
    with served(tmp_path, "./shop.py:clerk") as (_, url):
        assert [model["id"] for model in ask(f"{url}/models")["data"]] == ["clerk"]
        said = ask(f"{url}/chat/completions", {"model": "clerk", "messages": [{"role": "user", "content": "A-1?"}]})
    assert said["choices"][0]["message"]["content"] == "We have three."


def test_a_server_that_is_told_to_stop_lets_its_answers_end(tmp_path: Path) -> None:
    """SIGTERM in the middle of an answer: the client gets it whole, and the program ends without an error."""
    asked, go_on = threading.Event(), threading.Event()

    def script(body: dict[str, Any]) -> Reply:
        asked.set()
        assert go_on.wait(20)
        return Reply(message="Done.")

    with ChatServer.in_thread(script) as model:
        env = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "a-key"}
        with served(tmp_path, "--model", "chat:gpt-5.5", env=env) as (process, url):
            answers: list[Any] = []
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi."}]}
            client = threading.Thread(target=lambda: answers.append(ask(f"{url}/chat/completions", body)))
            client.start()
            assert asked.wait(20)
            process.send_signal(signal.SIGTERM)
            go_on.set()
            client.join(20)
            assert process.wait(20) == 0
    assert answers[0]["choices"][0]["message"]["content"] == "Done."


def test_keys_open_a_server(tmp_path: Path, cli: Cli) -> None:
    """A key is shown once; without one, and with one that was taken back, the server answers 401."""
    database = ("--database", str(tmp_path / "s.db"))
    key = cli("keys", "add", "shop", *database).stdout.strip()
    assert key not in cli("keys", "list", *database).stdout
    assert "shop  tenant shop" in cli("keys", "list", *database).stdout
    with served(tmp_path, "--model", "local:needle") as (_, url):
        assert ask(f"{url}/assistants", key=key)["data"] == []
        with pytest.raises(OSError, match="401"):
            ask(f"{url}/assistants", key="another")
    assert cli("keys", "remove", "shop", *database).code == 0
    assert cli("keys", "remove", "shop", *database).code == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "make one with `agentkit keys add NAME`"),
        (["--database", "mysql://x"], "give it the path of a file"),
        (["--database", "/nowhere/s.db"], "cannot be used"),
        (["--model", "gpt-4o=x:y"], "with one of these wires"),
        (["nobody.toml"], "nobody.toml"),
    ],
)
def test_what_cannot_be_served_is_told_at_once(tmp_path: Path, cli: Cli, options: list[str], told: str) -> None:
    """In words, with the exit code for a mistake of the user's."""
    model = [] if "--model" in options else ["--model", "local:needle"]
    database = [] if "--database" in options else ["--database", str(tmp_path / "s.db")]
    outcome = cli("serve", "--port", "0", *model, *database, *options)
    assert outcome.code == 2
    assert told in outcome.stderr

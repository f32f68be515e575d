"""What the pages on the server say is true: their code runs against `agentkit serve`, and prints what they show."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from docs_runner import blocks, same

from agentkit.cli.options import MigrateOptions, ServeOptions
from agentkit.testing import ChatServer, call

pytest.importorskip("fastapi", reason="the server's packages: pip install '.[server]'")

ROOT = Path(__file__).parents[2]
SECONDS = 120
ANSWERS: dict[str, Sequence[Any]] = {
    # what the user says -> what the model says, turn by turn
    "Have you got A-1?": [[call("units_left", sku="A-1")], "Yes, we have three of A-1."],
    "What is my name?": ["Your name is Ada."],
    "Who am I?": ["You are Ada, as you said at the beginning."],
    "How long may goods be returned?": [
        [call("file_search", query="goods returned")],
        "Within 30 days【1†returns.txt】.",
    ],
    "Say hello.": ["Hello!"],
}
DEPRECATED = "ignore::DeprecationWarning"  # the SDK says so of this very API, on each call


def answer(body: dict[str, Any]) -> Any:
    """The model's next turn in a conversation."""
    messages = body["messages"]
    place = max(place for place, message in enumerate(messages) if message["role"] == "user")
    said = [message["role"] for message in messages[place:]].count("assistant")
    return ANSWERS[str(messages[place]["content"])][said]


def environment(url: str) -> dict[str, str]:
    """That of somebody who has a key for a server, and the commands that are installed beside this Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AGENTKIT_", "OTEL_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"PATH": path, "COLUMNS": "120", "OPENAI_API_KEY": "any-key", "OPENAI_BASE_URL": url}


@contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """`agentkit serve` in this folder, with a scripted model behind it; its URL."""
    with ChatServer.in_thread(answer) as model:
        asked = [sys.executable, "-m", "agentkit", "serve", "--port", "0", "--model", "chat:gpt-5.5", *options]
        env = environment(model.base_url)
        with subprocess.Popen(asked, stderr=subprocess.PIPE, encoding="utf-8", env=env, cwd=folder) as process:
            assert process.stderr is not None
            try:
                line = next(line for line in process.stderr if "OPENAI_BASE_URL=" in line)
                yield line.partition("OPENAI_BASE_URL=")[2].strip()
            finally:
                process.kill()


def run(*words: str | Path, url: str, cwd: Path) -> str:
    """What a Python program prints, where a warning is a failure."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", DEPRECATED, *words],
        env=environment(url),
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout


@pytest.mark.parametrize(
    ("page", "options"),
    [("migrating-from-assistants.md", []), ("server.md", ["clerk.toml"])],
)
def test_a_page_on_the_server_prints_what_it_shows(page: str, options: list[str], tmp_path: Path) -> None:
    """Whoever has started the server as the page says gets what it shows."""
    path = ROOT / "docs" / page
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.title:
            (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    with served(tmp_path, *options) as url:
        run(ROOT / "tests" / "docs_runner.py", path, url=url, cwd=tmp_path)


def options_of(command: type) -> set[str]:
    """The options of a command, as they are written."""
    words = {"as_json": "--json"}
    return {words.get(each.name, f"--{each.name.replace('_', '-')}") for each in fields(command)} - {"--debug"}


def test_every_option_is_in_the_tables() -> None:
    """Whoever looks for an option of `serve` or `migrate` finds it."""
    page = (
        (ROOT / "docs" / "server.md").read_text(encoding="utf-8").partition("\n## Options\n")[2].partition("\n## ")[0]
    )
    assert set(re.findall(r"(?<=[|,] )`(--[a-z-]+)", page)) == options_of(ServeOptions) - {"--agents"}
    page = (ROOT / "docs" / "migrating-from-assistants.md").read_text(encoding="utf-8")
    table = page.partition("| `agentkit migrate FILE...` | does |\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(--[a-z-]+)", table)) == options_of(MigrateOptions) - {"--files"}


def test_the_example_that_serves_an_agent_prints_what_it_says() -> None:
    """Without a key: it brings its model, and its server."""
    example = ROOT / "examples" / "serve_agent.py"
    shown = example.read_text(encoding="utf-8").partition("It prints:")[2].partition('"""')[0]
    assert same(run(example, url="", cwd=ROOT)) == same("\n".join(line.strip() for line in shown.splitlines()))

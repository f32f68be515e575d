"""What README.md, docs/ and examples/ say is true: their code runs and prints what they show, offline.

`docs_runner.py` says how a page is read. Where a page names a model such as `chat:gpt-5.5`, a server on this machine
answers, from `ANSWERS`; pages and examples find it in OPENAI_BASE_URL, as they would find any server.
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from docs_runner import blocks, same

import agentkit
from agentkit import Limits
from agentkit.testing import ChatServer, call
from agentkit.testing.reply import Reply, ScriptedReply

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.name != "demo.py")
SECONDS = 60
LOCAL_SECONDS = 300
"""The embedded model takes a second on an idle machine, and half a minute for an answer on a very busy one."""

ANSWERS: Mapping[str, Sequence[ScriptedReply]] = {
    # what the user says -> what the model says, turn by turn
    "What is the current price of Apple stock in GBP?": [
        [call("get_stock_price", ticker="AAPL", currency="GBP")],
        "Apple stock is at 182.34 GBP.",
    ],
    "Have you got A-1 and B-2?": [
        [call("units_left", sku="A-1"), call("units_left", sku="B-2")],
        "We have three of A-1, but no B-2.",
    ],
    "Have you got A-1?": [[call("units_left", sku="A-1")], "Yes, we have three of A-1."],
    "How many?": ["Three."],
    "Have you got Z-9?": [[call("units_left", sku="Z-9")], "There is no Z-9, but I can offer A-1."],
    "Check B-2.": [[call("units_left", sku="B-2")], '{"sku": "B-2", "units": 0, "can_order": false}'],
    "What is a tool?": ["A function that I may call."],
    "And in euros?": [
        [call("get_stock_price", ticker="AAPL", currency="EUR")],
        "That is 199.15 EUR.",
    ],
    "Quote Apple in GBP.": [
        [call("get_stock_price", ticker="AAPL", currency="GBP")],
        '{"ticker": "AAPL", "price": 182.34, "currency": "GBP"}',
    ],
}

NOT_RUN: Mapping[str, Sequence[str]] = {
    # page -> why blocks of it are not run; a new one is added here knowingly
}


def answer(body: dict[str, Any]) -> ScriptedReply:
    """The model's next turn in a conversation."""
    messages = body["messages"]
    asked = max(place for place, message in enumerate(messages) if message["role"] == "user")
    turns = ANSWERS.get(messages[asked]["content"])
    if turns is None:
        return Reply(status=400, error=f"ANSWERS has nothing for {messages[asked]['content']!r}")
    return turns[sum(message["role"] == "assistant" for message in messages[asked:])]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The environment of somebody who has a key, and a server that knows it."""
    with ChatServer.in_thread(answer) as server:
        yield {**clean(), "OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": server.base_url}


def clean() -> dict[str, str]:
    """This environment without keys and settings, and with the commands that are installed beside this Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AGENTKIT_", "OTEL_"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "COLUMNS": "120"}


def run(*words: str | Path, env: Mapping[str, str], cwd: Path = ROOT, seconds: int = SECONDS) -> str:
    """What a Python program prints, where a warning is a failure."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        env=env,
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shown(example: Path) -> str:
    """What an example says it prints: the last indented paragraphs of its docstring, below `It prints:`."""
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""
    return re.sub(r"^ {4}", "", docstring.partition("It prints:")[2], flags=re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "local-model.md"], ids=named)
def test_a_page_prints_what_it_shows(page: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Whoever copies code out of a page gets what the page shows."""
    run(ROOT / "tests" / "docs_runner.py", page, env=environment, cwd=tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_an_example_prints_what_it_says(example: Path, environment: dict[str, str]) -> None:
    """Each example runs as it says at its top, and prints what it says there."""
    assert f"python {named(example)}" in example.read_text(encoding="utf-8")
    assert same(run(example, env=environment)) == same(shown(example))


@pytest.mark.local_model
def test_the_page_on_the_local_model_prints_what_it_shows(tmp_path: Path) -> None:
    """With no key and no server."""
    run(ROOT / "tests" / "docs_runner.py", ROOT / "docs" / "local-model.md", env=clean(), cwd=tmp_path)


@pytest.mark.local_model
def test_the_demo_prints_what_the_readme_shows() -> None:
    """`make demo`, in a fresh checkout."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    demo = next(block.text for block in blocks(readme) if block.text.startswith("$ make demo\n"))
    assert same(run("examples/demo.py", env=clean(), seconds=LOCAL_SECONDS)) == same(demo.partition("\n")[2])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_is_not_run_is_known(page: Path) -> None:
    """Code that no test runs is written down, with the reason."""
    reasons = [block.not_run for block in blocks(page.read_text(encoding="utf-8")) if block.not_run]
    assert reasons == NOT_RUN.get(named(page), [])


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """A link to a file, or to a heading of a page, is not broken."""
    text = page.read_text(encoding="utf-8")
    for target, heading in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", text):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{target} is not there"
        assert not heading or heading in anchors(file), f"{target} has no heading for #{heading}"


def anchors(page: Path) -> list[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def first_column(page: str, heading: str) -> list[str]:
    """The names in code style at the start of a table's rows, the first table below a heading."""
    below = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert rows, f"{page} has no table below {heading!r}"
    return re.findall(r"^\| `(\w+)", rows[0], re.MULTILINE)


def test_every_public_name_is_in_the_index() -> None:
    """Whoever meets a name of agentkit finds what it is."""
    assert sorted(first_column("index.md", "The names")) == agentkit.__all__


def test_every_limit_is_in_the_table() -> None:
    """All that may stop a run is told in one place, in the order of `Limits`."""
    assert first_column("limits.md", "The limits") == [field.name for field in fields(Limits)]


def test_every_error_is_in_the_tree() -> None:
    """The page on limits and errors draws the tree that `errors.py` draws."""
    [drawn] = [
        block.text
        for block in blocks((ROOT / "docs" / "limits.md").read_text(encoding="utf-8"))
        if "AgentError" in block.text and not block.language
    ]
    assert re.findall(r"^[│├└─ ]*(\w+)", drawn, re.MULTILINE) == re.findall(
        r"^    [│├└─ ]*([A-Z]\w+)  ", agentkit.errors.__doc__ or "", re.MULTILINE
    )


def test_the_changelog_knows_this_version() -> None:
    """Who upgrades can read what has changed."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## \[?{re.escape(version)}\]?", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)


def test_the_readme_begins_with_how_to_try_it() -> None:
    """The two commands that show what this is stand where one looks first."""
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:30]
    assert {"make demo", "make test"} <= {found for line in first_screen for found in re.findall(r"make \w+", line)}

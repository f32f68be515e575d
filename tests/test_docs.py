"""What README.md, docs/ and examples/ say is true: their code runs and prints what they show, offline.

`docs_runner.py` says how a page is read. Where a page names a model such as `chat:gpt-5.5`, a server on this machine
answers, from `ANSWERS`; pages and examples find it in OPENAI_BASE_URL, as they would find any server. The page on the
Assistants wire finds one that speaks it.
"""

import ast
import json
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
from agentkit import Limits, ModelSettings, Tool
from agentkit.models.assistants import AssistantsBackend
from agentkit.testing import AssistantsServer, ChatServer, call
from agentkit.testing.reply import Reply, ScriptedReply

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ELSEWHERE = {
    *("assistants.md", "assistants.py", "local-model.md", "demo.py"),
    *("migrating-from-assistants.md", "server.md", "serve_agent.py"),  # tests/server/test_server_docs.py
}
"""Pages and examples with a test of their own, since another server or none answers them."""
SECONDS = 300
"""For a page or an example that hangs: a page takes a second or ten, and on a very busy machine, or where the embedded
model answers, a minute."""

ANSWERS: Mapping[str, Sequence[ScriptedReply]] = {
    # what the user says -> what the model says, turn by turn
    "What is the current price of Apple stock in GBP?": [
        [call("get_stock_price", ticker="AAPL", currency="GBP")],
        "Apple stock is at 182.34 GBP.",
    ],
    "Can I go to Rome tonight?": [
        [call("hotels", prompt="Free rooms in Rome?"), call("trains", prompt="Is the train to Rome on time?")],
        "Rome has rooms, and the train is on time.",
    ],
    "Free rooms in Rome?": ["Twelve."],
    "Is the train to Rome on time?": ["It is."],
    "Refund order 7.": [[call("refund", order=7, euros=90)], "30 euros for order 7 are on their way."],
    "Have you got A-1 and B-2?": [
        [call("units_left", sku="A-1"), call("units_left", sku="B-2")],
        "We have three of A-1, but no B-2.",
    ],
    "Have you got A-1?": [[call("units_left", sku="A-1")], "Yes, we have three of A-1."],
    "How many?": ["Three."],
    "Have you got Z-9?": [[call("units_left", sku="Z-9")], "There is no Z-9, but I can offer A-1."],
    "Check B-2.": [[call("units_left", sku="B-2")], '{"sku": "B-2", "units": 0, "can_order": false}'],
    "What is the weather in Rome?": [[call("look_up", city="Rome")], "It is sunny in Rome, and 24 degrees."],
    "Lunch with Bo, Saturday in a week at one.": [
        '{"title": "Lunch with Bo", "day": "Saturday", "start": "13:00", "guests": ["Bo"]}',
    ],
    (
        "Your answer does not fit. Answer again, with JSON only, and mend this:\n"
        "- day: Input should be a valid date or datetime, input is too short"
    ): ['{"title": "Lunch with Bo", "day": "2026-03-28", "start": "13:00", "guests": ["Bo"]}'],
    "My name is Ada.": ["Nice to meet you, Ada."],
    "What is my name?": ["Your name is Ada."],
    "Who am I?": ["You are Ada, as you said at the beginning."],
    "How many A-1 are there, and what is the checksum of 'A-1'?": [
        [call("stock_of", sku="A-1"), call("checksum", text="A-1")],
        "Both tools were asked in one answer, so they ran at the same time.",
    ],
    "Refund 20 euros for order 7 and 900 for order 8.": [
        [call("refund", order=7, euros=20), call("refund", order=8, euros=900)],
        "Order 7 is refunded. 900 euros for order 8 need your manager.",
    ],
    "Where is parcel 7?": [[call("follow", parcel="7", stop=1)], [call("follow", parcel="7", stop=2)]],
    "Go on.": [[call("follow", parcel="7", stop=2), call("follow", parcel="7", stop=3)], "The parcel is in Rome."],
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
    "README.md": [
        "make builds an environment of its own",
        "it installs packages",
        "its output is compared in a test of its own",
    ],
    "docs/architecture.md": ["make builds an environment of its own"],
    "docs/local-model.md": ["it installs packages"],
    "docs/migrating-from-assistants.md": ["the tests start the server themselves", "the program is yours"],
    "docs/server.md": [
        "it installs packages, and the tests start the server themselves",
        "the tests have the address of their own server in the environment",
        "the tests start the server themselves",
        "a key is another one each time",
    ],
    "docs/streaming.md": ["Starlette is not installed with agentkit", "Starlette is not installed with agentkit"],
    "docs/telemetry.md": ["the exporter is in another extra, and there is no collector here"],
}


def answer(body: dict[str, Any]) -> ScriptedReply:
    """The model's next turn in a conversation."""
    messages = body["messages"]
    place = max(place for place, message in enumerate(messages) if message["role"] == "user")
    asked = str(messages[place]["content"])
    turns, said = ANSWERS.get(asked, ()), [message["role"] for message in messages[place:]].count("assistant")
    if said >= len(turns):
        return Reply(status=400, error=f"ANSWERS has no turn {said + 1} for {asked!r}")
    return turns[said]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The environment of somebody who has a key, and a server that knows it."""
    with ChatServer.in_thread(answer) as server:
        yield {**clean(), "OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": server.base_url}


@pytest.fixture(scope="module")
def assistants_environment() -> Iterator[dict[str, str]]:
    """The same, where the server speaks the Assistants wire."""
    with AssistantsServer.in_thread(answer) as server:
        yield {**clean(), "OPENAI_API_KEY": "a-key", "OPENAI_BASE_URL": server.base_url}


def clean() -> dict[str, str]:
    """This environment without keys and settings, and with the commands that are installed beside this Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AGENTKIT_", "OTEL_"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", "COLUMNS": "120"}


def run(*words: str | Path, env: Mapping[str, str], cwd: Path = ROOT) -> str:
    """What a Python program prints, where a warning is a failure."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        env=env,
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{done.stdout}\n{done.stderr}", pytrace=False)
    return done.stdout


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def shown(example: Path) -> str:
    """What an example says it prints: the last indented paragraphs of its docstring, below `It prints:`."""
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""
    return re.sub(r"^ {4}", "", docstring.partition("It prints:")[2], flags=re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ELSEWHERE], ids=named)
def test_a_page_prints_what_it_shows(page: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """Whoever copies code out of a page gets what the page shows."""
    run(ROOT / "tests" / "docs_runner.py", page, env=environment, cwd=tmp_path)


@pytest.mark.parametrize("example", [example for example in EXAMPLES if example.name not in ELSEWHERE], ids=named)
def test_an_example_prints_what_it_says(example: Path, environment: dict[str, str]) -> None:
    """Each example runs as it says at its top, and prints what it says there."""
    assert f"python {named(example)}" in example.read_text(encoding="utf-8")
    assert same(run(example, env=environment)) == same(shown(example))


def test_the_page_on_the_assistants_wire_prints_what_it_shows(
    assistants_environment: dict[str, str], tmp_path: Path
) -> None:
    """With a server that keeps assistants and threads."""
    run(ROOT / "tests" / "docs_runner.py", ROOT / "docs" / "assistants.md", env=assistants_environment, cwd=tmp_path)


def test_the_assistants_example_prints_what_it_says() -> None:
    """Without a server: it brings one."""
    example = ROOT / "examples" / "assistants.py"
    assert same(run(example, env=clean())) == same(shown(example))


@pytest.mark.local_model
def test_the_page_on_the_local_model_prints_what_it_shows(tmp_path: Path) -> None:
    """With no key and no server."""
    run(ROOT / "tests" / "docs_runner.py", ROOT / "docs" / "local-model.md", env=clean(), cwd=tmp_path)


@pytest.mark.local_model
def test_the_demo_prints_what_the_readme_shows() -> None:
    """`make demo`, in a fresh checkout."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    demo = next(block.text for block in blocks(readme) if block.text.startswith("$ make demo\n"))
    printed = run("examples/demo.py", env=clean())
    in_any_order = [sorted(same(text).splitlines()) for text in (demo.partition("\n")[2], printed)]
    assert in_any_order[0] == in_any_order[1]  # tools that run at the same time end in any order


WRONG = """\
```python
print("one")
```

```text
two
```

```python
print("shown by nobody")
```

```python
raise ValueError("this")
```

```text
ValueError: that
```

```console
$ false
$ echo $?
0
```

<!-- not run: it is wrong on purpose -->
```python
raise SystemExit
```
"""


def test_a_page_that_shows_something_else_is_found_out(tmp_path: Path) -> None:
    """Nothing on a page is there for show: what it does not print, and what it does not show, is reported."""
    (tmp_path / "page.md").write_text(WRONG, encoding="utf-8")
    with pytest.raises(pytest.fail.Exception) as caught:
        run(ROOT / "tests" / "docs_runner.py", "page.md", env=clean(), cwd=tmp_path)
    reported = re.findall(r"^(?:page.md:\d+:|[-+](?![-+]).*)$", str(caught.value), re.MULTILINE)
    assert reported == [
        *("page.md:2:", "-two", "+one"),
        *("page.md:10:", "+shown by nobody"),
        *("page.md:14:", "-ValueError: that", "+ValueError: this"),
        *("page.md:22:", "-0", "+1"),
    ]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```python\nprint(1)\n", "has no end"),
        ("- in a list:\n  ```python\n  print(1)\n  ```\n", "is indented"),
        ("```text\n1\n```\n", "no block prints this"),
        ("```python\n1\n```\n\nThat was it.\n\n```text\n1\n```\n", "no block prints this"),
    ],
)
def test_a_block_that_would_be_passed_over_is_refused(page: str, said: str) -> None:
    """A slip in the Markdown does not take code out of the tests."""
    with pytest.raises(ValueError, match=said):
        list(blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_is_not_run_is_known(page: Path) -> None:
    """Code that no test runs is written down, with the reason."""
    reasons = [block.not_run for block in blocks(page.read_text(encoding="utf-8")) if block.not_run]
    assert reasons == NOT_RUN.get(named(page), [])


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"], ids=named)
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


def rows(page: str, heading: str) -> list[list[str]]:
    """The first table below a heading: its rows, and in each what is in code style at the start of a cell."""
    below = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table, f"{page} has no table below {heading!r}"
    cells = [re.findall(r"(?<=\| )`(.*?)`", row) for row in table[0].splitlines()[2:]]
    return [[cell.replace("\\|", "|") for cell in row] for row in cells]


def first_column(page: str, heading: str) -> list[str]:
    """What is in code style at the start of each row."""
    return [row[0] for row in rows(page, heading)]


def test_every_public_name_is_in_the_index() -> None:
    """Whoever meets a name of agentkit finds what it is."""
    assert sorted(first_column("index.md", "The names")) == agentkit.__all__


def test_every_limit_is_in_the_table() -> None:
    """All that may stop a run is told in one place, in the order of `Limits`."""
    assert first_column("limits.md", "The limits") == [field.name for field in fields(Limits)]


def test_every_setting_is_in_the_table() -> None:
    """Whoever looks for a setting finds it."""
    assert first_column("models.md", "Settings") == [field.name for field in fields(ModelSettings)]


def test_every_option_of_the_assistants_backend_is_in_the_table() -> None:
    """Whoever has such a server finds what can be set."""
    assert first_column("assistants.md", "The backend") == [field.name for field in fields(AssistantsBackend)]


def test_annotations_become_what_the_table_says() -> None:
    """Each row holds: the schema that the model is told, and what the function gets of what the model sends."""
    page = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(next(block.text for block in blocks(page) if "class Size(" in block.text), namespace)
    for annotation, schema, sent, got in rows("tools.md", "What an annotation becomes"):

        def function(x: Any) -> Any:
            return x

        function.__annotations__ = {"x": eval(annotation, namespace)}
        made = Tool.of(function)
        assert made.parameters["properties"]["x"] == json.loads(schema), annotation
        (positional, named) = made.arguments.bind(f'{{"x": {sent}}}', None)
        assert [*map(repr, positional), *map(repr, named.values())] == [got], annotation


def test_every_module_is_in_the_plan() -> None:
    """Whoever looks for something in the code finds in which file it is."""
    plan = next(blocks((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))).text
    package = ROOT / "agentkit"
    modules = [path.relative_to(package).as_posix() for path in [*package.glob("*.py"), *package.glob("models/*.py")]]
    folders = [path.parent.relative_to(package).as_posix() + "/" for path in package.glob("*/**/__init__.py")]
    for name in {*modules, *folders} - {"__init__.py", "models/"}:
        assert f" {name} " in plan, f"{name} is not in the plan"


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
    assert re.search(
        rf"^## \[?{re.escape(version)}\]?", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )


def test_the_readme_begins_with_how_to_try_it() -> None:
    """The two commands that show what this is stand where one looks first."""
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:30]
    assert {"make demo", "make test"} <= {found for line in first_screen for found in re.findall(r"make \w+", line)}

"""`agentkit tools`."""

import json
from pathlib import Path

import pytest
from cli_outcome import Cli


def test_list_shows_what_is_installed(cli: Cli) -> None:
    """One line a tool: what `--tools` calls it, and the first line of what it does."""
    done = cli("tools", "list")
    assert done.code == 0
    assert any(line.startswith("calc:calculate: ") for line in done.stdout.splitlines())


def test_list_shows_the_tools_of_a_file(cli: Cli, shop: str) -> None:
    """A file of one's own is looked at in the same way."""
    done = cli("tools", "list", shop)
    assert done.stdout.splitlines()[0] == "./shop.py:units_left: Count the units of a product in stock."
    assert "./shop.py:color: Tell a colour." in done.stdout


def test_a_broken_module_does_not_hide_the_others(cli: Cli, shop: str, tmp_path: Path) -> None:
    """What can be listed is listed, what cannot is named, and the exit code says that something is wrong."""
    (tmp_path / "bad.py").write_text("1 / 0", "utf-8")
    done = cli("tools", "list", "./bad.py", shop)
    assert done.code == 2
    assert "units_left" in done.stdout
    assert "bad.py' fails on import: ZeroDivisionError" in done.stderr


def test_show_is_what_a_model_is_told(cli: Cli, shop: str, tmp_path: Path) -> None:
    """Name, description, schema, and where the tool is from, as JSON."""
    done = cli("tools", "show", f"{shop}:units_left")
    data = json.loads(done.stdout)
    assert data["name"] == "units_left"
    assert data["description"] == "Count the units of a product in stock.\n\nLong talk about it."
    assert data["parameters"]["required"] == ["sku"]
    assert data["from"] == "./shop.py:units_left"
    assert data["at"].startswith(f"{tmp_path / 'shop.py'}:")


@pytest.mark.parametrize("name", ["calculate", "calc:calculate", "calc"])
def test_an_installed_tool_is_found_by_its_name_or_its_module(cli: Cli, name: str) -> None:
    """Nobody has to remember which module a tool is in."""
    done = cli("tools", "show", name)
    assert json.loads(done.stdout)["from"] == "calc:calculate"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["./shop.py:units_left", '{"sku": "A-1"}'], "3"),
        (["./shop.py:units_left", "sku=A-1", "minimum=2"], "3"),
        (["./shop.py:units_left", "sku=A-1", "minimum=null"], "3"),
        (["./shop.py:echo", "text=007"], "007"),
        (["./shop.py:echo", "text={}"], "{}"),
        (["./shop.py:echo", "text=a=b c\x1b[31m"], "a=b c\\x1b[31m"),
        (["./shop.py:color", "of=sky", "shades=[1, 2]"], "sky: [1, 2]"),
        (["calculate", "expression=6 * 7"], "42"),
    ],
)
def test_call_runs_a_tool(cli: Cli, shop: str, words: list[str], said: str) -> None:
    """`key=value` is text where the tool takes text, and JSON elsewhere; the result is on stdout."""
    done = cli("tools", "call", *words)
    assert (done.code, done.stdout, done.stderr) == (0, f"{said}\n", "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["./shop.py:units_left"], 1, "sku: is missing"),
        (["./shop.py:units_left", "sky=1", "sku=1"], 1, "sky: there is no such argument"),
        (["./shop.py:units_left", "sku=1", "minimum=x"], 1, "minimum"),
        (["./shop.py:units_left", "{"], 1, "not one JSON object"),
        (["./shop.py:color", "of=sea"], 1, "'sky' or 'grass'"),
        (["./shop.py:broken"], 1, "out of order"),
        (["./shop.py:leave"], 1, "a tool ended the program, with code 0"),
        (["./shop.py:units_left", "A-1"], 2, "'A-1' is neither key=value nor a JSON object in quotes"),
        (["./shop.py:units_left", "sku=1", "sku=2"], 2, "'sku' is given twice"),
        (["./shop.py"], 2, "is 5 tools; name one: ./shop.py:units_left, "),
        (["./shop.py:unit_left"], 2, "has no tool 'unit_left'"),
        (["calculat"], 2, "did you mean 'calculate'?"),
        (["xyz"], 2, "`agentkit tools list` shows what there is"),
    ],
)
def test_a_call_that_fails_says_why(cli: Cli, shop: str, words: list[str], code: int, said: str) -> None:
    """A person reads on stderr what a model would be told, and a shell sees that it failed."""
    done = cli("tools", "call", *words)
    assert (done.code, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1

"""Tools by the name of where they are."""

from pathlib import Path

import pytest

from agentkit import ConfigError, load_tools
from agentkit.loader import available_tools

MODULE = '''
"""Weather."""
from agentkit import tool
from agentkit.tools.clock import now

@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"

@tool
def tides(port: str) -> str:
    """Tell the tides."""
    return port

def helper(): ...
'''


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "weather.py"
    path.write_text(MODULE, encoding="utf-8")
    return path


def test_a_file_gives_its_own_tools_in_order(module: Path) -> None:
    """Not its helpers, and not what it imports."""
    assert [f.__name__ for f in load_tools(module)] == ["weather", "tides"]
    assert load_tools(str(module))[0]("Rome") == "sunny in Rome"


def test_one_tool_can_be_picked(module: Path) -> None:
    """`path:name` and `entry-point:name`."""
    assert [f.__name__ for f in load_tools(f"{module}:tides")] == ["tides"]
    assert [f.__name__ for f in load_tools("clock:now")] == ["now"]
    with pytest.raises(ConfigError, match=r"no tool 'tide'; it has: weather, tides"):
        load_tools(f"{module}:tide")


def test_a_relative_path_starts_from_the_base(module: Path) -> None:
    """An agent file's tools lie beside it."""
    assert len(load_tools("./weather.py", base=module.parent)) == 2


def test_a_file_is_run_once(module: Path) -> None:
    """Loading twice gives the same functions."""
    assert load_tools(module)[0] is load_tools(module)[0]


def test_installed_tools_are_found_by_name() -> None:
    """Ours the way anyone's are: by entry point."""
    assert {"clock", "calc", "units", "text", "files"} <= set(available_tools())
    assert load_tools("clock")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("clok", "did you mean 'clock'"),
        ("./nothing.py", "no tool file"),
        ("nonsense-name", "Installed are: "),
    ],
)
def test_what_is_not_there_is_named_with_what_is(source: str, says: str) -> None:
    """A typing error costs one look."""
    with pytest.raises(ConfigError, match=says):
        load_tools(source)


@pytest.mark.parametrize(
    ("text", "says"),
    [("1/0", "fails on import: ZeroDivisionError"), ("x = 1", "declares no tools"), ("def f(", "SyntaxError")],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    """The error says which file, and what is wrong with it; mended, it loads."""
    path = tmp_path / "broken.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as caught:
        load_tools(path)
    assert "broken.py" in str(caught.value)

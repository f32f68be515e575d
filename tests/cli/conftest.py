"""The command line, called in this process."""

from pathlib import Path

import pytest
from cli_outcome import Cli, Outcome
from typer.testing import CliRunner

from agentkit.cli.app import app

TOOLS = '''
"""Tools for the tests of the command line."""

from typing import Literal

from agentkit import ToolFailed, tool


@tool
def units_left(sku: str, minimum: int | None = None) -> int:
    """Count the units of a product in stock.

    Long talk about it.
    """
    return {"A-1": 3}.get(sku, 0)


@tool
def echo(text: str) -> str:
    """Say it again."""
    return text


@tool(name="colour")
def color(of: Literal["sky", "grass"], shades: list[int] | None = None) -> str:
    """Tell a colour."""
    return f"{of}: {shades}"


@tool
def broken() -> str:
    """Fail."""
    raise ToolFailed("out of order")


@tool
def leave() -> str:
    """End the program."""
    raise SystemExit(0)
'''


ASKING = '''
"""Tools that ask first."""

from typing import Annotated

from agentkit import tool
from agentkit.context import Secret


@tool(effects="destructive", approval=True)
def delete_order(order: str) -> str:
    """Delete an order."""
    return f"{order} is gone"


@tool(approval=True)
def pay(amount: int, pin: Annotated[str, Secret]) -> Annotated[str, Secret]:
    """Pay."""
    return "receipt 4711"


@tool
def look() -> str:
    """Look."""
    return "seen"
'''


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, server or model of whoever runs the tests; in a folder of its own."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "AGENTKIT_MODEL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """A file with tools, in the current folder."""
    (tmp_path / "shop.py").write_text(TOOLS, encoding="utf-8")
    return "./shop.py"


@pytest.fixture
def asking(tmp_path: Path) -> str:
    """A file with tools that need approval."""
    (tmp_path / "asking.py").write_text(ASKING, encoding="utf-8")
    return "./asking.py"


@pytest.fixture
def cli() -> Cli:
    """`cli("run", "Hi", server=server)`: the command's exit code, stdout and stderr."""

    def invoke(*arguments: str, server: object = None, stdin: str = "", **environment: str) -> Outcome:
        if server is not None:
            environment |= {"OPENAI_BASE_URL": str(getattr(server, "base_url", server)), "OPENAI_API_KEY": "sk-s3cr3t"}
        result = CliRunner().invoke(app, arguments, input=stdin, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return invoke

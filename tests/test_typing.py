"""agentkit's types are part of what it promises; `tests/typing/` says what they are, and type checkers read it."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKERS = {
    "mypy": ["mypy", "--no-error-summary"],
    "basedpyright": ["basedpyright", "--pythonpath", sys.executable],
}


def findings(checker: str, *paths: Path) -> list[str]:
    """What a type checker has to say about these files, or about those that pyproject.toml names: a line for each."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed, so what it would say is NOT tested: pip install -e '.[dev]'")
    command = [sys.executable, "-m", *CHECKERS[checker], *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False, timeout=120)
    found = [line for line in done.stdout.splitlines() if " error: " in line]
    assert bool(found) == bool(done.returncode), f"{checker} failed:\n{done.stdout}\n{done.stderr}"
    return found


@pytest.mark.sweep
@pytest.mark.parametrize("checker", CHECKERS)
def test_everything_checks(checker: str) -> None:
    """agentkit and its tools are fully typed, and an editor sees what `tests/typing/` says it sees.

    `make check` says so too, in the same words.
    """
    found = findings(checker)
    assert not found, "\n".join(["", *found])


FALSE_CLAIMS = {
    "type of an agent": ('assert_type(Agent("chat:m"), Agent[int])', "int"),
    "type of an output": ('assert_type(Agent("chat:m").run_sync("?").output, int)', "int"),
    "ignore for nothing": ('Agent("chat:m", limits=Limits())  # type: ignore[arg-type]', "Unused|Unnecessary"),
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_false_claims_are_found(checker: str, tmp_path: Path) -> None:
    """The files in `tests/typing/` prove something: what is not true there is reported, and so is a needless ignore."""
    files = [tmp_path / f"claims_{n}.py" for n in range(len(FALSE_CLAIMS))]
    for file, (claim, _) in zip(files, FALSE_CLAIMS.values(), strict=True):
        lines = [
            "# pyright: strict, reportUnnecessaryTypeIgnoreComment=true",
            "from typing import assert_type",
            "from agentkit import Agent, Limits",
            "assert_type(Limits(), Limits)",
            claim,
        ]
        file.write_text("\n".join([*lines, ""]), encoding="utf-8")
    said = findings(checker, *files)
    for file, (claim, wanted) in zip(files, FALSE_CLAIMS.values(), strict=True):
        [found] = [line for line in said if f"{file.name}:" in line]
        assert f"{file.name}:5:" in found, claim
        assert re.search(wanted, found), claim
    assert len(said) == len(FALSE_CLAIMS)

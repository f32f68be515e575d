"""Processes that share work on one PostgreSQL: one is killed, and another does what it had begun."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dbos", reason="a durable engine: pip install dbos")
PROGRAM = Path(__file__).parent / "worker_program.py"


def until(process: "subprocess.Popen[str]", line: str) -> None:
    """Read what a process says until it says this."""
    assert process.stdout is not None
    for said in process.stdout:
        if said.strip() == line:
            return
    raise AssertionError(f"the process has ended, and did not say {line!r}")


def test_what_a_killed_process_has_begun_another_one_ends(at: Callable[[str], Any], tmp_path: Path) -> None:
    """No work is lost, no step that was done is done twice, and work of the process that lives stays with it."""
    url, log = at("postgres").url, tmp_path / "log"

    def start(*given: str) -> "subprocess.Popen[str]":
        return subprocess.Popen([sys.executable, PROGRAM, url, log, *given], stdout=subprocess.PIPE, encoding="utf-8")

    one, other = start("one", "a", "b", "c"), start("other", "d")
    try:
        for _ in range(3):
            until(one, "waits")
        one.kill()
        one.wait()
        for _ in range(4):
            until(other, "ended")
    finally:
        for process in (one, other):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    lines = log.read_text("utf-8").splitlines()
    assert {line for line in lines if line.startswith("ended")} == {"ended a", "ended b", "ended c", "ended d"}
    done = Counter(line for line in lines if line.startswith("done"))
    assert len(done) == 12
    assert set(done.values()) == {1}
    assert not any(line.startswith("one begins d") for line in lines)

"""The benchmarks still run; how fast anything is, they say themselves, by ratios."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_benchmarks_run_and_compare_everybody() -> None:
    """`make bench` is not broken by a change elsewhere: every table has its baseline and its ratios."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    tables = json.loads(done.stdout)["tables"]
    assert len(tables) == 9
    for table in tables:
        ratios = table["ratio"]
        assert ratios[table["baseline"]] == 1.0
        assert len(ratios) > 1
        assert all(ratio > 0 for ratio in ratios.values())

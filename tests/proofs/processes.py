"""The programs of a proof: servers that print their URL, virtual environments, and what pip brings."""

import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
SHOP = HERE.parent / "server" / "shop.py"
"""Starts agentkit's server, with a script in the model's place; prints its URL and a key."""
_SECONDS_TO_END = 40
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "OTEL_"))}


@contextmanager
def started(*command: str | Path) -> Iterator[str]:
    """A Python program that serves; gives the line that it prints first, and ends it with the block.

    Raises:
        RuntimeError: it has printed none.
    """
    arguments = [sys.executable, *map(str, command)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=ENVIRONMENT) as process:
        try:
            assert process.stdout is not None
            if not (line := process.stdout.readline().strip()):
                raise RuntimeError(f"{command[0]} has ended with status {process.wait()}; see above")
            yield line
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_END)
            finally:
                process.kill()


@contextmanager
def shop() -> Iterator[tuple[str, str]]:
    """agentkit's server with an empty database, from its start to its end; gives its URL, and a key."""
    with (
        tempfile.TemporaryDirectory(prefix="agentkit-shop-") as folder,
        started(SHOP, Path(folder, "server.db")) as told,
    ):
        url, key = told.split()
        yield url, key


def environment(folder: Path, *packages: str) -> Path:
    """The Python of a virtual environment with these packages, which is made unless it is there."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
        pip(python, "install", *packages)
    return python


def pip(python: Path, *arguments: str) -> None:
    """Have pip do something; what goes wrong is on standard error.

    Raises:
        CalledProcessError: it has not done it.
    """
    quiet = ["-qq", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", arguments[0], *quiet, *arguments[1:]], check=True, env=ENVIRONMENT)


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for what a proof needs: `PROOFS_FOLDER`, which stays, or one that goes with the block."""
    if kept := os.environ.get("PROOFS_FOLDER"):
        folder = Path(kept)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="agentkit-proofs-") as made:
            yield Path(made)


def say(line: str) -> None:
    """Show how far a proof is."""
    print(line, flush=True)

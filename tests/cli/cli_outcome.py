"""What a command came to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished command."""

    code: int
    stdout: str
    stderr: str


Cli: TypeAlias = Callable[..., Outcome]
"""`cli("run", "Hi", server=server, stdin="...", NAME="environment variable")`."""

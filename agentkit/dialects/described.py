"""What a dialect is given, and what it makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agentkit.policy import Policy


class Described(Protocol):
    """What a model must know of a tool: a `Tool`, or anything like it."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def policy(self) -> Policy: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A tool in a dialect."""

    spec: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What the dialect says otherwise than the tool does, or cannot say."""
    losses: tuple[str, ...] = ()
    """What the tool's author would not expect to be lost, and is warned of."""

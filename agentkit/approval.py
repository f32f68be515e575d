"""A person's, or a program's, yes to a tool call that needs one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .messages import ToolCall
from .policy import Effects


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Approval:
    """What is asked: may this call be made?"""

    call: ToolCall
    arguments: Mapping[str, Any]
    """What the function would get: the arguments as its types, its own defaults for what the model left out."""
    effects: Effects | None
    """What the tool declares that a call does."""
    secrets: frozenset[str]
    """Names of arguments that are not to be shown."""
    run_id: str
    deps: Any
    """What the caller gave to the run: who asks, for example."""

    def __repr__(self) -> str:
        shown = {name: "***" if name in self.secrets else value for name, value in self.arguments.items()}
        return f"Approval({self.call.name}, {shown!r}, effects={self.effects!r}, run_id={self.run_id!r})"


Approve: TypeAlias = Callable[[Approval], bool | Awaitable[bool]]
"""Says yes or no; `raise ToolDenied("why not")` says no, and tells the model why."""

"""Who a run is for the model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from .approval import Taint
from .events import Out
from .guardrails import Guardrails
from .models.base import ModelBackend, ModelRequest
from .registry import ToolRegistry

if TYPE_CHECKING:
    from .output import OutputType


@dataclass(frozen=True, kw_only=True, slots=True)
class Role(Generic[Out]):
    """An agent, as far as the loop has to know it. A hand-off puts another in its place."""

    agent: str
    description: str = ""
    """What the agent is good for, as others are told of it."""
    model: ModelBackend
    request: ModelRequest
    """What each model call has in common; the messages are added."""
    output: "OutputType[Out]"
    tools: ToolRegistry
    guardrails: Guardrails | None = None
    taint: Taint = "approve"
    handoffs: "Mapping[str, Callable[[], Role[Out]]]" = field(default_factory=dict)
    """Who takes over when the tool of this name has been called."""

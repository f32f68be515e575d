"""What must come out."""

from dataclasses import dataclass

from . import startup
from .scenarios import AGENTKIT, CROWD, EIGHT_CALLS, LONG_HISTORY, ONE_CALL, TRACED


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The most that a contestant may cost, in units of what the openai SDK costs."""

    table: str
    contestant: str
    most: float
    above: str | None = None
    """Judge the difference to this contestant instead of the whole."""


TARGETS = (
    Target(table=startup.TITLE, contestant=startup.AGENTKIT, most=0.15),
    Target(table=ONE_CALL.title, contestant=AGENTKIT, most=0.30),
    Target(table=ONE_CALL.title, contestant=TRACED, most=0.10, above=AGENTKIT),
    Target(table=EIGHT_CALLS.title, contestant=AGENTKIT, most=0.15),
    Target(table=LONG_HISTORY.title, contestant=AGENTKIT, most=0.06),
    Target(table=CROWD.title, contestant=AGENTKIT, most=0.20),
)

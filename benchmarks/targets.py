"""What must come out."""

from dataclasses import dataclass

from . import specs, startup
from .scenarios import (
    AGENTKIT,
    ASSISTANTS,
    CROWD,
    EIGHT_CALLS,
    LONG_HISTORY,
    MEASURED,
    ONE_CALL,
    TELEMETRY,
    THRONG,
    TRACED,
    UNSEEN,
)

PER_REQUEST = 1.5 * (ONE_CALL.rounds + 2) / (ONE_CALL.rounds + 1)
"""1.5 for each request, one more of which makes the thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The most that a contestant may cost, in units of what the table's baseline costs."""

    table: str
    contestant: str
    most: float
    above: str | None = None
    """Judge the difference to this contestant instead of the whole."""
    times: str | None = None
    """Judge it in units of what this contestant costs."""


TARGETS = (
    Target(table=startup.TITLE, contestant=startup.AGENTKIT, most=0.15),
    Target(table=specs.SPEC, contestant=specs.AGENTKIT, most=0.70),
    Target(table=specs.EXPORT, contestant=specs.EXPORTED, most=0.50),
    Target(table=ONE_CALL.title, contestant=AGENTKIT, most=0.30),
    Target(table=ONE_CALL.title, contestant=ASSISTANTS, most=PER_REQUEST, times=AGENTKIT),
    Target(table=TELEMETRY.title, contestant=UNSEEN, most=0.02),
    Target(table=TELEMETRY.title, contestant=TRACED, most=0.25, above=AGENTKIT),
    Target(table=TELEMETRY.title, contestant=MEASURED, most=0.40, above=AGENTKIT),
    Target(table=EIGHT_CALLS.title, contestant=AGENTKIT, most=0.15),
    Target(table=LONG_HISTORY.title, contestant=AGENTKIT, most=0.06),
    Target(table=CROWD.title, contestant=AGENTKIT, most=0.20),
    Target(table=THRONG.title, contestant=AGENTKIT, most=0.05),
)

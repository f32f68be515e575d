"""What callers give to an agent and to its runs, checked: a mistake is answered with what to write."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from .approval import Asked, pause_of
from .caller import Caller
from .errors import ConfigError
from .guardrails import Guardrails
from .limits import Limits
from .messages import AssistantMessage, Message, ToolResult, UserMessage
from .models.base import ModelSettings, OutputMode
from .prices import Prices
from .resuming import Resumption
from .sessions import Session
from .steps import NamesRuns, Steps
from .telemetry import Telemetry
from .window import Window

_TEXTS = ("name", "instructions", "description")
_OPTIONAL: Mapping[str, type] = {"prices": Prices, "window": Window, "guardrails": Guardrails}
_KINDS: Mapping[str, type] = {"limits": Limits, "settings": ModelSettings, "telemetry": Telemetry, **_OPTIONAL}


def check_agent(fields: Mapping[str, Any]) -> None:
    """Make sure that an agent's fields are what they have to be, as far as one can see before anything is built.

    Raises:
        ConfigError: one is not.
    """
    if not (isinstance(fields["model"], str) or _can(fields["model"], "generate")):
        raise ConfigError(f'model={fields["model"]!r:.100}: write "wire:model", or give a backend')
    for name in _TEXTS:
        if not isinstance(fields[name], str):
            raise ConfigError(f"{name}={fields[name]!r:.100}: must be text")
    for name, kind in _KINDS.items():
        given = fields[name]
        if not (isinstance(given, kind) or (given is None and name in _OPTIONAL)):
            raise ConfigError(f"{name}={given!r:.100}: write {name}={kind.__name__}(...)")
    if not (fields["taint"] in ("approve", "allow") or callable(fields["taint"])):
        raise ConfigError(
            f'taint={fields["taint"]!r:.60}: write "approve" or "allow", or give a function of the Approval'
        )
    if not ((journal := fields["journal"]) is None or _can(journal, "begin")):
        raise ConfigError(f"journal={journal!r:.100}: write journal=FileJournal({journal!r:.100})")
    if isinstance(tools := fields["tools"], str) or not isinstance(tools, Iterable):
        raise ConfigError(f"tools={tools!r:.100}: write a list of functions, or load_tools({tools!r:.40})")
    if (mode := fields["output_mode"]) not in (None, *get_args(OutputMode)):
        raise ConfigError(f"output_mode={mode!r:.60}: write one of {', '.join(get_args(OutputMode))}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenToRun:
    """What the caller gives to one run besides the prompt.

    Raises:
        ConfigError: something of it cannot be used, or says twice what was said before.
    """

    deps: Any = None
    session: Session | None = None
    history: Sequence[Message] = ()
    steps: Steps | None = None
    approve: Asked | None = None
    resumes: Resumption | None = None
    outer: Caller | None = None
    """What makes the tool calls of the run that this one is a part of."""

    def __post_init__(self) -> None:
        if not (self.steps is None or _can(self.steps, "reserve")):
            raise ConfigError(f"steps={self.steps!r:.90}: write steps=Recorder({self.steps!r:.90})")
        if not (self.approve is None or callable(self.approve) or pause_of(self.approve)):
            raise ConfigError(
                f"approve={self.approve!r:.90}: give a function that takes an Approval and says True or False, "
                'or "pause"'
            )
        if self.session is not None and self.history:
            raise ConfigError(
                "give either session= or history=: the session has a history of its own; "
                "to begin one with messages, write `await store.append(id, messages, revision=0)`"
            )
        if not (self.session is None or isinstance(self.session, Session)):
            raise ConfigError(f'session={self.session!r:.100}: write session=Session("...")')
        given: object = self.history
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError(f"history= is {type(given).__name__}; give messages, as RunResult.messages has them")
        for message in cast("Sequence[object]", self.history):
            if not isinstance(message, UserMessage | AssistantMessage | ToolResult):
                raise ConfigError(f"history= holds {message!r:.100}; give messages, as RunResult.messages has them")

    @property
    def run_id(self) -> str:
        """What the run is called: as before, where it goes on, or a new name."""
        if self.resumes is not None:
            return self.resumes.paused.run_id
        steps: object = self.steps
        return steps.run_id if isinstance(steps, NamesRuns) else os.urandom(16).hex()


def _can(given: object, what: str) -> bool:
    """Whether it has this method; a class in place of one of its objects has not."""
    return hasattr(given, what) and not isinstance(given, type)

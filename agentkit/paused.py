"""A run that waits for somebody, as JSON: it goes on in another process, days later.

What waits is a call that needs an approval, or one of a tool that is run elsewhere. `resuming.py` goes on from here.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .budget import Spent as Spent
from .errors import ApprovalRefused, ConfigError
from .messages import Message, ToolCall
from .policy import Policy
from .tool import Tool

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Kind: TypeAlias = Literal["approval", "elsewhere"]

VERSION = 1
_CLOSED = {"extra": "forbid", "allow_inf_nan": False, "strict": True}
_WEEK = 7 * 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """How a run waits: `approve=Pause(expires=3600)`; `approve="pause"` is the same as `approve=Pause()`."""

    expires: float | None = _WEEK
    """Seconds after which it is too late for a yes. None: it never is."""
    clock: Callable[[], float] = field(default=time.time, repr=False)
    """Gives the time, in seconds since 1970."""

    def __post_init__(self) -> None:
        if self.expires is not None and not 0 < self.expires < float("inf"):
            raise ConfigError(f"Pause(expires={self.expires!r}): must be a number of seconds above 0, or None")


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """A call that waits for somebody."""

    __pydantic_config__ = _CLOSED

    call_id: str
    tool: str
    kind: Kind
    """Whether it waits for a yes, or for a result."""
    digest: str
    """SHA-256 of the run, the call, the tool and the arguments: what a yes is bound to."""
    fingerprint: str
    """SHA-256 of what the tool was like: its description, its parameters and its effects."""
    asked_at: float
    """In seconds since 1970."""
    expires_at: float | None = None
    """When it is too late for a yes."""
    shown: Mapping[str, Any] = field(default_factory=dict)
    """The arguments as JSON values, for people: those that are secret are `***`."""
    tainted: bool = False
    """Whether a yes is needed because something untrusted was read before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PausedRun:
    """A run that waits for somebody. `Agent.resume` goes on with it, once.

    Its JSON holds the conversation, and is as confidential; keep it where nobody can change it. What a person who is
    asked has to see is in `waiting`.
    """

    __pydantic_config__ = _CLOSED

    run_id: str
    agent: str
    """The agent that the run began with, and goes on with: its limits and guardrails are the run's."""
    waiting: tuple[Waiting, ...]
    handed: tuple[str, ...] = ()
    """The tools by which other agents have taken over since, in order."""
    number: int = 1
    """Which pause of the run this is."""
    messages: tuple[Message, ...] = field(default=(), repr=False)
    """The conversation, which ends in calls without results; none where a session has it."""
    session: str | None = None
    """The session's id, if there is one."""
    revision: int = 0
    """The session's revision; if that has moved on, the run cannot."""
    spent: Spent = field(default_factory=Spent)
    trace: str | None = None
    """The span of the run, as a `traceparent`, where it was recorded."""
    version: Literal[1] = 1

    def __hash__(self) -> int:
        return hash((self.run_id, self.number))

    def to_json(self) -> str:
        """The run as JSON."""
        left_out = {"trace"} if self.trace is None else None  # so that an older agentkit can read it
        return _adapter().dump_json(self, exclude=left_out).decode()

    @classmethod
    def from_json(cls, data: str | bytes) -> "PausedRun":
        """A run from the JSON that `to_json` wrote.

        Raises:
            ApprovalRefused: it is not such JSON, or of a newer agentkit.
        """
        given: object = data
        if not isinstance(given, str | bytes | bytearray):
            raise ApprovalRefused(
                f"PausedRun.from_json was given {type(given).__name__}; give the text that to_json() wrote"
            )
        try:
            version = _version(data)
        except (ValueError, RecursionError):
            raise ApprovalRefused("this is no paused run: it is not JSON") from None
        if isinstance(version, int) and version > VERSION:
            raise ApprovalRefused(
                f"the paused run is of format {version}, and this agentkit knows formats up to {VERSION}; "
                "update agentkit"
            )
        try:
            return _adapter().validate_json(data)
        except ValueError as error:
            problems = getattr(error, "errors", None)  # pydantic's
            first = problems(include_input=False)[0] if problems else {"loc": (), "msg": "damaged"}
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise ApprovalRefused(f"this is no paused run: {where}: {first['msg']}") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Approved:
    """Yes: the call is made."""

    arguments: Mapping[str, Any] | None = field(default=None, repr=False)
    """Other arguments, with which it is made instead; the model is told."""
    digest: str = ""
    """`Waiting.digest` as the person saw it: if it is given, the yes is for nothing else."""


@dataclass(frozen=True, slots=True)
class Denied:
    """No: the call is not made, and the model is told why."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call has come to that was made elsewhere."""

    value: Any = field(repr=False)
    """Given to the model as if the tool had returned it."""


Answer: TypeAlias = Approved | Denied | Answered


def digest(tool: Tool, call: ToolCall, run_id: str) -> str:
    """What a yes is bound to: this run, this call, this tool, these arguments, however they are spelt.

    Raises:
        InvalidArguments: they are not one JSON object.
    """
    return _sha256([run_id, call.id, tool.name, tool.arguments.read(call.arguments)])


def fingerprint(tool: Tool) -> str:
    """What a tool is like: if it has changed, whoever said yes has said it to another."""
    from .review.lockfile import lock  # on first use: it costs a part of `import agentkit`

    policy = Policy(effects=tool.policy.effects, elsewhere=tool.policy.elsewhere)
    return str(lock([replace(tool, policy=policy)])["tools"][tool.name]["hash"])


def shown(arguments: Mapping[str, Any], secrets: frozenset[str]) -> dict[str, Any]:
    """Arguments as JSON values, without those that are secret."""
    from pydantic_core import from_json, to_json  # on first use: it costs a good part of `import agentkit`

    masked = {name: "***" if name in secrets else value for name, value in arguments.items()}
    try:
        values: dict[str, Any] = from_json(to_json(masked, fallback=repr, bytes_mode="base64", inf_nan_mode="null"))
    except (ValueError, RecursionError):
        return {name: "***" if name in secrets else repr(value) for name, value in arguments.items()}
    return values


def _sha256(value: object) -> str:
    import json  # on first use, as hashlib: they cost a part of `import agentkit`
    from hashlib import sha256

    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _version(data: str | bytes) -> object:
    import json

    found = json.loads(data)
    return found.get("version") if isinstance(found, dict) else None


@cache
def _adapter() -> "TypeAdapter[PausedRun]":
    from pydantic import TypeAdapter  # on first use: it costs more than the whole of `import agentkit`

    return TypeAdapter(PausedRun)

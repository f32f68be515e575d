"""What a run may spend (`Limits`), and what it has spent (`Budget`)."""

from dataclasses import dataclass, fields
from types import NoneType
from typing import get_args

from .errors import ConfigError, LimitExceeded
from .messages import Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one run may spend. `None`, where it is allowed, means no limit of this kind."""

    iterations: int = 10
    """Model calls. A limit of N makes exactly N; the tool calls of the N-th answer are not run."""
    tool_calls: int | None = None
    """Tool calls in all. Those above it are refused, and the model is told."""
    tokens: int | None = None
    """Input and output tokens in all, checked before each model call. Estimated where the provider does not say."""
    seconds: float | None = 600
    """Wall time of the whole run."""
    tool_seconds: float | None = None
    """Wall time of one tool call, unless the tool declares its own `timeout`."""
    tool_concurrency: int = 16
    """Tool calls of one iteration that run at the same time."""
    calls_per_iteration: int = 128
    """Tool calls of one answer that are run; the rest are refused, and the model is told."""
    argument_chars: int = 1_000_000
    """Length of one call's arguments, as JSON."""
    result_chars: int = 100_000
    """Length of one result as the model reads it; longer ones are cut in the middle."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value, kinds = getattr(self, f.name), get_args(f.type) or (f.type,)
            numbers = (int, float) if float in kinds else int
            if value is None and NoneType in kinds:
                continue
            if isinstance(value, bool) or not isinstance(value, numbers) or not value > 0:
                whole = "" if float in kinds else "whole "
                none = ", or None for no limit" if NoneType in kinds else ""
                raise ConfigError(f"Limits({f.name}={value!r}): must be a {whole}number above 0{none}")


@dataclass(kw_only=True, slots=True)
class Budget:
    """What a run has spent of its limits."""

    limits: Limits
    iterations: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    tokens: int = 0
    """What counts towards `Limits.tokens`: as the provider says, estimated where it does not."""
    _pending: int = 0
    """Of these, the estimates of what the provider will say later."""

    @property
    def tokens_left(self) -> int | None:
        """Tokens that may still be used; None if there is no limit."""
        return None if self.limits.tokens is None else max(0, self.limits.tokens - self.tokens)

    def start_iteration(self) -> None:
        """Take one model call.

        Raises:
            LimitExceeded: there is none left, or the tokens are spent.
        """
        self.require_iteration()
        self.iterations += 1

    def require_iteration(self) -> None:
        """Make sure that another model call is allowed: without one, nobody would read a tool's result.

        Raises:
            LimitExceeded: it is not.
        """
        if self.iterations >= self.limits.iterations:
            raise LimitExceeded("iterations", self.limits.iterations)
        if self.limits.tokens is not None and self.tokens >= self.limits.tokens:
            raise LimitExceeded("tokens", self.limits.tokens)

    def spend(self, usage: Usage, *, estimate: int = 0, pending: bool = False) -> None:
        """Count what a model call used.

        `estimate` stands in where the provider does not say, or if it is pending, until it does.
        """
        self.usage += usage
        known = usage.total_tokens
        if known is not None:
            self.tokens += known - self._pending
            self._pending = 0
        if pending:
            self._pending += estimate
        if pending or known is None:
            self.tokens += estimate

    def take_tool_call(self) -> bool:
        """Take one tool call; false if there is none left."""
        if self.limits.tool_calls is not None and self.tool_calls >= self.limits.tool_calls:
            return False
        self.tool_calls += 1
        return True

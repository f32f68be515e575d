"""What a run may spend (`Limits`), and what it has spent (`Budget`)."""

from dataclasses import dataclass, fields

from .errors import ConfigError, LimitExceeded
from .messages import Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one run may spend. `None` means no limit of this kind."""

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
    argument_bytes: int = 1_000_000
    """Size of one call's arguments."""
    result_chars: int = 100_000
    """Length of one result as the model reads it; longer ones are cut in the middle."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None and not (isinstance(value, int | float) and value > 0):
                raise ConfigError(f"Limits({f.name}={value!r}): must be a number above 0, or None for no limit")


@dataclass(kw_only=True, slots=True)
class Budget:
    """What a run has spent of its limits."""

    limits: Limits
    iterations: int = 0
    tool_calls: int = 0
    usage: Usage = Usage()
    tokens: int = 0
    """What counts towards `Limits.tokens`: as the provider says, estimated where it does not."""

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

    def spend(self, usage: Usage, *, estimate: int) -> None:
        """Count what a model call used; `estimate` stands in where the provider does not say."""
        self.usage += usage
        self.tokens += estimate if usage.total_tokens is None else usage.total_tokens

    def take_tool_call(self) -> bool:
        """Take one tool call; false if there is none left."""
        if self.limits.tool_calls is not None and self.tool_calls >= self.limits.tool_calls:
            return False
        self.tool_calls += 1
        return True

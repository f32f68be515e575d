"""What a tool may ask for besides its arguments: a parameter annotated `Context[...]`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from typing_extensions import TypeVar

Deps = TypeVar("Deps", default=None)


class Secret:
    """Marks what nobody but the tool and the model may read: `Annotated[str, Secret]`.

    As a parameter's annotation, its value appears in no error, log or trace; as that of the result, neither does that.
    In a model or a dataclass, it marks the field.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """What pydantic publishes: it is written, and never shown."""
        return {**handler(schema), "writeOnly": True}


async def to_nobody(value: object) -> None:
    """The progress of a call that nobody watches."""


async def _no_other(name: str, arguments: Mapping[str, Any]) -> Any:
    raise LookupError(f"no other tool can be called here, so {name!r} cannot")


@dataclass(frozen=True, kw_only=True, slots=True)
class Context(Generic[Deps]):
    """The run a tool is called in. The parameter is not shown to the model.

    `Deps` is the type of whatever the caller gave to `agent.run(..., deps=...)`: a database, the user, a clock.
    """

    deps: Deps
    run_id: str
    call_id: str
    """The id of this call: the same again if the same call is ever repeated."""
    tool: str
    """The name under which the tool was called."""
    agent: str = ""
    idempotency_key: str = ""
    """Names this one effect to other systems: the same on each attempt, and when a broken run is taken up again."""
    tools: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The `Tool`s that this run may use now, this one included, by name."""
    progress: Callable[[object], Awaitable[None]] = field(default=to_nobody, repr=False)
    """`await ctx.progress(value)` shows how far the call has come, to whoever watches the run."""
    call: Callable[[str, Mapping[str, Any]], Awaitable[Any]] = field(default=_no_other, repr=False)
    """`await ctx.call("units_left", {"sku": "A-1"})` calls another tool of the agent, under all that holds for it.

    Gives what that tool gave; the text of that, where a journal has it from an earlier run. Raises ToolError, in words
    for the model.
    """
    caller: Any = field(default=None, repr=False)
    """The run's own bookkeeping, for `Agent.run_within(ctx, ...)`, and this call's."""
    pending: Any = field(default=None, repr=False)

"""What a tool may ask for besides its arguments: a parameter annotated `Context[...]`."""

from dataclasses import dataclass
from typing import Generic

from typing_extensions import TypeVar

Deps = TypeVar("Deps", default=None)


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

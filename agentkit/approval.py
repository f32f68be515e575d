"""Somebody's yes to a tool call that needs one: because its tool says so, or because of what was read before it.

The taint rule: once something untrusted is in the conversation, a call that reaches out of the house, or that destroys,
needs a yes, whatever its own policy says. So what others have written can mislead a model, and still not act.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, Literal, TypeAlias

from .context import Context
from .errors import ToolDenied
from .messages import ToolCall
from .paused import Pause
from .policy import Effects
from .tool import Tool


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
    tainted: bool = False
    """Whether it is asked because something untrusted was read before, and may be behind the call."""

    def __repr__(self) -> str:
        shown = {name: "***" if name in self.secrets else value for name, value in self.arguments.items()}
        return (
            f"Approval({self.call.name}, {shown!r}, effects={self.effects!r}, run_id={self.run_id!r}"
            + ", tainted=True" * self.tainted
            + ")"
        )


Approve: TypeAlias = Callable[[Approval], bool | Awaitable[bool]]
"""Says yes or no; `raise ToolDenied("why not")` says no, and tells the model why."""

Asked: TypeAlias = Approve | Literal["pause"] | Pause
"""Who is asked: a function, or whoever has time when the run has paused."""

Taint: TypeAlias = Literal["approve", "allow"] | Callable[[Approval], bool | Awaitable[bool]]
"""The taint rule: whether calls that it concerns need a yes, or never do, or a function that says which may be made."""


def pause_of(approve: Asked | None) -> Pause | None:
    """How the run waits, if it does."""
    if isinstance(approve, Pause):
        return approve
    return Pause() if approve == "pause" else None


async def question(
    tool: Tool, call: ToolCall, context: Context[Any], *, taint: Taint, tainted: bool
) -> Approval | None:
    """What somebody must be asked before the call is made; None if nobody must.

    Raises:
        InvalidArguments: they do not fit, so nobody is asked about them.
        ToolDenied: a function that says whether somebody must be asked has failed.
    """
    arguments = tool.values(call.arguments)
    asked = partial(
        Approval,
        call=call,
        effects=tool.policy.effects,
        secrets=tool.arguments.secrets,
        run_id=context.run_id,
        deps=context.deps,
    )
    needed = tool.policy.approval
    if not isinstance(needed, bool):
        needed = await _answer(partial(needed, context, tool.values(call.arguments)))
    if needed:
        return asked(arguments=arguments)
    if not (tainted and tool.policy.reaches_out) or taint == "allow":
        return None
    if callable(taint):
        may = partial(taint, asked(arguments=tool.values(call.arguments), tainted=True))
        if await _answer(may) is True:
            return None
    return asked(arguments=arguments, tainted=True)


async def permit(asked: Approval, approve: Asked | None) -> None:
    """Wait for somebody's yes.

    Raises:
        ToolDenied: it was a no, or nobody can be asked.
    """
    if not callable(approve):
        why = ", since what was read before it may come from outside" if asked.tainted else ""
        nobody = "nobody can be asked here" if approve is None else "the run cannot wait for it here"
        raise ToolDenied(f"not run: {asked.call.name} needs somebody's approval{why}, and {nobody}")
    if await _answer(partial(approve, asked)) is not True:
        raise ToolDenied("not run: the call was not approved")


async def _answer(asked: Callable[[], bool | Awaitable[bool]]) -> bool:
    """The answer to a question; if asking fails, it is no, and the program's log says why."""
    try:
        given = asked()
        return await given if isawaitable(given) else given
    except ToolDenied:
        raise
    except Exception as error:
        from logging import getLogger  # on first use: it costs a part of `import agentkit`

        getLogger("agentkit").warning("asking for approval failed", exc_info=error)
        raise ToolDenied(f"not run: asking for approval failed ({type(error).__name__})") from error

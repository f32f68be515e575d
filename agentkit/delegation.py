"""Agents as tools of other agents: one that is asked, and one that takes over."""

from collections.abc import Awaitable, Callable
from typing import Any

from .context import Context
from .errors import LimitExceeded, ToolFailed, said
from .events import RunResult
from .policy import PolicyOptions
from .tool import Tool, tool


def agent_tool(
    name: str,
    description: str,
    policy: PolicyOptions,
    run_within: Callable[[Context[Any], str], Awaitable[RunResult[Any]]],
) -> Tool:
    """A tool whose calls are runs of an agent.

    Raises:
        ToolDefinitionError: the name is none that a tool can have.
    """

    async def ask(ctx: Context[Any], prompt: str) -> Any:
        try:
            return (await run_within(ctx, prompt)).output
        except LimitExceeded as error:
            raise ToolFailed(said(error)) from error

    return Tool.of(tool(name=name, description=description, **policy)(ask))


def handoff_tool(name: str, description: str) -> Tool:
    """A tool that hands the conversation over to the agent of this name.

    Raises:
        ToolDefinitionError: the name is none that a tool can have a part of.
    """

    async def transfer(ctx: Context[Any]) -> str:
        if ctx.pending.by is not None:
            raise ToolFailed(f"only the model hands over to {name}, and no tool")
        return f"{name} has taken over"

    told = f"Hand the conversation over to {name}. {description}".strip()
    return Tool.of(tool(name=f"transfer_to_{name}", description=told, effects="read")(transfer))

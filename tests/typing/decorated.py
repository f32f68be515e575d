"""What an editor knows about a function marked with `@tool`: all it knew before. Read by type checkers, never run.

A line with an ignore comment must not check: where it does, the comment is unused, and that is an error.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from dataclasses import dataclass
from typing import Annotated, assert_type

from agentkit import Context, Secret, Tool, tool


@dataclass
class Shop:
    stock: dict[str, int]


@tool
async def units_left(ctx: Context[Shop], sku: str) -> int:
    assert_type(ctx.deps, Shop)
    assert_type(ctx.deps.stock, dict[str, int])
    assert_type(ctx.run_id, str)
    ctx.run_id = "mine"  # type: ignore[misc]
    return ctx.deps.stock.get(sku, 0)


@tool(name="search", timeout=5)
def find(words: str, limit: int = 10) -> list[str]:
    return words.split()[:limit]


@tool()
def shout(words: str, *, loud: bool = False) -> str:
    return words.upper() if loud else words


@tool
def now(ctx: Context) -> str:
    assert_type(ctx.deps, None)
    return ctx.call_id


async def the_function_stays_what_it_was(ctx: Context[Shop]) -> None:
    assert_type(await units_left(ctx, "A-1"), int)
    assert_type(units_left.__name__, str)
    assert_type(find("red shoes"), list[str])
    assert_type(shout("hey", loud=True), str)

    await units_left(ctx, 1)  # type: ignore[arg-type]
    await units_left(ctx)  # type: ignore[call-arg]
    find("red", "ten")  # type: ignore[arg-type]
    shout("hey", True)  # type: ignore[call-arg]


async def a_context_has_the_dependencies_it_names(ctx: Context[int]) -> None:
    await units_left(ctx, "A-1")  # type: ignore[arg-type]


def may_ship(ctx: Context[Shop]) -> bool:
    return "A-1" in ctx.deps.stock


@tool(effects="external", approval=True, enabled=may_ship, rate="10/minute", idempotent=True, retries=2)
async def ship(sku: str) -> Annotated[str, Secret]:
    return sku


async def policies_are_typed() -> None:
    assert_type(await ship("A-1"), str)
    assert_type(Tool.of(ship).policy.retries, int)

    tool(effects="everything")  # type: ignore[call-overload]
    tool(retries="twice")  # type: ignore[call-overload]
    tool(patience=3)  # type: ignore[call-overload]


def what_is_not_a_function_is_no_tool() -> None:
    tool(3)  # type: ignore[call-overload]
    tool(timeout="5")  # type: ignore[call-overload]
    assert_type(Tool.of(find), Tool)

"""Tools that wait, and tools that compute, at the same time; with what they work on given by the caller.

    python examples/sync_and_async_tools.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    checksum ran in a thread of its own
    stock_of ran in the event loop
    Both tools were asked in one answer, so they ran at the same time.
"""

import hashlib
import threading
from dataclasses import dataclass, field

import anyio

from agentkit import Agent, Context, tool


@dataclass
class Shop:
    """What the tools work on: `agent.run(..., deps=Shop(...))`."""

    stock: dict[str, int]
    threads: dict[str, threading.Thread] = field(default_factory=dict)


@tool(timeout=10)
async def stock_of(ctx: Context[Shop], sku: str) -> int:
    """Count the units of a product in stock.

    Args:
        sku: The product code printed on the label.
    """
    ctx.deps.threads["stock_of"] = threading.current_thread()
    await anyio.lowlevel.checkpoint()  # yours waits for a database here, and holds up nobody
    return ctx.deps.stock.get(sku, 0)


@tool
def checksum(ctx: Context[Shop], text: str) -> str:
    """Compute the SHA-256 of a text.

    Args:
        text: The text.
    """
    ctx.deps.threads["checksum"] = threading.current_thread()  # slow work is fine: this is not the event loop's thread
    return hashlib.sha256(text.encode()).hexdigest()


agent = Agent("chat:gpt-5.5", tools=[stock_of, checksum])


async def main() -> None:
    shop = Shop(stock={"A-1": 3})
    result = await agent.run("How many A-1 are there, and what is the checksum of 'A-1'?", deps=shop)
    for name, thread in sorted(shop.threads.items()):
        where = "in the event loop" if thread is threading.current_thread() else "in a thread of its own"
        print(f"{name} ran {where}")
    print(result.output)


if __name__ == "__main__":
    anyio.run(main)

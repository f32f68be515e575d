"""Order what runs low: one script instead of nine tool calls.

    python examples/one_script.py

A scripted model stands in for a real one, so that this runs offline. It prints:

    The model was asked 2 times, and 9 tools were called.
    I have ordered ink and staples.
"""

import anyio

from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call
from agentkit.tools.python import Python

STOCK = {"paper": 120, "ink": 3, "pens": 40, "staples": 0, "clips": 75, "tape": 18}
ORDERED: list[str] = []
CALLED: list[str] = []


@tool(effects="read")
def products() -> list[str]:
    """List all products."""
    CALLED.append("products")
    return list(STOCK)


@tool(effects="read")
def units_left(product: str) -> int:
    """Count what is left of a product."""
    CALLED.append("units_left")
    return STOCK[product]


@tool(effects="write", idempotent=True)
def order(product: str, units: int) -> str:
    """Order more of a product."""
    CALLED.append("order")
    ORDERED.append(product)
    return f"ordered {units} {product}"


SCRIPT = """
import asyncio

names = await products()
left = await asyncio.gather(*[units_left(product=name) for name in names])
for name, units in zip(names, left):
    if units < 10:
        print(await order(product=name, units=50))
"""
MODEL = ScriptedModel([[call("run_python", code=SCRIPT)], "I have ordered ink and staples."])


async def main() -> None:
    result = await Agent(MODEL, tools=[products, units_left, order, *Python().tools]).run("Order what runs low.")
    print(f"The model was asked {len(MODEL.requests)} times, and {len(CALLED)} tools were called.")
    print(result.output)


if __name__ == "__main__":
    anyio.run(main)

"""A tool that needs a yes, and a journal that keeps it from happening twice.

    python examples/approvals.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. Here a program says yes; yours may ask a person.
It prints:

    May refund({'order': 7, 'euros': 20.0}) be done? yes
    May refund({'order': 8, 'euros': 900.0}) be done? no
    Order 7 is refunded. 900 euros for order 8 need your manager.
    in the journal: refund, completed
"""

import anyio

from agentkit import Agent, Context, tool
from agentkit.approval import Approval
from agentkit.errors import ToolDenied
from agentkit.journal import MemoryJournal


@tool(effects="external", approval=True, timeout=10)
def refund(ctx: Context, order: int, euros: float) -> str:
    """Give a customer the money back.

    Args:
        order: The order's number.
        euros: How much.
    """
    # A payment provider gets ctx.idempotency_key, so that it pays once, however often it is asked.
    return f"{euros:g} euros for order {order} are on their way"


async def approve(approval: Approval) -> bool:
    """Say yes to small sums."""
    small = approval.arguments["euros"] <= 100
    asked = f"{approval.call.name}({dict(approval.arguments)})"
    print(f"May {asked} be done? {'yes' if small else 'no'}")
    if not small:
        raise ToolDenied("not done: a manager has to approve more than 100 euros")
    return True


async def main() -> None:
    journal = MemoryJournal()
    agent = Agent("chat:gpt-5.5", tools=[refund], journal=journal)
    result = await agent.run("Refund 20 euros for order 7 and 900 for order 8.", approve=approve)
    print(result.output)
    for effect in journal.effects.values():
        print(f"in the journal: {effect.tool}, {effect.state}")


if __name__ == "__main__":
    anyio.run(main)

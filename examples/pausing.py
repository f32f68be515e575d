"""A run that waits for somebody as JSON in a file, and goes on when there is an answer.

    python examples/pausing.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. Here the answer comes at once; it might come days
later, in another process. It prints:

    waiting for a yes: refund {'order': 7, 'euros': 90.0}
    30 euros for order 7 are on their way.
"""

import tempfile

import anyio

from agentkit import Agent, tool
from agentkit.paused import Approved, PausedRun


@tool(effects="destructive", approval=True)
def refund(order: int, euros: float) -> str:
    """Give a customer the money back.

    Args:
        order: The order's number.
        euros: How much.
    """
    return f"{euros:g} euros for order {order} are on their way"


agent = Agent("chat:gpt-5.5", name="clerk", tools=[refund])


async def ask(file: anyio.Path) -> None:
    result = await agent.run("Refund order 7.", approve="pause")
    if result.paused:
        await file.write_text(result.paused.to_json(), encoding="utf-8")


async def go_on(file: anyio.Path) -> None:
    paused = PausedRun.from_json(await file.read_text(encoding="utf-8"))
    for waiting in paused.waiting:
        print("waiting for a yes:", waiting.tool, dict(waiting.shown))
    less = Approved(arguments={"order": 7, "euros": 30})
    result = await agent.resume(paused, {each.call_id: less for each in paused.waiting})
    print(result.output)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = anyio.Path(folder) / "paused.json"
        await ask(file)
        await go_on(file)


if __name__ == "__main__":
    anyio.run(main)

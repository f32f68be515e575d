"""Agents that ask agents, at the same time, on one budget.

    python examples/agents.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    Rome has rooms, and the train is on time.
    4 model calls, 20 of them allowed
"""

import anyio

from agentkit import Agent, Limits, tool


@tool
def rooms(city: str) -> int:
    """Count the free rooms in a city."""
    return {"Rome": 12}.get(city, 0)


hotels = Agent(
    "chat:gpt-5.5",
    name="hotels",
    description="Knows which rooms are free.",
    tools=[rooms],
    limits=Limits(iterations=5),
)
trains = Agent("chat:gpt-5.5", name="trains", description="Knows the trains.", limits=Limits(iterations=5))
planner = Agent(
    "chat:gpt-5.5",
    instructions="Plan the journey. Ask the others.",
    tools=[hotels.as_tool(timeout=60), trains.as_tool(timeout=60)],
    limits=Limits(iterations=20, tokens=200_000),
)


async def main() -> None:
    result = await planner.run("Can I go to Rome tonight?")
    print(result.output)
    print(f"{result.iterations} model calls, {planner.limits.iterations} of them allowed")


if __name__ == "__main__":
    anyio.run(main)

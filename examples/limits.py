"""Stop a run that takes too much, and go on later from where it was.

    python examples/limits.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    the run reached its limit of 2 iterations; raise it with Limits(iterations=...)
    5 messages were kept.
    The parcel is in Rome.
"""

from dataclasses import replace

import anyio

from agentkit import Agent, LimitExceeded, Limits, tool


@tool
def follow(parcel: str, stop: int) -> str:
    """Say where a parcel was at one of its stops.

    Args:
        parcel: The parcel's number.
        stop: Which stop, from 1 on.
    """
    return f"{['Oslo', 'Berlin', 'Rome'][stop - 1]}; {'on its way' if stop < 3 else 'here it is'}"


agent = Agent("chat:gpt-5.5", tools=[follow], limits=Limits(iterations=2, seconds=60, tool_calls=20))


async def main() -> None:
    try:
        result = await agent.run("Where is parcel 7?")
    except LimitExceeded as error:
        print(error)
        print(f"{len(error.history)} messages were kept.")
        patient = replace(agent, limits=Limits(iterations=10))
        result = await patient.run("Go on.", history=error.history)
    print(result.output)


if __name__ == "__main__":
    anyio.run(main)

"""Watch a run: tool calls as they happen, and the answer as it is written.

    python examples/streaming.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    look_up({"city":"Rome"}) ...
    look_up -> "Sunny, 24 degrees."
    It is sunny in Rome, and 24 degrees.
    2 model calls
"""

import json

import anyio

from agentkit import Agent, TextDelta, ToolFinished, ToolStarted, tool


@tool
def look_up(city: str) -> str:
    """Look up the weather in a city.

    Args:
        city: The city's name.
    """
    return "Sunny, 24 degrees."


agent = Agent("chat:gpt-5.5", tools=[look_up])


async def main() -> None:
    async with agent.stream("What is the weather in Rome?") as run:
        async for event in run:
            match event:
                case ToolStarted(call=call):
                    print(f"{call.name}({call.arguments}) ...")
                case ToolFinished(result=result):
                    print(f"{result.name} -> {json.dumps(result.content)}")
                case TextDelta(text=text):
                    print(text, end="", flush=True)
    print(f"\n{run.result.iterations} model calls")


if __name__ == "__main__":
    anyio.run(main)

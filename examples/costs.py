"""Keep a run below an amount of money, and see what it has cost.

    python examples/costs.py

It needs no key: a scripted model stands in for one, at prices that are made up. It prints:

    The parcel is in Oslo, 0.26 cents
    stopped by cost after 0.39 cents
"""

import anyio

from agentkit import Agent, Limits, tool
from agentkit.messages import AssistantMessage, Usage
from agentkit.models.base import ModelResponse
from agentkit.prices import Price, Prices
from agentkit.testing import ScriptedModel, call

PRICES = Prices({"scripted": Price(input=2, output=10, cache_read=0.2)})  # US dollars per million tokens
LIMITS = Limits(cost=0.005, on_limit="partial")


@tool
def follow(parcel: str) -> str:
    """Say where a parcel is.

    Args:
        parcel: The parcel's number.
    """
    return "Oslo"


def turn(text: str = "", parcel: str = "") -> ModelResponse:
    """An answer, or a call, that has used 1,000 tokens, 500 of them cached, and 20 more for what it says."""
    calls = (call("follow", parcel=parcel),) if parcel else ()
    usage = Usage(input_tokens=1000, output_tokens=20, cache_read_tokens=500)
    return ModelResponse(message=AssistantMessage(text=text, tool_calls=calls), usage=usage)


async def main() -> None:
    patient = ScriptedModel([turn(parcel="7"), turn("The parcel is in Oslo")])
    result = await Agent(patient, tools=[follow], prices=PRICES, limits=LIMITS).run("Where is parcel 7?")
    print(f"{result.output}, {(result.cost or 0) * 100:.2f} cents")

    restless = ScriptedModel([turn(parcel=str(number)) for number in range(100)])
    result = await Agent(restless, tools=[follow], prices=PRICES, limits=LIMITS).run("Where are all parcels?")
    print(f"stopped by {result.stopped_by} after {(result.cost or 0) * 100:.2f} cents")


if __name__ == "__main__":
    anyio.run(main)

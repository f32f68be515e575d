"""Ask an agent for the price of a stock.

    python examples/stock.py

A model on OpenAI answers if OPENAI_API_KEY is set; otherwise the small one that is embedded in agentkit does, and its
answer is the tool's result. It prints:

    Apple stock is at 182.34 GBP.
"""

import os
from typing import Literal

from agentkit import Agent, Limits, tool


@tool
def get_stock_price(ticker: str, currency: Literal["USD", "EUR", "GBP"] = "USD") -> float:
    """Look up the current price of a stock.

    Args:
        ticker: The stock's symbol, such as AAPL.
        currency: The currency of the price.
    """
    return {"USD": 231.40, "EUR": 199.15, "GBP": 182.34}[currency]  # yours asks a market


agent = Agent(
    "chat:gpt-5.5" if os.environ.get("OPENAI_API_KEY") else "local:needle",
    tools=[get_stock_price],
    limits=Limits(iterations=10),
)

if __name__ == "__main__":
    result = agent.run_sync("What is the current price of Apple stock in GBP?")
    print(result.output)

"""A clerk who is llama-index's agent on Assistants, as its documentation shows it."""

from llama_index.agent.openai import OpenAIAssistantAgent
from llama_index.core.tools import FunctionTool

done: list[str] = []


def add(a: int, b: int) -> int:
    """Add two numbers."""
    done.append("add")
    return a + b


def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    done.append("units_left")
    return 3


clerk = OpenAIAssistantAgent.from_new(
    name="clerk",
    instructions="You work in a shop.",
    model="gpt-4.1",
    tools=[FunctionTool.from_defaults(fn=add), FunctionTool.from_defaults(fn=units_left)],
    run_retrieve_sleep_time=0.05,
)
answer = str(clerk.chat("What is 1+2, and how many A-1 are left?"))
assert answer == "Three, and three left.", answer
assert sorted(done) == ["add", "units_left"], done
again = str(clerk.chat("Thanks!"))
assert again == "Hello there, how can I help?", again

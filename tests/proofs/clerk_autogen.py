"""A clerk who is autogen's agent on Assistants, as its documentation shows it."""

import asyncio

from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool
from autogen_ext.agents.openai import OpenAIAssistantAgent
from openai import AsyncOpenAI

done: list[str] = []


def add(a: int, b: int) -> int:
    """Add two numbers."""
    done.append("add")
    return a + b


def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    done.append("units_left")
    return 3


async def main() -> None:
    """Ask, then forget the conversation and the assistant."""
    async with AsyncOpenAI() as client:
        clerk = OpenAIAssistantAgent(
            name="clerk",
            description="A clerk",
            client=client,
            model="gpt-4.1",
            instructions="You work in a shop.",
            tools=[FunctionTool(add, description="Add."), FunctionTool(units_left, description="Count the units.")],
        )
        token = CancellationToken()
        question = TextMessage(source="user", content="What is 1+2, and how many A-1 are left?")
        answer = await clerk.on_messages([question], token)
        assert answer.chat_message.content == "Three, and three left.", answer
        assert sorted(done) == ["add", "units_left"], done
        await clerk.on_reset(token)
        await clerk.delete_assistant(token)


asyncio.run(main())

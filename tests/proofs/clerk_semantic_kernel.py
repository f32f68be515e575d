"""A clerk who is semantic-kernel's agent on Assistants, as its documentation shows it: polled, then streamed."""

import asyncio

from openai import AsyncOpenAI
from semantic_kernel.agents import OpenAIAssistantAgent
from semantic_kernel.functions import kernel_function

done: list[str] = []
QUESTION = "What is 1+2, and how many A-1 are left?"


class Shop:
    """What the clerk can do."""

    @kernel_function(description="Add two numbers.")
    def add(self, a: int, b: int) -> int:
        """Add two numbers."""
        done.append("add")
        return a + b

    @kernel_function(description="Count the units of a product in stock.")
    def units_left(self, sku: str) -> int:
        """Count the units of a product in stock."""
        done.append("units_left")
        return 3


async def main() -> None:
    """Ask twice on one thread, then forget the thread and the assistant."""
    async with AsyncOpenAI() as client:
        definition = await client.beta.assistants.create(model="gpt-4.1", name="clerk", instructions="Be kind.")
        clerk = OpenAIAssistantAgent(client=client, definition=definition, plugins=[Shop()])
        thread = None
        async for answer in clerk.invoke(messages=QUESTION, thread=thread):
            thread = answer.thread
        assert str(answer.content) == "Three, and three left.", answer
        assert sorted(done) == ["add", "units_left"], done
        streamed = [str(piece.content) async for piece in clerk.invoke_stream(messages=QUESTION, thread=thread)]
        assert "".join(streamed) == "Three, and three left.", streamed
        assert sorted(done) == ["add", "add", "units_left", "units_left"], done
        assert thread is not None
        await thread.delete()
        await client.beta.assistants.delete(clerk.id)


asyncio.run(main())

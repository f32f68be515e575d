"""Keep a conversation: from one run to the next in a session, and from one process to the next as JSON.

    python examples/sessions.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    Nice to meet you, Ada.
    Your name is Ada.
    4 messages were saved.
    You are Ada, as you said at the beginning.
"""

import anyio

from agentkit import Agent, MemoryStore, Session
from agentkit.messages import dump_messages, load_messages

agent = Agent("chat:gpt-5.5")


async def main() -> None:
    store = MemoryStore()
    print((await agent.run("My name is Ada.", session=Session("ada", store))).output)
    print((await agent.run("What is my name?", session=Session("ada", store))).output)

    saved: bytes = dump_messages((await store.load("ada")).messages)  # write this wherever you like

    history = load_messages(saved)
    print(len(history), "messages were saved.")
    print((await agent.run("Who am I?", history=history)).output)


if __name__ == "__main__":
    anyio.run(main)

"""A conversation that is longer than what the model is to read: the beginning is summed up, once.

    python examples/long_conversation.py

It needs no key: a scripted model stands in for the one that sums up. It prints:

    7 messages, 7 are sent
    9 messages, 4 are sent, 1 summary was made
    11 messages, 6 are sent, 1 summary was made
    user: [What was said before, summed up:] Ada is looking for a flat in Oslo.
"""

import anyio

from agentkit import AssistantMessage, Message, UserMessage
from agentkit.testing import ScriptedModel
from agentkit.window import Window, summariser

small = ScriptedModel(["Ada is looking for a flat in Oslo."])  # "chat:gpt-5.5-mini", in real life
window = Window(messages=8, summarise=summariser(small))


def conversation(turns: int) -> list[Message]:
    """So many turns of two messages, and a question."""
    said: list[Message] = []
    for turn in range(turns):
        said += [UserMessage(content=f"Is flat {turn} near the sea?"), AssistantMessage(text="No.")]
    return [*said, UserMessage(content="And the next one?")]


async def main() -> None:
    whole = conversation(3)
    print(f"{len(whole)} messages, {len(await window.fit(whole))} are sent")
    sent: list[Message] = []
    for turns in (4, 5):
        whole = conversation(turns)
        sent = list(await window.fit(whole))
        print(f"{len(whole)} messages, {len(sent)} are sent, {len(small.requests)} summary was made")
    first = sent[0]
    assert isinstance(first, UserMessage)
    print("user:", first.text.replace("\n", " "))


if __name__ == "__main__":
    anyio.run(main)

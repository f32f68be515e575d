"""A server that is out of order, then asks to slow down, and an answer all the same.

    python examples/retries.py

It needs no model: the server is a scripted one on this machine. It prints:

    attempt 1: ServerFailed
    attempt 2: RateLimited
    Three left.
"""

import anyio

from agentkit import Agent, ModelSettings
from agentkit.models.base import Retrying
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retry
from agentkit.testing import ChatServer, Reply

OUT_OF_ORDER = Reply(status=503)
SLOW_DOWN = Reply(status=429, headers={"retry-after-ms": "200"})


async def main() -> None:
    async with ChatServer([OUT_OF_ORDER, SLOW_DOWN, "Three left."]) as server:
        model = ChatBackend("m", base_url=server.base_url, api_key="any", retry=Retry(times=3, max_wait=10))
        agent = Agent(model, settings=ModelSettings(timeout=30, deadline=120))
        async with agent.stream("How many A-1 are there?") as run:
            async for event in run:
                if isinstance(event, Retrying):
                    print(f"attempt {event.attempt}: {event.error}")
        print(run.result.output)


if __name__ == "__main__":
    anyio.run(main)

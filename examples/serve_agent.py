"""Serve an agent, and ask it as any program asks OpenAI's API: over Chat Completions, Responses, and on a thread.

    python examples/serve_agent.py

On the command line, the first half of this is `agentkit serve clerk.toml`. Here a scripted model stands in for a real
one, so it runs without a key, and the server lives as long as the program. It prints:

    chat: We have three of A-1.
    responses: We have three of A-1.
    assistants: completed, We have three of A-1.
"""

import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from openai import OpenAI

from agentkit import Agent, tool
from agentkit.server import ServerSettings
from agentkit.server.app import create_app
from agentkit.testing import ScriptedModel, call

QUESTION = "Have you got A-1?"


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    return {"A-1": 3}.get(sku, 0)


clerk = Agent(
    ScriptedModel([[call("units_left", sku="A-1")], "We have three of A-1."] * 3),
    instructions="You work in a shop.",
    tools=[units_left],
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, served(folder) as url:
        client = OpenAI(base_url=url, api_key="any")
        asked = [{"role": "user", "content": QUESTION}]
        print("chat:", client.chat.completions.create(model="clerk", messages=asked).choices[0].message.content)
        print("responses:", client.responses.create(model="clerk", input=QUESTION).output_text)

        assistant = client.beta.assistants.create(model="clerk")
        run = client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread={"messages": asked})
        said = client.beta.threads.messages.list(run.thread_id).data[0].content[0].text.value
        print(f"assistants: {run.status}, {said}")


@contextmanager
def served(folder: str) -> Iterator[str]:
    """A server in a thread of this process, with its database in a folder; its URL."""
    settings = ServerSettings(database=f"{folder}/agents.db", agents={"clerk": clerk})
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as door:
        door.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's own, of the Assistants API
    main()

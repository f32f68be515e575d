"""Keep conversations in a file: another process goes on with them, and they are listed, copied, shortened and deleted.

    python examples/kept_sessions.py

It needs no model and no server: the model's answers are scripted. With the URL of a PostgreSQL database in the place of
the file's path, or with `RedisStore`, it is the same. It prints:

    Ada: Hello, Ada. | What would you like to drink? | A cup of tea, then.
    2 conversations: ada, bo
    ada, with coffee: Hello, Ada. | What would you like to drink? | A cup of coffee, then.
    ada, shortened: 2 messages are left
    1 conversation: ada, with coffee
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import anyio

from agentkit import Agent, AssistantMessage, Message, Session
from agentkit.sessions import SqlStore, fork, trim
from agentkit.testing import ScriptedModel


def said(messages: tuple[Message, ...]) -> str:
    return " | ".join(message.text for message in messages if isinstance(message, AssistantMessage))


async def say(store: SqlStore, session: str, prompt: str, answer: str) -> None:
    await Agent(ScriptedModel([answer])).run(prompt, session=Session(session, store))


async def main(path: Path) -> None:
    store = SqlStore(path)
    await say(store, "ada", "I am Ada.", "Hello, Ada.")
    await say(store, "bo", "I am Bo.", "Hello, Bo.")

    await anyio.run_process([sys.executable, __file__, str(path)], stdout=subprocess.DEVNULL)  # see below
    await say(store, "ada", "Tea, please.", "A cup of tea, then.")
    print("Ada:", said((await store.load("ada")).messages))

    ids = await store.list()
    print(len(ids), "conversations:", ", ".join(ids))

    await fork(store, "ada", "ada, with coffee", upto=4)  # as it was before she asked for tea
    await say(store, "ada, with coffee", "Coffee, please.", "A cup of coffee, then.")
    print("ada, with coffee:", said((await store.load("ada, with coffee")).messages))

    await trim(store, "ada", keep=2)
    print("ada, shortened:", len((await store.load("ada")).messages), "messages are left")

    for id in ("ada", "bo"):
        await store.delete(id)
    print(len(await store.list()), "conversation:", *await store.list())
    store.close()


async def in_another_process(path: Path) -> None:
    store = SqlStore(path)
    await say(store, "ada", "I am thirsty.", "What would you like to drink?")
    store.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        anyio.run(in_another_process, Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            anyio.run(main, Path(folder) / "sessions.db")

"""A program that is killed in the middle of a tool, and started again: `test_journal.py` runs it.

python journal_program.py FOLDER [hang]
"""

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import anyio

from agentkit import Agent, Message, ModelRequest, Session, ToolResult, tool
from agentkit.journal import FileJournal
from agentkit.messages import dump_messages, load_messages
from agentkit.sessions import Stored
from agentkit.testing import ScriptedModel, call

folder = Path(sys.argv[1])
hangs = "hang" in sys.argv


class Folder:
    """A session store: a file for each step of a conversation."""

    async def load(self, session_id: str) -> Stored:
        steps = sorted(Path.glob(folder, f"{session_id}.*.json"))
        return Stored(messages=tuple(m for s in steps for m in load_messages(s.read_bytes())), revision=len(steps))

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        new = folder / "new"
        new.write_bytes(dump_messages(messages))
        new.rename(folder / f"{session_id}.{revision}.json")
        return revision + 1


def note(word: str) -> None:
    with (folder / "done").open("a", encoding="utf-8") as done:
        done.write(f"{word}\n")
    if hangs:
        os.write(1, f"{word}\n".encode())  # in one piece, whatever other threads write


@tool
def pay(to: str) -> str:
    """Pay somebody."""
    note(f"paid {to}")
    return f"paid {to}"


@tool
def hang(to: str) -> str:
    """Pay somebody, and do not come back in the first process."""
    note(f"hung {to}")
    while hangs:
        threading.Event().wait()
    return "not reached twice"


@tool(idempotent=True)
def repeat(to: str) -> str:
    """Set something, and do not come back in the first process."""
    note(f"set {to}")
    while hangs:
        threading.Event().wait()
    return f"set {to}"


def answer(request: ModelRequest) -> object:
    told = [f"{m.name}: {m.content}" for m in request.messages if isinstance(m, ToolResult)]
    return "\n".join(told) if told else [call("pay", to="ada"), call("hang", to="eve"), call("repeat", to="bob")]


async def main() -> None:
    journal = FileJournal(folder / "journal.db")
    agent = Agent(ScriptedModel([answer] * 2), tools=[pay, hang, repeat], journal=journal)  # type: ignore[list-item]
    result = await agent.run(None if not hangs else "Go.", session=Session("s", Folder()))
    print(result.output)
    journal.close()


if __name__ == "__main__":
    anyio.run(main)

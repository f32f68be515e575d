"""Those who write to a session in the checks of `session_suite`, in this process or in another."""

import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable

import anyio
import anyio.to_thread

from agentkit import AssistantMessage, Message, ToolCall, ToolResult, UserMessage
from agentkit.errors import SessionConflict
from agentkit.sessions import SessionStore

SIZE = 4
_IN_TURN = 4


@asynccontextmanager
async def opened(make: Callable[[], SessionStore]) -> AsyncGenerator[SessionStore]:
    """A store, closed at the end of the block if it can be."""
    store = make()
    try:
        yield store
    finally:
        close = getattr(store, "close", None)
        if close is not None and isawaitable(closing := close()):
            await closing


def batch(who: str, number: int) -> list[Message]:
    """The messages of one append, which belong together."""
    id = f"{who}-{number}"
    return [
        UserMessage(content=id),
        AssistantMessage(tool_calls=(ToolCall(id=id, name="look", arguments="{}"),)),
        ToolResult(call_id=id, name="look", content=id),
        AssistantMessage(text=id),
    ]


def check_batches(messages: Sequence[Message], promised: Mapping[str, int]) -> None:
    """Each writer's batches are there once, whole, and in the order in which it wrote them.

    Raises:
        AssertionError: they are not.
    """
    counted = dict.fromkeys(promised, 0)
    for start in range(0, len(messages), SIZE):
        first = messages[start]
        who = first.text.rpartition("-")[0] if isinstance(first, UserMessage) else ""
        found = list(messages[start : start + SIZE])
        if who not in counted or found != batch(who, counted[who]):
            raise AssertionError(f"at message {start} of {len(messages)}, something is torn, lost or twice: {found}")
        counted[who] += 1
    if counted != promised:
        raise AssertionError(f"of what was appended, something is lost: {counted} are there, promised are {promised}")


async def append_in_turn(store: SessionStore, session_id: str, who: str, appends: int) -> None:
    """Append so many batches, and load again where another writer was quicker."""
    for number in range(appends):
        while True:
            known = await store.load(session_id)
            try:
                await store.append(session_id, batch(who, number), revision=known.revision)
                break
            except SessionConflict:
                continue


async def _append_at_once(store: SessionStore, session_id: str, who: str, appends: int) -> None:
    known, turns = await store.load(session_id), anyio.CapacityLimiter(_IN_TURN)
    _tell("ready")
    await anyio.to_thread.run_sync(sys.stdin.readline)

    async def append(name: str) -> None:
        try:
            await store.append(session_id, batch(name, 0), revision=known.revision)
        except SessionConflict:
            async with turns:  # if all of them went on at once, hardly any would come in time
                await append_in_turn(store, session_id, name, 1)

    async with anyio.create_task_group() as group:
        for number in range(appends):
            group.start_soon(append, f"{who}.{number}")


async def _append_for_ever(store: SessionStore, session_id: str, who: str, _: int) -> None:
    number = 0
    while True:
        await append_in_turn(store, session_id, f"{who}.{number}", 1)
        _tell(str(number))
        number += 1


def _tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(make: Callable[[], SessionStore]) -> None:
    """What another process does: `all` the appends at once, or one after the other until it is killed."""
    how, session_id, who, appends = sys.argv[1:]
    work = _append_at_once if how == "all" else _append_for_ever
    anyio.run(work, make(), session_id, who, int(appends))

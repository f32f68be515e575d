"""Checks of `session_suite` in which several processes write to one session, and some of them are killed."""

import random
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from agentkit.sessions import SessionStore

from .session_writers import SIZE, append_in_turn, check_batches, opened

_LONGEST_LINE = 100
_SECONDS = 300


async def check_two_processes(make: Callable[[], SessionStore], program: str, *, appends: int = 200) -> None:
    """Two processes append to one session, each all at once: nothing is lost, and nothing comes in between."""
    session_id = f"processes-{uuid4().hex}"
    with anyio.fail_after(_SECONDS):
        async with (
            _writer(program, "all", session_id, "a", appends) as a,
            _writer(program, "all", session_id, "b", appends) as b,
        ):
            for writer in (a, b):
                await writer.line()
            for writer in (a, b):
                await writer.go()
            for writer in (a, b):
                await writer.ended()
        async with opened(make) as store:
            found = (await store.load(session_id)).messages
    check_batches(found, {f"{who}.{n}": 1 for who in "ab" for n in range(appends)})


async def check_killed_writers(make: Callable[[], SessionStore], program: str, *, kills: int = 10) -> None:
    """A process is killed while it appends: what it was told is stored is there, and all that is there is whole.

    The next one goes on at once.
    """
    session_id, promised = f"killed-{uuid4().hex}", dict[str, int]()
    with anyio.fail_after(_SECONDS):
        async with opened(make) as store:
            for round in range(kills):
                async with _writer(program, "until killed", session_id, str(round), 0) as writer:
                    told = 0
                    for _ in range(random.randint(1, 20)):
                        told = int(await writer.line()) + 1
                    await anyio.sleep(random.uniform(0, 0.01))
                told += await writer.rest()
                await append_in_turn(store, session_id, f"after {round}", 1)  # what came too late is refused now
                promised[f"after {round}"] = 1
                found = (await store.load(session_id)).messages
                more = sum(promised.values()) + told
                if len(found) not in (SIZE * more, SIZE * (more + 1)):
                    raise AssertionError(f"{more} appends came to an end, and {len(found)} messages are there")
                promised |= {f"{round}.{n}": 1 for n in range(len(found) // SIZE - sum(promised.values()))}
                check_batches(found, promised)


@dataclass(frozen=True, kw_only=True)
class _Writer:
    process: anyio.abc.Process
    lines: BufferedByteReceiveStream

    async def line(self) -> str:
        """The next thing that it says."""
        try:
            return (await self.lines.receive_until(b"\n", _LONGEST_LINE)).decode()
        except anyio.IncompleteRead:
            raise AssertionError("the other process has ended; see what it says above") from None

    async def rest(self) -> int:
        """How many lines it has said that nobody has heard."""
        count = 0
        try:
            while True:
                await self.lines.receive_until(b"\n", _LONGEST_LINE)
                count += 1
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError):
            return count

    async def go(self) -> None:
        """Let it begin."""
        if self.process.stdin is not None:
            await self.process.stdin.send(b"\n")

    async def ended(self) -> None:
        """It has come to its end by itself."""
        if code := await self.process.wait():
            raise AssertionError(f"the other process has failed with {code}; see what it says above")


@asynccontextmanager
async def _writer(program: str, how: str, session_id: str, who: str, appends: int) -> AsyncGenerator[_Writer]:
    """A process that writes; at the end of the block it is killed."""
    code = f"{program}\n\nfrom agentkit.testing.session_writers import main\n\nmain(make)\n"
    process = await anyio.open_process([sys.executable, "-c", code, how, session_id, who, str(appends)], stderr=None)
    if process.stdout is None:
        raise AssertionError("the other process says nothing")
    lines = BufferedByteReceiveStream(process.stdout)
    try:
        yield _Writer(process=process, lines=lines)
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()

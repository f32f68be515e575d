"""`nothing_left_behind`: what a block leaves is found, by its name, and what ends by itself is not."""

import gc
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread
import pytest
from opentelemetry.sdk.trace import TracerProvider

from agentkit import Agent, Telemetry, tool
from agentkit.testing import ChatServer, ScriptedModel, call, nothing_left_behind

pytestmark = pytest.mark.anyio

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc, which is not here")


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Lets threads end after the test."""
    event = threading.Event()
    yield event
    event.set()


def opened(path: Path) -> IO[str]:
    return open(path, "w", encoding="utf-8")


def started(program: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", program])


def found(error: pytest.ExceptionInfo[AssertionError]) -> str:
    return str(error.value)


async def test_a_run_leaves_nothing() -> None:
    """Tools in threads and tasks, streamed and left early: the promise of the core, in one line."""

    @tool
    def count() -> int:
        """Count."""
        return len(os.listdir("."))

    @tool
    async def wait() -> None:
        """Wait."""
        await anyio.sleep_forever()

    model = ScriptedModel([[call("count"), call("count")], [call("wait"), call("count")]])
    telemetry = Telemetry(tracer_provider=TracerProvider(shutdown_on_exit=False))
    agent = Agent(model, tools=[count, wait], telemetry=telemetry)
    async with nothing_left_behind(telemetry=telemetry):
        async with agent.stream("?") as run:
            async for event in run:
                if len(model.requests) == 2 and "ToolFinished" in type(event).__name__:
                    break


async def test_a_task_is_named() -> None:
    """A task group that the block opened and did not close."""
    async with anyio.create_task_group() as group:
        with pytest.raises(AssertionError) as error:
            async with nothing_left_behind(grace=0):
                group.start_soon(anyio.sleep_forever, name="the forgotten one")
        group.cancel_scope.cancel()
    assert "task " in found(error)
    assert "the forgotten one" in found(error)


async def test_a_task_that_is_ending_is_waited_for() -> None:
    """It ends by itself, after some turns of the event loop."""

    async def end() -> None:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        async with nothing_left_behind(grace=30):
            group.start_soon(end)


async def test_a_thread_is_named(released: threading.Event) -> None:
    """One of the block's own."""
    with pytest.raises(AssertionError) as error:
        async with nothing_left_behind(grace=0.05):
            threading.Thread(target=released.wait, args=(30,), name="the-worker", daemon=True).start()
    assert "thread 'the-worker'" in found(error)


@pytest.mark.parametrize("in_sync", [True, False])
async def test_a_busy_thread_of_a_pool_is_found_and_no_idle_one(released: threading.Event, in_sync: bool) -> None:
    """A sync tool that was given up still runs in its thread; one that has ended waits for the next call."""
    async with nothing_left_behind():
        await anyio.to_thread.run_sync(len, "abc")
    started = threading.Event()

    def block() -> None:
        started.set()
        released.wait(30)

    async def run() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: anyio.to_thread.run_sync(block, abandon_on_cancel=True))
                await anyio.to_thread.run_sync(started.wait)
                scope.cancel()

    with pytest.raises(AssertionError, match="left behind: thread "):
        if in_sync:
            with nothing_left_behind(grace=0.05):
                await run()
        else:
            async with nothing_left_behind(grace=0.05):
                await run()


async def test_a_hundred_idle_threads_are_no_leftovers() -> None:
    """Python itself tells of a hundred threads only."""
    limiter = anyio.CapacityLimiter(130)
    together = threading.Barrier(130)
    async with nothing_left_behind():
        async with anyio.create_task_group() as group:
            for _ in range(130):
                group.start_soon(lambda: anyio.to_thread.run_sync(together.wait, limiter=limiter))


async def test_a_thread_that_is_ending_is_waited_for(released: threading.Event) -> None:
    """The operating system needs its moment."""
    async with nothing_left_behind(grace=30):
        thread = threading.Thread(target=released.wait, args=(30,), daemon=True)
        thread.start()
        threading.Timer(0.05, released.set).start()


async def test_an_open_span_is_named() -> None:
    """Of the provider that the agent's telemetry has."""
    provider = TracerProvider(shutdown_on_exit=False)
    telemetry = Telemetry(tracer_provider=provider)
    with pytest.raises(AssertionError, match="left behind: open span checkout"):
        async with nothing_left_behind(grace=0, telemetry=telemetry):
            provider.get_tracer("t").start_span("ended").end()
            left = provider.get_tracer("t").start_span("checkout")
    left.end()


async def test_an_open_file_is_named(tmp_path: Path) -> None:
    """And a socket, with its address."""
    with pytest.raises(AssertionError) as error:
        async with nothing_left_behind(grace=0):
            file = opened(tmp_path / "notes.txt")
            server = socket.create_server(("127.0.0.1", 0))
    assert f"{file.fileno()} ({tmp_path / 'notes.txt'})" in found(error)
    assert f"a socket at {server.getsockname()!r}" in found(error)
    file.close()
    server.close()


async def test_what_only_waits_for_the_garbage_collector_is_no_leftover() -> None:
    """A file that is held by an object which holds itself."""

    class Held:
        def __init__(self) -> None:
            self.me, self.file = self, os.open(os.devnull, os.O_RDONLY)

        def __del__(self) -> None:
            os.close(self.file)

    gc.disable()
    try:
        async with nothing_left_behind(grace=0):
            Held()
    finally:
        gc.enable()


async def test_a_temporary_file_is_named() -> None:
    """In a folder of the block's own, so what others write there does not count; it is gone afterwards."""
    before, set_to = tempfile.gettempdir(), os.environ.get("TMPDIR")
    with pytest.raises(AssertionError, match=r"left behind: temporary file 'left-\w+\.txt'"):
        async with nothing_left_behind(grace=0):
            with tempfile.NamedTemporaryFile(prefix="left-", suffix=".txt", delete=False) as file:
                path = Path(file.name)
            with tempfile.TemporaryDirectory():
                pass
    assert path.parent.name not in os.listdir(before)
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == (before, set_to)
    assert path.is_relative_to(before)


@needs_proc
async def test_a_child_process_is_named() -> None:
    """One that runs, and one that has ended and was not waited for."""
    with pytest.raises(AssertionError) as error:
        async with nothing_left_behind(grace=0.05):
            child = started("import time; time.sleep(60)")
    assert f"child process {child.pid} (" in found(error)
    child.kill()
    child.wait()
    with pytest.raises(AssertionError, match="which has ended and was not waited for"):
        async with nothing_left_behind(grace=0.05):
            child = started("")
            await anyio.to_thread.run_sync(os.waitid, os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.wait()


async def test_the_blocks_own_error_comes_first() -> None:
    """What is left is a note on it."""
    with pytest.raises(ValueError, match="mine") as error:
        async with nothing_left_behind(grace=0):
            tempfile.mkdtemp(prefix="left-")
            raise ValueError("mine")
    assert "left behind: temporary file 'left-" in error.value.__notes__[0]


async def test_the_block_may_be_cancelled() -> None:
    """What is left is still found, and the cancellation goes on."""
    with anyio.CancelScope() as scope:
        async with nothing_left_behind():
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_server_that_was_closed_leaves_nothing() -> None:
    """Its sockets and its task are gone."""
    async with nothing_left_behind():
        async with ChatServer(["Hello."]):
            pass


def test_it_needs_no_event_loop() -> None:
    """A whole program's loop may be inside the block."""
    with nothing_left_behind():
        anyio.run(anyio.lowlevel.checkpoint)
        anyio.run(anyio.lowlevel.checkpoint, backend="trio")
    with pytest.raises(AssertionError, match="temporary file"):
        with nothing_left_behind(grace=0):
            tempfile.mkdtemp()

"""A run that somebody watches: its events one by one, then its result."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, NoReturn

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .cancellation import is_cancelled
from .errors import ConfigError
from .events import Emit, Event, Out, RunResult
from .loop import Run
from .messages import UserMessage


class RunStream(Generic[Out]):
    """The events of a run, to be read with `async for`; the watcher sets the pace.

    What ends the run is raised by the iteration: whatever `Agent.run` raises.
    """

    def __init__(self, events: MemoryObjectReceiveStream[Event]) -> None:
        self._events = events
        self._result: RunResult[Out] | None = None
        self._error: BaseException | None = None

    def __aiter__(self) -> "RunStream[Out]":
        return self

    async def __anext__(self) -> Event:
        try:
            return await self._events.receive()
        except anyio.EndOfStream:
            if self._error is not None:
                raise self._error from None
            raise StopAsyncIteration from None
        except anyio.ClosedResourceError:
            raise ConfigError("the run was left, and with it cancelled: read its events inside the block") from None

    @property
    def result(self) -> RunResult[Out]:
        """What the run came to, once all its events are read.

        Raises:
            ConfigError: it has not finished.
        """
        if self._result is None:
            raise ConfigError("the run has no result yet: read its events to the end first")
        return self._result

    async def finish(self) -> RunResult[Out]:
        """Read the rest of the events and return what the run came to."""
        async for _ in self:
            pass
        return self.result

    async def _drive(self, run: Run[Out], prompt: UserMessage | None, send: MemoryObjectSendStream[Event]) -> None:
        with send:
            try:
                self._result = await run.run(prompt)
            except BaseException as error:
                if is_cancelled(error):  # the watcher has left
                    raise
                self._error = error  # for the watcher: a task group would wrap it


class Watched(AbstractAsyncContextManager[RunStream[Out]]):
    """What `Agent.stream` gives: a run that begins with its block. Any other use of it says how it is meant.

    Args:
        start: Makes the run.
        prompt: What the user says.
        called: The agent's method that gives it.
    """

    def __init__(
        self, start: Callable[[Emit], Run[Out]], prompt: UserMessage | None, *, called: str = "stream"
    ) -> None:
        self._called = called
        self._block = _watching(start, prompt)
        self._is_used = False

    async def __aenter__(self) -> RunStream[Out]:
        if self._is_used:
            raise ConfigError(f"this stream has been watched before: call agent.{self._called}(...) again")
        self._is_used = True
        return await self._block.__aenter__()

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._block.__aexit__(*error)

    if not TYPE_CHECKING:  # which tells by itself what cannot be done

        def __aiter__(self) -> NoReturn:
            how = f"`async with agent.{self._called}(...) as run:`"
            raise ConfigError(f"write {how}, and inside of it `async for event in run:`")

        __await__ = __enter__ = __iter__ = __aiter__

        def __exit__(self, *error: Any) -> None: ...


@asynccontextmanager
async def _watching(start: Callable[[Emit], Run[Out]], prompt: UserMessage | None) -> AsyncGenerator[RunStream[Out]]:
    """Run beside the watcher's block; leaving the block cancels the run and waits until it has ended."""
    send, receive = anyio.create_memory_object_stream[Event]()
    stream: RunStream[Out] = RunStream(receive)
    left_with: BaseException | None = None
    with send, receive:
        run = start(send.send)
        async with anyio.create_task_group() as group:
            group.start_soon(stream._drive, run, prompt, send)
            try:
                yield stream
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # raised again outside of the task group, which would wrap it
                left_with = error
            group.cancel_scope.cancel()
    if left_with is not None:
        raise left_with

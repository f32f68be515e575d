"""Calling a function, whatever kind of function it is: in the event loop, in a thread, step by step."""

import functools
import inspect
import threading
from collections.abc import Awaitable, Callable
from itertools import takewhile
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeAlias

import anyio
import anyio.from_thread
import anyio.to_thread
from anyio.lowlevel import RunVar

from .context import to_nobody

Progress: TypeAlias = Callable[[object], Awaitable[None]]

WORKER_THREADS = 40
"""Sync tools that run at the same time in one event loop; more of them wait."""

CLOSE_SECONDS = 5.0
"""What an async generator may take for its `finally` when its call is cancelled."""

_threads: RunVar[anyio.CapacityLimiter] = RunVar("agentkit_tool_threads")


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling this needs no thread: it gives a coroutine, or an asynchronous generator, at once."""
    return _is(function, inspect.iscoroutinefunction) or _is(function, inspect.isasyncgenfunction)


async def invoke(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], progress: Progress
) -> Any:
    """What the function gives. If it is a generator function, each value it yields is progress.

    Sync functions run in a worker thread, their contextvars kept. A generator that one merely hands out becomes a list.
    """
    if _is(function, inspect.iscoroutinefunction):
        return await function(*args, **kwargs)
    if _is(function, inspect.isasyncgenfunction):
        return await _iterated(function(*args, **kwargs), progress)
    inner = inspect.unwrap(function)
    is_stepwise = _is(inner, inspect.isgeneratorfunction) or _is(inner, inspect.isasyncgenfunction)
    result = await _in_thread(functools.partial(function, *args, **kwargs), progress if is_stepwise else None)
    if inspect.isasyncgen(result):
        return await _iterated(result, progress) if is_stepwise else [each async for each in result]
    return await result if inspect.isawaitable(result) else result


def _is(function: Callable[..., Any], kind: Callable[[Any], bool]) -> bool:
    """Whether a function, or the `__call__` of an object, is of a kind."""
    return kind(function) or (not inspect.isroutine(function) and kind(getattr(function, "__call__", None)))  # noqa: B004


async def _iterated(steps: "AsyncGeneratorType[Any, Any]", progress: Progress) -> Any:
    last = None
    try:
        async for last in steps:
            await progress(last)
    finally:
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await steps.aclose()
    return last


async def _in_thread(work: Callable[[], Any], progress: Progress | None) -> Any:
    """What the work gives, in one thread from its begin to its end, which is given up where this is cancelled."""
    try:
        limiter = _threads.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(WORKER_THREADS)
        _threads.set(limiter)
    given_up = threading.Event()
    try:
        value, error = await anyio.to_thread.run_sync(
            _outcome, work, progress, given_up, abandon_on_cancel=True, limiter=limiter
        )
    finally:
        given_up.set()
    if error is not None:
        raise error
    return value


def _outcome(
    work: Callable[[], Any], progress: Progress | None, given_up: threading.Event
) -> tuple[Any, BaseException | None]:
    """What the work came to. As a value: StopIteration, SystemExit and the like do not survive a thread's future."""
    try:
        value = work()
        if inspect.isgenerator(value):
            value = _drained(value, given_up) if progress is None else _stepped(value, progress, given_up)
        return value, None
    except BaseException as error:
        return None, error


def _stepped(steps: "GeneratorType[Any, Any, Any]", progress: Progress, given_up: threading.Event) -> Any:
    """What a sync generator returns, or yields last; each value it yields is progress."""
    last = None
    try:
        while not given_up.is_set():
            last = next(steps)
            if progress is not to_nobody:  # else a step would cost a way to the event loop and back
                anyio.from_thread.run(_tell, progress, last)
    except StopIteration as end:
        return last if end.value is None else end.value
    finally:
        steps.close()
    return last


def _drained(values: "GeneratorType[Any, Any, Any]", given_up: threading.Event) -> list[Any]:
    return list(takewhile(lambda _: not given_up.is_set(), values))


async def _tell(progress: Progress, value: object) -> None:
    await progress(value)

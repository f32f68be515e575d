"""Calling a function, whatever kind of function it is: in the event loop, in a thread, in a process, step by step."""

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable
from types import AsyncGeneratorType, GeneratorType, ModuleType
from typing import Any, TypeAlias

import anyio
import anyio.to_process
import anyio.to_thread
from anyio.lowlevel import RunVar

from .errors import ToolDefinitionError, ToolFailed

Progress: TypeAlias = Callable[[object], Awaitable[None]]

WORKER_THREADS = 40
"""Sync tools that run at the same time in one event loop; more of them wait."""

_threads: RunVar[anyio.CapacityLimiter] = RunVar("agentkit_tool_threads")


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling this needs no thread: it gives a coroutine, or an asynchronous generator, at once."""
    return _is(function, inspect.iscoroutinefunction) or _is(function, inspect.isasyncgenfunction)


async def invoke(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], progress: Progress
) -> Any:
    """What the function gives; of a generator, each value it yields is progress.

    Sync functions run in a worker thread, their contextvars kept.
    """
    if _is(function, inspect.iscoroutinefunction):
        return await function(*args, **kwargs)
    if _is(function, inspect.isasyncgenfunction):
        return await _iterated(function(*args, **kwargs), progress)
    result = await _in_thread(functools.partial(function, *args, **kwargs))
    if inspect.isgenerator(result):
        return await _stepped(result, progress)
    if inspect.isasyncgen(result):
        return await _iterated(result, progress)
    return await result if inspect.isawaitable(result) else result


async def invoke_in_process(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a sync function gives, in a process of its own that is killed when nobody waits for it any more.

    Arguments, result and exceptions travel by pickle, between this process and one that it has started.

    Raises:
        ToolFailed: the process has died.
    """
    call = functools.partial(_called, *_whereabouts(function), args, kwargs)
    try:
        return await anyio.to_process.run_sync(call, cancellable=True)
    except anyio.BrokenWorkerProcess:
        raise ToolFailed("the process that ran the tool has died; it may have run out of memory") from None


def check_isolated(function: Callable[..., Any], name: str) -> None:
    """Make sure that another process can find the function.

    Raises:
        ToolDefinitionError: it cannot, or the function is not sync.
    """
    if is_async(function) or _is(function, inspect.isgeneratorfunction):
        raise ToolDefinitionError(
            f"tool {name!r}: isolation='process' is for sync functions; an async one ends when it is cancelled"
        )
    if not inspect.isfunction(function) or not function.__qualname__.isidentifier():
        raise ToolDefinitionError(
            f"tool {name!r}: isolation='process' is for functions at the top of a module; others cannot be found there"
        )


def _whereabouts(function: Callable[..., Any]) -> tuple[str, str | None, str]:
    """The function's module, its file, and the function's name."""
    module = function.__module__
    return module, getattr(sys.modules.get(module), "__file__", None), function.__qualname__


def _called(module: str, path: str | None, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In the other process: find the function and call it."""
    return getattr(_imported(module, path), name)(*args, **kwargs)


def _imported(module: str, path: str | None) -> ModuleType:
    """A module by its name, or from its file if that does not find it, as with a file given to `load_tools`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        spec = importlib.util.spec_from_file_location(module, path)
        if spec is None or spec.loader is None:
            raise
        sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module])
        return sys.modules[module]


def _is(function: Callable[..., Any], kind: Callable[[Any], bool]) -> bool:
    """Whether a function, or the `__call__` of an object, is of a kind."""
    return kind(function) or (not inspect.isroutine(function) and kind(getattr(function, "__call__", None)))  # noqa: B004


async def _iterated(steps: "AsyncGeneratorType[Any, Any]", progress: Progress) -> Any:
    last = None
    try:
        async for last in steps:
            await progress(last)
    finally:
        with anyio.CancelScope(shield=True):
            await steps.aclose()
    return last


async def _stepped(steps: "GeneratorType[Any, Any, Any]", progress: Progress) -> Any:
    """A sync generator, each step of it in a thread."""
    last = None
    try:
        while True:
            done, value = await _in_thread(functools.partial(_step, steps))
            if done:
                return last if value is None else value
            last = value
            await progress(last)
    finally:
        with anyio.CancelScope(shield=True):
            await _in_thread(functools.partial(_end, steps))


def _step(steps: "GeneratorType[Any, Any, Any]") -> tuple[bool, Any]:
    try:
        return False, next(steps)
    except StopIteration as end:
        return True, end.value


def _end(steps: "GeneratorType[Any, Any, Any]") -> None:
    if not steps.gi_running:  # a thread that was given up is still in it
        steps.close()


async def _in_thread(work: Callable[[], Any]) -> Any:
    try:
        limiter = _threads.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(WORKER_THREADS)
        _threads.set(limiter)
    value, error = await anyio.to_thread.run_sync(_outcome, work, abandon_on_cancel=True, limiter=limiter)
    if error is not None:
        raise error
    return value


def _outcome(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What the work came to. As a value: StopIteration, SystemExit and the like do not survive a thread's future."""
    try:
        return work(), None
    except BaseException as error:
        return None, error

"""Whether a cancellation comes from outside. The one place that asks asyncio itself, since anyio cannot say."""

import math
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel


def is_cancelled(error: BaseException) -> bool:
    """Whether an exception is the cancellation of what goes on here.

    Code may also end in a cancellation that nobody here has asked for, by awaiting an asyncio task that was cancelled:
    that is an error like any other.
    """
    if isinstance(error, BaseExceptionGroup):  # of a trio nursery: one cancellation for each of its tasks
        return all(map(is_cancelled, error.exceptions))
    if not isinstance(error, anyio.get_cancelled_exc_class()):
        return False
    if anyio.current_effective_deadline() == -math.inf:  # a scope around this is cancelled
        return True
    import asyncio  # only here and only now: it is not loaded where trio runs

    if not isinstance(error, asyncio.CancelledError):
        return True
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def cancellations() -> int:
    """How often somebody has asked this task to end, by asyncio's own means; trio has none but scopes."""
    import asyncio

    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop of asyncio's
        return 0
    return 0 if task is None else task.cancelling()


async def end_if_cancelled(before: int) -> None:
    """End here if this is cancelled, or has been since there were so many cancellations: code may swallow one."""
    await anyio.lowlevel.checkpoint_if_cancelled()
    if cancellations() > before:
        raise anyio.get_cancelled_exc_class()


async def insist(work: Callable[[], Awaitable[None]]) -> None:
    """Do the work, and begin once more where a cancellation gets through a shield, as `asyncio.Task.cancel` does."""
    try:
        await work()
    except anyio.get_cancelled_exc_class():
        if anyio.current_effective_deadline() <= anyio.current_time():
            raise
        await work()

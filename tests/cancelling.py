"""Cancels work at its N-th checkpoint, and says whether a strict provider would take the history that it leaves."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeAlias

import anyio
import anyio.lowlevel

from agentkit import Message, ModelRequest, UserMessage
from agentkit.cancellation import is_cancelled
from agentkit.models.chat.encode import encode
from agentkit.testing.strict import check

How: TypeAlias = Literal["scope", "task", "twice"]
"""By a cancel scope around the work; by `asyncio.Task.cancel`, as a web server does when its client leaves; by that
once more while the work is ending."""


async def ends_within(n: int, work: Callable[[], Awaitable[object]], how: How = "scope", seconds: float = 20) -> bool:
    """Do the work, and cancel it after N checkpoints; whether it had ended by then.

    What it raises is raised, bare. That it has been cancelled and yet goes on as if it had not is an AssertionError.
    """
    if how != "scope":
        return await _task_ends_within(n, work, how, seconds)
    ended = went_on = False
    wrong: list[BaseException] = []
    with anyio.fail_after(seconds):
        async with anyio.create_task_group() as group:

            async def run() -> None:
                nonlocal ended, went_on
                try:
                    await work()
                    ended = True
                    await anyio.lowlevel.checkpoint()  # raises where this is cancelled
                    went_on = group.cancel_scope.cancel_called
                except BaseException as error:
                    if is_cancelled(error):
                        raise
                    wrong.append(error)

            group.start_soon(run)
            for _ in range(n):
                await anyio.lowlevel.checkpoint()
            ended_in_time = ended
            group.cancel_scope.cancel()
    if wrong:
        raise wrong[0]
    assert not went_on, "the cancellation was swallowed"
    return ended_in_time


async def _task_ends_within(n: int, work: Callable[[], Awaitable[object]], how: How, seconds: float) -> bool:
    import asyncio

    async def run() -> None:
        await work()

    task = asyncio.create_task(run())
    with anyio.fail_after(seconds):
        for _ in range(n):
            await anyio.lowlevel.checkpoint()
        ended = task.done()
        task.cancel()
        if how == "twice":
            await anyio.lowlevel.checkpoint()
            task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
        raise outcome
    assert ended or task.cancelled(), "the cancellation was swallowed"
    return ended


def accepted(messages: Sequence[Message]) -> None:
    """Make sure that the strictest provider takes a conversation that goes on from here.

    Raises:
        agentkit.testing.refusal.Refusal: it does not.
    """
    request = ModelRequest(messages=(*messages, UserMessage(content="Go on.")))
    check(json.loads(encode(request, "m", stream=False)))

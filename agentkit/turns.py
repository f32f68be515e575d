"""Thousands of runs that begin at once let others have their turn in between."""

import anyio
import anyio.lowlevel

AT_ONCE = 64
"""Runs that begin in one turn of the event loop: together some ten milliseconds."""

_turns: anyio.lowlevel.RunVar[anyio.Semaphore] = anyio.lowlevel.RunVar("agentkit_turns")


async def turn() -> None:
    """Wait until it is this run's turn to begin; others may do something before it does."""
    try:
        turns = _turns.get()
    except LookupError:
        turns = anyio.Semaphore(AT_ONCE, fast_acquire=True)
        _turns.set(turns)
    async with turns:
        await anyio.lowlevel.checkpoint()

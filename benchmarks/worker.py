"""The process that one contestant has to itself: a line comes in, one repetition is run, its cost goes out."""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from . import task
from .contestants import contestant, set_the_stage
from .memory import peak_megabytes
from .scenarios import Scenario

TICK = 0.005
"""Seconds between two looks at the event loop."""


@contextmanager
def watched_loop() -> Iterator[list[float]]:
    """How many seconds later than it wanted somebody else gets a turn, each time."""
    loop, held, last = asyncio.get_running_loop(), [0.0], time.perf_counter()

    def tick() -> None:
        nonlocal last, timer
        now = time.perf_counter()
        held.append(now - last - TICK)
        last, timer = now, loop.call_later(TICK, tick)

    timer = loop.call_later(TICK, tick)
    try:
        yield held
    finally:
        timer.cancel()


def main(scenario: Scenario, name: str, origin: str) -> None:
    """Warm up, say so, and go on until the input ends."""
    finish = set_the_stage(name)
    prepare = contestant(name, scenario, f"{origin}/{scenario.script}")

    async def repetition(agents: int, conversations: int) -> dict[str, float]:
        crowds = [[prepare() for _ in range(agents)] for _ in range(conversations)]
        task.called = 0
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        with watched_loop() as held:
            answers = [each for crowd in crowds for each in await asyncio.gather(*(converse() for converse in crowd))]
        finish()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert answers == [task.ANSWER] * (agents * conversations), answers[:3]
        assert task.called == scenario.rounds * scenario.calls * agents * conversations, task.called
        return {"cpu": cpu, "wall": wall, "held": max(held), "megabytes": peak_megabytes()}

    with asyncio.Runner() as runner:
        runner.run(repetition(1, 2))
        print(json.dumps({"ready": name}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(runner.run(repetition(scenario.agents, scenario.conversations))), flush=True)


if __name__ == "__main__":
    main(Scenario(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])

"""The process that one contestant has to itself: a line comes in, one repetition is run, its cost goes out."""

import asyncio
import gc
import json
import sys
import time

from . import task
from .contestants import contestant, set_the_stage
from .memory import peak_megabytes
from .scenarios import Scenario


def main(scenario: Scenario, name: str, origin: str) -> None:
    """Warm up, say so, and go on until the input ends."""
    finish = set_the_stage(name)
    prepare = contestant(name, scenario, f"{origin}/{scenario.script}")

    async def repetition(agents: int, conversations: int) -> tuple[float, float]:
        crowds = [[prepare() for _ in range(agents)] for _ in range(conversations)]
        task.called = 0
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        answers = [answer for crowd in crowds for answer in await asyncio.gather(*(converse() for converse in crowd))]
        finish()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert answers == [task.ANSWER] * (agents * conversations), answers[:3]
        assert task.called == scenario.rounds * scenario.calls * agents * conversations, task.called
        return cpu, wall

    with asyncio.Runner() as runner:
        runner.run(repetition(1, 2))
        print(json.dumps({"ready": name}), flush=True)
        for _ in sys.stdin:
            cpu, wall = runner.run(repetition(scenario.agents, scenario.conversations))
            print(json.dumps({"cpu": cpu, "wall": wall, "megabytes": peak_megabytes()}), flush=True)


if __name__ == "__main__":
    main(Scenario(**json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])

"""A process that does shared work: `python worker_program.py URL LOG PROCESS NAME...` begins work of these names.

Work has three steps; the process `one` never comes to the end of the second one.
"""

import sys
from pathlib import Path

import anyio

from agentkit import Agent, tool
from agentkit.durable import DurableSteps, SharedWork
from agentkit.testing import ScriptedModel, call

URL, LOG, PROCESS = sys.argv[1], Path(sys.argv[2]), sys.argv[3]


def note(line: str) -> None:
    """Have a line on the disk."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(line + "\n")


@tool
async def step(work: str, number: int) -> str:
    """Take a step."""
    note(f"{PROCESS} begins {work}.{number}")
    if number == 2 and PROCESS == "one":
        print("waits", flush=True)
        await anyio.sleep_forever()
    note(f"done {work}.{number}")
    return "done"


async def do(work: str) -> None:
    """The work."""

    def answer(request: object) -> object:
        results = sum(message.role == "tool" for message in request.messages)  # type: ignore[attr-defined]
        return [call("step", work=work, number=results + 1)] if results < 3 else "All is done."

    await Agent(ScriptedModel([answer] * 4), tools=[step]).run("Go.", steps=DurableSteps())  # type: ignore[list-item]
    note(f"ended {work}")
    print("ended", flush=True)


async def main() -> None:
    """Do what there is to be done until this process is stopped."""
    shared = SharedWork(url=URL, name="agentkit-test", version="1", do=do, process=PROCESS)
    await shared.open()
    for work in sys.argv[4:]:
        await shared.start(f"work-{work}", work)
    await shared.watch(seconds=0.2)


anyio.run(main)

"""A program that may be killed: an agent's run as a workflow. `python durable_program.py DATABASE LOG [HANG]`.

It writes a line to LOG for each model call and each tool call; the tool of round HANG says so, and never returns.
"""

import sys
from pathlib import Path
from typing import Any

import anyio
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID

from agentkit import Agent, Context, ModelRequest, ModelResponse, ToolFailed, tool
from agentkit.durable import DurableSteps
from agentkit.models.base import ModelInfo, OnDelta
from agentkit.testing import ScriptedModel, call

DATABASE, LOG = sys.argv[1], Path(sys.argv[2])
HANG = int(sys.argv[3]) if len(sys.argv) > 3 else 0
ROUNDS = 3


def note(line: str) -> None:
    """Have a line on the disk."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(line + "\n")


@tool
async def step(number: int, ctx: Context[Any]) -> str:
    """Take a step.

    Args:
        number: Which one.
    """
    note(f"tool {number} {ctx.idempotency_key}")
    if number == HANG:
        print("hangs", flush=True)
        await anyio.sleep_forever()
    note(f"done {number}")
    if number == 2:
        raise ToolFailed("a stone")
    return f"step {number} is done"


class Noted:
    """A model that notes when it is asked."""

    info: ModelInfo = ScriptedModel([]).info

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """The next step, or the end."""
        number = sum(message.role == "tool" for message in request.messages) + 1
        note(f"model {number}")
        said: Any = [call("step", number=number)] if number <= ROUNDS else "All steps are done."
        return await ScriptedModel([said]).generate(request, on_delta)


@DBOS.workflow(name="walk")
async def walk() -> str:
    """The run."""
    result = await Agent(Noted(), tools=[step]).run("Go.", steps=DurableSteps())
    return result.output


async def main() -> None:
    """Begin the run, or go on with it."""
    DBOS(
        config={
            "name": "agentkit-test",
            "system_database_url": DATABASE,
            "application_version": "1",
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    with SetWorkflowID("walk-1"):
        handle = await DBOS.start_workflow_async(walk)
    note(f"result {await handle.get_result()}")
    DBOS.destroy()


anyio.run(main)

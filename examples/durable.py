"""A run that goes on in another process when its own is killed.

    pip install dbos
    python examples/durable.py

It needs no model and no server: the model's answers are scripted, and the database is a file. The first process is
killed while it ships; the second one takes the run up, and does not take the product from the stock again. It prints:

    process 1: taken from the stock: A-1
    process 1: killed
    process 2: shipped: A-1
    process 2: A-1 is on its way.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID

from agentkit import Agent, ModelRequest, tool
from agentkit.durable import DurableSteps
from agentkit.testing import ScriptedModel, call


def say(words: str) -> None:
    print(f"process {os.environ['PROCESS']}: {words}", flush=True)


@tool
def take_from_stock(sku: str) -> str:
    """Take a product from the stock."""
    say(f"taken from the stock: {sku}")
    return "taken"


@tool
def ship(sku: str) -> str:
    """Ship a product."""
    if os.environ["PROCESS"] == "1":
        say("killed")
        os._exit(1)
    say(f"shipped: {sku}")
    return "shipped"


def answer(request: ModelRequest) -> Any:
    answers = [[call("take_from_stock", sku="A-1")], [call("ship", sku="A-1")], "A-1 is on its way."]
    return answers[sum(message.role == "tool" for message in request.messages)]


clerk = Agent(ScriptedModel([answer] * 3), tools=[take_from_stock, ship])


@DBOS.workflow()
async def order(said: str) -> str:
    return (await clerk.run(said, steps=DurableSteps())).output


async def main(database: str) -> None:
    DBOS(
        config={
            "name": "shop-orders",
            "system_database_url": database,
            "application_version": "1",
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    with SetWorkflowID("order-17"):
        handle = await DBOS.start_workflow_async(order, "I want A-1.")
    say(await handle.get_result())
    DBOS.destroy()


if __name__ == "__main__":
    if "PROCESS" in os.environ:
        anyio.run(main, sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            for process in "12":
                database = f"sqlite:///{Path(folder) / 'orders.db'}"
                environment = {**os.environ, "PROCESS": process}
                subprocess.run([sys.executable, __file__, database], env=environment, check=False)

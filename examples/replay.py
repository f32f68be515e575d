"""Record a run, replay it without the model, and see where a changed agent does something else.

    python examples/replay.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    recorded: Yes, we have three of A-1.
    replayed: Yes, we have three of A-1.
    the replay diverges at step 1 (model), in its instructions: recorded was "Be kind.", now it is "Be brief."
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import anyio

from agentkit import Agent, tool
from agentkit.errors import ReplayDiverged
from agentkit.recording import Recorder
from agentkit.recording import replay as replayed


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock.

    Args:
        sku: The product code printed on the label.
    """
    return 3


clerk = Agent("chat:gpt-5.5", name="clerk", instructions="Be kind.", tools=[units_left])


async def main(recording: Path) -> None:
    result = await clerk.run("Have you got A-1?", steps=Recorder(recording))
    print("recorded:", result.output)
    print("replayed:", (await replayed(clerk, recording)).output)
    try:
        await replayed(replace(clerk, instructions="Be brief."), recording)
    except ReplayDiverged as error:
        print(error)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, Path(folder) / "run.jsonl")

"""Read what was said in a run: on its spans, in their size and without secrets, and whole in a folder.

    python examples/captured_content.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    Yes, we have three of A-1.
    units_left was called with {"sku":"A-1"} and gave {"units":3,"password":"***","seen_by":"[somebody]"}
    2 model calls are in the folder, the last with 3 messages
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from agentkit import Agent, tool
from agentkit.telemetry import Content, Upload
from agentkit.telemetry.recorder import SpanRecorder


@tool
def units_left(sku: str) -> dict[str, Any]:
    """Count the units of a product in stock.

    Args:
        sku: The product code printed on the label.
    """
    return {"units": 3, "password": "12345", "seen_by": "Ada Lovelace"}


def without_names(text: str) -> str:
    """What no trace should show of people."""
    return text.replace("Ada Lovelace", "[somebody]")


def read(folder: Path) -> list[dict[str, Any]]:
    """The documents that were written, one for each model call."""
    return [json.loads(file.read_text("utf-8")) for file in folder.rglob("*.json")]


async def main(folder: Path) -> None:
    recorder, upload = SpanRecorder(), Upload.folder(folder)
    content = Content(redact=without_names, upload=upload)
    telemetry = replace(recorder.telemetry, content=content)
    clerk = Agent("chat:gpt-5.5", name="clerk", tools=[units_left], telemetry=telemetry)
    print((await clerk.run("Have you got A-1?")).output)

    [run] = recorder.tree()
    _, called, _ = run.children
    arguments, result = (called.attributes[f"gen_ai.tool.call.{what}"] for what in ("arguments", "result"))
    print("units_left was called with", arguments, "and gave", result)

    await anyio.to_thread.run_sync(upload.flush)
    documents = read(folder)
    messages = max(len(document["gen_ai.input.messages"]) for document in documents)
    print(len(documents), "model calls are in the folder, the last with", messages, "messages")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, Path(folder))

"""Write a run to a file, and make a page of it that opens in any browser, with no network.

    python examples/trace_a_run.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    Yes, we have three of A-1.
    invoke_agent clerk
      chat gpt-5.5
      execute_tool units_left
      chat gpt-5.5
    2 model calls, 1 tool call, 0 errors
    trace.html has all of it
"""

import tempfile
from pathlib import Path

import anyio

from agentkit import Agent, tool
from agentkit.telemetry.trace_file import TraceFileExporter
from agentkit.traces import read_traces, trace_page, walk


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock.

    Args:
        sku: The product code printed on the label.
    """
    return 3


async def main(folder: Path) -> None:
    with TraceFileExporter(folder / "trace.jsonl") as file:
        clerk = Agent("chat:gpt-5.5", name="clerk", tools=[units_left], telemetry=file.telemetry)
        print((await clerk.run("Have you got A-1?")).output)

    [trace] = read_traces(folder / "trace.jsonl").traces
    for depth, span in walk(trace.roots):
        print("  " * depth + span.name)
    totals = trace.totals()
    print(f"{totals.model_calls} model calls, {totals.tool_calls} tool call, {totals.errors} errors")

    page = folder / "trace.html"
    page.write_text(trace_page([trace], title="clerk"), encoding="utf-8")
    print(page.name, "has all of it")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(main, Path(folder))

"""An agent with tools on the small model that is embedded in agentkit: no key, no server, no network.

    python examples/demo.py

For each question the model chooses the tools and their arguments; the answer is made of the tools' results.
"""

import sys
from collections.abc import Iterable

import anyio

from agentkit import Agent, ToolFinished, ToolStarted, load_tools
from agentkit.telemetry.recorder import SpanNode, SpanRecorder

TOOLS = ["clock:now", "calc:calculate", "units:convert", "text:count_text"]
QUESTIONS = [
    "What is the time in Europe/Berlin?",
    "How many words are in 'the quick brown fox'?",
    "Work out the expression 128 * 46, and convert 26.2 miles to kilometers.",
]


async def main() -> int:
    recorder = SpanRecorder()
    agent = Agent(
        "local:needle",
        name="demo",
        tools=[tool for source in TOOLS for tool in load_tools(source)],
        telemetry=recorder.telemetry,
    )
    print(f"Loading the embedded model; it has {len(agent.registry)} tools: {', '.join(agent.registry.names)} ...")
    answered = [await ask(agent, question) for question in QUESTIONS]
    print("\nWhat OpenTelemetry saw:")
    show(recorder.tree())
    return 0 if all(answered) else 1


async def ask(agent: Agent, question: str) -> bool:
    """Ask, and show the run as it goes on; whether the model called a tool, and every tool had a result."""
    results = []
    print(f"\n> {question}", flush=True)
    async with agent.stream(question) as run:
        async for event in run:
            match event:
                case ToolStarted(call=call):
                    print(f"  calls {call.name} with {call.arguments}")
                case ToolFinished(result=result, seconds=seconds):
                    print(f"  {result.name} took {seconds * 1000:.0f} ms: {result.content}", flush=True)
                    results.append(result)
    print(run.result.output)
    return bool(results) and not any(result.is_error for result in results)


def show(spans: Iterable[SpanNode], indent: str = "  ") -> None:
    for span in spans:
        print(f"{indent}{span.name}: {span.seconds * 1000:.0f} ms{f', {span.error}' if span.error else ''}")
        show(span.children, indent + "  ")


if __name__ == "__main__":
    sys.exit(anyio.run(main))

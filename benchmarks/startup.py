"""What it costs to begin: CPU time, memory and modules of a fresh interpreter, up to the first agent."""

from .processes import program

TITLE = "start-up"
BARE = "python alone"
OPENAI = "import openai"
AGENTKIT = "import agentkit"
AGENT = "define an agent with a tool"

PROGRAMS = {
    BARE: "",
    OPENAI: "import openai",
    AGENTKIT: "import agentkit",
    AGENT: """
from agentkit import Agent, tool

@tool
async def forecast(city: str, days: int) -> str:
    '''Forecast the weather of a city.

    Args:
        city: The city's name, in English.
        days: How many days ahead to look.
    '''
    return city

Agent("chat:bench", tools=[forecast])
""",
}

REPORT = """
import sys, time
cpu, modules = time.process_time(), len(sys.modules)
from benchmarks.memory import peak_megabytes
print(f'{{"cpu": {cpu}, "modules": {modules}, "megabytes": {peak_megabytes()}}}')
"""


def measure(name: str) -> dict[str, float]:
    """One fresh interpreter that runs the program of that name."""
    measured: dict[str, float] = program(PROGRAMS[name] + REPORT)
    return measured

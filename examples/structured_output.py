"""Turn text into data: the answer is an object of your own class, or the model is asked again.

    python examples/structured_output.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. It prints:

    Lunch with Bo on 2026-03-28, at 13:00
    The model was asked 2 times.
"""

import datetime as dt

from pydantic import BaseModel, Field

from agentkit import Agent, Limits


class Event(BaseModel):
    """An entry for a calendar."""

    title: str
    day: dt.date
    start: dt.time
    guests: list[str] = Field(max_length=20)


agent = Agent(
    "chat:gpt-5.5",
    instructions="Find the event in the text. Today is 2026-03-20.",
    output=Event,
    limits=Limits(iterations=3),  # an answer that does not fit takes another one
)

if __name__ == "__main__":
    result = agent.run_sync("Lunch with Bo, Saturday in a week at one.")
    event = result.output  # an Event, for the type checker too
    print(f"{event.title} on {event.day}, at {event.start:%H:%M}")
    print(f"The model was asked {result.iterations} times.")

"""The task that everyone is given: one tool, one question, one answer."""

from typing import Any

MODEL = "bench"
INSTRUCTIONS = "You plan trips. Look the weather up before you answer."
QUESTION = "Where should we go on Saturday, if we want to walk along the sea and stay dry?"
ANSWER = "Go to Lisbon: it will be dry, and the coast path begins at the end of the tram line."

called = 0


async def forecast(city: str, days: int, unit: str = "celsius") -> str:
    """Forecast the weather of a city.

    Args:
        city: The city's name, in English.
        days: How many days ahead to look.
        unit: The unit of the temperatures: celsius or fahrenheit.
    """
    global called
    called += 1
    return f"{city}, in {days} days: dry, light wind from the west, 19 degrees {unit}."


TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "forecast",
            "description": "Forecast the weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "The city's name, in English."},
                    "days": {"type": "integer", "description": "How many days ahead to look."},
                    "unit": {
                        "type": "string",
                        "description": "The unit of the temperatures: celsius or fahrenheit.",
                        "default": "celsius",
                    },
                },
                "required": ["city", "days"],
                "additionalProperties": False,
            },
        },
    }
]
FUNCTIONS = {"forecast": forecast}


def call(behind: int, number: int) -> dict[str, Any]:
    """The `number`-th tool call of the answer that comes after so many rounds, as the wire spells it."""
    return {
        "id": f"call_{behind}_{number}",
        "type": "function",
        "function": {"name": "forecast", "arguments": '{"city": "Lisbon", "days": 3}'},
    }


def history(rounds: int, calls: int) -> list[dict[str, Any]]:
    """The messages of a conversation that has so many rounds behind it, as the wire spells them."""
    if not rounds:
        return []
    messages: list[dict[str, Any]] = [{"role": "user", "content": QUESTION}]
    for behind in range(rounds):
        asked = [call(behind, number) for number in range(calls)]
        messages.append({"role": "assistant", "content": None, "tool_calls": asked})
        told = "Lisbon, in 3 days: dry, light wind from the west, 19 degrees celsius."
        messages += [{"role": "tool", "tool_call_id": one["id"], "content": told} for one in asked]
    messages.append({"role": "assistant", "content": ANSWER})
    return messages

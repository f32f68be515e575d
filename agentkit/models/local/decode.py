"""What the embedded model answers -> tool calls; what the tools returned -> the text of the answer. Pure.

The model writes no text of its own: its answer to the user is composed here, from the tools' results.
"""

import json
from collections.abc import Sequence
from typing import Any

from agentkit.errors import BadResponse
from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult

from .encode import MOST_TOOLS, Turn, parsed

CANNOT = (
    f"I cannot answer this. I am a small offline model (Needle 3): I only choose among at most {MOST_TOOLS} simple "
    "tools, for questions in plain English, and write no text of my own. For anything else configure a real model: "
    "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, and name it, as in 'chat:gpt-5.5'."
)

CONFIDENT = 0.2
"""Below, its calls are guesses: measured, most are wrong. Above, most are right."""

Call = tuple[str, dict[str, Any]]
"""A tool's name, and the arguments."""


def decode(answer: str) -> tuple[Call, ...]:
    """The calls in the model's answer, none if it is done or unsure.

    Raises:
        BadResponse: it is not an answer that this model gives.
    """
    try:
        data = json.loads(answer)
        confidence = float(data["confidence"])
        calls = tuple(_call(call) for call in data["function_calls"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadResponse(f"the local model's answer cannot be understood: {error!r}", body=answer) from None
    return calls if confidence >= CONFIDENT else ()


def _call(call: dict[str, Any]) -> Call:
    name, arguments = call["name"], call["arguments"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise TypeError("a call is a name and an object")
    return name, arguments


def new_calls(calls: Sequence[Call], turn: Turn) -> tuple[Call, ...]:
    """The calls not made yet since the user last spoke; this model would make some for ever."""
    made = {(call.name, _canonical(parsed(call.arguments))) for call in turn.calls.values()}
    fresh: dict[tuple[str, str], Call] = {}
    for name, arguments in calls:
        key = (name, _canonical(arguments))
        if key not in made:
            fresh.setdefault(key, (name, arguments))
    return tuple(fresh.values())


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def with_ids(calls: Sequence[Call], messages: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls with the next ids of the conversation; the same conversation gives the same ids."""
    taken = {call.id for message in messages if isinstance(message, AssistantMessage) for call in message.tool_calls}
    ids: list[str] = []
    number = len(taken)
    while len(ids) < len(calls):
        number += 1
        if f"call_{number}" not in taken:
            ids.append(f"call_{number}")
    return tuple(
        ToolCall(id=id, name=name, arguments=json.dumps(arguments, ensure_ascii=False))
        for id, (name, arguments) in zip(ids, calls, strict=True)
    )


def composed(turn: Turn) -> str:
    """The answer, a line for each result: `get_price(ticker=AAPL) -> price: 182.34, currency: GBP`."""
    return "\n".join(_line(turn.calls.get(result.call_id), result) for result in turn.results)


def _line(call: ToolCall | None, result: ToolResult) -> str:
    asked = _shown(call.arguments, "=") if call else ""
    told = _shown(result.content, ": ") or result.content
    return f"{result.name}({asked}) -> {'error: ' if result.is_error else ''}{told}"


def _shown(text: str, between: str) -> str:
    """A JSON object's members in a row, any other text as it is."""
    value = parsed(text)
    if not isinstance(value, dict):
        return text
    members = ((key, v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)) for key, v in value.items())
    return ", ".join(f"{key}{between}{member}" for key, member in members)

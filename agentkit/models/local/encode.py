"""A `ModelRequest` -> what the embedded model reads: tools as JSON, and texts to feed it one after the other. Pure.

The model takes users' texts and tools' results, and works out its own earlier answers again from them. It is shown
only what was said since the user last spoke: older questions make its choice of tools worse, not better.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.errors import ConfigError, ContextTooLong
from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, UserMessage, clean
from agentkit.models.base import ModelRequest, OutputFormat
from agentkit.tool import Tool

MOST_TOOLS = 5
"""With more, the model picks five of them by itself before it reads the question, and picks badly."""
MESSAGE_CHARS = 4000
"""Of one message of the user; already a quarter of that leaves the model unsure."""
RESULTS_CHARS = 1500
"""Of all results fed in one go; longer ones take minutes and confuse it. The answer shows them whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What was said since the user last spoke."""

    said: str
    rounds: tuple[tuple[ToolResult, ...], ...]
    """The tools' results, those of one answer together."""
    calls: Mapping[str, ToolCall]
    """The calls they answer, by id."""

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The results of all rounds."""
        return tuple(result for results in self.rounds for result in results)

    @property
    def failed(self) -> bool:
        """Whether a tool failed; told so, the model would only call it again."""
        return any(result.is_error for result in self.results)


def last_turn(messages: Sequence[Message]) -> Turn:
    """The end of a conversation, from the user's last words on; messages in a row are read as one."""
    begin = max((i for i, message in enumerate(messages) if isinstance(message, UserMessage)), default=-1) + 1
    said: list[str] = []
    for message in reversed(messages[:begin]):
        if not isinstance(message, UserMessage):
            break
        said.insert(0, clean(message.text))
    rounds: list[list[ToolResult]] = [[]]
    calls: dict[str, ToolCall] = {}
    for message in messages[begin:]:
        if isinstance(message, ToolResult):
            rounds[-1].append(message)
        elif isinstance(message, AssistantMessage):
            rounds.append([])
            calls |= {call.id: call for call in message.tool_calls}
    return Turn(
        said="\n".join(said).strip(), rounds=tuple(tuple(results) for results in rounds if results), calls=calls
    )


def offered(request: ModelRequest) -> tuple[Tool, ...]:
    """The tools that the model may call.

    Raises:
        ConfigError: they are too many, or the tool to be called is not among them.
    """
    choice = request.settings.tool_choice
    if choice == "none":
        return ()
    if choice not in (None, "auto", "required"):
        if choice not in request.tools:
            raise ConfigError(f"tool_choice={choice!r}: there is no such tool; there are {request.tools.names}")
        return (request.tools[choice],)
    if len(request.tools) > MOST_TOOLS:
        raise ConfigError(
            f"the local model chooses among at most {MOST_TOOLS} tools, and here are {len(request.tools)}: "
            f"{request.tools.names}; give the agent fewer, or use another model"
        )
    return tuple(request.tools)


def encode_tools(tools: Iterable[Tool]) -> str:
    """The tools as the model knows them. A blank at the end of a description already makes it less sure."""
    return _declared(
        {"name": tool.name, "description": tool.description.strip(), "parameters": tool.parameters} for tool in tools
    )


def encode_output(output: OutputFormat) -> str:
    """The answer's form as the one tool there is: the model fills it in with what it finds in the text it is fed."""
    return _declared([{"name": output.name, "description": "", "parameters": output.schema}])


def _declared(tools: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps(list(tools))


def encode_turn(turn: Turn) -> tuple[str, ...]:
    """The texts to feed: what the user said, then the results of each round as a JSON array of objects.

    Raises:
        ContextTooLong: the user said more than the model can read.
    """
    return (readable(turn.said), *map(_array, turn.rounds))


def readable(text: str) -> str:
    """The text, if the model can read as much.

    Raises:
        ContextTooLong: it cannot.
    """
    if len(text) > MESSAGE_CHARS:
        raise ContextTooLong(
            f"the local model reads up to {MESSAGE_CHARS} characters at a time, and here are {len(text)}; "
            "use another model"
        )
    return text


def _array(results: Sequence[ToolResult]) -> str:
    room = RESULTS_CHARS // len(results)
    return json.dumps([_object(clean(result.as_text), room) for result in results])


def _object(content: str, room: int) -> dict[str, Any]:
    """A result as an object: given anything else, the model takes it for a new question and calls the tool again."""
    value = parsed(content) if len(content) <= room else content[:room]
    return value if isinstance(value, dict) else {"result": value}


def parsed(content: str) -> Any:
    """The value in a JSON text, or the text itself where it holds none."""
    try:
        return json.loads(content, parse_constant=str)
    except (ValueError, RecursionError):
        return content

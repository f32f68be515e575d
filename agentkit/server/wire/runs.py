"""What clients of the Assistants API, version 2, send to make runs, and to move them on.

Source: OpenAI's published OpenAPI document for the Assistants API, version 2.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, Tag

from .assistants import AssistantSettings, Instructions, ModelName
from .base import Body, Whole
from .threads import CreateMessage, CreateThread
from .tools import AssistantTool, Id, Name, NewResources

Tokens = Annotated[Whole, Field(ge=256, le=2**53)]


class Truncation(Body):
    """Which of the messages the model is sent."""

    type: Literal["auto", "last_messages"]
    last_messages: Annotated[Whole, Field(ge=1, le=2**31)] | None = None


class ChosenName(Body):
    """The name of a function."""

    name: Name


class ChosenFunction(Body):
    """The function that the model has to call."""

    type: Literal["function"]
    function: ChosenName


class ChosenTool(Body):
    """The server's tool that the model has to call."""

    type: Literal["code_interpreter", "file_search"]


def _choice(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", "word")
    return kind if kind in ("word", "function") else "tool"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[ChosenFunction, Tag("function")]
    | Annotated[ChosenTool, Tag("tool")],
    Discriminator(_choice),
]


class _Run(AssistantSettings):
    assistant_id: Id
    model: ModelName | None = None
    tools: Annotated[list[AssistantTool], Field(max_length=20)] | None = None
    stream: StrictBool | None = None
    max_prompt_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    truncation_strategy: Truncation | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None


class CreateRun(_Run):
    """A run of an assistant on a thread: what it says stands over what the assistant has."""

    additional_instructions: Instructions | None = None
    additional_messages: Annotated[list[CreateMessage], Field(max_length=32)] | None = None


class CreateThreadAndRun(_Run):
    """A thread, and a run of an assistant on it."""

    thread: CreateThread | None = None
    tool_resources: NewResources | None = None


class ToolOutput(Body):
    """What a call of a function came to."""

    tool_call_id: Annotated[str, Field(max_length=256)] | None = None
    output: str | None = None


class SubmitOutputs(Body):
    """What the calls came to that a run waits for."""

    tool_outputs: Annotated[list[ToolOutput], Field(max_length=512)]
    stream: StrictBool | None = None

"""What clients of Responses and Conversations send.

Source: OpenAI's API reference, "Create a model response" and "Create a conversation".
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from .base import Body, Metadata, Whole
from .chat import ALL_DIFFERENT, Effort, MaxTokens, Text, choice_kind
from .items import Item
from .tools import Id, Name, ObjectFormat, Parameters, TextFormat

MOST_ITEMS = 20
"""Items that can be added to a conversation at once."""


class FunctionTool(Body):
    """A function that the client runs."""

    type: Literal["function"]
    name: Name
    description: str | None = None
    parameters: Parameters | None = None
    strict: bool | None = None


class FileSearchTool(Body):
    """A search in files, which the server runs."""

    model_config = ConfigDict(extra="allow")

    type: Literal["file_search"]
    vector_store_ids: Annotated[list[Id], Field(min_length=1, max_length=16)]


class Container(Body):
    """Where code runs: a new place each time, with these files in it."""

    type: Literal["auto"]
    file_ids: Annotated[list[Id], Field(max_length=20)] | None = None


class CodeInterpreterTool(Body):
    """Python, which the server runs."""

    type: Literal["code_interpreter"]
    container: Annotated[
        Annotated[Id, Tag("text")] | Annotated[Container, Tag("auto")],
        Discriminator(lambda value: "text" if isinstance(value, str) else "auto"),
    ]


Tool = Annotated[FunctionTool | FileSearchTool | CodeInterpreterTool, Field(discriminator="type")]


class ThisFunction(Body):
    """The one function that the model must call."""

    type: Literal["function"]
    name: Name


class ThisTool(Body):
    """The one tool of the server's that the model must use."""

    type: Literal["file_search", "code_interpreter"]


class AnyTool(Body):
    """A tool, by what it is and what it is called."""

    type: Literal["function", "file_search", "code_interpreter"]
    name: Name | None = None


class AllowedTools(Body):
    """The tools that the model may call, of those that there are."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[AnyTool], Field(min_length=1, max_length=128)]


def _choice(value: Any) -> str:
    kind = choice_kind(value)
    return "hosted" if kind in ("file_search", "code_interpreter") else kind


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[ThisFunction, Tag("function")]
    | Annotated[ThisTool, Tag("hosted")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(_choice),
]


class SchemaFormat(Body):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    name: Name
    description: str | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    strict: bool | None = None


class TextConfig(Body):
    """What the answer is like."""

    format: Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(Body):
    """How long the model thinks, and what is told of it."""

    effort: Effort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ConversationById(Body):
    """A conversation that is there."""

    id: Id


Input = Annotated[
    Annotated[Text, Tag("text")] | Annotated[Annotated[list[Item], Field(max_length=10_000)], Tag("items")],
    Discriminator(lambda value: "items" if isinstance(value, list) else "text"),
]
_SAID: dict[str, Any] = {"not": {"type": "null"}}


def _not_both(**values: dict[str, Any]) -> dict[str, Any]:
    """The part of a schema which says that two fields do not have such values at once."""
    return {"not": {"required": list(values), "properties": values}}


_NOT_TWO = _not_both(conversation=_SAID, previous_response_id=_SAID)
_KEPT = _not_both(background={"const": True}, store={"const": False})
_SOMETHING: dict[str, Any] = {
    "anyOf": [
        {
            "required": ["input"],
            "properties": {"input": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1}]}},
        },
        *({"required": [name], "properties": {name: _SAID}} for name in ("previous_response_id", "conversation")),
    ]
}
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Asked(Body):
    """What a response is to be made of."""

    model_config = ConfigDict(json_schema_extra=_NOT_TWO)

    input: Input | None = None
    instructions: Text | None = None
    previous_response_id: Id | None = None
    conversation: (
        Annotated[
            Annotated[Id, Tag("text")] | Annotated[ConversationById, Tag("object")],
            Discriminator(lambda value: "text" if isinstance(value, str) else "object"),
        ]
        | None
    ) = None
    tools: Annotated[list[Tool], Field(max_length=128, json_schema_extra=ALL_DIFFERENT)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    truncation: Literal["auto", "disabled"] | None = None

    @model_validator(mode="after")
    def _one(self) -> "Asked":
        if self.conversation is not None and self.previous_response_id is not None:
            raise ValueError("'previous_response_id' and 'conversation' cannot be used together; give one of them")
        return self


class CountTokens(Asked):
    """A question, of which only the length is asked."""

    model: ModelName | None = None


class Compact(Body):
    """A conversation that is to be made short."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _SOMETHING["anyOf"][:2]})

    model: ModelName
    input: Input | None = None
    instructions: Text | None = None
    previous_response_id: Id | None = None


class CreateResponse(Asked):
    """A question, and how it is to be answered."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_NOT_TWO, _KEPT, _SOMETHING]})

    model: ModelName
    stream: bool | None = None
    store: bool | None = None
    background: bool | None = None
    include: Annotated[list[str], Field(max_length=32)] | None = None
    metadata: Metadata | None = None
    max_output_tokens: MaxTokens | None = None
    max_tool_calls: MaxTokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    prompt_cache_key: Annotated[str, StringConstraints(max_length=64)] | None = None
    safety_identifier: Annotated[str, StringConstraints(max_length=64)] | None = None
    user: Annotated[str, StringConstraints(max_length=256)] | None = None
    prompt: None = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _gone(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("prompts were shut down 2026-11-30; send 'instructions' instead")


class CreateConversation(Body):
    """A new conversation, with what was said in it already."""

    items: Annotated[list[Item], Field(max_length=MOST_ITEMS)] | None = None
    metadata: Metadata | None = None


class ChangeConversation(Body):
    """Another conversation's metadata."""

    metadata: Metadata | None = None


class CreateItems(Body):
    """Items to be added to a conversation."""

    items: Annotated[list[Item], Field(min_length=1, max_length=MOST_ITEMS)]

"""What clients of Chat Completions send.

Source: OpenAI's API reference, "Create chat completion".
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, field_validator

from .base import Body, Metadata, Whole
from .tools import FunctionTool, Name, ObjectFormat, SchemaFormat, TextFormat

Text = Annotated[str, StringConstraints(max_length=10_000_000)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class TextPart(Body):
    """Words."""

    type: Literal["text"]
    text: Text


class RefusalPart(Body):
    """The words with which a model has declined."""

    type: Literal["refusal"]
    refusal: Text


class ImageUrl(Body):
    """A picture on the web, or one in the URL itself."""

    url: Annotated[str, StringConstraints(pattern=r"^(https?://.|data:image/.)")]
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(Body):
    """A picture, as a part of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


def _content(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


Parts = Annotated[list[TextPart], Field(min_length=1, max_length=2048)]
Words = Annotated[Annotated[Text, Tag("text")] | Annotated[Parts, Tag("parts")], Discriminator(_content)]
SeenParts = Annotated[
    list[Annotated[TextPart | ImagePart, Field(discriminator="type")]], Field(min_length=1, max_length=2048)
]
Seen = Annotated[Annotated[Text, Tag("text")] | Annotated[SeenParts, Tag("parts")], Discriminator(_content)]
AnswerParts = Annotated[
    list[Annotated[TextPart | RefusalPart, Field(discriminator="type")]], Field(min_length=1, max_length=2048)
]
Answered = Annotated[Annotated[Text, Tag("text")] | Annotated[AnswerParts, Tag("parts")], Discriminator(_content)]


class SystemMessage(Body):
    """What the model is told before all else."""

    role: Literal["system", "developer"]
    content: Words


class UserMessage(Body):
    """What the user says."""

    role: Literal["user"]
    content: Seen


class CalledFunction(Body):
    """The function of a call."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    arguments: Text


class Call(Body):
    """A call that the model has asked for."""

    id: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    type: Literal["function"]
    function: CalledFunction


class AssistantMessage(Body):
    """What the model has answered."""

    role: Literal["assistant"]
    content: Answered | None = None
    refusal: Text | None = None
    tool_calls: Annotated[list[Call], Field(max_length=128)] | None = None


class ToolMessage(Body):
    """What a call has come to."""

    role: Literal["tool"]
    content: Words
    tool_call_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class Named(Body):
    """A function by its name."""

    name: Name


class ThisFunction(Body):
    """The one function that the model must call."""

    type: Literal["function"]
    function: Named


class Allowed(Body):
    """The tools that the model may call, of those that there are."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[ThisFunction], Field(min_length=1, max_length=128)]


class AllowedTools(Body):
    """The tools that the model may call, as a choice."""

    type: Literal["allowed_tools"]
    allowed_tools: Allowed


def choice_kind(value: Any) -> str:
    """Which of the ways to choose a tool this is."""
    kind = value.get("type", "") if isinstance(value, dict) else getattr(value, "type", "word")
    return str(kind)


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[ThisFunction, Tag("function")]
    | Annotated[AllowedTools, Tag("allowed_tools")],
    Discriminator(choice_kind),
]


ALL_DIFFERENT: Any = {"uniqueItems": True}


class StreamOptions(Body):
    """What a stream has beside the answer."""

    include_usage: bool | None = None


Stop = Annotated[
    Annotated[str, Tag("text")] | Annotated[Annotated[list[str], Field(max_length=16)], Tag("parts")],
    Discriminator(_content),
]
Sampled = Annotated[float, Field(ge=-2, le=2)]
MaxTokens = Annotated[Whole, Field(ge=1)]


class CreateChat(Body):
    """A question, with all that was said before."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[Whole, Field(ge=1, le=1)] | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=128, json_schema_extra=ALL_DIFFERENT)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")] | None = None
    max_completion_tokens: MaxTokens | None = None
    max_tokens: MaxTokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Sampled | None = None
    presence_penalty: Sampled | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=1024)] | None = None
    seed: Whole | None = None
    stop: Stop | None = None
    reasoning_effort: Effort | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None
    metadata: Metadata | None = None
    functions: None = None

    @field_validator("functions", mode="before")
    @classmethod
    def _gone(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("give functions as 'tools'")

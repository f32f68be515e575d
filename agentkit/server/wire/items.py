"""The items of conversations, as clients of Responses and Conversations send them.

Source: OpenAI's API reference, "Create a model response", `input`.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag

from .base import Body
from .chat import Text
from .tools import Id

Status = Literal["in_progress", "completed", "incomplete"]
_MANY = 2048


class InputText(Body):
    """Words."""

    type: Literal["input_text"]
    text: Text


class InputImage(Body):
    """A picture: on the web, in the URL itself, or one that was uploaded."""

    type: Literal["input_image"]
    image_url: Annotated[str, StringConstraints(pattern=r"^(https?://.|data:image/.)")] | None = None
    file_id: Id | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None


class InputFile(Body):
    """A file for the model to read: one that was uploaded, or the file itself, in Base64."""

    type: Literal["input_file"]
    file_id: Id | None = None
    file_data: Text | None = None
    filename: Annotated[str, StringConstraints(max_length=1024)] | None = None


class OutputText(Body):
    """Words of the model."""

    type: Literal["output_text"]
    text: Text
    annotations: Annotated[list[dict[str, Any]], Field(max_length=_MANY)] | None = None


class Refusal(Body):
    """The words with which a model has declined."""

    type: Literal["refusal"]
    refusal: Text


Content = Annotated[InputText | InputImage | InputFile | OutputText | Refusal, Field(discriminator="type")]


def _shape(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


Words = Annotated[
    Annotated[Text, Tag("text")] | Annotated[Annotated[list[Content], Field(max_length=_MANY)], Tag("parts")],
    Discriminator(_shape),
]


class Message(Body):
    """What somebody says."""

    type: Literal["message"] | None = None
    id: Id | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: Words
    phase: Literal["commentary", "final_answer"] | None = None
    status: Status | None = None


class FunctionCall(Body):
    """A call that the model has asked for."""

    type: Literal["function_call"]
    id: Id | None = None
    call_id: Id
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    arguments: Text
    status: Status | None = None


class FunctionCallOutput(Body):
    """What a call has come to."""

    type: Literal["function_call_output"]
    id: Id | None = None
    call_id: Id
    output: Words
    status: Status | None = None


class Thought(Body):
    """A piece of what the model has thought."""

    type: Literal["summary_text", "reasoning_text"]
    text: Text


class Reasoning(Body):
    """What the model has thought; it is kept, and told no model."""

    type: Literal["reasoning"]
    id: Id | None = None
    summary: Annotated[list[Thought], Field(max_length=_MANY)] | None = None
    content: Annotated[list[Thought], Field(max_length=_MANY)] | None = None
    encrypted_content: Text | None = None
    status: Status | None = None


class ItemReference(Body):
    """An item that the server has kept."""

    type: Literal["item_reference"]
    id: Id


class HostedCall(Body):
    """What a tool of the server's has done, sent back as it was told."""

    model_config = ConfigDict(extra="allow")

    type: Literal["file_search_call", "code_interpreter_call"]
    id: Id


def _kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "hosted" if kind in ("file_search_call", "code_interpreter_call") else str(kind or "message")


Item = Annotated[
    Annotated[Message, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[Reasoning, Tag("reasoning")]
    | Annotated[ItemReference, Tag("item_reference")]
    | Annotated[HostedCall, Tag("hosted")],
    Discriminator(_kind),
]

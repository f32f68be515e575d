"""The items of conversations, as clients of Responses and Conversations send them.

Source: OpenAI's API reference, "Create a model response", `input`.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from .base import Body
from .chat import Text
from .tools import Id

Status = Literal["in_progress", "completed", "incomplete"]
_MANY = 2048


class InputText(Body):
    """Words."""

    type: Literal["input_text"]
    text: Text


def _one_of(*names: str) -> dict[str, Any]:
    """The part of a schema which says that one of some fields is given, and null is not given."""
    given = [{"required": [name], "properties": {name: {"type": "string"}}} for name in names]
    return {"oneOf": given}


class InputImage(Body):
    """A picture: on the web, in the URL itself, or one that was uploaded."""

    model_config = ConfigDict(json_schema_extra=_one_of("image_url", "file_id"))

    type: Literal["input_image"]
    image_url: Annotated[str, StringConstraints(pattern=r"^(https?://.|data:image/.)")] | None = None
    file_id: Id | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None

    @model_validator(mode="after")
    def _one(self) -> "InputImage":
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("give either 'image_url' or 'file_id'")
        return self


class OutputText(Body):
    """Words of the model."""

    type: Literal["output_text"]
    text: Text
    annotations: Annotated[list[dict[str, Any]], Field(max_length=_MANY)] | None = None


class Refusal(Body):
    """The words with which a model has declined."""

    type: Literal["refusal"]
    refusal: Text


def _shape(value: Any) -> str:
    return "parts" if isinstance(value, list) else "text"


Seen = Annotated[list[Annotated[InputText | InputImage, Field(discriminator="type")]], Field(max_length=_MANY)]
Answered = Annotated[
    list[Annotated[OutputText | Refusal | InputText, Field(discriminator="type")]], Field(max_length=_MANY)
]
Told = Annotated[list[InputText], Field(max_length=_MANY)]


def _prefixed(prefix: str) -> Any:
    """An id, which the document says begins so; that it does is seen to where the whole path is known."""
    return Field(default=None, json_schema_extra={"pattern": f"^{prefix}"})


class Said(Body):
    """What somebody says."""

    type: Literal["message"] | None = None
    id: Id | None = _prefixed("msg")
    status: Status | None = None


class UserMessage(Said):
    """What the user says."""

    role: Literal["user"]
    content: Annotated[Annotated[Text, Tag("text")] | Annotated[Seen, Tag("parts")], Discriminator(_shape)]


class AssistantMessage(Said):
    """What the model has said."""

    role: Literal["assistant"]
    content: Annotated[Annotated[Text, Tag("text")] | Annotated[Answered, Tag("parts")], Discriminator(_shape)]
    phase: Literal["commentary", "final_answer"] | None = None


class TellingMessage(Said):
    """What the model is told to do."""

    role: Literal["system", "developer"]
    content: Annotated[Annotated[Text, Tag("text")] | Annotated[Told, Tag("parts")], Discriminator(_shape)]


Message = Annotated[UserMessage | AssistantMessage | TellingMessage, Field(discriminator="role")]


class FunctionCall(Body):
    """A call that the model has asked for."""

    type: Literal["function_call"]
    id: Id | None = _prefixed("fc")
    call_id: Id
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    arguments: Text
    status: Status | None = None


class FunctionCallOutput(Body):
    """What a call has come to."""

    type: Literal["function_call_output"]
    id: Id | None = None
    call_id: Id
    output: Annotated[Annotated[Text, Tag("text")] | Annotated[Seen, Tag("parts")], Discriminator(_shape)]
    status: Status | None = None


class Thought(Body):
    """A piece of what the model has thought."""

    type: Literal["summary_text", "reasoning_text"]
    text: Text


class Reasoning(Body):
    """What the model has thought; it is kept, and told no model."""

    type: Literal["reasoning"]
    id: Id | None = _prefixed("rs")
    summary: Annotated[list[Thought], Field(max_length=_MANY)] | None = None
    content: Annotated[list[Thought], Field(max_length=_MANY)] | None = None
    encrypted_content: Text | None = None
    status: Status | None = None


class ItemReference(Body):
    """An item that the server has kept."""

    type: Literal["item_reference"]
    id: Id


class Compaction(Body):
    """The beginning of the conversation in short, as `/responses/compact` has given it."""

    type: Literal["compaction"]
    id: Id | None = None
    encrypted_content: Text


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
    | Annotated[Compaction, Tag("compaction")]
    | Annotated[HostedCall, Tag("hosted")],
    Discriminator(_kind),
]

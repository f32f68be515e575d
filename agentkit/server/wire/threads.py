"""What clients of the Assistants API, version 2, send to make threads and messages.

Source: OpenAI's published OpenAPI document for the Assistants API, version 2.
"""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from .base import Body, Metadata
from .tools import Change, Id, NewResources, Resources

Said = Annotated[str, StringConstraints(min_length=1, max_length=256_000, pattern=r"\S")]
"""What a message says; not nothing."""
Detail = Literal["auto", "low", "high"]


class TextPart(Body):
    """Words."""

    type: Literal["text"]
    text: Said


class ImageFile(Body):
    """A picture that was uploaded."""

    file_id: Id
    detail: Detail | None = None


class ImageFilePart(Body):
    """A picture that was uploaded, as a part of a message."""

    type: Literal["image_file"]
    image_file: ImageFile


class ImageUrl(Body):
    """A picture on the web, or one in the URL itself."""

    url: Annotated[str, StringConstraints(pattern=r"^(https?://.|data:image/.)")]
    detail: Detail | None = None


class ImageUrlPart(Body):
    """A picture on the web, as a part of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImageFilePart | ImageUrlPart, Field(discriminator="type")]
Content = Annotated[
    Annotated[Said, Tag("text")] | Annotated[list[Part], Field(min_length=1, max_length=512), Tag("parts")],
    Discriminator(lambda value: "parts" if isinstance(value, list) else "text"),
]


class AttachedTo(Body):
    """A tool that may read an attached file."""

    type: Literal["code_interpreter", "file_search"]


class Attachment(Body):
    """A file beside a message."""

    file_id: Id
    tools: Annotated[list[AttachedTo], Field(max_length=2)] | None = None


class CreateMessage(Body):
    """A new message."""

    role: Literal["user", "assistant"]
    content: Content
    attachments: Annotated[list[Attachment], Field(max_length=500)] | None = None
    metadata: Metadata | None = None


class ChangeMetadata(Change):
    """Changes of an object of which nothing else can be changed."""

    metadata: Metadata | None = None


class CreateThread(Body):
    """A new thread, with what is said on it already."""

    messages: Annotated[list[CreateMessage], Field(max_length=32)] | None = None
    tool_resources: NewResources | None = None
    metadata: Metadata | None = None


class ChangeThread(ChangeMetadata):
    """Changes of a thread: what is left out stays."""

    tool_resources: Resources | None = None

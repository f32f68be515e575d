"""What clients of the Assistants API, version 2, send.

Source: OpenAI's published OpenAPI document; `docs/assistants.md` says what each object is.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from .base import Body, Metadata

Instructions = Annotated[str, StringConstraints(max_length=256_000)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class AssistantSettings(Body):
    """What assistants have, and runs may have otherwise."""

    instructions: Instructions | None = None
    metadata: Metadata | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    response_format: Any = None
    reasoning_effort: Effort | None = None


class CreateAssistant(AssistantSettings):
    """A new assistant."""

    model: Annotated[str, StringConstraints(min_length=1)]
    name: Annotated[str, StringConstraints(max_length=256)] | None = None
    description: Annotated[str, StringConstraints(max_length=512)] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None
    tool_resources: dict[str, Any] | None = None

"""What clients of the Assistants API, version 2, send to make assistants.

Source: OpenAI's published OpenAPI document for the Assistants API, version 2.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import Body, Metadata
from .tools import AssistantTool, Change, NewResources, Resources, ResponseFormat

Instructions = Annotated[str, StringConstraints(max_length=256_000)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class AssistantSettings(Body):
    """What assistants have, and runs may have otherwise."""

    instructions: Instructions | None = None
    metadata: Metadata | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Effort | None = None


class _Assistant(AssistantSettings):
    name: Annotated[str, StringConstraints(max_length=256)] | None = None
    description: Annotated[str, StringConstraints(max_length=512)] | None = None
    tools: Annotated[list[AssistantTool], Field(max_length=128)] | None = None


class CreateAssistant(_Assistant):
    """A new assistant."""

    model: ModelName
    tool_resources: NewResources | None = None


class ChangeAssistant(_Assistant, Change):
    """Changes of an assistant: what is left out stays."""

    model: ModelName | None = None
    tool_resources: Resources | None = None

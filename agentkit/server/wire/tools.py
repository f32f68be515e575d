"""What assistants, threads and runs are given to work with: tools, their resources, and the form of the answer.

Source: OpenAI's published OpenAPI document for the Assistants API, version 2.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from .base import Body, Metadata, Whole

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
"""What a function or a schema may be called."""
Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""What may be an id."""


class Change(Body):
    """Changes of an object: what is left out stays, and null takes back what it has."""

    def taken_back(self) -> set[str]:
        """The fields of which the client has said null."""
        return {name for name in self.model_fields_set if getattr(self, name) is None}


class Parameters(Body):
    """The JSON Schema of a function's arguments, which are an object."""

    model_config = ConfigDict(extra="allow")

    type: Literal["object"] | None = None
    properties: dict[str, dict[str, Any] | bool] | None = None
    required: list[str] | None = None


class Function(Body):
    """A function that the client runs."""

    name: Name
    description: str | None = None
    parameters: Parameters | None = None
    strict: bool | None = None


class FunctionTool(Body):
    """A function that the client runs, as a tool."""

    type: Literal["function"]
    function: Function


class CodeInterpreterTool(Body):
    """Python, which the server runs."""

    type: Literal["code_interpreter"]


class Ranking(Body):
    """Which of the passages found are good enough."""

    ranker: Literal["auto", "default_2024_08_21"] | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)]


class Search(Body):
    """How much a search may find."""

    max_num_results: Annotated[Whole, Field(ge=1, le=50)] | None = None
    ranking_options: Ranking | None = None


class FileSearchTool(Body):
    """A search in files, which the server runs."""

    type: Literal["file_search"]
    file_search: Search | None = None


AssistantTool = Annotated[FunctionTool | CodeInterpreterTool | FileSearchTool, Field(discriminator="type")]


class TextFormat(Body):
    """Any text."""

    type: Literal["text"]


class ObjectFormat(Body):
    """Any JSON object."""

    type: Literal["json_object"]


class SchemaOfAnswer(Body):
    """The schema that an answer has to fit."""

    name: Name
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class SchemaFormat(Body):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: SchemaOfAnswer


def _form(value: Any) -> str:
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", "auto")
    return str(kind)


ResponseFormat = Annotated[
    Annotated[Literal["auto"], Tag("auto")]
    | Annotated[TextFormat, Tag("text")]
    | Annotated[ObjectFormat, Tag("json_object")]
    | Annotated[SchemaFormat, Tag("json_schema")],
    Discriminator(_form),
]


class CodeResources(Body):
    """Files that the code interpreter may read."""

    file_ids: Annotated[list[Id], Field(max_length=20)] | None = None


class Sizes(Body):
    """How long passages are."""

    max_chunk_size_tokens: Annotated[Whole, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[Whole, Field(ge=0)]


class StaticChunking(Body):
    """Passages of a given length."""

    type: Literal["static"]
    static: Sizes


class AutoChunking(Body):
    """Passages as the server likes them."""

    type: Literal["auto"]


class NewStore(Body):
    """A vector store that is to be made."""

    file_ids: Annotated[list[Id], Field(max_length=500)] | None = None
    chunking_strategy: Annotated[StaticChunking | AutoChunking, Field(discriminator="type")] | None = None
    metadata: Metadata | None = None


class SearchResources(Body):
    """The vector store that files are searched in: one that is there."""

    vector_store_ids: Annotated[list[Id], Field(max_length=1)] | None = None


_SOME = {"type": "array", "minItems": 1}
_NOT_BOTH = {
    "not": {
        "required": ["vector_store_ids", "vector_stores"],
        "properties": {"vector_store_ids": _SOME, "vector_stores": _SOME},
    }
}


class NewSearchResources(SearchResources):
    """The vector store that files are searched in: one that is there, or a new one."""

    model_config = ConfigDict(json_schema_extra=_NOT_BOTH)  # type: ignore[typeddict-item]

    vector_stores: Annotated[list[NewStore], Field(max_length=1)] | None = None

    @model_validator(mode="after")
    def _one(self) -> "NewSearchResources":
        if self.vector_store_ids and self.vector_stores:
            raise ValueError("one vector store is allowed; give either 'vector_store_ids' or 'vector_stores'")
        return self


class Resources(Body):
    """What tools work on."""

    code_interpreter: CodeResources | None = None
    file_search: SearchResources | None = None


class NewResources(Body):
    """What tools work on, where a vector store can be made for it."""

    code_interpreter: CodeResources | None = None
    file_search: NewSearchResources | None = None

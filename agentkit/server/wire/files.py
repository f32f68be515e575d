"""What clients send about files and vector stores.

Source: OpenAI's published OpenAPI document.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StringConstraints, model_validator

from .base import Body, Metadata, Whole

Text512 = Annotated[str, StringConstraints(max_length=512)]
Name = Annotated[str, StringConstraints(max_length=512)]
FileId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Value = StrictBool | int | Number | Text512
Attributes = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Value],
    Field(max_length=16),
]
"""Up to 16 texts, numbers or booleans."""

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


class Sizes(Body):
    """How long passages are."""

    max_chunk_size_tokens: Annotated[Whole, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[Whole, Field(ge=0, le=2048)]

    @model_validator(mode="after")
    def _half(self) -> "Sizes":
        if self.chunk_overlap_tokens > self.max_chunk_size_tokens // 2:
            raise ValueError("chunk_overlap_tokens may be half of max_chunk_size_tokens at most")
        return self


class Auto(Body):
    """The usual sizes."""

    type: Literal["auto"]


class Static(Body):
    """Sizes of the client's own."""

    type: Literal["static"]
    static: Sizes


Chunking = Annotated[Auto | Static, Field(discriminator="type")]


class StoreExpiry(Body):
    """When a vector store expires."""

    anchor: Literal["last_active_at"]
    days: Annotated[Whole, Field(ge=1, le=365)]


class FileExpiry(Body):
    """When a file expires."""

    anchor: Literal["created_at"]
    seconds: Annotated[Whole, Field(ge=3600, le=2_592_000)]


class ChangeStore(Body):
    """Changes of a vector store."""

    name: Name | None = None
    expires_after: StoreExpiry | None = None
    metadata: Metadata | None = None


class CreateStore(ChangeStore):
    """A new vector store."""

    description: Text512 | None = None
    file_ids: Annotated[list[FileId], Field(max_length=500)] | None = None
    chunking_strategy: Chunking | None = None


class ChangeStoreFile(Body):
    """Changes of a file in a vector store."""

    attributes: Attributes | None


class AddFile(Body):
    """A file for a vector store."""

    file_id: FileId
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None


_EITHER: Any = [
    {"required": [one], "properties": {one: {"type": "array"}, other: {"type": "null"}}}
    for one, other in (("file_ids", "files"), ("files", "file_ids"))
]


class AddFiles(Body):
    """Several files for a vector store: the same for all, or each with its own."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _EITHER})

    file_ids: Annotated[list[FileId], Field(min_length=1, max_length=2000)] | None = None
    files: Annotated[list[AddFile], Field(min_length=1, max_length=2000)] | None = None
    attributes: Attributes | None = None
    chunking_strategy: Chunking | None = None

    @model_validator(mode="after")
    def _either(self) -> "AddFiles":
        if (self.file_ids is None) == (self.files is None):
            raise ValueError("give either 'file_ids' or 'files'")
        return self

    def each(self) -> list[AddFile]:
        """The files one by one."""
        if self.files is not None:
            return self.files
        shared: dict[str, Any] = {"attributes": self.attributes, "chunking_strategy": self.chunking_strategy}
        return [AddFile.model_construct(file_id=id, **shared) for id in self.file_ids or ()]


class Comparison(Body):
    """A filter that looks at one attribute."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte"]
    key: Annotated[str, StringConstraints(max_length=64)]
    value: Value


class Membership(Body):
    """A filter that looks whether an attribute is one of these."""

    type: Literal["in", "nin"]
    key: Annotated[str, StringConstraints(max_length=64)]
    value: Annotated[list[Value], Field(max_length=1000)]


class Compound(Body):
    """Filters of which all must fit, or one."""

    type: Literal["and", "or"]
    filters: Annotated[list["Filter"], Field(max_length=100)]


Filter = Annotated[Comparison | Membership | Compound, Field(discriminator="type")]


class Ranking(Body):
    """How passages are ranked."""

    ranker: Annotated[str, StringConstraints(max_length=64)] | None = None
    score_threshold: Annotated[Number, Field(ge=0, le=1)] | None = None


Found = Annotated[Whole, Field(ge=1, le=50)]


class Search(Body):
    """A search in a vector store."""

    query: (
        Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
        | Annotated[
            list[Annotated[str, StringConstraints(min_length=1, max_length=20_000)]], Field(min_length=1, max_length=20)
        ]
    )
    filters: Filter | None = None
    max_num_results: Found | None = None
    ranking_options: Ranking | None = None
    rewrite_query: StrictBool | None = None


class SearchOptions(Body):
    """What the tool `file_search` is told, by Assistants and by Responses."""

    filters: Filter | None = None
    max_num_results: Found | None = None
    ranking_options: Ranking | None = None


class CreateUpload(Body):
    """A file that comes in parts."""

    bytes: Annotated[Whole, Field(ge=0)]
    filename: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    mime_type: Annotated[str, StringConstraints(max_length=256)]
    purpose: Purpose
    expires_after: FileExpiry | None = None


class CompleteUpload(Body):
    """The order of the parts."""

    part_ids: Annotated[list[FileId], Field(max_length=10_000)]
    md5: Annotated[str, StringConstraints(max_length=64)] | None = None

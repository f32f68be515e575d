"""What is said of files and vector stores: requests -> JSON, JSON -> records. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, TypeAlias

from agentkit.errors import ConfigError
from agentkit.messages import SearchHit, clean
from agentkit.models.http_errors import bad_response
from agentkit.models.lenient import a_str, an_int, dicts

from .answer import Answer, read_answer
from .ids import segment

Purpose: TypeAlias = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
"""What a file is for; `vision` for pictures that a message shows to the model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileInfo:
    """What a server knows of a file."""

    id: str
    name: str
    size: int | None
    """In bytes."""
    purpose: str
    """One of `Purpose`, or `assistants_output`: a tool of the server has written it."""
    created_at: int | None
    """Unix time in seconds."""
    expires_at: int | None
    """Unix time in seconds; `None` if it is kept until it is deleted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunks:
    """How a vector store cuts files into the passages that a search finds.

    Raises:
        ConfigError: the tokens are not from 100 to 4096, or the overlap is more than half of them.
    """

    tokens: int = 800
    """The most that a passage has."""
    overlap: int = 400
    """Tokens at the end of a passage that the next one begins with."""

    def __post_init__(self) -> None:
        if not 100 <= self.tokens <= 4096:
            raise ConfigError(f"Chunks(tokens={self.tokens!r}): passages have from 100 to 4096 tokens")
        if not 0 <= self.overlap <= self.tokens // 2:
            told = f"from 0 to half of {self.tokens} tokens"
            raise ConfigError(f"Chunks(overlap={self.overlap!r}): passages overlap by {told}; lower it")


def read_new(body: bytes, headers: Mapping[str, str]) -> Answer:
    """An answer to a request that has made something, with its id; see `read_answer`."""
    answer = read_answer(body, headers)
    if not a_str(answer.data.get("id")):
        raise bad_response("there is no id in it", body)
    return answer


def store_path(store: str) -> str:
    """Where a vector store is asked about; see `segment`."""
    return f"/vector_stores/{segment(store)}"


def checked_ids(files: Sequence[str]) -> list[str]:
    """The ids, each once; see `segment`."""
    if isinstance(files, str):
        raise ConfigError(f"files is {files!r}, and has to be a list of ids: write [{files!r}]")
    for id in files:
        segment(id)
    return list(dict.fromkeys(files))


def file_fields(ids: Sequence[str], chunks: Chunks | None) -> dict[str, Any]:
    """What a request says of the files that go into a store."""
    if not ids:
        return {}
    sizes = chunks and {"max_chunk_size_tokens": chunks.tokens, "chunk_overlap_tokens": chunks.overlap}
    return {"file_ids": ids, "chunking_strategy": sizes and {"type": "static", "static": sizes}}


def file_info(told: Mapping[str, Any]) -> FileInfo:
    """A file object."""
    return FileInfo(
        id=a_str(told.get("id")),
        name=a_str(told.get("filename")),
        size=an_int(told.get("bytes")),
        purpose=a_str(told.get("purpose")),
        created_at=_time(told.get("created_at")),
        expires_at=_time(told.get("expires_at")),
    )


def search_hit(found: Mapping[str, Any]) -> SearchHit:
    """An element of a page of search results, or of the results that a run's step shows."""
    score = found.get("score")
    return SearchHit(
        file_id=a_str(found.get("file_id")),
        filename=clean(a_str(found.get("filename")) or a_str(found.get("file_name"))),
        score=float(score) if isinstance(score, int | float) else 0.0,
        text=clean("\n".join(a_str(part.get("text")) for part in dicts(found.get("content")))),
    )


def _time(value: object) -> int | None:
    """Unix time, which some servers write with a fraction."""
    return int(value) if isinstance(value, int | float) and isfinite(value) else None

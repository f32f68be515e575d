"""Tools that the model's server runs itself: an agent has them, and no function of yours is called."""

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSearch:
    """The server searches its vector stores, and the answer cites what it found.

    Source: https://platform.openai.com/docs/assistants/tools/file-search
    """

    stores: tuple[str, ...] = ()
    """Ids of vector stores; the Assistants wire takes one. Files of a message are searched too."""
    max_results: int | None = None
    """Passages per search, from 1 to 50."""
    keep: Literal["assistant", "thread"] = "assistant"
    """Whether the stores belong to the agent or to each of its conversations."""
    type: Literal["file_search"] = "file_search"


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeInterpreter:
    """The server runs Python that the model writes, in a sandbox of its own.

    Source: https://platform.openai.com/docs/assistants/tools/code-interpreter
    """

    files: tuple[str, ...] = ()
    """Ids of files that the code can read, 20 at most. Files of a message can be read too."""
    keep: Literal["assistant", "thread"] = "assistant"
    """Whether the files belong to the agent or to each of its conversations."""
    type: Literal["code_interpreter"] = "code_interpreter"


HostedTool: TypeAlias = FileSearch | CodeInterpreter

"""Tools that the model's server runs itself: an agent has them, and no function of yours is called."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .errors import ConfigError


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

    def __post_init__(self) -> None:
        _check("FileSearch", "stores", self.stores, self.keep)
        if self.max_results is not None and not 1 <= self.max_results <= 50:
            raise ConfigError(f"FileSearch(max_results={self.max_results!r}): from 1 to 50")


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

    def __post_init__(self) -> None:
        _check("CodeInterpreter", "files", self.files, self.keep)


def _check(tool: str, what: str, ids: object, keep: str) -> None:
    if isinstance(ids, str):
        raise ConfigError(f"{tool}({what}={ids!r}) has to be a tuple of ids: write {what}=({ids!r},)")
    if keep not in {"assistant", "thread"}:
        raise ConfigError(f'{tool}(keep={keep!r}): write "assistant" or "thread"')


HostedTool: TypeAlias = FileSearch | CodeInterpreter

"""What is to be run, whichever API has asked for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentkit import Message, ModelSettings, Tool


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A model, what it is told, and what it may do."""

    model: str
    """The name that the client asks for."""
    tenant: str
    history: Sequence[Message]
    """All that was said before, the last message of the user included."""
    settings: ModelSettings
    instructions: str = ""
    functions: Sequence[Mapping[str, Any]] = ()
    """Functions that the client runs: `name`, `description`, `parameters`, `strict`."""
    hosted: Sequence[Mapping[str, Any]] = ()
    """Tools that the server runs, as the client has spelled them: `{"type": "file_search", ...}`."""
    resources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """`vector_store_ids` and `file_ids` that the hosted tools may use."""
    schema: Mapping[str, Any] | None = None
    """The JSON Schema that the answer has to fit, if it has to fit one."""
    last_messages: int | None = None
    """How many messages of the history the model is sent; all that fit, if not given."""
    output_tokens: int | None = None
    """What all answers together may take."""
    input_tokens: int | None = None
    """What all requests together may take."""
    seconds: float | None = None
    """How long it may run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A passage that a search has found."""

    file_id: str
    filename: str
    score: float
    """From 0 to 1."""
    text: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Findings:
    """What the server's tools have done in one run, beside what the model reads of it. The run's `deps`."""

    work: Work
    hits: dict[str, list[Hit]] = field(default_factory=dict)
    """What file searches have found, by call id."""
    cited: list[Hit] = field(default_factory=list)
    """All that was found, in the order of the numbers by which the model cites it."""
    outputs: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    """What the code interpreter has given, as Assistants spell it, by call id."""
    written: dict[str, str] = field(default_factory=dict)
    """The files that its scripts have written: their ids, by their paths in the sandbox."""


class HostedTool(Protocol):
    """A tool that the server runs for models."""

    type: str
    """What clients call it: `file_search`."""

    def tool(self, spelled: Mapping[str, Any], work: Work) -> Tool:
        """The tool for a piece of work; its function gets the run's `Findings` as `ctx.deps`.

        Raises:
            ApiError: what the client has asked for is not to be had.
        """
        ...

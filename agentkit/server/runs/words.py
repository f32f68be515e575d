"""A message that a run is writing, and the step that it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentkit import Usage
from agentkit.server.engine import Findings
from agentkit.server.files import citations

from .objects import ended, shown_usage

_NOTHING = Usage(input_tokens=0, output_tokens=0)


@dataclass(kw_only=True, slots=True)
class Words:
    """What the model is saying."""

    message: dict[str, Any]
    step: dict[str, Any]
    kind: str = "text"
    """`text` or `refusal`."""
    said: str = ""
    due: Usage | None = None
    """What the answer has used, once it is whole."""
    is_whole: bool = False
    """Whether the answer is."""

    def heard(self, piece: str) -> dict[str, Any]:
        """A piece of it, as clients are told it."""
        told: dict[str, Any] = {"value": piece} if self.said else {"value": piece, "annotations": []}
        self.said += piece
        return self._delta({"index": 0, "type": self.kind, self.kind: told if self.kind == "text" else piece})

    def cited(self, findings: Findings) -> Iterator[dict[str, Any]]:
        """What its marks stand for, as clients are told it."""
        if self.kind == "text" and (found := citations(self.said, findings)):
            told = [{"index": index, **each} for index, each in enumerate(found)]
            yield self._delta({"index": 0, "type": "text", "text": {"value": "", "annotations": told}})

    def as_it_stands(self, findings: Findings) -> dict[str, Any]:
        """The message so far."""
        if not self.said:
            return self.message
        text = {"value": self.said, "annotations": citations(self.said, findings)}
        part = {"type": "text", "text": text} if self.kind == "text" else {"type": "refusal", "refusal": self.said}
        return {**self.message, "content": [part]}

    def finished(self, findings: Findings, now: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The message and its step, done."""
        usage = shown_usage(self.due or _NOTHING)
        return ended(self.as_it_stands(findings), "completed", now), ended(self.step, "completed", now, usage=usage)

    def cut(self, findings: Findings, now: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The message, which was cut at a limit, and its step, which is done all the same."""
        usage = shown_usage(self.due or _NOTHING)
        details = {"reason": "max_tokens"}
        message = {**self.as_it_stands(findings), "status": "incomplete", "incomplete_at": now}
        return {**message, "incomplete_details": details}, ended(self.step, "completed", now, usage=usage)

    def _delta(self, part: dict[str, Any]) -> dict[str, Any]:
        return {"id": self.message["id"], "object": "thread.message.delta", "delta": {"content": [part]}}

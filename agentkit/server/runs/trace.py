"""What took how long in a run, to a thousandth of a second, for people who ask why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from agentkit.events import (
    Event,
    ModelAnswered,
    ReasoningDelta,
    RunFinished,
    TextDelta,
    ToolCallDelta,
    ToolFinished,
    ToolStarted,
)
from agentkit.server.ids import new_id
from agentkit.server.store import Objects

TRACE = "trace"
_MOST = 1000
"""Calls that are kept."""


@dataclass(kw_only=True, slots=True)
class Trace:
    """The calls of models and tools, from where a run is taken up to its end or its next pause."""

    zero: float = field(default_factory=perf_counter)
    spans: list[dict[str, Any]] = field(default_factory=list)
    trace_id: str | None = None
    """The run's trace in OpenTelemetry, where it is recorded."""
    asked: float | None = 0.0
    """Since when the model is asked, in seconds since `zero`; None while it is not."""
    first: float | None = None
    """When its answer began."""
    tools: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The tools that are at work, by call id: their names, and since when."""

    def note(self, event: Event) -> None:
        """Something has happened."""
        now = perf_counter() - self.zero
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                self.first = now if self.first is None else self.first
            case ModelAnswered():
                usage = event.response.usage
                self._answered(event.response.model, now, used=[usage.input_tokens, usage.output_tokens])
            case ToolStarted():
                self.tools[event.call.id] = (event.call.name, now)
            case ToolFinished():
                name, began = self.tools.pop(event.call.id, (event.call.name, now - event.seconds))
                self._add("tool", name, began, now, failed=event.result.is_error)
                if not self.tools:
                    self.asked = now
            case RunFinished():
                self.asked = None
                self.trace_id = event.result.trace_id

    async def keep(self, objects: Objects, run: Mapping[str, Any], clock: float) -> None:
        """Keep it, with what is not done; `clock` is the time, in seconds since 1970."""
        now = perf_counter() - self.zero
        if self.asked is not None:
            self._answered("", now, unfinished=True)
        for name, began in self.tools.values():
            self._add("tool", name, began, now, unfinished=True)
        self.tools.clear()
        body = {
            "id": new_id(TRACE),
            "object": "agentkit.trace",
            "run_id": run["id"],
            "trace_id": self.trace_id,
            "began_at": round(clock - now, 3),
            "spans": self.spans,
        }
        await objects.add(TRACE, body, parent=run["id"])

    def _answered(self, model: str, now: float, **more: Any) -> None:
        began = now if self.asked is None else self.asked
        if self.first is not None:
            more["first_ms"] = _ms(self.first)
        self._add("model", model, began, now, **more)
        self.asked = self.first = None

    def _add(self, kind: str, name: str, began: float, ended: float, **more: Any) -> None:
        if len(self.spans) < _MOST:
            told = {each: value for each, value in more.items() if value}
            self.spans.append({"kind": kind, "name": name, "at_ms": _ms(began), "ms": _ms(ended - began), **told})


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

"""The calls of one answer of the model, which are one step of its run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from agentkit import ToolCall, ToolResult, Usage
from agentkit.events import ToolCallDelta
from agentkit.server.engine import Findings, Hit

HOSTED = ("file_search", "code_interpreter")
_RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0}

Deltas = Iterator[dict[str, Any]]
"""What a client is told of a step, call by call."""


@dataclass(kw_only=True, slots=True)
class Calls:
    """A step of calls, from the first word of the first call until all have come to something."""

    step: dict[str, Any]
    tools: Mapping[str, Mapping[str, Any]]
    """The tools of the run by the names that the model knows, as the client has spelled them."""
    findings: Findings
    asked: list[ToolCall] = field(default_factory=list)
    """The calls, once the answer is whole."""
    results: dict[str, str] = field(default_factory=dict)
    """What calls have come to, by id."""
    due: Usage | None = None
    """What the answer has used."""
    _unheard: dict[int, str] = field(default_factory=dict)

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The calls as clients see them."""
        calls: list[dict[str, Any]] = self.step["step_details"]["tool_calls"]
        return calls

    @property
    def is_done(self) -> bool:
        """Whether all calls have come to something."""
        return bool(self.asked) and all(call.id in self.results for call in self.asked)

    def heard(self, delta: ToolCallDelta) -> Deltas:
        """A piece of a call, as the model writes it; told when it is known which call that is."""
        self._unheard[delta.index] = self._unheard.get(delta.index, "") + delta.arguments
        if delta.index == len(self.shown) and delta.id and delta.name in self.tools:
            yield self._begun(delta.id, delta.name)
        if delta.index < len(self.shown) and (piece := self._unheard.pop(delta.index)):
            yield from self._argued(delta.index, piece)

    def answered(self, calls: list[ToolCall], usage: Usage) -> Deltas:
        """The answer is whole: what has not been told of its calls is told now."""
        self.asked, self.due = calls, usage
        for index, call in enumerate(calls):
            if index == len(self.shown):
                yield self._begun(call.id, call.name)
            shown = self.shown[index]
            shown["id"] = call.id
            if shown["type"] == "function":
                told = shown["function"]["arguments"]
                if call.arguments.startswith(told) and call.arguments != told:
                    yield from self._argued(index, call.arguments[len(told) :])
                shown["function"].update(name=call.name, arguments=call.arguments)
            elif shown["type"] == "code_interpreter":
                shown["code_interpreter"]["input"] = code = _code(call.arguments)
                yield {"index": index, "type": "code_interpreter", "code_interpreter": {"input": code}}

    def came_to(self, call: ToolCall, result: ToolResult) -> Deltas:
        """A call that the server has made itself."""
        self.results[call.id] = result.content
        for index, shown in enumerate(self.shown):
            if shown["id"] != call.id:
                continue
            if shown["type"] == "function":
                shown["function"]["output"] = result.content
            elif shown["type"] == "file_search":
                found = [_spelled(hit) for hit in self.findings.hits.get(call.id, ())]
                shown["file_search"]["results"] = found
            else:
                outputs = [dict(each) for each in self.findings.outputs.get(call.id, ())]
                shown["code_interpreter"]["outputs"] = outputs
                for number, output in enumerate(outputs):
                    told = {"outputs": [{"index": number, **output}]}
                    yield {"index": index, "type": "code_interpreter", "code_interpreter": told}

    def _begun(self, id: str, name: str) -> dict[str, Any]:
        spelled = self.tools.get(name, {"type": "function"})
        kind = spelled["type"]
        call: dict[str, Any] = {"id": id, "type": kind}
        if kind == "function":
            call["function"] = {"name": name, "arguments": "", "output": None}
        elif kind == "file_search":
            options = {**_RANKING, **((spelled.get("file_search") or {}).get("ranking_options") or {})}
            call["file_search"] = {"ranking_options": options, "results": []}
        else:
            call["code_interpreter"] = {"input": "", "outputs": []}
        self.shown.append(call)
        told = {} if kind == "file_search" else dict(call[kind])
        return {"index": len(self.shown) - 1, **call, kind: told}

    def _argued(self, index: int, piece: str) -> Deltas:
        shown = self.shown[index]
        if shown["type"] == "function":
            shown["function"]["arguments"] += piece
            yield {"index": index, "type": "function", "function": {"arguments": piece}}


def _spelled(hit: Hit) -> dict[str, Any]:
    content = [{"type": "text", "text": hit.text}]
    return {"file_id": hit.file_id, "file_name": hit.filename, "score": hit.score, "content": content}


def _code(arguments: str) -> str:
    try:
        given = from_json(arguments)
    except ValueError:
        return arguments
    said = [given[name] for name in ("code", "input") if name in given] if isinstance(given, dict) else []
    return str(said[0]) if said else arguments

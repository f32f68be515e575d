"""Traces -> one HTML page that opens from disk: no network, and nothing in it can run but the page's own script."""

import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from agentkit.telemetry import semconv as s

from .span import SpanNode
from .tree import Trace, walk

_BIGGEST = 2**53 - 1
"""The largest whole number that JavaScript keeps exactly."""
_UNSAFE = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}
"""What could end a script element, or begin a comment in it; in JSON it stands in text only."""

NAMES = {
    "system": s.SYSTEM_INSTRUCTIONS,
    "input": s.INPUT_MESSAGES,
    "output": s.OUTPUT_MESSAGES,
    "definitions": s.TOOL_DEFINITIONS,
    "arguments": s.TOOL_CALL_ARGUMENTS,
    "result": s.TOOL_CALL_RESULT,
    "description": s.TOOL_DESCRIPTION,
    "cost": s.COST_USD,
}
"""The attributes that the page shows in a way of their own."""


def trace_page(traces: Sequence[Trace], *, title: str = "Trace", flaws: Sequence[str] = ()) -> str:
    """A page that shows traces, one at a time, as a waterfall.

    Args:
        traces: What it shows, the one to begin with last.
        title: What the page is called.
        flaws: What is to be said of the file they are from.
    """
    style, script, template = (_part(name) for name in ("page.css", "page.js", "page.html"))
    data = {"traces": [_trace(trace) for trace in traces], "flaws": list(flaws), "names": NAMES}
    return Template(template).substitute(
        title=escape(title),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=_json(data),
    )


@cache
def _part(name: str) -> str:
    return files("agentkit.traces").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a Content-Security-Policy lets an element run by."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _json(data: Any) -> str:
    """JSON that can stand in a script element: ASCII, and without what ends one."""
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(_UNSAFE)


def _trace(trace: Trace) -> dict[str, Any]:
    totals, start = trace.totals(), trace.start
    return {
        "id": trace.trace_id,
        "start": start * 1000,
        "ms": totals.seconds * 1000,
        "modelCalls": totals.model_calls,
        "toolCalls": totals.tool_calls,
        "errors": totals.errors,
        "tokensIn": totals.input_tokens,
        "tokensOut": totals.output_tokens,
        "cost": _plain(totals.cost),
        "spans": [_span(depth, node, start) for depth, node in walk(trace.roots)],
    }


def _span(depth: int, node: SpanNode, start: float) -> dict[str, Any]:
    return dict(
        _known(
            name=node.name,
            depth=depth,
            role=node.role,
            at=(node.start - start) * 1000,
            ms=node.seconds * 1000,
            error=node.error,
            message=node.message,
            tokensIn=node.input_tokens,
            tokensOut=node.output_tokens,
            cost=node.cost,
            id=node.span_id,
            around="" if depth else node.parent_id,
            kind=node.kind,
            scope=node.scope,
            attributes=node.attributes,
            resource=node.resource,
            events=[{"name": each.name, "at": each.at * 1000, "attributes": each.attributes} for each in node.events],
            links=[
                {"trace": each.trace_id, "span": each.span_id, "attributes": each.attributes} for each in node.links
            ],
        )
    )


def _known(**given: Any) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if value is not None and value != "" and value != [] and value != {}:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    """The value as JSON that JavaScript reads without a loss."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case int() if not isinstance(value, bool) and abs(value) > _BIGGEST:
            return str(value)
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value

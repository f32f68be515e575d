"""Lines of OTLP-JSON, made by hand: what other programs write, and what nobody should."""

import json
from collections.abc import Sequence
from typing import Any

TRACE = "ab" * 16
BEGAN = 1_795_909_954_000_000_000


def an_id(number: int) -> str:
    """A span's id."""
    return f"{number:016x}"


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Attributes with their values as AnyValue."""
    kinds = {str: "stringValue", bool: "boolValue", float: "doubleValue"}
    return [
        {"key": name, "value": {"intValue": str(value)} if type(value) is int else {kinds[type(value)]: value}}
        for name, value in given.items()
    ]


def span(number: int, inside: int = 0, *, at: float = 0, ms: float = 1, **given: Any) -> dict[str, Any]:
    """A span that begins `at` milliseconds; `said` are its attributes, the rest is as OTLP-JSON has it."""
    said = given.pop("said", {})
    return {
        "traceId": TRACE,
        "spanId": an_id(number),
        **({"parentSpanId": an_id(inside)} if inside else {}),
        "name": f"span {number}",
        "kind": 1,
        "startTimeUnixNano": str(BEGAN + int(at * 1e6)),
        "endTimeUnixNano": str(BEGAN + int((at + ms) * 1e6)),
        "attributes": attributes(said),
        "status": {},
        **given,
    }


def line(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> str:
    """A line with spans."""
    scope = {"scope": {"name": "agentkit", "version": "0.1.0"}, "spans": list(spans)}
    of_resource = {"resource": {"attributes": attributes(resource or {})}, "scopeSpans": [scope]}
    return json.dumps({"resourceSpans": [of_resource]}, ensure_ascii=False) + "\n"


def agent(number: int, inside: int = 0, **given: Any) -> dict[str, Any]:
    """A run."""
    said = {"gen_ai.operation.name": "invoke_agent"} | given.pop("said", {})
    return span(number, inside, **{"name": "invoke_agent clerk", "said": said, **given})


def chat(number: int, inside: int = 0, **given: Any) -> dict[str, Any]:
    """A model call."""
    said = {"gen_ai.operation.name": "chat"} | given.pop("said", {})
    return span(number, inside, **{"name": "chat gpt-5.5", "said": said, **given})


def tool(number: int, inside: int = 0, **given: Any) -> dict[str, Any]:
    """A tool call."""
    said = {"gen_ai.operation.name": "execute_tool"} | given.pop("said", {})
    return span(number, inside, **{"name": "execute_tool units_left", "said": said, **given})


def event(name: str, at: float, said: dict[str, Any]) -> dict[str, Any]:
    """Something that happened `at` milliseconds after the trace began."""
    return {"name": name, "timeUnixNano": str(BEGAN + int(at * 1e6)), "attributes": attributes(said)}


def shape(nodes: Sequence[Any]) -> list[Any]:
    """The names of spans, and of those inside them."""
    return [(node.name, shape(node.children)) if node.children else node.name for node in nodes]

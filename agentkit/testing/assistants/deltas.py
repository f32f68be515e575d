"""How a message and the calls of hosted tools grow, delta by delta.

Each function fills the stored value as it yields what a stream says about it.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from agentkit.messages import AssistantMessage, Citation, HostedCall

_PIECE = 8
"""Characters of one delta."""


def pieces(text: str) -> Iterator[str]:
    """A text in the pieces in which a model is heard."""
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))


def message_deltas(content: list[dict[str, Any]], said: AssistantMessage) -> Iterator[dict[str, Any]]:
    """The deltas of a message's content: pictures, text with its citations, refusal."""
    for file_id in said.files:
        part: dict[str, Any] = {"type": "image_file", "image_file": {"file_id": file_id, "detail": "auto"}}
        content.append(part)
        yield _content(content, deepcopy(part))
    if said.text or not (said.refusal or said.files):
        text: dict[str, Any] = {"value": "", "annotations": []}
        content.append({"type": "text", "text": text})
        for delta in _text_deltas(text, said):
            yield _content(content, {"type": "text", "text": delta})
    if said.refusal:
        refusal: dict[str, Any] = {"type": "refusal", "refusal": ""}
        content.append(refusal)
        for piece in pieces(said.refusal):
            refusal["refusal"] += piece
            yield _content(content, {"type": "refusal", "refusal": piece})


def hosted_deltas(calls: list[dict[str, Any]], call: HostedCall) -> Iterator[dict[str, Any]]:
    """The deltas of a step in which the server's own tool was called."""
    kept: dict[str, Any] = {"id": call.id, "type": call.tool, call.tool: {}}
    calls.append(kept)
    if call.tool == "file_search":
        yield {"index": 0, **deepcopy(kept)}
        options = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
        kept["file_search"].update(ranking_options=options, results=[_hit(hit) for hit in call.hits])
        return
    ran = kept["code_interpreter"]
    ran.update(input="", outputs=[])
    yield {"index": 0, **deepcopy(kept)}
    for piece in pieces(call.input):
        ran["input"] += piece
        yield {"index": 0, "type": "code_interpreter", "code_interpreter": {"input": piece}}
    outputs: list[dict[str, Any]] = [{"type": "logs", "logs": call.output}] if call.output else []
    outputs += [{"type": "image", "image": {"file_id": file}} for file in call.files]
    for n, output in enumerate(outputs):
        ran["outputs"].append(output)
        yield {"index": 0, "type": "code_interpreter", "code_interpreter": {"outputs": [{"index": n, **output}]}}


def _text_deltas(text: dict[str, Any], said: AssistantMessage) -> Iterator[dict[str, Any]]:
    """A marker comes whole, in the delta that has its annotation."""
    for words, citation in _stretches(said):
        for piece in [words] if citation else pieces(words):
            told: dict[str, Any] = {} if text["value"] else {"annotations": []}
            text["value"] += piece
            if citation is not None:
                annotation = _annotation(said, citation)
                told["annotations"] = [{"index": len(text["annotations"]), **annotation}]
                text["annotations"].append(annotation)
            yield {"value": piece, **deepcopy(told)}


def _stretches(said: AssistantMessage) -> Iterator[tuple[str, Citation | None]]:
    """The text in order, cut where citations begin and end; of one within another, only the outer's text is left."""
    at = 0
    for citation in sorted(said.citations, key=lambda each: (each.start, -each.end)):
        if citation.start > at:
            yield said.text[at : citation.start], None
            at = citation.start
        yield said.text[at : citation.end], citation
        at = max(at, citation.end)
    yield said.text[at:], None


def _annotation(said: AssistantMessage, citation: Citation) -> dict[str, Any]:
    marker = citation.marker or said.text[citation.start : citation.end]
    kind = "file_path" if marker.startswith("sandbox:") else "file_citation"
    place = {"start_index": citation.start, "end_index": citation.end}
    return {"type": kind, "text": marker, **place, kind: {"file_id": citation.file_id}}


def _hit(hit: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": hit.text}]
    return {"file_id": hit.file_id, "file_name": hit.filename, "score": hit.score, "content": content}


def _content(content: list[dict[str, Any]], part: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"index": len(content) - 1, **part}]}

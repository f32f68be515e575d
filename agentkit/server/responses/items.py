"""Items as clients of Responses and Conversations spell them <-> entries of a conversation's log. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from agentkit.server.engine.compaction import COMPACTION, unpacked
from agentkit.server.engine.log import ITEM, MESSAGE, TELLING
from agentkit.server.errors import ApiError, unfit
from agentkit.server.ids import new_id

RESULTS = "file_search_call.results"
OUTPUTS = "code_interpreter_call.outputs"
_PREFIXES = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
_SHOWN = {
    "function_call": ("id", "type", "call_id", "name", "arguments", "status"),
    "function_call_output": ("id", "type", "call_id", "output", "status"),
    "reasoning": ("id", "type", "summary", "content", "encrypted_content", "status"),
    COMPACTION: ("id", "type", "encrypted_content"),
    "file_search_call": ("id", "type", "status", "queries", "results"),
    "code_interpreter_call": ("id", "type", "status", "code", "container_id", "outputs"),
}
"""What clients see of an item."""

Entry = dict[str, Any]


def taken(given: str | Sequence[Mapping[str, Any]] | None, now: int) -> list[Entry]:
    """What a client has sent, as entries of a log; each has an id.

    Raises:
        ApiError: an item is not what it says it is.
    """
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
    return [_taken(item, f"input[{place}]", now) for place, item in enumerate(items)]


def kind_of(entry: Mapping[str, Any]) -> str:
    """As what an entry is kept."""
    return ITEM if "type" in entry else MESSAGE


def _taken(item: Mapping[str, Any], where: str, now: int) -> Entry:
    kind = item.get("type", "message")
    begins = _PREFIXES.get(kind)
    if begins and not item.get("id", begins).startswith(begins):
        raise ApiError(
            f"Invalid '{where}.id': '{item['id']}'. Expected an ID that begins with '{begins}'.",
            param=f"{where}.id",
            code="invalid_value",
        )
    if kind == "message":
        return _message(item, now)
    if kind == "reasoning":
        return {"summary": [], "status": "completed", **item, "id": item.get("id") or new_id("reasoning")}
    if kind in ("function_call", "function_call_output"):
        return {"status": "completed", **item, "id": item.get("id") or new_id(kind)}
    if kind == COMPACTION:
        try:
            unpacked(item["encrypted_content"])
        except ValueError as error:
            raise unfit(f"{where}.encrypted_content", f"it cannot be read: {error}") from None
        return {**item, "id": item.get("id") or new_id(kind)}
    return dict(item)


def _message(item: Mapping[str, Any], now: int) -> Entry:
    role, content = item["role"], item["content"]
    if isinstance(content, str):
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": content}]
    id, status = item.get("id") or new_id("message"), item.get("status", "completed")
    if role in TELLING:
        return {"type": "message", "id": id, "role": role, "content": content, "status": status}
    phase = {"phase": item["phase"]} if "phase" in item else {}
    return message(id, role, [_kept(part) for part in content], now, status) | phase


def message(id: str, role: str, content: list[Entry], now: int, status: str = "completed") -> Entry:
    """A message as threads have it."""
    return {
        "id": id,
        "object": "thread.message",
        "created_at": now,
        "thread_id": "",
        "status": status,
        "incomplete_details": None,
        "completed_at": now if status == "completed" else None,
        "incomplete_at": now if status == "incomplete" else None,
        "role": role,
        "content": content,
        "assistant_id": None,
        "run_id": None,
        "attachments": [],
        "metadata": {},
    }


def _kept(part: Mapping[str, Any]) -> Entry:
    """A part of a message, as threads have it."""
    kind = part["type"]
    if kind == "refusal":
        return {"type": "refusal", "refusal": part["refusal"]}
    if kind == "input_image":
        source = "image_file" if "file_id" in part else "image_url"
        where = {"file_id": part["file_id"]} if "file_id" in part else {"url": part["image_url"]}
        return {"type": source, source: {**where, "detail": part.get("detail", "auto")}}
    text = part["text"]
    cited = [_citation(each, text) for each in part.get("annotations") or () if each.get("type") == "file_citation"]
    return {"type": "text", "text": {"value": text, "annotations": cited}}


def _citation(annotation: Mapping[str, Any], text: str) -> Entry:
    start = int(annotation.get("index") or 0)
    end = text.find("】", start) + 1 if text[start : start + 1] == "【" else start
    file = {"file_id": str(annotation.get("file_id")), "filename": str(annotation.get("filename", ""))}
    return {
        "type": "file_citation",
        "text": text[start:end],
        "start_index": start,
        "end_index": max(start, end),
        "file_citation": file,
    }


def shown(entry: Mapping[str, Any], include: Collection[str] = ()) -> dict[str, Any]:
    """An entry as clients see it.

    Args:
        entry: The entry.
        include: What they want to see that is left out usually.
    """
    kind = entry.get("type", MESSAGE)
    if kind == MESSAGE:
        return _shown_message(entry)
    told = {name: entry[name] for name in _SHOWN[kind] if name in entry}
    if kind == "file_search_call":
        told["results"] = told.get("results") if RESULTS in include else None
    if kind == "code_interpreter_call":
        told["outputs"] = told.get("outputs") if OUTPUTS in include else None
    return told


def _shown_message(entry: Mapping[str, Any]) -> dict[str, Any]:
    role, content = entry["role"], entry["content"]
    if "type" not in entry:
        content = [_shown_part(part, role) for part in content]
    told = {"id": entry["id"], "type": "message", "status": entry["status"], "role": role, "content": content}
    return told | ({"phase": entry["phase"]} if "phase" in entry else {})


def _shown_part(part: Mapping[str, Any], role: str) -> dict[str, Any]:
    kind = part["type"]
    if kind == "text":
        text = part["text"]["value"]
        if role == "user":
            return {"type": "input_text", "text": text}
        annotations = [_annotation(each) for each in part["text"]["annotations"] if each["type"] == "file_citation"]
        return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}
    if kind in ("image_url", "image_file"):
        image = part[kind]
        where = {"image_url": image.get("url"), "file_id": image.get("file_id")}
        return {"type": "input_image", **where, "detail": image.get("detail", "auto")}
    return dict(part)


def _annotation(cited: Mapping[str, Any]) -> dict[str, Any]:
    file = cited["file_citation"]
    name = file.get("filename") or file["file_id"]
    return {"type": "file_citation", "file_id": file["file_id"], "filename": name, "index": cited["start_index"]}


def check_answered(log: Iterable[Mapping[str, Any]]) -> None:
    """Each call of the client's functions has an output, and each output its call.

    Raises:
        ApiError: it has not.
    """
    called: dict[str, bool] = {}
    for entry in log:
        kind = entry.get("type")
        if kind == "function_call":
            if called.get(entry["call_id"]) is False:
                raise unfit("input", f"two function calls have the call_id {entry['call_id']!r}")
            called[entry["call_id"]] = False
        elif kind == "function_call_output":
            if entry["call_id"] not in called:
                raise ApiError(
                    f"No tool call found for function call output with call_id {entry['call_id']}.", param="input"
                )
            called[entry["call_id"]] = True
    for call_id, is_answered in called.items():
        if not is_answered:
            raise ApiError(f"No tool output found for function call {call_id}.", param="input")

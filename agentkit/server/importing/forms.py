"""What was found in a file, checked, and as the server keeps it: every field there, of the type that clients expect.

Source: OpenAI's API reference for the Assistants API, version 2, and what version 1 had in place of it.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from agentkit.server.wire.assistants import AssistantSettings, CreateAssistant
from agentkit.server.wire.base import Body, Metadata, Whole
from agentkit.server.wire.runs import ToolChoice, Truncation
from agentkit.server.wire.threads import AttachedTo, ImageFilePart
from agentkit.server.wire.tools import AssistantTool, Resources

from .exports import Found

T = TypeVar("T", bound=Body)

KeptId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,128}$")]
Time = Annotated[Whole, Field(ge=0, le=2**53)]
ENDED = ("completed", "failed", "cancelled", "expired", "incomplete")


class Unfit(Exception):
    """An object cannot be taken; the text says why."""


class _Kept(Body):
    id: KeptId
    created_at: Time | None = None
    metadata: Metadata | None = None


class _Assistant(_Kept, CreateAssistant):
    tool_resources: Resources | None = None  # type: ignore[assignment]


class _Thread(_Kept):
    tool_resources: Resources | None = None


class _FileOf(Body):
    file_id: str


class _Annotation(Body):
    type: Literal["file_citation", "file_path"]
    text: str
    start_index: Time
    end_index: Time
    file_citation: _FileOf | None = None
    file_path: _FileOf | None = None


class _Text(Body):
    value: str
    annotations: list[dict[str, Any]] | None = None


class _TextPart(Body):
    type: Literal["text"]
    text: _Text


class _Url(Body):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class _UrlPart(Body):
    type: Literal["image_url"]
    image_url: _Url


class _RefusalPart(Body):
    type: Literal["refusal"]
    refusal: str


class _Attachment(Body):
    file_id: str | None = None
    tools: list[AttachedTo] | None = None


class _Why(Body):
    reason: str


class _Message(_Kept):
    thread_id: str
    role: Literal["user", "assistant"]
    content: list[Annotated[_TextPart | ImageFilePart | _UrlPart | _RefusalPart, Field(discriminator="type")]]
    status: Literal["in_progress", "incomplete", "completed"] | None = None
    completed_at: Time | None = None
    incomplete_at: Time | None = None
    incomplete_details: _Why | None = None
    assistant_id: str | None = None
    run_id: str | None = None
    attachments: list[_Attachment] | None = None


class _Usage(Body):
    prompt_tokens: Time
    completion_tokens: Time
    total_tokens: Time


class _Error(Body):
    code: str
    message: str


class _Ran(_Kept):
    thread_id: str
    assistant_id: str
    status: str
    cancelled_at: Time | None = None
    failed_at: Time | None = None
    completed_at: Time | None = None
    last_error: _Error | None = None
    usage: _Usage | None = None


class _Run(_Ran, AssistantSettings):
    model: str
    tools: list[AssistantTool] | None = None
    expires_at: Time | None = None
    started_at: Time | None = None
    incomplete_details: dict[str, Any] | None = None
    max_prompt_tokens: Time | None = None
    max_completion_tokens: Time | None = None
    truncation_strategy: Truncation | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None


class _CalledFunction(Body):
    name: str
    arguments: str
    output: str | None = None


class _FunctionCall(Body):
    id: str
    type: Literal["function"]
    function: _CalledFunction


class _Code(Body):
    input: str
    outputs: list[dict[str, Any]]


class _CodeCall(Body):
    id: str
    type: Literal["code_interpreter"]
    code_interpreter: _Code


class _Searched(Body):
    results: list[dict[str, Any]]
    ranking_options: dict[str, Any] | None = None


class _SearchCall(Body):
    id: str
    type: Literal["file_search"]
    file_search: _Searched


class _Spoken(Body):
    message_id: str


def _is_whole(details: "_Details") -> "_Details":
    if (details.message_creation if details.type == "message_creation" else details.tool_calls) is None:
        raise ValueError(f"{details.type!r} is missing")
    return details


class _Details(Body):
    type: Literal["message_creation", "tool_calls"]
    message_creation: _Spoken | None = None
    tool_calls: list[Annotated[_FunctionCall | _CodeCall | _SearchCall, Field(discriminator="type")]] | None = None


class _Step(_Ran):
    run_id: str
    expired_at: Time | None = None
    step_details: Annotated[_Details, AfterValidator(_is_whole)]


def assistant(found: Found) -> dict[str, Any]:
    """An assistant.

    Raises:
        Unfit: it is none.
    """
    raw = _usual(found.body)
    if raw.get("file_ids"):  # version 1
        raw.setdefault("tool_resources", {"code_interpreter": {"file_ids": raw["file_ids"]}})
    given = _checked(_Assistant, found, raw)
    empty = dict.fromkeys(("name", "description", "instructions", "reasoning_effort"))
    usual: dict[str, Any] = {
        **empty,
        "tools": [],
        "tool_resources": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "response_format": "auto",
    }
    return {"object": "assistant", **_kept(given), **usual, **given}


def thread(found: Found) -> dict[str, Any]:
    """A thread, without its messages.

    Raises:
        Unfit: it is none.
    """
    given = _checked(_Thread, found, _usual(found.body))
    return {"object": "thread", **_kept(given), "tool_resources": {}, **given}


def message(found: Found, thread_id: str) -> dict[str, Any]:
    """A message of a thread.

    Raises:
        Unfit: it is none.
    """
    raw = _usual(found.body) | {"thread_id": thread_id}
    raw["content"] = [_part(each) for each in _as_list(raw.get("content"))]
    if raw.get("file_ids") and not raw.get("attachments"):  # version 1
        raw["attachments"] = [{"file_id": id, "tools": [{"type": "file_search"}]} for id in raw["file_ids"]]
    given = _checked(_Message, found, raw)
    if given.get("status") == "in_progress":  # nobody goes on with it
        given["status"] = "incomplete"
    shown: dict[str, Any] = {"object": "thread.message", **_kept(given), "status": "completed"}
    shown |= dict.fromkeys(("incomplete_details", "completed_at", "incomplete_at", "assistant_id", "run_id"))
    shown |= {"attachments": [], **given}
    for part in shown["content"]:
        if part["type"] == "text":
            part["text"]["annotations"] = _annotations(part["text"].get("annotations", ()))
    return shown


def run(found: Found, thread_id: str) -> dict[str, Any]:
    """A run, which has ended: nobody goes on with one that had not.

    Raises:
        Unfit: it is none.
    """
    given = _checked(_Run, found, _usual(found.body) | {"thread_id": thread_id})
    given["status"] = given["status"] if given["status"] in ENDED else "expired"
    kept = _kept(given)
    nothing = ("required_action", "last_error", "started_at", "cancelled_at", "failed_at", "completed_at")
    unsaid = ("incomplete_details", "usage", "max_prompt_tokens", "max_completion_tokens", "reasoning_effort")
    usual = {"instructions": "", "tools": [], "temperature": 1.0, "top_p": 1.0, "response_format": "auto"}
    how = {"truncation_strategy": {"type": "auto"}, "tool_choice": "auto", "parallel_tool_calls": True}
    shown = {"object": "thread.run", **kept, **dict.fromkeys((*nothing, *unsaid)), **usual, **how}
    shown |= {"expires_at": kept["created_at"] + 600, **given}
    shown["truncation_strategy"] = {"last_messages": None, **shown["truncation_strategy"]}
    return shown


def step(found: Found, thread_id: str) -> dict[str, Any]:
    """A step of a run.

    Raises:
        Unfit: it is none.
    """
    raw = _usual(found.body) | {"thread_id": thread_id}
    details = raw.get("step_details")
    if isinstance(details, dict):
        calls = [_called(call) for call in _as_list(details.get("tool_calls"))]
        raw["step_details"] = details | ({"tool_calls": calls} if details.get("tool_calls") is not None else {})
    given = _checked(_Step, found, raw)
    given["status"] = given["status"] if given["status"] in ENDED[:4] else "expired"
    for call in given["step_details"].get("tool_calls", ()):
        if call["type"] == "function":
            call["function"].setdefault("output", None)
    nothing = ("cancelled_at", "completed_at", "expired_at", "failed_at", "last_error", "usage")
    about = {"type": given["step_details"]["type"], **dict.fromkeys(nothing)}
    return {"object": "thread.run.step", **_kept(given), **about, **given}


def _checked(form: type[Body], found: Found, raw: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return form.model_validate({**raw, "id": found.id}).given()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        steps = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in first["loc"])
        told = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        raise Unfit(f"{''.join(steps).removeprefix('.')!r} should be {told}" if first["loc"] else told) from None


def _kept(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": given["id"], "created_at": given.get("created_at", 0), "metadata": given.get("metadata", {})}


def _usual(body: Mapping[str, Any]) -> dict[str, Any]:
    """What versions and tools have spelled in several ways, in one."""
    raw = deepcopy(dict(body))
    if isinstance(raw.get("metadata"), dict):
        raw["metadata"] = {name: _text(value) for name, value in raw["metadata"].items() if value is not None}
    if isinstance(raw.get("tools"), list):
        raw["tools"] = [{"type": "file_search"} if _type(tool) == "retrieval" else tool for tool in raw["tools"]]
    for name in ("created_at", "completed_at", "started_at", "failed_at", "expires_at", "cancelled_at"):
        if isinstance(raw.get(name), float):
            raw[name] = int(raw[name])
    return raw


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value


def _type(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _part(part: Any) -> Any:
    """A part of a message as it is answered, whether it was saved so or as it was sent."""
    if isinstance(part, str):
        return {"type": "text", "text": {"value": part}}
    if _type(part) == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": {"value": part["text"]}}
    return part


def _called(call: Any) -> Any:
    kind = "file_search" if _type(call) == "retrieval" else _type(call)
    if kind not in ("code_interpreter", "file_search"):
        return call
    told = call.get(kind) if isinstance(call.get(kind), dict) else {}
    usual: dict[str, Any] = {"input": "", "outputs": []} if kind == "code_interpreter" else {"results": []}
    return {**call, "type": kind, kind: usual | {name: value for name, value in told.items() if value is not None}}


def _annotations(given: Any) -> list[dict[str, Any]]:
    """Those that clients can read."""
    kept = []
    for each in given:
        try:
            annotation = _Annotation.model_validate(each).given()
        except ValidationError:
            continue
        if annotation["type"] in annotation:
            kept.append(annotation)
    return kept

"""What a strict Assistants server refuses in the bodies of requests.

Source: OpenAI's published OpenAPI document for the Assistants API, version 2, and its API reference.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from agentkit.testing.refusal import a_string, an_array, an_object, kind_of, known, refuse
from agentkit.testing.strict_tools import check_schema, check_tools

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_HOSTED = ("code_interpreter", "file_search")
_DETAILS = ("auto", "low", "high")
_RANGES = {"temperature": (0, 2), "top_p": (0, 1)}
_SETTINGS = {"model", "instructions", "tools", "metadata", "response_format", "reasoning_effort", *_RANGES}
_ASSISTANT = _SETTINGS | {"name", "description", "tool_resources"}
_BUDGETS = {"max_prompt_tokens", "max_completion_tokens"}
_EITHER_RUN = (
    _SETTINGS | _BUDGETS | {"assistant_id", "stream", "truncation_strategy", "tool_choice", "parallel_tool_calls"}
)
_RUN = _EITHER_RUN | {"additional_instructions", "additional_messages"}
_RUN_WITH_THREAD = _EITHER_RUN | {"thread", "tool_resources"}
_LONGEST_INSTRUCTIONS = 256_000
_LONGEST_TEXT = 256_000
_MOST_MESSAGES = 32


def check_assistant(body: Mapping[str, Any]) -> None:
    """Refuse an assistant, or changes of one, that no server could keep."""
    given = _given(body, _ASSISTANT)
    _check_settings(given, most_tools=128)
    for name, longest in (("name", 256), ("description", 512)):
        if name in given:
            a_string(given[name], name, longest=longest)
    if "tool_resources" in given:
        _check_resources(given["tool_resources"], "tool_resources")


def check_thread(body: Mapping[str, Any], where: str = "") -> None:
    """Refuse a thread, or changes of one."""
    given = _given(body, {"messages", "tool_resources", "metadata"}, where)
    prefix = f"{where}." if where else ""
    if "messages" in given:
        _check_messages(given["messages"], f"{prefix}messages")
    if "tool_resources" in given:
        _check_resources(given["tool_resources"], f"{prefix}tool_resources")
    if "metadata" in given:
        check_metadata(given["metadata"], f"{prefix}metadata")


def check_message(message: Any, where: str = "") -> None:
    """Refuse a message that cannot be added to a thread."""
    prefix = f"{where}." if where else ""
    given = _given(an_object(message, where), {"role", "content", "attachments", "metadata"}, where)
    if given.get("role") not in ("user", "assistant"):
        refuse(f"{prefix}role", "expected 'user' or 'assistant'")
    content = given.get("content")
    if isinstance(content, list):
        for n, part in enumerate(content):
            _check_part(part, f"{prefix}content[{n}]")
    elif content is not None:
        a_string(content, f"{prefix}content", longest=_LONGEST_TEXT)
    for n, attachment in enumerate(_an_array(given.get("attachments", []), f"{prefix}attachments")):
        _check_attachment(attachment, f"{prefix}attachments[{n}]")
    if "metadata" in given:
        check_metadata(given["metadata"], f"{prefix}metadata")


def check_run(
    body: Mapping[str, Any], assistant_tools: Callable[[str], list[Any]], *, with_thread: bool = False
) -> None:
    """Refuse a run; `assistant_tools` gives the tools of an assistant by its id."""
    given = _given(body, _RUN_WITH_THREAD if with_thread else _RUN)
    _check_settings(given, most_tools=20)
    assistant_id = a_string(given.get("assistant_id"), "assistant_id")
    for name in _BUDGETS & given.keys():
        _whole(given[name], name, least=256)
    for name in ("stream", "parallel_tool_calls"):
        if not isinstance(given.get(name, False), bool):
            refuse(name, f"expected a boolean, got {kind_of(given[name])}", code="invalid_type")
    if "additional_instructions" in given:
        a_string(given["additional_instructions"], "additional_instructions", longest=_LONGEST_INSTRUCTIONS)
    if "additional_messages" in given:
        _check_messages(given["additional_messages"], "additional_messages")
    if "thread" in given:
        check_thread(an_object(given["thread"], "thread"), "thread")
    if "tool_resources" in given:
        _check_resources(given["tool_resources"], "tool_resources")
    if "truncation_strategy" in given:
        _check_truncation(given["truncation_strategy"])
    if "tool_choice" in given:
        _check_choice(given["tool_choice"], given["tools"] if "tools" in given else assistant_tools(assistant_id))


def check_outputs(body: Mapping[str, Any]) -> None:
    """Refuse outputs of calls that are none."""
    given = _given(body, {"tool_outputs", "stream"})
    if not isinstance(given.get("stream", False), bool):
        refuse("stream", f"expected a boolean, got {kind_of(given['stream'])}", code="invalid_type")
    for n, output in enumerate(_an_array(given.get("tool_outputs"), "tool_outputs")):
        where = f"tool_outputs[{n}]"
        known(an_object(output, where), {"tool_call_id", "output"}, where)
        a_string(output.get("tool_call_id"), f"{where}.tool_call_id")
        a_string(output.get("output"), f"{where}.output")


def check_changes(body: Mapping[str, Any]) -> None:
    """Refuse changes of an object of which only the metadata can be changed."""
    if "metadata" in (given := _given(body, {"metadata"})):
        check_metadata(given["metadata"], "metadata")


def check_metadata(metadata: Any, where: str) -> None:
    """Refuse metadata that is not up to 16 short pairs of strings."""
    if len(an_object(metadata, where)) > 16:
        refuse(where, f"{len(metadata)} pairs, and 16 are allowed", code="object_above_max_properties")
    for key, value in metadata.items():
        a_string(key, f"{where} key", longest=64)
        a_string(value, f"{where}.{key}", longest=512)


def _check_settings(given: Mapping[str, Any], *, most_tools: int) -> None:
    """What assistants and runs have in common."""
    if "model" in given and not a_string(given["model"], "model"):
        refuse("model", "the string is empty")
    if "instructions" in given:
        a_string(given["instructions"], "instructions", longest=_LONGEST_INSTRUCTIONS)
    if _an_array(given.get("tools", []), "tools"):
        _check_tools(an_array(given["tools"], "tools", most=most_tools))
    if "metadata" in given:
        check_metadata(given["metadata"], "metadata")
    for name, (low, high) in _RANGES.items():
        value = given.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            refuse(name, f"expected a number from {low} to {high}", code=None)
    _one_of(given.get("reasoning_effort", "none"), _EFFORTS, "reasoning_effort")
    if "response_format" in given:
        _check_format(given["response_format"])


def _check_tools(tools: Any) -> None:
    functions = []
    for n, tool in enumerate(tools):
        kind = _one_of(an_object(tool, f"tools[{n}]").get("type"), ("function", *_HOSTED), f"tools[{n}].type")
        if kind == "function":
            functions.append(tool)
            continue
        known(tool, {"type", "file_search"} if kind == "file_search" else {"type"}, f"tools[{n}]")
        search = an_object(tool.get("file_search", {}), f"tools[{n}].file_search")
        known(search, {"max_num_results", "ranking_options"}, f"tools[{n}].file_search")
        if "max_num_results" in search:
            _whole(search["max_num_results"], f"tools[{n}].file_search.max_num_results", least=1, most=50)
    if functions:
        check_tools(functions)


def _check_format(wanted: Any) -> None:
    if wanted == "auto":
        return
    kinds = ("text", "json_object", "json_schema")
    if _one_of(an_object(wanted, "response_format").get("type"), kinds, "response_format.type") == "json_schema":
        where = "response_format.json_schema"
        form = an_object(wanted.get("json_schema"), where)
        known(form, {"name", "description", "schema", "strict"}, where)
        a_string(form.get("name"), f"{where}.name", longest=64)
        strict = form.get("strict") is True
        if strict or "schema" in form:
            check_schema(form.get("schema"), f"{where}.schema", strict=strict)


def _check_truncation(strategy: Any) -> None:
    where = "truncation_strategy"
    known(an_object(strategy, where), {"type", "last_messages"}, where)
    kind = _one_of(strategy.get("type"), ("auto", "last_messages"), f"{where}.type")
    if kind == "last_messages" or strategy.get("last_messages") is not None:
        _whole(strategy.get("last_messages"), f"{where}.last_messages", least=1)


def _check_choice(choice: Any, tools: list[Any]) -> None:
    if isinstance(choice, str):
        _one_of(choice, ("none", "auto", "required"), "tool_choice")
        return
    kind = _one_of(an_object(choice, "tool_choice").get("type"), ("function", *_HOSTED), "tool_choice.type")
    name = an_object(choice.get("function"), "tool_choice.function").get("name") if kind == "function" else None
    if (kind, name) not in [(tool["type"], tool.get("function", {}).get("name")) for tool in tools]:
        refuse("tool_choice", f"there is no such tool in 'tools': {name or kind!r}")


def _check_messages(messages: Any, where: str) -> None:
    if not isinstance(messages, list) or messages:
        for n, message in enumerate(an_array(messages, where, most=_MOST_MESSAGES)):
            check_message(message, f"{where}[{n}]")


def _check_part(part: Any, where: str) -> None:
    kind = _one_of(an_object(part, where).get("type"), ("text", "image_file", "image_url"), f"{where}.type")
    known(part, {"type", kind}, where)
    if kind == "text":
        a_string(part.get("text"), f"{where}.text", longest=_LONGEST_TEXT)
        return
    address = "file_id" if kind == "image_file" else "url"
    image = an_object(part.get(kind), f"{where}.{kind}")
    known(image, {address, "detail"}, f"{where}.{kind}")
    value = a_string(image.get(address), f"{where}.{kind}.{address}")
    if address == "url" and not value.startswith(("https://", "http://")):
        refuse(f"{where}.{kind}.url", "expected a web address; upload a picture of your own as a file")
    _one_of(image.get("detail", "auto"), _DETAILS, f"{where}.{kind}.detail")


def _check_attachment(attachment: Any, where: str) -> None:
    known(an_object(attachment, where), {"file_id", "tools"}, where)
    a_string(attachment.get("file_id"), f"{where}.file_id")
    for n, tool in enumerate(an_array(attachment.get("tools"), f"{where}.tools")):
        _one_of(an_object(tool, f"{where}.tools[{n}]").get("type"), _HOSTED, f"{where}.tools[{n}].type")


def _check_resources(resources: Any, where: str) -> None:
    given = _given(an_object(resources, where), _HOSTED, where)
    code = _given(an_object(given.get("code_interpreter", {}), f"{where}.code_interpreter"), {"file_ids"}, where)
    _ids(code.get("file_ids", []), f"{where}.code_interpreter.file_ids", most=20)
    where = f"{where}.file_search"
    search = _given(an_object(given.get("file_search", {}), where), {"vector_store_ids", "vector_stores"}, where)
    _ids(search.get("vector_store_ids", []), f"{where}.vector_store_ids", most=1)
    stores = _an_array(search.get("vector_stores", []), f"{where}.vector_stores")
    for n, store in enumerate(stores):
        an_object(store, f"{where}.vector_stores[{n}]")
    if len(stores) + len(search.get("vector_store_ids", [])) > 1:
        refuse(where, "one vector store is allowed", code="array_above_max_length")


def _ids(value: Any, where: str, *, most: int) -> None:
    if _an_array(value, where):
        for n, id in enumerate(an_array(value, where, most=most)):
            a_string(id, f"{where}[{n}]")


def _an_array(value: Any, where: str) -> list[Any]:
    """The value, which has to be an array, and may be empty."""
    if not isinstance(value, list):
        refuse(where, f"expected an array, got {kind_of(value)}", code="invalid_type")
    return value


def _one_of(value: Any, values: Collection[str], where: str) -> str:
    if not isinstance(value, str) or value not in values:
        refuse(where, f"expected one of {', '.join(values)}")
    return value


def _whole(value: Any, where: str, *, least: int, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        reach = "on" if most is None else f"to {most}"
        refuse(where, f"expected a whole number from {least} {reach}", code=None)


def _given(body: Mapping[str, Any], names: Collection[str], where: str = "") -> dict[str, Any]:
    """What is given, without the fields that are null; no other fields than these."""
    given = {name: value for name, value in body.items() if value is not None}
    known(given, names, where)
    return given

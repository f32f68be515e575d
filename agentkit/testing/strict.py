"""What the strictest Chat Completions providers refuse, each with a 400 in OpenAI's form.

Source: OpenAI's API reference for Chat Completions, and errors that users of OpenAI, Azure, Anthropic, Groq and
vLLM have reported where those are stricter.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .refusal import Refusal, a_name, a_string, an_array, an_object, kind_of, known, parsed, refuse
from .strict_tools import check_schema, check_tools

_PARAMETERS = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)
_MESSAGE_FIELDS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "tool_calls", "audio"},
    "tool": {"role", "content", "tool_call_id"},
}
_PARTS = {"user": {"text", "image_url", "input_audio", "file"}, "assistant": {"text", "refusal"}}
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
_COUNTS = {"max_tokens": 1, "max_completion_tokens": 1, "n": 1}
_LONGEST_CALL_ID = 40


def check(body: Mapping[str, Any]) -> None:
    """Refuse a request body as the strictest provider would.

    Raises:
        Refusal: the first thing that is wrong with it.
    """
    given = {name: value for name, value in body.items() if value is not None}
    known(given, _PARAMETERS, "")
    if not isinstance(given.get("model"), str) or not given["model"]:
        refuse("model", "you must say which model is to answer", code="missing_required_parameter")
    _check_messages(given.get("messages"))
    names = check_tools(given["tools"]) if "tools" in given else None
    _check_choice(given, names)
    _check_numbers(given)
    _check_stream(given)
    if "response_format" in given:
        _check_format(given["response_format"])


def _check_messages(messages: Any) -> None:
    """Each message is sound, and each call is answered once, right after the message that made it."""
    waiting: dict[str, None] = {}
    seen: set[str] = set()
    for n, message in enumerate(an_array(messages, "messages")):
        where = f"messages[{n}]"
        role = _check_message(message, where)
        if role == "tool":
            call_id = a_string(message.get("tool_call_id"), f"{where}.tool_call_id")
            if call_id not in waiting:
                refuse(f"{where}.tool_call_id", "a 'tool' message must answer a call of the message before it")
            del waiting[call_id]
            continue
        _all_answered(waiting, where)
        for m, call in enumerate(message.get("tool_calls", ())):
            call_id = _check_call(call, f"{where}.tool_calls[{m}]")
            if call_id in seen:
                refuse(f"{where}.tool_calls[{m}].id", f"the id {call_id!r} is used twice")
            seen.add(call_id)
            waiting[call_id] = None
    _all_answered(waiting, "messages")


def _all_answered(waiting: Mapping[str, None], where: str) -> None:
    if waiting:
        calls = ", ".join(waiting)
        refuse(where, f"each of the 'tool_calls' needs a 'tool' message right after it; without one: {calls}")


def _check_message(message: Any, where: str) -> str:
    role = an_object(message, where).get("role")
    if not isinstance(role, str) or role not in _MESSAGE_FIELDS:
        refuse(f"{where}.role", f"expected one of {', '.join(_MESSAGE_FIELDS)}")
    known(message, _MESSAGE_FIELDS[role], where)
    if "name" in message:
        a_name(message["name"], f"{where}.name")
    if "tool_calls" in message:
        an_array(message["tool_calls"], f"{where}.tool_calls")
    content = message.get("content")
    if content is None and role == "assistant" and (message.get("tool_calls") or message.get("refusal")):
        return role
    if isinstance(content, str):
        return role
    if not isinstance(content, list):
        refuse(f"{where}.content", f"expected a string, got {kind_of(content)}", code="invalid_type")
    for n, part in enumerate(an_array(content, f"{where}.content")):
        _check_part(part, role, f"{where}.content[{n}]")
    return role


def _check_part(part: Any, role: str, where: str) -> None:
    kind = an_object(part, where).get("type")
    kinds = _PARTS.get(role, {"text"})
    if not isinstance(kind, str) or kind not in kinds:
        refuse(f"{where}.type", f"expected one of {', '.join(sorted(kinds))}")
    known(part, {"type", kind}, where)
    if kind in {"text", "refusal"}:
        a_string(part.get(kind), f"{where}.{kind}")
    elif kind == "image_url":
        url = a_string(an_object(part.get(kind), f"{where}.{kind}").get("url"), f"{where}.{kind}.url")
        if not url.startswith(("https://", "http://", "data:image/")):
            refuse(f"{where}.{kind}.url", "expected a web address or a 'data:image/' one")


def _check_call(call: Any, where: str) -> str:
    known(an_object(call, where), {"id", "type", "function"}, where)
    call_id = a_string(call.get("id"), f"{where}.id", longest=_LONGEST_CALL_ID)
    if not call_id:
        refuse(f"{where}.id", "the string is empty")
    if call.get("type") != "function":
        refuse(f"{where}.type", "expected 'function'")
    function = an_object(call.get("function"), f"{where}.function")
    known(function, {"name", "arguments"}, f"{where}.function")
    a_name(function.get("name"), f"{where}.function.name")
    arguments = a_string(function.get("arguments"), f"{where}.function.arguments")
    try:
        sound = isinstance(parsed(arguments), dict)
    except Refusal:
        sound = False
    if not sound:
        refuse(f"{where}.function.arguments", "expected the text of a JSON object")
    return call_id


def _check_choice(body: Mapping[str, Any], names: Sequence[str] | None) -> None:
    for param in ("tool_choice", "parallel_tool_calls"):
        if param in body and names is None:
            refuse(param, "only allowed when there are 'tools'", code=None)
    choice = body.get("tool_choice", "auto")
    if not isinstance(choice, dict):
        if choice not in ("none", "auto", "required"):
            refuse("tool_choice", "expected 'none', 'auto', 'required' or an object")
    elif choice.get("type") == "function":
        function = an_object(choice.get("function"), "tool_choice.function")
        if function.get("name") not in (names or ()):
            refuse("tool_choice", f"there is no tool {function.get('name')!r} in 'tools'")


def _check_numbers(body: Mapping[str, Any]) -> None:
    for param, (low, high) in _RANGES.items():
        value = body.get(param, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            refuse(param, f"expected a number from {low} to {high}", code=None)
    for param, least in _COUNTS.items():
        value = body.get(param, least)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            refuse(param, f"expected a whole number from {least} on", code="integer_below_min_value")
    if body.get("n", 1) > 1:
        refuse("n", "one choice at a time", code=None)
    if "max_tokens" in body and "max_completion_tokens" in body:
        refuse("max_tokens", "not together with 'max_completion_tokens'", code=None)
    stop = body.get("stop", "")
    for n, text in enumerate([stop] if isinstance(stop, str) else an_array(stop, "stop", most=4)):
        a_string(text, f"stop[{n}]")


def _check_stream(body: Mapping[str, Any]) -> None:
    stream = body.get("stream", False)
    if not isinstance(stream, bool):
        refuse("stream", f"expected a boolean, got {kind_of(stream)}", code="invalid_type")
    if "stream_options" in body:
        if not stream:
            refuse("stream_options", "only allowed with 'stream': true", code=None)
        options = an_object(body["stream_options"], "stream_options")
        known(options, {"include_usage", "include_obfuscation"}, "stream_options")


def _check_format(wanted: Any) -> None:
    kind = an_object(wanted, "response_format").get("type")
    if kind not in ("text", "json_object", "json_schema"):
        refuse("response_format.type", "expected 'text', 'json_object' or 'json_schema'")
    if kind == "json_schema":
        where = "response_format.json_schema"
        inner = an_object(wanted.get("json_schema"), where)
        known(inner, {"name", "description", "schema", "strict"}, where)
        a_name(inner.get("name"), f"{where}.name")
        strict = inner.get("strict") is True
        if strict or "schema" in inner:
            check_schema(inner.get("schema"), f"{where}.schema", strict=strict)

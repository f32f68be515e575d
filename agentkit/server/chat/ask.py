"""A request of Chat Completions -> a piece of work. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit import AssistantMessage, ImagePart, Message, TextPart, ToolCall, ToolResult, UserMessage
from agentkit.server.catalog import Catalog
from agentkit.server.engine import Work
from agentkit.server.errors import ApiError, unfit
from agentkit.server.functions import check_depth, functions_of, narrowed
from agentkit.server.wire.chat import CreateChat

_PASSED_ON = ("frequency_penalty", "presence_penalty", "logit_bias", "verbosity")
"""What agentkit has no word for, and the model's server may know."""


def work_of(body: CreateChat, catalog: Catalog, tenant: str) -> Work:
    """What is to be done.

    Raises:
        ApiError: the messages are no conversation, or there is no such model.
    """
    given = body.given()
    messages = [_spelled_out(each) for each in given["messages"]]
    _check_results(messages)
    functions = functions_of([tool["function"] for tool in given.get("tools", ())])
    choice, functions = _chosen(given.get("tool_choice"), functions)
    stop = given.get("stop", ())
    return Work(
        model=body.model,
        tenant=tenant,
        instructions="\n\n".join(_words(each["content"]) for each in messages if each["role"] in _TOLD),
        history=messages_of(messages),
        functions=functions,
        seconds=catalog.settings.run_seconds,
        schema=_schema(given.get("response_format", {})),
        settings=catalog.sampling(
            body.model,
            temperature=body.temperature,
            top_p=body.top_p,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            stop=((stop,) if isinstance(stop, str) else tuple(stop)) or None,
            seed=body.seed,
            reasoning_effort=body.reasoning_effort,
            tool_choice=choice,
            parallel_tool_calls=body.parallel_tool_calls,
            extra={name: given[name] for name in _PASSED_ON if name in given},
        ),
    )


def messages_of(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The conversation as a model is told it, without what stands in its instructions."""
    names: dict[str, str] = {}
    told: list[Message] = []
    for each in messages:
        role, content = each["role"], each.get("content")
        if role == "user":
            told.append(UserMessage(content=content if isinstance(content, str) else _parts(content or ())))
        elif role == "assistant":
            calls = tuple(_call(call) for call in each.get("tool_calls", ()))
            names |= {call.id: call.name for call in calls}
            text = _words(content or "") or each.get("refusal", "")
            if text or calls:
                told.append(AssistantMessage(text=text, tool_calls=calls))
        elif role == "tool":
            id = each["tool_call_id"]
            told.append(ToolResult(call_id=id, name=names[id], content=_words(content or "")))
    return told


_TOLD = ("system", "developer")


def _spelled_out(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message whose one part of text is told as text."""
    content = message.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0]["type"] == "text":
        return {**message, "content": content[0]["text"]}
    return message


def _words(content: str | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or part.get("refusal") or "" for part in content)


def _parts(content: Sequence[Mapping[str, Any]]) -> tuple[TextPart | ImagePart, ...]:
    return tuple(
        TextPart(text=part["text"]) if part["type"] == "text" else ImagePart(url=part["image_url"]["url"])
        for part in content
    )


def _call(call: Mapping[str, Any]) -> ToolCall:
    return ToolCall(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])


def _check_results(messages: Sequence[Mapping[str, Any]]) -> None:
    """Each call has its result right behind it, and each result its call.

    Raises:
        ApiError: it has not.
    """
    open: list[str] = []
    for place, each in enumerate([*messages, {"role": "the end"}]):
        if each["role"] == "tool":
            if each["tool_call_id"] not in open:
                raise ApiError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'.",
                    param=f"messages.[{place}].role",
                )
            open.remove(each["tool_call_id"])
        elif open:
            raise ApiError(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open)}",
                param=f"messages.[{place}].role" if place < len(messages) else "messages",
            )
        if each["role"] == "assistant":
            calls: Any = each.get("tool_calls", ())
            open = [call["id"] for call in calls]
            if len(set(open)) < len(open):
                raise unfit(f"messages.[{place}].tool_calls", "two calls have the same 'id'")


def _schema(form: Mapping[str, Any]) -> Mapping[str, Any] | None:
    check_depth(form, "response_format")
    if form.get("type") == "json_schema":
        return form["json_schema"].get("schema") or {"type": "object"}
    return {"type": "object"} if form.get("type") == "json_object" else None


def _chosen(choice: Any, functions: list[Mapping[str, Any]]) -> tuple[str | None, list[Mapping[str, Any]]]:
    if not isinstance(choice, Mapping):
        return choice, functions
    if choice["type"] == "allowed_tools":
        allowed = choice["allowed_tools"]
        return allowed["mode"], narrowed(functions, [each["function"]["name"] for each in allowed["tools"]])
    return choice["function"]["name"], narrowed(functions, [choice["function"]["name"]], keep=True)

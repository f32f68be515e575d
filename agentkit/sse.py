"""A run as server-sent events, for web services.

Each event is a name of `EVENTS`, an id that counts from 1, and JSON. What is secret is `***`: results that are declared
so, arguments that are, and all arguments of tools that are not given here.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import anyio

from .errors import AgentError, InvalidArguments, said
from .events import (
    ApprovalNeeded,
    Event,
    HostedToolFinished,
    LimitReached,
    ModelAnswered,
    PartialOutput,
    ReasoningDelta,
    Retrying,
    RunFinished,
    RunResult,
    TextDelta,
    ToolCallDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from .messages import ToolCall, Usage
from .stream import RunStream
from .tool import Tool

HIDDEN = "***"
"""What stands where something is secret."""
HEARTBEAT = b": still here\n\n"
"""A comment, which browsers skip; it keeps proxies from closing a connection on which nothing happens."""

EVENTS: Mapping[type, str] = {
    TextDelta: "text_delta",
    ReasoningDelta: "reasoning_delta",
    ToolCallDelta: "tool_call_delta",
    HostedToolFinished: "hosted_tool_finished",
    Retrying: "retrying",
    PartialOutput: "partial_output",
    ModelAnswered: "model_answered",
    ToolStarted: "tool_started",
    ToolProgress: "tool_progress",
    ToolFinished: "tool_finished",
    ApprovalNeeded: "approval_needed",
    LimitReached: "limit_reached",
    RunFinished: "run_finished",
}
"""What each event is called; a run that fails ends with `error` instead of `run_finished`."""

Message = MutableMapping[str, Any]


async def sse(
    events: AsyncIterable[Event], *, tools: Iterable[Tool] = (), heartbeat: float | None = 15.0
) -> AsyncGenerator[bytes]:
    """The events of a run as the bytes of server-sent events, one chunk for each, at the reader's pace.

    What ends the run does not leave this: it becomes the last event, `error`.

    Args:
        events: A watched run, or any other source of events.
        tools: Tools whose arguments may be shown, without the secret ones.
        heartbeat: Seconds without an event after which a comment is sent; None for never. Only a `RunStream` has
            them: another source may not bear being interrupted while it waits.
    """
    known = {tool.name: tool for tool in tools}
    source, number = aiter(events), 0
    while True:
        number += 1
        try:
            event = None
            while event is None:
                seconds = heartbeat if isinstance(events, RunStream) else None
                with anyio.move_on_after(seconds):
                    event = await anext(source)
                if event is None:
                    yield HEARTBEAT
            chunk = _chunk(EVENTS[type(event)], _fields(event, known), number)
        except StopAsyncIteration:
            return
        except Exception as error:
            yield _chunk("error", error_to_json(error), number)
            return
        yield chunk


async def send_sse(
    watched: AbstractAsyncContextManager[RunStream[Any]],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
    *,
    tools: Iterable[Tool] = (),
    heartbeat: float | None = 15.0,
) -> None:
    """Answer an HTTP request of ASGI with a run; when the client goes away, the run is cancelled.

    Args:
        watched: What `agent.stream(...)` gives, not entered yet.
        receive: ASGI's.
        send: ASGI's.
        tools: See `sse`.
        heartbeat: See `sse`.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_until_gone, receive, group.cancel_scope)
        try:
            async with watched as run, aclosing(sse(run, tools=tools, heartbeat=heartbeat)) as chunks:
                await _respond(chunks, send)
        except OSError:
            pass  # the client is gone, and some servers say so when something is sent
        except Exception as error:  # raised again outside of the task group, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _respond(chunks: AsyncIterable[bytes], send: Callable[[Message], Awaitable[None]]) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Callable[[], Awaitable[Message]], scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def event_to_json(event: Event, tools: Iterable[Tool] = ()) -> dict[str, Any]:
    """An event as JSON values: its name as `event`, and its fields.

    Args:
        event: The event.
        tools: Tools whose arguments may be shown, without the secret ones.
    """
    return {"event": EVENTS[type(event)], **_fields(event, {tool.name: tool for tool in tools})}


def error_to_json(error: BaseException) -> dict[str, Any]:
    """What a client may know of an error: the class, and the message where it is one of agentkit's own."""
    own = isinstance(error, AgentError)
    return {
        "class": type(error).__name__,
        "message": said(error) if own else "the run failed",
        "run_id": error.run_id if isinstance(error, AgentError) else None,
    }


def _chunk(name: str, fields: Mapping[str, Any], number: int) -> bytes:
    return f"event: {name}\ndata: {json.dumps(fields, allow_nan=False)}\nid: {number}\n\n".encode()


def _fields(event: Event, tools: Mapping[str, Tool]) -> dict[str, Any]:
    match event:
        case TextDelta(text=text) | ReasoningDelta(text=text):
            return {"text": text}
        case ToolCallDelta():
            shown = event.name in tools and not tools[event.name].arguments.secrets
            return {"index": event.index, "name": event.name, "arguments": event.arguments if shown else HIDDEN}
        case HostedToolFinished():
            return {"call": _plain(event.call)}
        case Retrying():
            return {"error": event.error, "attempt": event.attempt, "seconds": event.seconds}
        case PartialOutput():
            return {"value": _plain(event.value)}
        case LimitReached():
            return {"which": event.which, "limit": _plain(event.limit)}
        case RunFinished():
            return _result(event.result)
        case ModelAnswered():
            return _answer(event, tools)
        case _:
            return _about_call(event, tools)


def _about_call(
    event: ToolStarted | ToolProgress | ToolFinished | ApprovalNeeded, tools: Mapping[str, Tool]
) -> dict[str, Any]:
    fields: dict[str, Any] = {"call": _call(event.call, tools)}
    if isinstance(event, ToolProgress):
        known = tools.get(event.call.name)
        inner = EVENTS.get(type(event.value))
        if inner:  # of a run within this one
            value: Any = {"event": inner, **_fields(event.value, tools)}
        else:
            value = HIDDEN if known and known.secret_result else _plain(event.value)
        fields["value"] = value
    elif isinstance(event, ToolFinished):
        result = event.result
        content = HIDDEN if result.secret else result.content
        fields["result"] = {"content": content, "is_error": result.is_error, "untrusted": result.untrusted}
        fields["seconds"] = event.seconds
    return fields


def _answer(event: ModelAnswered, tools: Mapping[str, Tool]) -> dict[str, Any]:
    response = event.response
    return {
        "iteration": event.iteration,
        "text": response.message.text,
        "tool_calls": [_call(each, tools) for each in response.message.tool_calls],
        "finish_reason": response.finish_reason,
        "usage": _usage(response.usage),
        "model": response.model,
    }


def _result(result: RunResult[Any]) -> dict[str, Any]:
    return {
        "output": _plain(result.value),
        "stopped_by": result.stopped_by,
        "usage": _usage(result.usage),
        "iterations": result.iterations,
        "tool_calls": result.tool_calls,
        "finish_reason": result.finish_reason,
        "run_id": result.run_id,
        "agent": result.agent,
        "cost": result.cost,
        "conversation": result.conversation,
        "trace_id": result.trace_id,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


def _call(call: ToolCall, tools: Mapping[str, Tool]) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": _arguments(call, tools.get(call.name))}


def _arguments(call: ToolCall, tool: Tool | None) -> Any:
    """The arguments as JSON values; `***` where one cannot tell what of them is secret."""
    if tool is None:
        return HIDDEN
    try:
        given = tool.arguments.read(call.arguments)
    except InvalidArguments:
        return HIDDEN if tool.arguments.secrets else call.arguments
    return {name: HIDDEN if name in tool.arguments.secrets else _plain(value) for name, value in given.items()}


def _plain(value: Any) -> Any:
    """JSON values, whatever it is: what has no form there is told by its type."""
    from pydantic_core import to_jsonable_python  # on first use: it costs a good part of `import agentkit`

    try:
        return to_jsonable_python(
            value, bytes_mode="base64", inf_nan_mode="strings", fallback=lambda each: f"<{type(each).__name__}>"
        )
    except Exception:  # whatever an object of somebody's own does when looked at
        return f"<{type(value).__name__}>"

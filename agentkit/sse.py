"""A run as server-sent events, for web services.

Each event is an id that counts from 1, a name of `EVENTS`, and JSON. What is secret is `***`: results that are declared
so, arguments that are, and all arguments of tools that are not given here.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import asdict
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from .errors import AgentError, ConfigError, InvalidArguments, said
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
from .messages import ToolCall, ToolResult
from .paused import Waiting
from .registry import Given, ToolRegistry
from .stream import RunStream
from .tool import Tool

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
HEARTBEAT = b": still here\n\n"
"""A comment, which browsers skip; it keeps proxies from closing a connection on which nothing happens."""
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
"""Of the response: nothing on the way may keep it, or hold it back."""

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_HIDDEN = "***"
_SHORTEST = 0.01
"""Seconds; with less, a busy event loop would send heartbeats and nothing else."""


async def sse(
    events: AsyncIterable[Event], *, tools: ToolRegistry | Iterable[Given] = (), heartbeat: float | None = 15.0
) -> AsyncGenerator[bytes]:
    """The events of a run as the bytes of server-sent events, one chunk for each, at the reader's pace.

    What ends the run becomes the event `error`, and is then raised again.

    Args:
        events: A watched run, or any other source of events.
        tools: Tools whose arguments may be shown, without the secret ones.
        heartbeat: Seconds without an event after which a comment is sent; None for never. Only a `RunStream` and a
            memory stream of anyio have them: any other source may not bear being interrupted while it waits.

    Raises:
        ConfigError: the heartbeat is none.
    """
    if heartbeat is not None and not heartbeat >= _SHORTEST:
        raise ConfigError(f"heartbeat={heartbeat!r}: must be {_SHORTEST} seconds or more, or None")
    known = _by_name(tools)
    seconds = heartbeat if isinstance(events, RunStream | MemoryObjectReceiveStream) else None
    source, number = aiter(events), 0
    while True:
        event, failure = None, None
        try:
            with anyio.move_on_after(seconds):
                event = await anext(source)
            chunk = HEARTBEAT if event is None else _chunk(_told(event, known), number + 1)
        except StopAsyncIteration:
            return
        except Exception as error:
            failure, chunk = error, _chunk(error_to_json(error), number + 1)
        number += chunk is not HEARTBEAT
        yield chunk
        if failure is not None:
            raise failure


async def send_sse(
    watched: AbstractAsyncContextManager[AsyncIterable[Event]],
    receive: Receive,
    send: Send,
    *,
    tools: ToolRegistry | Iterable[Given] = (),
    heartbeat: float | None = 15.0,
) -> None:
    """Answer an ASGI request with a run. When the client goes away, the run is cancelled, and this ends.

    What ends the run is told the client as the event `error`, and is raised when the response is complete.

    Args:
        watched: What `agent.stream(...)` gives, not entered yet.
        receive: ASGI's; the request's body is passed over.
        send: ASGI's.
        tools: See `sse`.
        heartbeat: See `sse`.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_until_gone, receive, group.cancel_scope)
        try:
            async with watched as run, aclosing(sse(run, tools=tools, heartbeat=heartbeat)) as chunks:
                await _respond(chunks, _sender(send, group.cancel_scope))
        except Exception as error:  # raised again outside of the task group, which would wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _respond(chunks: AsyncGenerator[bytes], send: Send) -> None:
    failure: Exception | None = None
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    while True:
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            break
        except Exception as error:
            failure = error
            break
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    if failure is not None:
        raise failure


def _sender(send: Send, scope: anyio.CancelScope) -> Send:
    async def sent(message: Message) -> None:
        try:
            await send(message)
        except OSError:  # how some servers say that the client is gone
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    return sent


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def event_to_json(event: Event, tools: ToolRegistry | Iterable[Given] = ()) -> dict[str, Any]:
    """An event as JSON values: its name as `event`, and its fields.

    Args:
        event: The event.
        tools: Tools whose arguments may be shown, without the secret ones.
    """
    return _told(event, _by_name(tools))


def error_to_json(error: BaseException) -> dict[str, Any]:
    """What a client may know of an error: its class, and its words where it is one of agentkit's own."""
    own = isinstance(error, AgentError)
    return {
        "event": "error",
        "error": type(error).__name__,
        "message": said(error) if own else "the run failed",
        "run_id": error.run_id if isinstance(error, AgentError) else None,
    }


def _by_name(given: ToolRegistry | Iterable[Given]) -> dict[str, Tool]:
    """Those that can be told apart by their name: agents that work together may each have a tool of one name."""
    known: dict[str, Tool] = {}
    tools = given if isinstance(given, ToolRegistry) else [tool for each in given for tool in ToolRegistry([each])]
    twins = {tool.name for tool in tools if known.setdefault(tool.name, tool) is not tool}
    return {name: tool for name, tool in known.items() if name not in twins}


def _chunk(told: Mapping[str, Any], number: int) -> bytes:
    data = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        line = data.encode()
    except UnicodeEncodeError:  # half a surrogate pair: UTF-8 has no form for it, and JSON has
        line = json.dumps(told, allow_nan=False, separators=(",", ":")).encode()
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, told["event"].encode(), line)


def _told(event: Event, tools: Mapping[str, Tool]) -> dict[str, Any]:
    return {"event": EVENTS[type(event)], **_fields(event, tools)}


def _fields(event: Event, tools: Mapping[str, Tool]) -> dict[str, Any]:
    match event:
        case TextDelta(text=text) | ReasoningDelta(text=text):
            return {"text": text}
        case ToolCallDelta():
            shown = event.name in tools and not tools[event.name].arguments.secrets
            return {"index": event.index, "name": event.name, "arguments": event.arguments if shown else _HIDDEN}
        case HostedToolFinished():
            return {"call": _plain(asdict(event.call))}
        case Retrying():
            return {"error": event.error, "attempt": event.attempt, "seconds": _plain(event.seconds)}
        case PartialOutput():
            return {"value": _plain(event.value)}
        case ModelAnswered():
            return _answer(event, tools)
        case ToolProgress():
            return {"call": _call(event.call, tools), "value": _progress(event, tools)}
        case ToolFinished():
            return {
                "call": _call(event.call, tools),
                "result": _tool_result(event.result),
                "seconds": _plain(event.seconds),
            }
        case ToolStarted() | ApprovalNeeded():
            return {"call": _call(event.call, tools)}
        case LimitReached():
            return {"which": event.which, "limit": _plain(event.limit)}
        case RunFinished():
            return _result(event.result)


def _progress(event: ToolProgress, tools: Mapping[str, Tool]) -> Any:
    known = tools.get(event.call.name)
    if known is not None and known.secret_result:
        return _HIDDEN
    if type(event.value) in EVENTS:  # of a run within this one
        return _told(event.value, tools)
    return _plain(event.value)


def _tool_result(result: ToolResult) -> dict[str, Any]:
    return {
        "content": _HIDDEN if result.secret else result.content,
        "parts": [_HIDDEN if result.secret else asdict(part) for part in result.parts],
        "is_error": result.is_error,
        "untrusted": result.untrusted,
    }


def _answer(event: ModelAnswered, tools: Mapping[str, Tool]) -> dict[str, Any]:
    response = event.response
    return {
        "iteration": event.iteration,
        "text": response.message.text,
        "refusal": response.message.refusal,
        "tool_calls": [_call(each, tools) for each in response.message.tool_calls],
        "finish_reason": response.finish_reason,
        "usage": asdict(response.usage),
        "model": response.model,
    }


def _result(result: RunResult[Any]) -> dict[str, Any]:
    waiting = result.paused.waiting if result.paused else ()
    return {
        "output": _plain(result.value),
        "stopped_by": result.stopped_by,
        "waiting": [_waiting(each) for each in waiting],
        "usage": asdict(result.usage),
        "iterations": result.iterations,
        "tool_calls": result.tool_calls,
        "finish_reason": result.finish_reason,
        "run_id": result.run_id,
        "agent": result.agent,
        "cost": _plain(result.cost),
        "conversation": result.conversation,
        "trace_id": result.trace_id,
    }


def _waiting(waiting: Waiting) -> dict[str, Any]:
    return {
        "call_id": waiting.call_id,
        "tool": waiting.tool,
        "kind": waiting.kind,
        "arguments": _plain(waiting.shown),
        "digest": waiting.digest,
        "expires_at": waiting.expires_at,
        "tainted": waiting.tainted,
    }


def _call(call: ToolCall, tools: Mapping[str, Tool]) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": _arguments(call, tools.get(call.name))}


def _arguments(call: ToolCall, tool: Tool | None) -> Any:
    """The arguments as JSON values; `***` where one cannot tell what of them is secret."""
    if tool is None:
        return _HIDDEN
    try:
        given = tool.arguments.read(call.arguments)
    except InvalidArguments:
        return _HIDDEN if tool.arguments.secrets else call.arguments
    shown = tool.parameters.get("properties", {}).keys() - tool.arguments.secrets
    return {name: _plain(value) if name in shown else _HIDDEN for name, value in given.items()}


def _plain(value: Any) -> Any:
    """JSON values, whatever it is: what has no form there is told by its type, and never by its `repr`."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        pass
    from pydantic_core import to_json  # on first use: it costs a good part of `import agentkit`

    try:
        return json.loads(
            to_json(
                value, bytes_mode="base64", inf_nan_mode="strings", fallback=lambda each: f"<{type(each).__name__}>"
            )
        )
    except Exception:  # whatever an object of somebody's own does when looked at
        return f"<{type(value).__name__}>"

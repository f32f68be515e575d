"""One scripted conversation, played through the Chat and the Assistants backend, and what is told of it.

What is told can be compared with `==`: it leaves out only what the two wires must tell differently.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import groupby
from typing import Any

import anyio
import httpx2
from anyio.lowlevel import current_token
from openai import AsyncOpenAI, DefaultAioHttpClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentkit import Agent, AgentError, RunResult, Telemetry, ToolFailed, tool
from agentkit.events import Event, ModelAnswered, RunFinished, ToolFinished, ToolStarted
from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, Usage
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.base import TextDelta, ToolCallDelta
from agentkit.models.chat import ChatBackend
from agentkit.testing import AssistantsServer, ChatServer
from agentkit.testing.reply import ScriptedReply, as_reply

Plain = dict[str, Any]
_ASKED = {
    "model": None,
    "messages": None,
    "tools": None,
    "response_format": "auto",
    "temperature": 1.0,
    "top_p": 1.0,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning_effort": None,
}
"""What a model is asked, and what it is taken for where nothing is said."""
ACTIVE = {"queued", "in_progress", "requires_action", "cancelling"}
WIRES = ("chat", "assistants")


def price(prompt: str, turn: int) -> Usage:
    """What a reply costs: each something else, so that none can be left out or counted twice unseen."""
    return Usage(input_tokens=1000 + 7 * turn + len(prompt) % 50, output_tokens=10 + turn + len(prompt) % 70)


class Script:
    """What the model says to each prompt, one reply after the other; the same function of a request on both wires."""

    def __init__(self, replies: Mapping[str, Sequence[ScriptedReply]]) -> None:
        self.replies = replies
        self.turns: list[tuple[str, int]] = []
        """Which replies were taken: to which prompt, and which of its replies."""
        self.asked: list[Plain] = []
        """The requests, in what both wires say of them."""
        self.hears = anyio.Event()
        """Set when the model is asked for a reply that never comes."""

    def __call__(self, body: Plain) -> ScriptedReply:
        said = body["messages"]
        at = max(n for n, m in enumerate(said) if m["role"] == "user" and m["content"] in self.replies)
        prompt, turn = said[at]["content"], sum(m["role"] == "assistant" for m in said[at:])
        self.turns.append((prompt, turn))
        self.asked.append({name: body.get(name, usual) for name, usual in _ASKED.items()})
        reply = as_reply(self.replies[prompt][turn])
        if reply.delay_until == "never":
            self.hears.set()
        return replace(reply, usage=price(prompt, turn))


@dataclass(kw_only=True)
class Tools:
    """Tools that note each time they run."""

    ran: list[str] = field(default_factory=list)
    waits: anyio.Event = field(default_factory=anyio.Event)
    """Set when a tool has begun that does not end."""

    def all(self) -> list[Callable[..., Any]]:
        """The tools."""
        ran = self.ran

        @tool
        async def look(what: str) -> str:
            """Look for something."""
            ran.append(f"look {what}")
            await anyio.lowlevel.checkpoint()
            return f"One {what}, \u00fc and \U0001f600."

        @tool
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            ran.append(f"add {a} {b}")
            return a + b

        @tool
        async def fail(why: str) -> str:
            """Fail in the tool's own words."""
            ran.append(f"fail {why}")
            raise ToolFailed(f"It did not work: {why}.")

        @tool
        def crash() -> str:
            """Fail without any."""
            ran.append("crash")
            raise ZeroDivisionError("by nought")

        @tool
        async def wait() -> None:
            """Never end."""
            ran.append("wait")
            self.waits.set()
            await anyio.sleep_forever()

        return [look, add, fail, crash, wait]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a run has told its user."""

    messages: list[Message]
    """Without the state, which only the backend reads."""
    usage: Plain
    result: tuple[Any, ...] = ()
    """Output, iterations, tool calls, and why the last answer ended."""
    error: tuple[Any, ...] = ()
    """Its type, and what its fields say."""
    events: list[Any] = field(default_factory=list)
    history: Sequence[Message] = field(default=(), compare=False)
    """The messages as they are."""


@dataclass(kw_only=True)
class Stage:
    """A scripted model behind its server, and an agent before it."""

    wire: str
    server: Any
    agent: Agent[Any]
    script: Script
    tools: Tools
    spans: InMemorySpanExporter

    async def say(self, prompt: str, streamed: bool, **how: Any) -> Told:
        """Run the agent once. `history` and `session` are those of `Agent.run`; others are fields of the agent."""
        where = {name: how.pop(name) for name in ("history", "session") if name in how}
        agent, events = replace(self.agent, **how), list[Event]()
        try:
            if streamed:
                async with agent.stream(prompt, **where) as run:
                    async for event in run:
                        events.append(event)
                result = run.result
            else:
                result = await agent.run(prompt, **where)
        except AgentError as error:
            return _failed(error, events)
        return _told(result, events)

    def tree(self) -> list[Plain]:
        """The spans of the runs so far, in the order in which they began."""
        return _tree(self.spans.get_finished_spans())

    def whole(self) -> Plain:
        """What has happened besides what the runs have told: spans, what the model was asked, which tools ran."""
        return {"spans": self.tree(), "asked": [*self.script.asked], "ran": Counter(self.tools.ran)}

    def leftovers(self) -> Plain:
        """What is still going on at the server, and what it has more of than it needs."""
        if self.wire == "chat":
            return {}
        used = [self.server.runs(thread["id"]) for thread in self.server.threads]
        return {
            "active": [run for runs in used for run in runs if run["status"] in ACTIVE],
            "threads": sum(map(bool, used)),
            "assistants": len(self.server.assistants),
        }


@asynccontextmanager
async def stage(
    wire: str, replies: Mapping[str, Sequence[ScriptedReply]], *, server: Plain | None = None, **agent: Any
) -> AsyncGenerator[Stage]:
    """A stage for these replies; `server` has further arguments of its server."""
    script, tools, spans = Script(replies), Tools(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    kind: Any = ChatServer if wire == "chat" else AssistantsServer
    async with kind(script, **(server or {})) as running:
        client = AsyncOpenAI(base_url=running.base_url, api_key="k", http_client=_quick_client())
        async with client:
            model: Any = ChatBackend if wire == "chat" else AssistantsBackend
            of = {"name": "a", "instructions": "Be brief.", "tools": tools.all(), **agent}
            acting = Agent(model("m", client=client), telemetry=Telemetry(tracer_provider=provider), **of)
            yield Stage(wire=wire, server=running, agent=acting, script=script, tools=tools, spans=spans)


def _quick_client() -> httpx2.AsyncClient:
    """The client that the SDK takes in this event loop, without the certificates, which take longer than a run."""
    on_trio = "trio" in type(current_token().native_token).__module__
    return httpx2.AsyncClient(verify=False) if on_trio else DefaultAioHttpClient(verify=False)


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two tellings differ, and how: what a test shows of them."""
    if isinstance(one, Told) and isinstance(other, Told):
        one, other = _compared(one), _compared(other)
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(name, one[name], other[name]) for name in one]
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = [(str(n), *both) for n, both in enumerate(zip(one, other, strict=True))]
    else:
        return [] if one == other else [f"{at}: {one!r} is now {other!r}"]
    return [found for name, a, b in pairs for found in differences(a, b, f"{at}.{name}")]


def _compared(told: Told) -> Plain:
    return {f.name: getattr(told, f.name) for f in fields(told) if f.compare}


def without_state(messages: Sequence[Message]) -> list[Message]:
    """Messages as all but their backend see them."""
    return [replace(m, state=None) if isinstance(m, AssistantMessage) else m for m in messages]


def anonymous(value: Any, ids: dict[str, str] | None = None) -> Any:
    """What was told, with the ids of tool calls numbered in the order in which they appear."""
    ids = {} if ids is None else ids

    def number(id: str) -> str:
        return ids.setdefault(id, f"#{len(ids)}")

    match value:
        case ToolCall(id=id):
            return replace(value, id=number(id))
        case ToolResult(call_id=id):
            return replace(value, call_id=number(id))
        case AssistantMessage(tool_calls=calls):
            return replace(value, tool_calls=tuple(anonymous(call, ids) for call in calls))
        case Told(messages=messages, events=events):
            return replace(value, messages=anonymous(messages, ids), events=anonymous(events, ids))
        case dict():
            return {ids.get(name, name): anonymous(inner, ids) for name, inner in value.items() if name not in _IDS}
        case list() | tuple():
            return [anonymous(inner, ids) for inner in value]
    return value


def tokens(usage: Usage | None) -> Plain:
    """What a usage says on both wires."""
    usage = usage or Usage()
    return {"input": usage.input_tokens, "output": usage.output_tokens, "total": usage.total_tokens}


def _told(result: RunResult[Any], events: Sequence[Event]) -> Told:
    return Told(
        messages=without_state(result.messages),
        usage=tokens(result.usage),
        result=(result.output, result.iterations, result.tool_calls, result.finish_reason),
        events=_in_short(events),
        history=result.messages,
    )


def _failed(error: AgentError, events: Sequence[Event]) -> Told:
    said = [getattr(error, name, None) for name in ("which", "limit", "partial", "text", "retryable")]
    return Told(
        messages=without_state(error.history),
        usage=tokens(error.usage),
        error=(type(error), *said, getattr(error, "__notes__", [])),
        events=_in_short(events),
        history=error.history,
    )


def _in_short(events: Sequence[Event]) -> list[Any]:
    """The events in their order: the deltas of an answer joined, and of tools that run at once, call by call."""
    told: list[Any] = []
    text, calls = "", dict[int, tuple[str, str]]()
    for kind, group in groupby(events, lambda event: isinstance(event, ToolStarted | ToolFinished)):
        if kind:
            told.append(_of_tools(list(group)))
            continue
        for event in group:
            match event:
                case TextDelta(text=piece):
                    assert piece
                    text += piece
                case ToolCallDelta(index=index, name=name, arguments=piece):
                    calls[index] = (name, calls.get(index, ("", ""))[1] + piece)
                case ModelAnswered(response=response, iteration=n):
                    [message] = without_state([response.message])
                    answer = (n, message, response.finish_reason, response.model)
                    told.append({"text": text, "calls": sorted(calls.items()), "answer": answer})
                    text, calls = "", {}
                case RunFinished(result=result):
                    told.append({"output": result.output, "usage": tokens(result.usage)})
                case _:
                    told.append(event)
    return [*told, {"unfinished": text, "calls": sorted(calls.items())}] if text or calls else told


def _of_tools(events: Sequence[Any]) -> Plain:
    told: Plain = {}
    for event in events:
        result = event.result if isinstance(event, ToolFinished) else None
        told.setdefault(event.call.id, []).append((type(event).__name__, event.call, result))
    return told


_IDS = {"tool_call_id", "id", "gen_ai.tool.call.id"}
_APART = {
    "server.port",
    "gen_ai.response.id",
    "gen_ai.conversation.id",
    "gen_ai.response.time_to_first_chunk",
    "openai.api.type",
    "openai.response.service_tier",
    "openai.response.system_fingerprint",
}
_USED = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")


def _tree(spans: Sequence[ReadableSpan]) -> list[Plain]:
    inside: dict[int, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        inside.setdefault(span.parent.span_id if span.parent else 0, []).append(span)
    return _nodes(0, inside)


def _nodes(at: int, inside: Mapping[int, list[ReadableSpan]]) -> list[Plain]:
    """The spans in one span. Tools that run at once begin in any order."""
    nodes: list[Plain] = []
    for of_tools, group in groupby(inside.get(at, ()), lambda span: span.name.startswith("execute_tool")):
        told = list(map(partial(_node, inside=inside), group))
        nodes += sorted(told, key=_which_call) if of_tools else told
    return nodes


def _which_call(node: Plain) -> tuple[str, str]:
    return node["name"], node["attributes"]["gen_ai.tool.call.id"]


def _node(span: ReadableSpan, inside: Mapping[int, list[ReadableSpan]]) -> Plain:
    """A span in what both wires say of it.

    An Assistants server says what a turn that calls tools has used when the run goes on, so the usage of model calls is
    compared in sum, and only in spans that did not fail: there, none is missing.
    """
    attributes, own = dict(span.attributes or {}), span.context.span_id if span.context else 0
    calls = [dict(child.attributes or {}) for child in inside.get(own, ()) if child.name.startswith("chat ")]
    done = span.status.is_ok
    apart = {*_APART, *_USED} if span.name.startswith("chat ") or not done else _APART
    used = {name: sum(_numbers(calls, name)) for name in _USED} if calls and done else {}
    return {
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "attributes": {name: value for name, value in sorted(attributes.items()) if name not in apart},
        "model calls": used,
        "inside": _nodes(own, inside),
    }


def _numbers(attributes: Sequence[Plain], name: str) -> Iterator[int]:
    return (each.get(name, 0) for each in attributes)

"""The spans of a run, as a collector gets them."""

import subprocess
import sys
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from agentkit import Agent, LimitExceeded, Limits, ModelSettings, Session, Telemetry, ToolFailed, tool
from agentkit.errors import ServerFailed
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


class Traced:
    """A provider of the test's own, and what it got."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(tracer_provider=provider)
        self.tracer = provider.get_tracer("test")

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def parents(self) -> dict[str, str | None]:
        names = {s.context.span_id: s.name for s in self.exporter.get_finished_spans()}  # type: ignore[union-attr]
        return {n: names.get(s.parent.span_id) if s.parent else None for n, s in self.spans.items()}


@pytest.fixture
def traced() -> Traced:
    return Traced()


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def test_a_run_is_an_invoke_agent_span_around_chats_and_tools(traced: Traced) -> None:
    """Names, kinds, parents and required attributes are those of the GenAI conventions."""
    model = ScriptedModel([[call("add", a=1, b=2)], "3"])
    agent = Agent(model, name="adder", tools=[add], telemetry=traced.telemetry, settings=ModelSettings(temperature=1))
    result = await agent.run("1+2?", session=Session("alice"))
    assert traced.parents() == {
        "invoke_agent adder": None,
        "chat scripted": "invoke_agent adder",
        "execute_tool add": "invoke_agent adder",
    }
    assert [s.name for s in traced.exporter.get_finished_spans()] == [
        "chat scripted",
        "execute_tool add",
        "chat scripted",
        "invoke_agent adder",
    ]
    chat, execute, invoke = (traced.spans[n] for n in ("chat scripted", "execute_tool add", "invoke_agent adder"))
    assert dict(chat.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.temperature": 1.0,
        "gen_ai.conversation.id": "alice",
        "gen_ai.response.model": "scripted",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
    }
    assert dict(execute.attributes or {}) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "call_add",
        "gen_ai.tool.description": "Add two numbers.",
        "gen_ai.agent.name": "adder",
    }
    assert dict(invoke.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "adder",
        "gen_ai.request.model": "scripted",
        "gen_ai.request.temperature": 1.0,
        "gen_ai.conversation.id": "alice",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 10,
        "agentkit.outcome": "completed",
    }
    assert isinstance((chat.attributes or {})["gen_ai.request.temperature"], float)
    assert {s.status.status_code for s in traced.spans.values()} == {StatusCode.UNSET}
    assert invoke.kind is execute.kind is SpanKind.INTERNAL
    assert result.trace_id == format(invoke.context.trace_id, "032x")  # type: ignore[union-attr]


async def test_a_run_joins_the_trace_it_is_called_in(traced: Traced) -> None:
    """The application's span is the parent, and a tool's own spans are the tool's children; in threads too."""

    @tool
    def work() -> None:
        with traced.tracer.start_as_current_span("inner"):
            pass

    agent = Agent(ScriptedModel([[call("work")], "done"]), tools=[work], telemetry=traced.telemetry)
    with traced.tracer.start_as_current_span("request"):
        await agent.run("?")
    parents = traced.parents()
    assert parents["invoke_agent"] == "request"
    assert parents["inner"] == "execute_tool work"


async def test_a_tool_error_that_is_told_to_the_model_fails_only_the_tools_span(traced: Traced) -> None:
    """The run has succeeded, and its span says so."""

    @tool
    def fail() -> None:
        raise ValueError("card number 1234")

    await Agent(ScriptedModel([[call("fail")], "sorry"]), tools=[fail], telemetry=traced.telemetry).run("?")
    failed = traced.spans["execute_tool fail"]
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["error.type"] == "ValueError"
    assert "1234" not in failed.to_json()
    assert traced.spans["invoke_agent"].status.status_code is StatusCode.UNSET


async def test_what_a_tool_was_given_or_said_is_on_no_span(traced: Traced) -> None:
    """Not even in the words of an error, ours or the tool's own."""

    @tool
    def pay(card: int) -> None:
        raise ToolFailed(f"no card {card}")

    script = [[call("pay", card=41111)], [call("pay", card="41111-X")], [call("pay", cart=41111)], "sorry 41111"]
    await Agent(ScriptedModel(script), tools=[pay], telemetry=traced.telemetry).run("use 41111")
    assert len(traced.exporter.get_finished_spans()) == 8
    assert all("41111" not in span.to_json() for span in traced.exporter.get_finished_spans())


async def test_a_model_error_fails_the_chat_and_the_run(traced: Traced) -> None:
    """With the class of the error, not its message, as its type."""
    with pytest.raises(ServerFailed):
        await Agent(ScriptedModel([ServerFailed("boom")]), telemetry=traced.telemetry).run("?")
    for name in ("chat scripted", "invoke_agent"):
        span = traced.spans[name]
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "agentkit.errors.ServerFailed"


async def test_a_limit_fails_the_run_but_not_its_chats(traced: Traced) -> None:
    """The model has answered; it is the run that was stopped, and what it used is on its span."""
    agent = Agent(
        ScriptedModel([[call("add", a=1, b=2)]]), tools=[add], telemetry=traced.telemetry, limits=Limits(iterations=1)
    )
    with pytest.raises(LimitExceeded):
        await agent.run("?")
    assert traced.spans["chat scripted"].status.status_code is StatusCode.UNSET
    attributes = traced.spans["invoke_agent"].attributes or {}
    assert attributes["error.type"] == "agentkit.errors.LimitExceeded"
    assert attributes["gen_ai.usage.input_tokens"] == 10


async def test_a_streamed_chat_says_so_and_only_a_streamed_one(traced: Traced) -> None:
    """`gen_ai.request.stream` is true or absent."""
    agent = Agent(ScriptedModel(["a", "b"]), telemetry=traced.telemetry)
    await agent.run("?")
    async with agent.stream("?") as run:
        await run.finish()
    chats: list[Any] = [s for s in traced.exporter.get_finished_spans() if s.name == "chat scripted"]
    assert [s.attributes.get("gen_ai.request.stream") for s in chats] == [None, True]


async def test_concurrent_runs_keep_their_own_traces(traced: Traced) -> None:
    """Each run's spans hang together, whatever else goes on."""
    agent = Agent(ScriptedModel([lambda r: "x"] * 20), telemetry=traced.telemetry)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(agent.run, "?")
    by_trace: dict[int, list[str]] = {}
    for span in traced.exporter.get_finished_spans():
        by_trace.setdefault(span.context.trace_id, []).append(span.name)  # type: ignore[union-attr]
    assert sorted(by_trace.values()) == [["chat scripted", "invoke_agent"]] * 20


async def test_what_is_not_known_is_left_out(traced: Traced) -> None:
    """No attribute is None, empty or "unknown"."""
    await Agent(ScriptedModel(["x"]), telemetry=traced.telemetry).run("?")
    assert "gen_ai.agent.name" not in (traced.spans["invoke_agent"].attributes or {})
    assert "gen_ai.conversation.id" not in (traced.spans["chat scripted"].attributes or {})
    assert "server.address" not in (traced.spans["chat scripted"].attributes or {})


def test_the_applications_own_set_up_is_found_even_if_it_comes_later() -> None:
    """A library user sets OpenTelemetry up once, whenever; agentkit never touches the global provider itself."""
    script = """
import anyio
from agentkit import Agent
from agentkit.testing import ScriptedModel
agent = Agent(ScriptedModel(["a", "b"]))
assert agent.run_sync("before").trace_id is None
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
assert agent.run_sync("after").trace_id
print([span.name for span in exporter.get_finished_spans()])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("['chat scripted', 'invoke_agent']", "")

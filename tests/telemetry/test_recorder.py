"""Runs' spans, kept in memory."""

from collections.abc import Iterator
from dataclasses import replace

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentkit import Agent, ModelError, ToolFailed, ToolFinished
from agentkit.errors import ServerFailed
from agentkit.telemetry.recorder import SpanNode, SpanRecorder
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


def double(n: int) -> int:
    """Double a number."""
    return 2 * n


def broken() -> int:
    """Fail."""
    raise ToolFailed("out of order")


def shape(node: SpanNode) -> object:
    return (node.name, [shape(child) for child in node.children]) if node.children else node.name


async def test_a_run_is_a_tree_of_its_model_and_tool_calls() -> None:
    """Whoever looks at a trace sees what the run did, in the order it did it, and how long each part took."""
    recorder = SpanRecorder()
    model = ScriptedModel([[call("double", n=1), call("double", n=2)], "done"])
    await Agent(model, name="clerk", tools=[double], telemetry=recorder.telemetry).run("go")
    [root] = recorder.tree()
    calls = ["chat scripted", "execute_tool double", "execute_tool double", "chat scripted"]
    assert shape(root) == ("invoke_agent clerk", calls)
    assert root.attributes["gen_ai.agent.name"] == "clerk"
    assert root.start <= root.children[0].start
    assert 0 <= root.children[0].seconds <= root.seconds
    assert root.error is None


async def test_what_failed_is_marked() -> None:
    """A failed tool call has failed, and the run that went on has not; a failed run has."""
    recorder = SpanRecorder()
    agent = Agent(ScriptedModel([[call("broken")], "sorry"]), tools=[broken], telemetry=recorder.telemetry)
    await agent.run("go")
    with pytest.raises(ModelError):
        await replace(agent, model=ScriptedModel([ServerFailed("down")])).run("go")
    went_on, failed = recorder.tree()
    assert [(child.name, child.error) for child in went_on.children if child.error] == [
        ("execute_tool broken", "agentkit.errors.ToolFailed")
    ]
    assert went_on.error is None
    assert failed.error == failed.children[0].error == "agentkit.errors.ServerFailed"


async def test_an_agent_inside_a_tool_is_inside_the_tools_span() -> None:
    """An agent that asks another one is seen as a whole."""
    recorder = SpanRecorder()
    inner = Agent(ScriptedModel(["4"]), name="inner", telemetry=recorder.telemetry)

    async def ask() -> str:
        """Ask the other one."""
        return (await inner.run("2+2?")).output

    model = ScriptedModel([[call("ask")], "4"])
    await Agent(model, name="outer", tools=[ask], telemetry=recorder.telemetry).run("go")
    [root] = recorder.tree()
    inside = ("execute_tool ask", [("invoke_agent inner", ["chat scripted"])])
    assert shape(root) == ("invoke_agent outer", ["chat scripted", inside, "chat scripted"])


async def test_spans_stand_in_the_order_in_which_they_began() -> None:
    """Of two tools that run at the same time, the one that began first comes first, whichever ends first."""
    recorder, short_has_ended = SpanRecorder(), anyio.Event()

    async def long() -> str:
        """Wait for the other one."""
        await short_has_ended.wait()
        return "done"

    async def short() -> str:
        """End at once."""
        return "done"

    model = ScriptedModel([[call("long"), call("short")], "ok"])
    with anyio.fail_after(5):
        async with Agent(model, tools=[long, short], telemetry=recorder.telemetry).stream("go") as run:
            async for event in run:
                if isinstance(event, ToolFinished) and event.call.name == "short":
                    short_has_ended.set()
    [root] = recorder.tree()
    began = [span.start for span in root.children]
    assert len(began) == 4
    assert began == sorted(began)


@pytest.fixture
def application() -> Iterator[tuple[TracerProvider, InMemorySpanExporter]]:
    exported = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    yield provider, exported
    provider.shutdown()


async def test_the_applications_own_tracing_goes_on(
    application: tuple[TracerProvider, InMemorySpanExporter],
) -> None:
    """The application's spans go where they went; those of the recorded agent do not, and stand at the top here."""
    provider, exported = application
    recorder = SpanRecorder()
    before = trace.get_tracer_provider()
    with provider.get_tracer("app").start_as_current_span("request"):
        await Agent(ScriptedModel(["hi"]), name="clerk", telemetry=recorder.telemetry).run("go")
    assert trace.get_tracer_provider() is before
    assert [span.name for span in exported.get_finished_spans()] == ["request"]
    assert [shape(root) for root in recorder.tree()] == [("invoke_agent clerk", ["chat scripted"])]


async def test_the_environment_does_not_thin_out_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling that is set for the application's exporter does not make `--trace` empty."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    recorder = SpanRecorder()
    await Agent(ScriptedModel(["hi"]), telemetry=recorder.telemetry).run("go")
    assert [root.name for root in recorder.tree()] == ["invoke_agent"]


def test_a_recorder_that_saw_nothing_has_an_empty_tree() -> None:
    """No run, no spans."""
    assert SpanRecorder().tree() == ()

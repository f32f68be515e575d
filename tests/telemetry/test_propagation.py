"""The current span, told to the servers that tools ask and to the processes that tools run in."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import isolated_tools
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import TraceFlags, format_span_id, format_trace_id

from agentkit import Agent, Telemetry, ToolResult, tool
from agentkit.models.chat import ChatBackend
from agentkit.telemetry.propagation import inject
from agentkit.testing import ChatServer, ScriptedModel, call

pytestmark = pytest.mark.anyio


class Traced:
    """A provider of the test's own, and what it got."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(tracer_provider=provider)
        self.tracer = provider.get_tracer("test")

    def named(self, name: str) -> ReadableSpan:
        [span] = [each for each in self.exporter.get_finished_spans() if each.name == name]
        return span


def traceparent_of(span: ReadableSpan) -> str:
    found = span.get_span_context()
    assert found is not None
    return f"00-{format_trace_id(found.trace_id)}-{format_span_id(found.span_id)}-{found.trace_flags:02x}"


@tool
async def asynchronous() -> dict[str, str]:
    """Give the headers of a request."""
    return inject({})


@tool
def threaded() -> dict[str, str]:
    """Give the headers of a request."""
    return inject({})


@tool
def stepwise() -> Iterator[dict[str, str]]:
    """Give the headers of a request, after another step."""
    yield {}
    yield inject({})


@tool
async def stepwise_asynchronous() -> AsyncIterator[dict[str, str]]:
    """Give the headers of a request, after another step."""
    yield {}
    yield inject({})


@pytest.fixture
def with_baggage() -> Iterator[None]:
    token = context.attach(baggage.set_baggage("tenant", "anna & co"))
    yield
    context.detach(token)


async def told(function: Any, telemetry: Telemetry) -> Any:
    """What the model is told of a call."""
    name = function.name if hasattr(function, "name") else function.__name__
    agent = Agent(ScriptedModel([[call(name)], "ok"]), tools=[function], telemetry=telemetry)
    result = await agent.run("?")
    [found] = [each for each in result.messages if isinstance(each, ToolResult)]
    assert not found.is_error, found.content
    return json.loads(found.content)


@pytest.mark.parametrize(
    "function", [asynchronous, threaded, stepwise, stepwise_asynchronous], ids=lambda f: f.__name__
)
async def test_a_request_of_a_tool_is_a_child_of_the_tools_span(function: Any) -> None:
    """In the event loop, in a thread, and between the steps of a generator."""
    traced = Traced()
    headers = await told(function, traced.telemetry)
    assert headers == {"traceparent": traceparent_of(traced.named(f"execute_tool {function.__name__}"))}


async def test_an_isolated_tool_is_in_the_tools_span_too(with_baggage: None) -> None:
    """The other process takes up the span and the baggage before it calls the function."""
    traced = Traced()
    found = await told(isolated_tools.traced, traced.telemetry)
    traceparent = traceparent_of(traced.named("execute_tool traced"))
    assert found["headers"] == {"traceparent": traceparent, "baggage": "tenant=anna+%26+co"}


async def test_an_isolated_tool_loads_no_opentelemetry_when_there_is_no_span() -> None:
    """Where nothing is recorded, a call costs what it cost."""
    assert await told(isolated_tools.traced, Telemetry()) == {"headers": {}, "loaded": False}


async def test_a_span_that_is_not_sampled_says_so_to_the_server() -> None:
    """The server leaves its part of the trace out, too."""
    traced = Traced(sampler=ALWAYS_OFF)
    for headers in (
        await told(threaded, traced.telemetry),
        (await told(isolated_tools.traced, traced.telemetry))["headers"],
    ):
        flags = int(headers["traceparent"].rpartition("-")[2], 16)
        assert not flags & TraceFlags.SAMPLED


async def test_isolated_calls_at_once_are_each_in_their_own_span() -> None:
    """No call takes another's span with it."""
    traced = Traced()
    model = ScriptedModel([[call("traced"), call("traced"), call("traced")], "ok"])
    result = await Agent(model, tools=[isolated_tools.traced], telemetry=traced.telemetry).run("?")
    told = [json.loads(m.content)["headers"]["traceparent"] for m in result.messages if isinstance(m, ToolResult)]
    spans = [span for span in traced.exporter.get_finished_spans() if span.name == "execute_tool traced"]
    assert sorted(told) == sorted(traceparent_of(span) for span in spans)
    assert len(set(told)) == 3


async def test_no_request_to_a_model_carries_the_trace(with_baggage: None) -> None:
    """What a trace and its baggage say is not for the model's provider."""
    traced = Traced()
    async with ChatServer([[call("threaded")], "ok"]) as server:
        model = ChatBackend("gpt-5.5", base_url=f"{server.url}/v1", api_key="k")
        with traced.tracer.start_as_current_span("request"):
            await Agent(model, tools=[threaded], telemetry=traced.telemetry).run("?")
        assert len(server.requests) == 2
        for request in server.requests:
            assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in request.headers}


def test_without_a_span_headers_stay_as_they_are(with_baggage: None) -> None:
    """Baggage alone does not leave the program."""
    headers = {"Accept": "*/*"}
    assert inject(headers) is headers
    assert headers == {"Accept": "*/*"}


def test_headers_of_any_kind_get_one_traceparent() -> None:
    """A dict with capitals, and a library's own headers, do not send two."""
    traced = Traced()
    with traced.tracer.start_as_current_span("request") as span:
        own = inject({"Traceparent": "old", "Accept": "*/*"})
        library = inject(httpx2.Headers({"Traceparent": "old", "Accept": "*/*"}))
    expected = traceparent_of(span)  # type: ignore[arg-type]
    assert own == {"Accept": "*/*", "traceparent": expected}
    assert library.get_list("traceparent") == [expected]


def test_the_format_is_that_of_the_applications_propagators() -> None:
    """OTEL_PROPAGATORS says it, and where it names what is not there, the error names the variable."""
    program = (
        "from opentelemetry import context, trace\n"
        "from agentkit.telemetry.propagation import inject\n"
        "span = trace.NonRecordingSpan(trace.SpanContext(1, 2, False))\n"
        "context.attach(trace.set_span_in_context(span))\n"
        "print(inject({}))"
    )
    assert _printed(program, "tracecontext") == "{'traceparent': '00-" + "1".zfill(32) + "-" + "2".zfill(16) + "-00'}\n"
    assert _printed(program, "none") == "{}\n"
    assert "agentkit.errors.ConfigError: OTEL_PROPAGATORS: Propagator b4 not found" in _printed(program, "b4")


def _printed(program: str, propagators: str) -> str:
    environment = {**os.environ, "OTEL_PROPAGATORS": propagators}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_it_is_the_current_span_that_is_told() -> None:
    """A span that has ended, or was never current, is not."""
    traced = Traced()
    traced.tracer.start_span("never current").end()
    assert inject({}) == {}
    assert trace.get_current_span() is trace.INVALID_SPAN

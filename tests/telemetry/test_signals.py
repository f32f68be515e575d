"""Metrics and events by themselves: where they go, what they hang on, and what they cost where nobody wants them."""

import logging
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from endings import ENDINGS, PROMPT, REFUSAL, Stage, add, local
from exports import Memory
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from agentkit import Agent, ConfigError, ModelSettings, Telemetry
from agentkit.errors import Refused, ServerFailed
from agentkit.models.base import TextDelta
from agentkit.telemetry import semconv as s
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


async def test_metrics_are_there_without_spans() -> None:
    """Who has only a meter provider has all of them."""
    reader = InMemoryMetricReader()
    telemetry = Telemetry(meter_provider=MeterProvider([reader], shutdown_on_exit=False))
    await Stage(telemetry).clerk(local([call("add", a=1, b=2)], "3"), add).run("?")
    data = reader.get_metrics_data()
    assert data is not None
    found = {m.name for r in data.resource_metrics for made in r.scope_metrics for m in made.metrics}
    streamed = {s.TIME_TO_FIRST_CHUNK, s.TIME_PER_OUTPUT_CHUNK}
    assert found == set(s.METRICS) - streamed - {s.WORKFLOW_DURATION, s.SPENT}


async def test_an_example_of_a_value_is_the_span_it_was_measured_of() -> None:
    """From a bar in a dashboard one gets to a trace."""
    memory, reader = Memory(), InMemoryMetricReader()
    meters = MeterProvider([reader], exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False)
    telemetry = Telemetry(tracer_provider=memory.tracers, meter_provider=meters)
    await Stage(telemetry).clerk(local([call("add", a=1, b=2)], "3"), add).run("?")
    operations = {span.span_id: span.operation for span in memory.exports().spans}
    data = reader.get_metrics_data()
    assert data is not None
    examples = {
        metric.name: {operations[each.span_id] for point in metric.data.data_points for each in point.exemplars}
        for resource in data.resource_metrics
        for made in resource.scope_metrics
        for metric in made.metrics
    }
    assert examples[s.OPERATION_DURATION] == examples[s.TOKEN_USAGE] == {"chat"}
    assert examples[s.TOOL_DURATION] == {"execute_tool"}
    assert examples[s.AGENT_DURATION] == examples[s.RUNS] == {"invoke_agent"}


async def test_the_pieces_of_a_streamed_answer_take_no_longer_than_the_call() -> None:
    """The first from the call's beginning, and each later one from the one before it."""

    class Chatty(ScriptedModel):
        async def generate(self, request: Any, on_delta: Any = None) -> Any:
            for piece in ["a", "bc", "def"] * 10:
                await on_delta(TextDelta(text=piece))
            return await super().generate(request)

    memory = Memory()
    async with Stage(memory.telemetry).clerk(Chatty(["x"])).stream(PROMPT) as run:
        await run.finish()
    sums = {point.name: (point.count, point.sum) for point in memory.exports().points}
    [first, later, whole] = [sums[n] for n in (s.TIME_TO_FIRST_CHUNK, s.TIME_PER_OUTPUT_CHUNK, s.OPERATION_DURATION)]
    assert (first[0], later[0], whole[0]) == (1, 29, 1)
    assert first[1] + later[1] <= whole[1]


async def test_two_agents_share_the_instruments_of_a_provider(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK logs a warning where an instrument is made twice in different ways."""
    memory = Memory()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            telemetry = Telemetry(tracer_provider=memory.tracers, meter_provider=memory.meters)
            await Stage(telemetry).clerk(local("x")).run("?")
    assert caplog.records == []
    assert [p.count for p in memory.exports().points if p.name == s.AGENT_DURATION] == [2]


async def test_a_model_call_that_fails_is_an_event_of_the_log() -> None:
    """A warning, in the context of the span, that repeats nobody's words."""
    memory = Memory()
    for error in (ServerFailed(PROMPT, status=503), Refused(REFUSAL), ValueError(PROMPT)):
        with pytest.raises(type(error)):
            await Stage(memory.telemetry).clerk(local(error)).run(PROMPT)
    exports = memory.exports()
    assert [(log.name, log.severity) for log in exports.logs] == [(s.EXCEPTION, 13)] * 3
    assert [dict(log.attributes) for log in exports.logs] == [
        {s.EXCEPTION_TYPE: "agentkit.errors.ServerFailed", s.EXCEPTION_MESSAGE: "HTTP 503"},
        {s.EXCEPTION_TYPE: "agentkit.errors.Refused", s.EXCEPTION_MESSAGE: "The model declined to answer."},
        {s.EXCEPTION_TYPE: "ValueError", s.EXCEPTION_MESSAGE: (ValueError.__doc__ or "").partition("\n")[0]},
    ]
    assert [log.span_id for log in exports.logs] == [chat.span_id for chat in exports.of("chat")]


async def test_what_says_nothing_or_is_of_another_kind_is_left_out() -> None:
    """What the conventions call by a name is told by that name only where it is what they say."""
    extra: dict[str, Any] = {"n": 1, "top_k": True, "service_tier": "auto", "presence_penalty": None}
    memory, model = Memory(), local("x")
    model.info = replace(model.info, api="chat_completions")
    await Stage(memory.telemetry).clerk(model, settings=ModelSettings(extra=extra)).run("?")
    [chat] = memory.exports().of("chat")
    names = (s.REQUEST_CHOICE_COUNT, s.REQUEST_TOP_K, s.REQUEST_PRESENCE_PENALTY, s.OPENAI_REQUEST_SERVICE_TIER)
    assert [chat.attributes.get(name) for name in names] == [None] * 4


async def test_what_openai_says_of_itself_is_on_its_calls() -> None:
    """And what it was asked for, where that is not the default."""
    memory = Memory()
    async with Stage(memory.telemetry).chat("x") as model:
        await Stage(memory.telemetry).clerk(model, settings=ModelSettings(extra={"service_tier": "flex"})).run("?")
    [chat] = memory.exports().of("chat")
    assert chat.attributes[s.OPENAI_REQUEST_SERVICE_TIER] == "flex"
    assert chat.attributes[s.OPENAI_RESPONSE_SERVICE_TIER] == "default"
    assert chat.attributes[s.OPENAI_RESPONSE_SYSTEM_FINGERPRINT] == "fp_scripted"


async def test_a_model_call_that_is_cancelled_is_no_event_of_the_log() -> None:
    """Nothing is wrong with the model."""
    [ending] = [each for each in ENDINGS if each.name == "cancelled in a model call"]
    memory = Memory()
    await ending.happens(Stage(memory.telemetry))
    assert memory.exports().logs == ()


def test_content_that_means_nothing_is_refused_at_once() -> None:
    """Not by the first run in production."""
    with pytest.raises(ConfigError, match="content="):
        Telemetry(content="everything")


def test_where_nothing_is_set_up_nothing_of_opentelemetry_is_imported() -> None:
    """A run without telemetry does not pay for it; what is set up later is found."""
    program = """
import sys
from agentkit import Agent
from agentkit.testing import ScriptedModel
agent = Agent(ScriptedModel(["a", "b"]))
agent.run_sync("?")
print([name for name in sys.modules if name.startswith("opentelemetry")])
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
agent.run_sync("?")
print(len(reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics))
"""
    assert printed(program).splitlines() == ["[]", "6"]


def test_no_log_record_is_made_where_nobody_has_set_logs_up() -> None:
    """The API of logs is still private: it is not even imported."""
    program = """
import sys
from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider
from agentkit import Agent, Telemetry
from agentkit.testing import ScriptedModel
try:
    Agent(ScriptedModel([ValueError("no")]), telemetry=Telemetry(tracer_provider=NoOpTracerProvider())).run_sync("?")
except ValueError:
    print("opentelemetry._logs" in sys.modules, "opentelemetry.metrics" in sys.modules)
"""
    assert printed(program) == "False False"


async def test_a_run_that_nobody_sees_has_no_trace() -> None:
    """And hands no trace to whoever goes on from its pause."""
    result = await Agent(ScriptedModel(["x"]), telemetry=Telemetry()).run("?")
    assert result.trace_id is None

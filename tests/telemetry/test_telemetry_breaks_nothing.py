"""Whatever becomes of spans, metrics and events, a run comes to what it would come to without them."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import anyio
import pytest
from endings import LOCAL, PROMPT, SAID, Stage, add, facts, local
from exports import Memory
from norm import check
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import Sampler

from agentkit import Agent, AssistantMessage, ConfigError, ModelSettings, Telemetry, ToolCall, Usage
from agentkit.errors import ServerFailed
from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta
from agentkit.telemetry import quiet
from agentkit.telemetry.content import Content
from agentkit.telemetry.content_upload import BASE_PATH, Upload
from agentkit.telemetry.nothing import UPLOADS
from agentkit.testing import Reply, call

pytestmark = pytest.mark.anyio
FACTS = facts(replace(LOCAL, tools=True), said=(), hidden=())


class BadStart(SpanProcessor):
    """Fails when a span begins."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("hidden words")


class BadEnd(SpanProcessor):
    """Fails when a span ends."""

    def on_end(self, span: Any) -> None:
        raise RuntimeError("hidden words")


class BadSampler(Sampler):
    """Cannot decide."""

    def should_sample(self, *given: Any, **more: Any) -> Any:
        raise RuntimeError("hidden words")

    def get_description(self) -> str:
        return "BadSampler"


class BadLogs:
    """Fails with each log record."""

    def on_emit(self, record: Any) -> None:
        raise RuntimeError("hidden words")


class BadMeters:
    """Makes no meters."""

    def get_meter(self, *given: Any, **more: Any) -> Any:
        raise RuntimeError("hidden words")


class BadCounter:
    """A meter whose instruments take nothing."""

    def __getattr__(self, name: str) -> Any:
        if name == "get_meter" or name.startswith("create_"):
            return lambda *given, **more: self
        raise RuntimeError("hidden words")


class BadLoggers:
    """Makes no loggers."""

    def get_logger(self, *given: Any, **more: Any) -> Any:
        raise RuntimeError("hidden words")


def beside(**given: Any) -> Telemetry:
    """Telemetry of which one part is bad."""
    memory = Memory(content="SPAN_AND_EVENT")
    return replace(memory.telemetry, **given)


BROKEN: dict[str, Callable[[], Telemetry]] = {
    "a span cannot begin": lambda: Memory(BadStart(), content=True).telemetry,
    "a span cannot end": lambda: Memory(BadEnd(), content=True).telemetry,
    "a sampler cannot decide": lambda: Memory(sampler=BadSampler(), content=True).telemetry,
    "a log record is refused": lambda: Memory(log_processors=[BadLogs()], content="EVENT_ONLY").telemetry,
    "there is no logger": lambda: beside(logger_provider=BadLoggers()),
    "there is no meter": lambda: beside(meter_provider=BadMeters()),
    "a measure is refused": lambda: beside(meter_provider=BadCounter()),
}


@pytest.mark.parametrize("part", BROKEN)
async def test_a_part_that_breaks_stops_no_run_and_hides_no_error(part: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, once, and where; its words are not, since they may repeat what is on a span."""
    quiet.warn.cache_clear()
    stage = Stage(BROKEN[part]())
    with caplog.at_level(logging.WARNING, "agentkit.telemetry"):
        for _ in range(2):
            assert (await stage.clerk(local([call("add", a=1, b=2)], SAID), add).run(PROMPT)).output == SAID
        async with stage.chat(Reply(status=500)) as model:
            with pytest.raises(ServerFailed):
                await stage.clerk(model).run(PROMPT)
    assert not trace.get_current_span().get_span_context().is_valid
    told = [record.getMessage() for record in caplog.records if record.name == "agentkit.telemetry"]
    assert told == [told[0]]
    assert "RuntimeError" in told[0]
    assert Path(__file__).name in told[0]
    assert "hidden words" not in caplog.text


async def test_a_span_that_cannot_begin_leaves_its_children_in_the_one_around_it() -> None:
    """A sampler that fails for one kind of span takes the others' place in the trace from them not."""

    class Fails(Sampler):
        def should_sample(self, parent_context: Any, trace_id: int, name: str, *given: Any, **more: Any) -> Any:
            if name.startswith("invoke_agent"):
                raise RuntimeError
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON

            return ALWAYS_ON.should_sample(parent_context, trace_id, name, *given, **more)

        def get_description(self) -> str:
            return "Fails"

    memory = Memory(sampler=Fails())
    with memory.tracers.get_tracer("app").start_as_current_span("request") as request:
        await Stage(memory.telemetry).clerk(local(SAID)).run(PROMPT)
    [chat] = memory.exports().of("chat")
    assert chat.parent_id == request.get_span_context().span_id


@pytest.mark.parametrize("kind", ["tracer", "meter", "logger"])
def test_what_is_no_provider_is_refused_at_once(kind: str) -> None:
    """And not by each run."""
    with pytest.raises(ConfigError, match=f"{kind}_provider=.*no get_{kind}"):
        Telemetry(**{f"{kind}_provider": Memory().tracers.get_tracer("x")})  # type: ignore[arg-type]


class Evil:
    """A model that says of itself what nobody wants to store."""

    def __init__(self, bad: str) -> None:
        self.bad = bad
        self.info = ModelInfo(provider=bad, model=bad, address=bad, port=1, api="chat_completions")

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """Answer."""
        is_first = len(request.messages) == 1
        calls = (ToolCall(id=self.bad, name=self.bad, arguments=json.dumps({self.bad: self.bad})),) if is_first else ()
        return ModelResponse(
            message=AssistantMessage(text=self.bad, reasoning=self.bad, tool_calls=calls),
            finish_reason=self.bad,
            model=self.bad,
            id=self.bad,
            conversation=self.bad,
            service_tier=self.bad,
            system_fingerprint=self.bad,
            usage=Usage(input_tokens=2**70, output_tokens=-5),
        )


@pytest.mark.parametrize("bad", ["x\ud800\x00y", "h" * 1_000_000, "\r\n\x1b[2J"], ids=["no text", "huge", "control"])
async def test_whatever_a_server_says_of_itself_exporters_take(bad: str, caplog: pytest.LogCaptureFixture) -> None:
    """One value that they refuse would cost all others, and all later ones: sums of metrics go on for ever."""
    memory = Memory(content="SPAN_AND_EVENT")
    settings = ModelSettings(stop=(bad,), reasoning_effort=bad, extra={"service_tier": bad})
    agent = Agent(Evil(bad), name=bad[:20], description=bad, tools=[add], settings=settings, telemetry=memory.telemetry)
    await agent.run(PROMPT)
    spans = memory._ended.get_finished_spans()
    assert len(spans) == 4
    found = encode_spans(spans).SerializeToString()
    found += encode_metrics(memory._metrics.get_metrics_data()).SerializeToString()  # type: ignore[arg-type]
    assert len(found) < 500_000
    assert b"\x00y" not in found
    assert caplog.records == []


async def test_an_error_of_a_whole_nursery_is_called_what_it_is() -> None:
    """trio wraps the cancellation of a task group in a group: the span says that it was cancelled."""
    from agentkit.telemetry.operation import kind_of

    nested = BaseExceptionGroup("", [KeyboardInterrupt(), BaseExceptionGroup("", [KeyboardInterrupt()])])
    assert kind_of(nested) == "KeyboardInterrupt"
    assert kind_of(BaseExceptionGroup("", [KeyboardInterrupt(), ValueError()])) == "BaseExceptionGroup"
    assert kind_of(ExceptionGroup("", [ValueError()])) == "ExceptionGroup"


async def _never_sent(name: str, data: bytes) -> None:
    """Upload asynchronously."""


class Later:
    """What looks like a function, and is an async one."""

    async def __call__(self, name: str, data: bytes) -> None:
        """Upload, some day."""


def cancelled(name: str, data: bytes) -> None:
    """An upload by an event loop of its own, which was stopped."""
    raise asyncio.CancelledError


@pytest.mark.parametrize("put", [cancelled, Later(), lambda name, data: _never_sent(name, data)])
async def test_an_upload_that_is_cancelled_or_async_is_lost_and_the_next_ones_are_tried(put: Any) -> None:
    """The threads go on: nothing waits for ever."""
    upload = Upload(put, threads=1)
    memory = Memory(content=Content(upload=upload))
    for _ in range(3):
        await Stage(memory.telemetry).clerk(local(SAID)).run(PROMPT)
        assert await anyio.to_thread.run_sync(upload.flush)
    assert upload.lost == 3


async def test_a_redact_that_leaves_nothing_of_a_name_loses_no_value(caplog: pytest.LogCaptureFixture) -> None:
    """An attribute without a name would be dropped by the SDK, with a line in the log for each."""
    memory = Memory(content=Content(events=True, redact=lambda text: ""))
    await Stage(memory.telemetry).clerk(local([call("add", a=1, b=2)], SAID), add).run(PROMPT)
    [span] = memory.exports().of("execute_tool")
    assert json.loads(span.attributes["gen_ai.tool.call.arguments"]) == {"…": 1, "… 2": 2}
    assert caplog.records == []


async def test_providers_may_be_shut_down_amid_a_run() -> None:
    """A web server does so, when it ends: the runs that go on come to their ends, and no span is left open."""
    memory = Memory(content="SPAN_AND_EVENT")

    def shut(a: int, b: int) -> int:
        """End all of it."""
        memory.shutdown()
        return a + b

    agent = Stage(memory.telemetry).clerk(local([call("shut", a=1, b=2)], SAID), shut)
    assert (await agent.run(PROMPT)).output == SAID
    assert (await Stage(memory.telemetry).clerk(local(SAID)).run(PROMPT)).output == SAID
    assert memory.unended == ()


def test_threads_that_begin_at_once_share_the_instruments(caplog: pytest.LogCaptureFixture) -> None:
    """Forty runs, each in an event loop of its own, the first that there are: each is counted, and nothing twice."""
    memory, together = Memory(), Barrier(40)

    def go() -> None:
        agent = Stage(memory.telemetry).clerk(local([call("add", a=1, b=2)], SAID), add)
        together.wait(20)
        agent.run_sync(PROMPT)

    threads = [Thread(target=go) for _ in range(40)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    exports = memory.exports()
    assert len(exports.spans) == 160
    assert check(exports, FACTS).all == ()
    assert caplog.records == []


def test_the_environment_has_content_uploaded_where_no_opentelemetry_is_set_up(tmp_path: Path) -> None:
    """Its variables ask for documents, and not for spans."""
    program = (
        "from agentkit import Agent; from agentkit.testing import ScriptedModel;"
        "print(Agent(ScriptedModel(['marmots'])).run_sync('otters').output)"
    )
    environment = {**os.environ, UPLOADS: "upload", BASE_PATH: str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert (done.stdout.strip(), done.stderr) == ("marmots", "")
    [file] = tmp_path.rglob("*.json")
    assert "otters" in file.read_text("utf-8")

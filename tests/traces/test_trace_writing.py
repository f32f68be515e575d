"""Spans, written to a file as OTLP-JSON lines."""

import base64
import json
import logging
import math
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState

from agentkit import Agent, ConfigError, ToolFailed
from agentkit.telemetry.recorder import SpanRecorder
from agentkit.telemetry.trace_file import TraceFileExporter
from agentkit.testing import ScriptedModel, call
from agentkit.traces import read_traces


def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    if sku == "A-1":
        return 3
    raise ToolFailed("there is no such product")


def clerk() -> Agent:
    asked = [call("units_left", sku="A-1"), call("units_left", sku="B-2")]
    return Agent(ScriptedModel([asked, "Three."]), name="clerk", tools=[units_left])


@pytest.mark.anyio
async def test_a_run_that_was_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    """The tree in the file is the tree that was recorded in memory at the same time."""
    with TraceFileExporter(tmp_path / "trace.jsonl") as file:
        recorder = SpanRecorder(file)
        await replace(clerk(), telemetry=recorder.telemetry).run("go")
        [trace] = read_traces(file.path).traces  # each span is there as soon as it has ended
    assert trace.roots == recorder.tree()
    assert [child.error for child in trace.roots[0].children if child.error] == ["agentkit.errors.ToolFailed"]


@pytest.mark.anyio
async def test_an_agent_writes_to_its_file_and_nowhere_else(tmp_path: Path) -> None:
    """Run after run, into one file, which only its owner may read."""
    path = tmp_path / "trace.jsonl"
    for _ in range(2):
        await replace(clerk(), telemetry=TraceFileExporter(path).telemetry).run("go")
    file = read_traces(path)
    assert [trace.totals().spans for trace in file.traces] == [5, 5]
    assert file.flaws == ()
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def strange_spans() -> list[ReadableSpan]:
    """Spans with all that a span can have."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop", "n": 1}, "https://schema/1"))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    far = SpanContext(7, 8, True, TraceFlags(TraceFlags.SAMPLED), TraceState([("a", "b")]))
    values = {"i": 2**62, "f": 0.5, "b": True, "s": "ß\u2028\n", "l": ("x", "y"), "n": (1, 2), "bytes": b"\x00\xff"}
    for scope in ("one", "two"):
        tracer = provider.get_tracer(scope, "1.0", schema_url=f"https://{scope}", attributes={"of": "scope"})
        around = set_span_in_context(NonRecordingSpan(far))
        for kind in SpanKind:
            span = tracer.start_span("s", around, kind, values, [Link(far, {"why": "resumed"}), Link(far)], 1_000)
            span.add_event("retry", {"attempt": 2}, 2_000)
            span.set_status(Status(StatusCode.ERROR, "it broke") if kind is SpanKind.CLIENT else StatusCode.UNSET)
            span.end(3_000)
        tracer.start_span("alone", start_time=1).end(2)
    provider.shutdown()
    return list(kept.get_finished_spans())


def test_lines_are_what_the_official_exporter_sends(tmp_path: Path) -> None:
    """Read by OpenTelemetry's own protobuf classes, a line is what its exporter makes of the same spans."""
    why = "there is no official encoder to compare with: pip install opentelemetry-exporter-otlp"
    official = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder", reason=why)
    json_format = pytest.importorskip("google.protobuf.json_format", reason=why)
    spans = strange_spans()
    assert len(spans) == 2 * (len(SpanKind) + 1)
    with TraceFileExporter(tmp_path / "trace.jsonl") as file:
        file.export(spans)
    line, end = (tmp_path / "trace.jsonl").read_bytes().split(b"\n")
    assert end == b""
    expected = official.encode_spans(spans)
    found = json_format.Parse(json.dumps(as_protobuf(json.loads(line))), type(expected)())
    assert found == expected


def as_protobuf(value: Any, name: str = "") -> Any:
    """OTLP-JSON writes ids as hex digits where protobuf's JSON has base64."""
    if isinstance(value, dict):
        return {key: as_protobuf(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [as_protobuf(each) for each in value]
    if name in {"traceId", "spanId", "parentSpanId"}:
        return base64.b64encode(bytes.fromhex(value)).decode()
    return value


def test_what_json_has_no_word_for_is_written_as_protobuf_does(tmp_path: Path) -> None:
    """Numbers that are none; half a character, which no UTF-8 can hold, is a question mark."""
    kept, path = InMemorySpanExporter(), tmp_path / "trace.jsonl"
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    given = {"nan": math.nan, "up": math.inf, "down": -math.inf, "half": "a\ud800b"}
    provider.get_tracer("t").start_span("s", attributes=given).end()
    with TraceFileExporter(path) as file:
        file.export(kept.get_finished_spans())
    text = path.read_text(encoding="utf-8")
    assert '{"doubleValue":"NaN"}' in text
    json.loads(text, parse_constant=pytest.fail)
    said = read_traces(path).traces[0].roots[0].attributes
    assert (said["up"], said["down"], said["half"]) == (math.inf, -math.inf, "a?b")


KILLED = """
import os, signal, sys
import anyio
from agentkit import Agent
from agentkit.telemetry.trace_file import TraceFileExporter
from agentkit.testing import ScriptedModel, call

def die() -> str:
    "End this program."
    os.kill(os.getpid(), signal.SIGKILL)

agent = Agent(ScriptedModel([[call("die")]]), tools=[die], telemetry=TraceFileExporter(sys.argv[1]).telemetry)
anyio.run(agent.run, "go")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no program can be killed so here")
def test_what_had_ended_is_in_the_file_of_a_killed_program(tmp_path: Path) -> None:
    """The model call had ended; the run and the tool call had not."""
    path = tmp_path / "trace.jsonl"
    done = subprocess.run([sys.executable, "-c", KILLED, path], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    file = read_traces(path)
    assert [(root.name, bool(root.parent_id)) for root in file.traces[0].roots] == [("chat scripted", True)]
    assert file.flaws == ()


MANY = """
import sys
from concurrent.futures import ThreadPoolExecutor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from agentkit.telemetry.trace_file import TraceFileExporter

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(TraceFileExporter(sys.argv[1])))
tracer = provider.get_tracer("many")

def add(number):
    with tracer.start_as_current_span(f"span {number}", attributes={"text": "x" * 100 * number}):
        pass

with ThreadPoolExecutor(4) as pool:
    list(pool.map(add, range(200)))
"""


def test_many_programs_and_threads_write_to_one_file(tmp_path: Path) -> None:
    """No line is torn by another's."""
    path = tmp_path / "trace.jsonl"
    programs = [subprocess.Popen([sys.executable, "-c", MANY, path]) for _ in range(3)]
    assert [program.wait(60) for program in programs] == [0, 0, 0]
    file = read_traces(path)
    assert file.flaws == ()
    assert sum(trace.totals().spans for trace in file.traces) == 600


@pytest.mark.anyio
async def test_a_line_that_was_torn_does_not_spoil_the_next(tmp_path: Path) -> None:
    """A program was killed amid a line; the next one that adds to the file begins a line of its own."""
    path = tmp_path / "trace.jsonl"
    path.write_bytes(b'{"resourceSpans": [')
    await replace(clerk(), telemetry=TraceFileExporter(path).telemetry).run("go")
    file = read_traces(path)
    assert file.traces[0].totals().spans == 5
    assert [(flaw.line, flaw.cut_off) for flaw in file.flaws] == [(1, False)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is full")
@pytest.mark.anyio
async def test_a_full_disk_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """The spans are lost; how many is known, and it is logged once."""
    file = TraceFileExporter("/dev/full")
    with caplog.at_level(logging.WARNING, "agentkit.telemetry"):
        result = await replace(clerk(), telemetry=file.telemetry).run("go")
    assert (result.output, file.lost) == ("Three.", 5)
    assert "No space left" in file.problem
    assert [record.getMessage() for record in caplog.records] == [
        f"spans cannot be written to /dev/full: {file.problem}"
    ]


def test_a_file_that_cannot_be_opened_is_a_wrong_use(tmp_path: Path) -> None:
    """It is said at once, and not after the run."""
    with pytest.raises(ConfigError, match="cannot be written"):
        TraceFileExporter(tmp_path / "no" / "trace.jsonl")


def test_the_applications_own_set_up_can_write_to_a_file(tmp_path: Path) -> None:
    """It is an exporter like any other: it may be called after its end, and is not bothered by it."""
    file = TraceFileExporter(tmp_path / "trace.jsonl")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(file))
    with provider.get_tracer("shop").start_as_current_span("POST /ask"):
        pass
    assert provider.force_flush()
    assert [root.name for root in read_traces(file.path).traces[0].roots] == ["POST /ask"]
    provider.shutdown()
    file.shutdown()
    file.export(strange_spans()[:1])
    assert (file.lost, file.problem) == (1, "it is closed")

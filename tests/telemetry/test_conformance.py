"""What agentkit exports is what the GenAI conventions say, however a run ends."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from collector import PROTOCOLS, Protocol, collector
from endings import CANCELLED, ENDINGS, Ending, Stage
from exports import Exports, Memory
from norm import NORM, Facts, check
from norm_signals import check_metrics
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from virtual_time import virtual

from agentkit.testing import nothing_left_behind


def cases() -> list[Any]:
    """Each ending on both event loops, with virtual time where it waits by the clock."""
    return [
        pytest.param(ending, virtual(backend) if ending.virtual else backend, id=f"{ending.name}-{backend}")
        for ending in ENDINGS
        for backend in ("asyncio", "trio")
    ]


async def happen(ending: Ending, memory: Memory) -> None:
    """Make it happen; nothing is left."""
    async with nothing_left_behind(telemetry=memory.telemetry, grace=5):
        with anyio.fail_after(20):
            await ending.happens(Stage(memory.telemetry))


def failures(exports: Exports) -> Counter[tuple[str, str]]:
    """The spans that failed, and with what."""
    cancelled = ("asyncio.exceptions.CancelledError", "trio.Cancelled")
    failed = [(span.name, str(span.attributes.get("error.type"))) for span in exports.spans if span.status == "ERROR"]
    return Counter((name, CANCELLED if kind in cancelled else kind) for name, kind in failed)


def told(exports: Exports, facts: Facts) -> Sequence[str]:
    """All that is wrong."""
    return check(exports, facts).all


@pytest.mark.anyio
@pytest.mark.parametrize(("ending", "anyio_backend"), cases())
@pytest.mark.parametrize("content", [False, True], ids=["quiet", "content"])
async def test_each_ending_is_exported_as_the_norm_has_it(ending: Ending, content: bool) -> None:
    """No violation and no warning, with content captured or not; what failed says so, and nothing else does."""
    memory = Memory(content="SPAN_AND_EVENT" if content else None)
    await happen(ending, memory)
    exports = memory.exports()
    facts = replace(ending.facts, content_on_spans=content, content_on_events=content, events=content)
    assert told(exports, facts) == ()
    assert failures(exports) == Counter(ending.fails)
    assert {name: n for name in {s.name for s in exports.spans} if (n := _links(exports, name))} == ending.links


def _links(exports: Exports, name: str) -> int:
    return sum(len(span.links) for span in exports.spans if span.name == name)


class Seen(Sampler):
    """A sampler that notes what it is shown, and keeps what it is asked to."""

    def __init__(self, keeps: Callable[[Mapping[str, Any]], bool] = lambda attributes: True) -> None:
        self.keeps = keeps
        self.shown: list[tuple[str, Mapping[str, Any]]] = []

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *given: Any, **more: Any) -> SamplingResult:
        """Decide by the attributes."""
        attributes = dict(more.get("attributes") or (given[1] if len(given) > 1 else None) or {})
        self.shown.append((name, attributes))
        kept = Decision.RECORD_AND_SAMPLE if self.keeps(attributes) else Decision.DROP
        return SamplingResult(kept, attributes)

    def get_description(self) -> str:
        """What it is called."""
        return "Seen"


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["ok", "asks an agent", "a tool fails", "streamed"])
async def test_a_sampler_sees_what_it_may_decide_by(name: str) -> None:
    """All that the norm wants at the start of a span is there when it is asked, and as the span has it in the end."""
    [ending] = [each for each in ENDINGS if each.name == name]
    sampler = Seen()
    memory = Memory(sampler=sampler)
    await happen(ending, memory)
    ended = sorted(memory.exports().spans, key=lambda span: span.start)
    assert sorted(name for name, _ in sampler.shown) == sorted(span.name for span in ended)
    for span in ended:
        rules = NORM["spans"][span.operation]["attributes"]
        wanted = {each: span.attributes[each] for each in rules if rules[each].get("start") and each in span.attributes}
        assert wanted
        assert any(wanted.items() <= shown.items() for name, shown in sampler.shown if name == span.name)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["ok", "streamed", "the server fails", "asks an agent", "paused and resumed"])
async def test_what_a_sampler_drops_changes_no_run(name: str) -> None:
    """Model calls of one provider are not wanted: their spans are gone, and the rest is there."""
    [ending] = [each for each in ENDINGS if each.name == name]
    memory = Memory(sampler=Seen(lambda attributes: attributes.get("gen_ai.provider.name") != "openai"))
    await happen(ending, memory)
    assert {span.operation for span in memory.exports().spans} <= {"invoke_agent", "execute_tool"}
    assert memory.exports().of("invoke_agent")
    assert memory.unended == ()


MODES = {
    "": (False, False),
    "NO_CONTENT": (False, False),
    "span_only": (True, False),
    "EVENT_ONLY": (False, True),
    "Span_And_Event": (True, True),
    "true": (False, False),
}


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("emit", ["", "true", "FALSE"])
async def test_the_environment_says_whether_content_is_captured(
    mode: str, emit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the variables that all instrumentations have in common; what is none of their words captures nothing."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", emit)
    on_spans, on_events = MODES[mode]
    events = on_events if not emit else emit == "true"
    memory = Memory()
    await happen(ENDINGS[0], memory)
    facts = replace(ENDINGS[0].facts, content_on_spans=on_spans, content_on_events=on_events and events, events=events)
    assert told(memory.exports(), facts) == ()


def sent(ending: Ending, memory: Memory) -> frozenset[int]:
    """Make an ending happen; the traces it made."""
    before = {span.trace_id for span in memory.exports().spans}
    name, options = virtual("asyncio") if ending.virtual else ("asyncio", {})
    anyio.run(ending.happens, Stage(memory.telemetry), backend=name, backend_options=options)
    return frozenset(span.trace_id for span in memory.exports().spans) - before


def part(exports: Exports, traces: frozenset[int]) -> Exports:
    """What is in some traces."""
    return Exports(
        spans=tuple(span for span in exports.spans if span.trace_id in traces),
        logs=tuple(log for log in exports.logs if log.trace_id in traces),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_real_collector_passes_on_is_what_went_in(protocol: Protocol, tmp_path: Path) -> None:
    """All endings in one go, over both of its protocols: nothing is lost or changed, and all is as the norm has it."""
    with nothing_left_behind(grace=5), collector(tmp_path) as running:
        spans, metrics, logs = running.exporters(protocol)
        reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
        memory = Memory(
            BatchSpanProcessor(spans),
            readers=[reader],
            log_processors=[BatchLogRecordProcessor(logs)],
            content="SPAN_AND_EVENT",
        )
        try:
            happened = [(ending, sent(ending, memory)) for ending in ENDINGS]
            went_in = memory.exports()
        finally:
            memory.shutdown()
        running.stop()
        came_out = running.exports()
    assert as_sent(came_out) == as_sent(went_in)
    for ending, traces in happened:
        facts = replace(ending.facts, content_on_spans=True, content_on_events=True, events=True)
        assert check(part(came_out, traces), facts, metrics=False).all == (), ending.name
    everything = Facts(foreign=frozenset(name for ending in ENDINGS for name in ending.facts.foreign))
    assert [text for _, text in check_metrics(came_out, everything)] == []


def as_sent(exports: Exports) -> Exports:
    """In one order, and without what only the SDK knows."""
    return Exports(
        spans=tuple(sorted((replace(s, started_with=None) for s in exports.spans), key=lambda span: span.span_id)),
        points=tuple(sorted(exports.points, key=lambda point: (point.name, repr(sorted(point.attributes.items()))))),
        logs=tuple(sorted(exports.logs, key=lambda log: (log.trace_id, log.span_id, log.name))),
    )

"""Files of OTLP-JSON lines, read back as trees."""

import gzip
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from otlp_lines import TRACE, agent, an_id, attributes, chat, event, line, shape, span, tool

from agentkit import ConfigError
from agentkit.traces import read_traces, walk


def written(folder: Path, *lines: str) -> Path:
    path = folder / "trace.jsonl"
    path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


def test_spans_come_back_as_a_tree(tmp_path: Path) -> None:
    """Whatever the order of the lines: a span is written when it ends, so what is around it comes later."""
    path = written(
        tmp_path,
        line(chat(2, 1, at=1), tool(3, 1, at=3)),
        line(chat(4, 1, at=5)),
        line(agent(1, at=0, ms=9), resource={"service.name": "shop"}),
    )
    [trace] = read_traces(path).traces
    assert shape(trace.roots) == [
        ("invoke_agent clerk", ["chat gpt-5.5", "execute_tool units_left", "chat gpt-5.5"]),
    ]
    [root] = trace.roots
    assert (root.role, root.children[0].role, root.children[1].role) == ("agent", "model", "tool")
    assert (root.scope, root.resource, root.seconds) == ("agentkit 0.1.0", {"service.name": "shop"}, 0.009)
    assert trace.trace_id == root.trace_id == TRACE


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    """Text, 64-bit numbers as text or not, doubles that are none, bytes, lists and mappings, and nothing."""
    values = {
        "text": {"stringValue": "\u2028ß"},
        "none": {},
        "empty": {"stringValue": ""},
        "big": {"intValue": str(2**62)},
        "small": {"intValue": 3},
        "half": {"doubleValue": 0.5},
        "nan": {"doubleValue": "NaN"},
        "endless": {"doubleValue": "-Infinity"},
        "yes": {"boolValue": True},
        "bytes": {"bytesValue": "aGk="},
        "list": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}]}},
        "nothing in it": {"arrayValue": {}},
        "mapping": {"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": False}}]}},
    }
    given = span(1) | {"attributes": [{"key": name, "value": value} for name, value in values.items()]}
    [trace] = read_traces(written(tmp_path, line(given))).traces
    found = dict(trace.roots[0].attributes)
    assert math.isnan(found.pop("nan"))
    assert found == {
        "text": "\u2028ß",
        "none": None,
        "empty": "",
        "big": 2**62,
        "small": 3,
        "half": 0.5,
        "endless": -math.inf,
        "yes": True,
        "bytes": "aGk=",
        "list": (1, "b"),
        "nothing in it": (),
        "mapping": {"a": False},
    }


def test_events_links_and_errors_are_read(tmp_path: Path) -> None:
    """A retry within a model call, the run that was paused before, and what is said of an error."""
    link = {"traceId": "CD" * 16, "spanId": an_id(9), "attributes": attributes({"why": "resumed"})}
    given = chat(
        1,
        at=2,
        said={"error.type": "RateLimited"},
        status={"code": 2, "message": "slow down"},
        events=[event("agentkit.retry", 5, {"attempt": 2})],
        links=[link],
    )
    [trace] = read_traces(written(tmp_path, line(given, span(2, status={"code": "STATUS_CODE_ERROR"})))).traces
    other, failed = trace.roots
    assert (failed.error, failed.message, other.error, other.message) == ("RateLimited", "slow down", "error", "")
    [retry] = failed.events
    assert (retry.name, retry.at, retry.attributes) == ("agentkit.retry", pytest.approx(0.003), {"attempt": 2})
    [resumed] = failed.links
    assert (resumed.trace_id, resumed.span_id, resumed.attributes) == ("cd" * 16, an_id(9), {"why": "resumed"})


def test_what_a_trace_came_to_is_counted_once(tmp_path: Path) -> None:
    """An agent's tokens are those of its own model calls, and not added to them. Agents count where calls do not."""
    spent = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2, "agentkit.cost.usd": 0.25}
    calls = line(
        agent(1, ms=50, said={name: 2 * value for name, value in spent.items()}),
        chat(2, 1, said=spent),
        tool(3, 1, said={"error.type": "ToolFailed"}),
        chat(4, 1, said=spent, at=60, ms=40),
    )
    totals = read_traces(written(tmp_path, calls)).traces[0].totals()
    assert (totals.spans, totals.model_calls, totals.tool_calls, totals.errors) == (4, 2, 1, 1)
    assert (totals.input_tokens, totals.output_tokens, totals.cost) == (20, 4, 0.5)
    assert totals.seconds == pytest.approx(0.1)
    asks_another = (agent(1, 5, said=spent), tool(2, 1), agent(3, 2, said=spent), chat(4, 3))
    only_agents = line(span(5), *asks_another, agent(6, 5, said=spent))
    totals = read_traces(written(tmp_path, only_agents)).traces[0].totals()
    assert (totals.input_tokens, totals.cost) == (30, 0.75)
    totals = read_traces(written(tmp_path, line(span(1)))).traces[0].totals()
    assert (totals.input_tokens, totals.output_tokens, totals.cost) == (None, None, None)


def test_traces_stand_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    """Several in one file; one is found by the beginning of its id, if that is clear."""
    path = written(tmp_path, line(span(1, at=9) | {"traceId": "aa" * 16}), line(span(1, at=3) | {"traceId": "ab" * 16}))
    file = read_traces(path)
    assert [trace.trace_id[:2] for trace in file.traces] == ["ab", "aa"]
    assert file.trace("AA").trace_id == "aa" * 16
    with pytest.raises(ConfigError, match="2 traces that begin with 'a'"):
        file.trace("a")
    with pytest.raises(ConfigError, match="no trace that begins with 'c'; there are: abab"):
        file.trace("c")


def test_what_cannot_be_read_is_named_and_the_rest_is_there(tmp_path: Path) -> None:
    """Each with its line; blank lines are none of it."""
    path = tmp_path / "trace.jsonl"
    wrong = [
        b'{"resourceSpans": [',
        b"[1]",
        b"\xff",
        b'{"resourceSpans": 3}',
        b'{"hello": 1}',
        b"[" * 100_000,
        line(span(2, spanId="short")).strip().encode(),
        line({**span(3), "startTimeUnixNano": "soon"}).strip().encode(),
        line({**span(3), "startTimeUnixNano": "9" * 400}).strip().encode(),
        line(span(4, attributes=[{"key": "n", "value": {"intValue": "x" * 1000}}])).strip().encode(),
        line(span(6, attributes=["text"])).strip().encode(),
        b'{"resourceMetrics": []}',
        b'{"resourceLogs": []}',
    ]
    path.write_bytes(b"\n".join([line(span(1)).encode(), *wrong, line(span(5)).encode()]))
    file = read_traces(path)
    assert shape(file.traces[0].roots) == ["span 1", "span 5"]
    said = [str(flaw) for flaw in file.flaws]
    assert [flaw.line for flaw in file.flaws] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0, 0]
    assert said[0].startswith("line 3: it is no JSON: ")
    assert said[1] == "line 4: it is no OTLP-JSON of spans: no `resourceSpans` is in it"
    assert said[2] == "line 5: it is no UTF-8"
    assert said[6] == "line 9: it is no OTLP-JSON of spans: spanId is 'short', not 16 hex digits"
    assert all(len(each) < 200 for each in said)
    assert said[-2:] == ["logs are left out", "metrics are left out"]


def test_a_file_may_break_off_anywhere(tmp_path: Path) -> None:
    """What a killed program left: the lines before are whole, and the last one is named as cut off, or whole."""
    whole = (line(span(1)) + line(span(2, said={"text": "ünd"}))).encode()
    path = tmp_path / "trace.jsonl"
    first = whole.index(b"\n") + 1
    for end in range(first + 1, len(whole)):
        path.write_bytes(whole[:end])
        file = read_traces(path)
        if end < len(whole) - 1:
            assert [(flaw.line, flaw.cut_off) for flaw in file.flaws] == [(2, True)]
            assert shape(file.traces[0].roots) == ["span 1"]
        else:
            assert (file.flaws, shape(file.traces[0].roots)) == ((), ["span 1", "span 2"])


def test_a_zipped_file_is_read(tmp_path: Path) -> None:
    """Whatever its name; also one that was cut off, to where it was."""
    text = "".join(line(span(number, said={"text": "x" * 50})) for number in range(1, 2000)).encode()
    path = tmp_path / "trace.jsonl"
    path.write_bytes(gzip.compress(text))
    assert read_traces(path).traces[0].totals().spans == 1999
    path.write_bytes(gzip.compress(text)[:-2000])
    cut = read_traces(path)
    assert 0 < cut.traces[0].totals().spans < 1999
    assert "the gzip breaks off" in str(cut.flaws[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("\n\n", "it is empty"),
        ("hello\n", "line 1: it is no JSON"),
        ('{"resourceSpans": []}\n', "it is empty"),
        ('{"resourceLogs": []}\n', "logs are left out"),
    ],
)
def test_a_file_without_spans_is_a_wrong_use(text: str, said: str, tmp_path: Path) -> None:
    """The message says what is in it instead."""
    with pytest.raises(ConfigError, match=f"there is no span in .*{said}"):
        read_traces(written(tmp_path, text))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_traces(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    "value", [{"intValue": "9" * 4300}, {"intValue": 2**64}, {"doubleValue": 10**400}], ids=["text", "number", "double"]
)
def test_a_number_that_no_program_writes_is_a_flaw_of_its_line(value: Any, tmp_path: Path) -> None:
    """Nobody can add such numbers up, nor write them down; the other lines are read."""
    odd = {**span(1), "attributes": [{"key": "gen_ai.usage.input_tokens", "value": value}]}
    found = read_traces(written(tmp_path, line(odd), line(span(2))))
    assert [shape(trace.roots) for trace in found.traces] == [["span 2"]]
    assert [(flaw.line, "cannot be" in flaw.why) for flaw in found.flaws] == [(1, True)]


def test_a_clock_that_was_set_back_makes_no_time_less_than_none(tmp_path: Path) -> None:
    """The span is shown where it began."""
    back = {**span(1), "startTimeUnixNano": "2000000000", "endTimeUnixNano": "1000000000"}
    [trace] = read_traces(written(tmp_path, line(back))).traces
    assert [(node.start, node.seconds) for node in trace.roots] == [(2.0, 0.0)]


def test_no_span_is_lost_whatever_is_around_it(tmp_path: Path) -> None:
    """Spans whose surroundings are not in the file, or that stand in each other in a circle, are at the top."""
    path = written(
        tmp_path,
        line(span(1, 99, at=5), span(2, 1, at=6)),
        line(span(3, 4, at=1), span(4, 3, at=2), span(5, 4, at=3), span(6, 6, at=4)),
    )
    [trace] = read_traces(path).traces
    assert shape(trace.roots) == [("span 3", [("span 4", ["span 5"])]), "span 6", ("span 1", ["span 2"])]
    assert trace.roots[2].parent_id == an_id(99)


def test_a_span_that_was_sent_twice_is_there_once(tmp_path: Path) -> None:
    """A collector may send again what it was not sure of; the first counts, and that is said."""
    file = read_traces(written(tmp_path, line(agent(1), chat(2, 1)), line(chat(2, 1, name="again"))))
    assert shape(file.traces[0].roots) == [("invoke_agent clerk", ["chat gpt-5.5"])]
    assert [str(flaw) for flaw in file.flaws] == ["1 span is there twice"]


def test_a_tree_may_be_deep(tmp_path: Path) -> None:
    """An agent that asks an agent that asks an agent: deeper than Python's own stack."""
    path = written(tmp_path, *(line(span(number, number - 1, at=number)) for number in range(1, 5001)))
    [trace] = read_traces(path).traces
    depths = [depth for depth, _ in walk(trace.roots)]
    assert depths == list(range(5000))


def test_spans_of_other_programs_are_shown_too(tmp_path: Path) -> None:
    """A kind by its name, numbers as numbers, no status, no attributes: what collectors and other SDKs write."""
    given = {
        "traceId": TRACE.upper(),
        "spanId": an_id(1).upper(),
        "parentSpanId": "",
        "name": "POST /ask",
        "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": 1_795_909_954_000_000_000,
        "endTimeUnixNano": 1_795_909_955_500_000_000,
    }
    strange = {"key": "gen_ai.operation.name", "value": {"arrayValue": {}}}
    text = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [given | {"attributes": [strange]}]}]}]})
    [root] = read_traces(written(tmp_path, text)).traces[0].roots
    assert (root.name, root.kind, root.role, root.seconds, root.error) == ("POST /ask", "server", "other", 1.5, None)


def test_reading_needs_no_opentelemetry(tmp_path: Path) -> None:
    """A trace can be looked at where it was not made; the page's parts are installed with the package."""
    written(tmp_path, line(span(1)))
    program = (
        "import sys; from agentkit.traces import read_traces, trace_page; "
        "assert '</html>' in trace_page(read_traces(sys.argv[1]).traces); "
        "import agentkit.cli.trace; assert 'opentelemetry' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "trace.jsonl"], check=True, timeout=60)

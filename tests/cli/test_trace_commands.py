"""`agentkit run --trace-file`, `agentkit trace show` and `agentkit trace html`."""

import json
import re
from pathlib import Path

import pytest
from cli_outcome import Cli

from agentkit.testing import ChatServer, call
from agentkit.testing.reply import Reply
from agentkit.traces import read_traces

ASKED = [call("units_left", sku="A-1"), call("broken")]


@pytest.fixture
def traced(cli: Cli, shop: str) -> str:
    """A run whose spans were written to a file."""
    with ChatServer.in_thread([ASKED, "Three left."]) as server:
        done = cli("run", "--tools", shop, "--model", "chat:m", "--trace-file", "t.jsonl", "Any?", server=server)
    assert (done.code, done.stdout) == (0, "Three left.\n")
    return "t.jsonl"


def tree(text: str) -> list[str]:
    """The names in a tree."""
    return [line.split("  ")[0].lstrip(" │├└─`|+-") for line in text.splitlines()[1:]]


def test_a_run_is_shown_from_its_file(cli: Cli, traced: str) -> None:
    """Its calls, how long they took, tokens, errors, and what it came to."""
    done = cli("trace", "show", traced)
    assert (done.code, done.stderr) == (0, "")
    calls = ["chat m", "execute_tool units_left", "execute_tool broken", "chat m"]
    assert sorted(tree(done.stdout)) == sorted(["invoke_agent", *calls])
    heading, root = done.stdout.splitlines()[:2]
    assert heading.startswith("trace ")
    assert re.search(r", 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, ", heading)
    assert "5 spans, 2 model calls, 2 tool calls, " in heading
    assert heading.endswith(" out, 1 error")
    assert "tokens in" in root
    assert "agentkit.errors.ToolFailed" in done.stdout


def test_a_page_is_written(cli: Cli, traced: str) -> None:
    """Beside the file, or where it is asked for; what is chosen there is in it; it does not replace the trace."""
    done = cli("trace", "html", traced)
    assert (done.code, done.stdout, done.stderr) == (0, "t.html: 1 trace, 5 spans\n", "")
    assert "execute_tool units_left" in Path("t.html").read_text(encoding="utf-8")
    assert cli("trace", "html", traced, "-o", "other.html", "--last").stdout == "other.html: 1 trace, 5 spans\n"
    done = cli("trace", "html", traced, "-o", traced)
    assert done.code == 2
    assert "written over" in done.stderr
    done = cli("trace", "html", traced, "-o", "no/page.html")
    assert done.code == 2
    assert "cannot be written" in done.stderr
    assert read_traces(traced).flaws == ()


def test_runs_are_added_to_a_file_and_told_apart(cli: Cli, traced: str, shop: str) -> None:
    """A second run that failed: the last one, the one of an id, and only what failed."""
    with ChatServer.in_thread([Reply(status=400, error="no")]) as server:
        assert cli("run", "--model", "chat:m", "--trace-file", traced, "Go", server=server).code == 1
    both = cli("trace", "show", traced)
    assert both.stdout.count("invoke_agent") == 2
    last = cli("trace", "show", traced, "--last")
    assert tree(last.stdout) == ["invoke_agent", "chat m"]
    assert "RequestRejected: HTTP 400" in last.stdout
    first = read_traces(traced).traces[0].trace_id
    assert cli("trace", "show", traced, "--trace", first[:12]).stdout.count("invoke_agent") == 1
    errors = cli("trace", "show", traced, "--errors").stdout
    assert errors.count("invoke_agent") == 2
    assert ("units_left" in errors, "execute_tool broken" in errors) == (False, True)
    assert cli("trace", "show", traced, "--trace", "zz").code == 2


def test_a_trace_without_errors_says_so(cli: Cli) -> None:
    """`--errors` with nothing to show does not look like a file with nothing in it."""
    with ChatServer.in_thread(["Hi."]) as server:
        cli("run", "--model", "chat:m", "--trace-file", "t.jsonl", "Go", server=server)
    assert cli("trace", "show", "t.jsonl", "--errors").stdout == "no span failed\n"


def test_what_cannot_be_read_is_told_and_fails(cli: Cli, traced: str) -> None:
    """The rest is shown; a last line that was cut off is told too, and is no failure."""
    whole = Path(traced).read_bytes()
    Path(traced).write_bytes(whole[:-20])
    done = cli("trace", "show", traced)
    assert (done.code, done.stderr) == (0, "agentkit: line 5: the file breaks off here\n")
    assert "chat m" in done.stdout
    assert "the span around the next one" in done.stdout
    Path(traced).write_bytes(b"hello\x1b[31m\n" + whole)
    done = cli("trace", "show", traced)
    assert (done.code, done.stdout.count("invoke_agent")) == (1, 1)
    assert done.stderr.startswith("agentkit: line 1: it is no JSON")
    assert cli("trace", "html", traced).code == 1
    assert cli("trace", "show", "none.jsonl").code == 2


def test_nothing_in_a_file_reaches_the_terminal_as_a_command(cli: Cli, tmp_path: Path) -> None:
    """A trace may come from anywhere: control characters are written out, markup is not read."""
    evil = "\x1b]0;owned\x07[red]x[/red]\u202e\n"
    said = [{"key": evil, "value": {"stringValue": evil}}, {"key": "error.type", "value": {"stringValue": evil}}]
    times = {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    link = {"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": said}
    event = {"name": evil, "timeUnixNano": "1", "attributes": said}
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": evil, "attributes": said, "status": {"message": evil}}
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span | times | {"events": [event], "links": [link]}]}]}]}
    (tmp_path / "t.jsonl").write_text(json.dumps(request), encoding="utf-8")
    shown = cli("trace", "show", "t.jsonl").stdout
    assert len(shown.splitlines()) == 4
    assert shown.count("[red]x[/red]") == 1 + 2 + 4 + 3  # name, error and message, event, link
    assert not set(shown) & set("\x1b\x07\u202e")


def test_retries_and_links_are_shown(cli: Cli, tmp_path: Path) -> None:
    """Beside the spans inside: what happened when, and what else this has to do with."""
    times = {"startTimeUnixNano": "1000000000", "endTimeUnixNano": "3000000000"}
    cost = [{"key": "agentkit.cost.usd", "value": {"doubleValue": 0.0123}}]
    attempt = [{"key": "attempt", "value": {"intValue": "2"}}]
    span = {
        "traceId": "ab" * 16,
        "spanId": "cd" * 8,
        "name": "chat m",
        "attributes": cost,
        "events": [{"name": "agentkit.retry", "timeUnixNano": "1500000000", "attributes": attempt}],
        "links": [{"traceId": "ef" * 16, "spanId": "ef" * 8}],
    }
    (tmp_path / "t.jsonl").write_text(
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span | times]}]}]}), encoding="utf-8"
    )
    shown = [line.lstrip(" │├└─") for line in cli("trace", "show", "t.jsonl").stdout.splitlines()[1:]]
    assert shown == [
        "chat m  2.0 s  $0.0123",
        "at 500 ms: agentkit.retry (attempt=2)",
        f"linked to span {'ef' * 8} of trace {'ef' * 16}",
    ]


def test_each_turn_of_a_chat_is_written(cli: Cli) -> None:
    """Into one file, a trace for each."""
    with ChatServer.in_thread(["Hi.", "Bye."]) as server:
        done = cli("chat", "--model", "chat:m", "--trace-file", "t.jsonl", server=server, stdin="Hello\nSo long\n")
    assert done.code == 0
    assert [trace.totals().spans for trace in read_traces("t.jsonl").traces] == [2, 2]


def test_json_and_trace_go_with_a_file(cli: Cli) -> None:
    """The same spans are shown, printed as JSON, and written."""
    with ChatServer.in_thread(["Hi."] * 2) as server:
        shown = cli("run", "--model", "chat:m", "--trace", "--trace-file", "t.jsonl", "Go", server=server)
        printed = cli("run", "--model", "chat:m", "--json", "--trace", "--trace-file", "t.jsonl", "Go", server=server)
    assert "chat m" in shown.stderr
    first, second = read_traces("t.jsonl").traces
    assert (first.totals().spans, second.trace_id) == (2, json.loads(printed.stdout)["trace"][0]["trace_id"])


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_file_that_cannot_be_written_is_a_wrong_use(cli: Cli, more: list[str]) -> None:
    """Nobody is asked before that is clear."""
    with ChatServer.in_thread(["Hi."]) as server:
        done = cli("run", "--model", "chat:m", "--trace-file", "no/t.jsonl", *more, "Go", server=server)
    assert done.code == 2
    assert "cannot be written" in done.stdout + done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk here that is full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_spans_that_could_not_be_written_are_told(cli: Cli, more: list[str]) -> None:
    """The run is not ended by it."""
    with ChatServer.in_thread(["Hi."]) as server:
        done = cli("run", "--model", "chat:m", "--trace-file", "/dev/full", *more, "Go", server=server)
    assert done.code == 0
    assert "2 spans could not be written to /dev/full: [Errno 28] No space left on device" in done.stderr

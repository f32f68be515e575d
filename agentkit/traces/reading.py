"""Files of OTLP-JSON lines -> traces. What cannot be read is named with its line; nothing is lost without a word."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from agentkit.errors import ConfigError

from .otlp_json import spans_of
from .span import SpanNode
from .tree import Trace, traces

_GZIP = b"\x1f\x8b"
_SIGNALS = {"resourceMetrics": "metrics", "resourceLogs": "logs", "resourceProfiles": "profiles"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """What is not as it should be in a file."""

    line: int
    """From 1; 0 is the file as a whole."""
    why: str
    cut_off: bool = False
    """Whether it is a last line that has no end: its writer is still at work, or was ended."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}" if self.line else self.why


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceFile:
    """What a file holds."""

    path: str
    traces: tuple[Trace, ...]
    """In the order in which they began."""
    flaws: tuple[Flaw, ...]
    """What could not be read, and what was left out."""

    def trace(self, trace_id: str) -> Trace:
        """The trace whose id begins like this.

        Raises:
            ConfigError: there is none, or there are several.
        """
        found = [trace for trace in self.traces if trace.trace_id.startswith(trace_id.lower())]
        if len(found) != 1:
            many = f"{len(found)} traces that begin" if found else "no trace that begins"
            known = ", ".join(trace.trace_id for trace in (found or self.traces)[:5])
            raise ConfigError(f"{self.path!r} has {many} with {trace_id!r}; there are: {known}")
        return found[0]


def read_traces(path: str | Path) -> TraceFile:
    """Read a file that `agentkit run --trace-file`, `TraceFileExporter` or a collector wrote; also with gzip.

    Raises:
        ConfigError: it cannot be opened, or there is no span in it.
    """
    flaws: list[Flaw] = []
    try:
        with Path(path).open("rb") as file:
            spans = list(_spans(file, flaws))
    except OSError as error:
        raise ConfigError(f"the trace file {str(path)!r} cannot be read: {error}") from None
    if not spans:
        said = "; ".join(str(flaw) for flaw in flaws[:3]) or "it is empty"
        raise ConfigError(f"there is no span in {str(path)!r}: {said}")
    found = traces(spans)
    if twice := len(spans) - len({(span.trace_id, span.span_id) for span in spans}):
        flaws.append(Flaw(line=0, why=f"{twice} {'spans are' if twice > 1 else 'span is'} there twice"))
    return TraceFile(path=str(path), traces=found, flaws=tuple(flaws))


def _spans(file: BufferedReader, flaws: list[Flaw]) -> Iterator[SpanNode]:
    others: dict[str, int] = {}
    for number, line, cut_off in _lines(file, flaws):
        try:
            request = json.loads(line.decode())
            if not isinstance(request, dict) or not (_SIGNALS.keys() | {"resourceSpans"}) & request.keys():
                raise ValueError("no `resourceSpans` is in it")
            yield from spans_of(request)
            for signal in _SIGNALS.keys() & request.keys():
                others[signal] = others.get(signal, 0) + 1
        except (ValueError, RecursionError) as error:
            flaws.append(_flaw(number, error, cut_off))
    flaws += [Flaw(line=0, why=f"{_SIGNALS[signal]} are left out") for signal in sorted(others)]


def _flaw(number: int, error: Exception, cut_off: bool) -> Flaw:
    if cut_off:
        return Flaw(line=number, why="the file breaks off here", cut_off=True)
    if isinstance(error, UnicodeDecodeError):
        return Flaw(line=number, why="it is no UTF-8")
    if isinstance(error, json.JSONDecodeError):
        return Flaw(line=number, why=f"it is no JSON: {error.msg} at character {error.pos + 1}")
    return Flaw(line=number, why=f"it is no OTLP-JSON of spans: {str(error) or 'it is too deep'}")


def _lines(file: BufferedReader, flaws: list[Flaw]) -> Iterator[tuple[int, bytes, bool]]:
    """The lines that are not blank, from 1; and of each whether it has no end."""
    zipped = file.peek(2)[:2] == _GZIP
    number = 0
    try:
        with gzip.open(file) if zipped else file as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line, not line.endswith(b"\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        flaws.append(Flaw(line=number + 1, why=f"the gzip breaks off: {error}", cut_off=isinstance(error, EOFError)))

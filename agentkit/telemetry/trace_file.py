"""Spans, written to a file of OTLP-JSON lines: what `agentkit trace` reads, and collectors too.

See https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

import json
import logging
import os
import stat
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from agentkit.errors import ConfigError

from . import Telemetry
from .otlp_json import request_of
from .provider import provider_apart

_log = logging.getLogger("agentkit.telemetry")


class TraceFileExporter(SpanExporter):
    """Adds spans to a file, each when it ends: those of an agent, or those of the application's own set-up.

        Agent("chat:gpt-5.5", telemetry=TraceFileExporter("trace.jsonl").telemetry)
        provider.add_span_processor(BatchSpanProcessor(TraceFileExporter("trace.jsonl")))

    A line is written whole, in one piece: many threads and processes may add to one file, and what is written stays
    when the program is killed. Nobody but the owner may read a file that is made here, since a trace may hold what was
    said. Where a line cannot be written, the program goes on: the spans are counted in `lost`, and that is logged once.

    Raises:
        ConfigError: the file cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.lost = 0
        """Spans that could not be written."""
        self.problem = ""
        """Why, as the system says."""
        self._lock = threading.Lock()
        try:
            self._file: int | None = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND | _BINARY, 0o600)
        except OSError as error:
            raise ConfigError(f"the trace file {str(path)!r} cannot be written: {error}") from None
        self._torn = _is_torn(self._file)
        """Whether the file ends amid a line, which the next one must not go on with."""

    @cached_property
    def telemetry(self) -> Telemetry:
        """What an agent needs for its spans to go here, and not to the application's own OpenTelemetry set-up."""
        return Telemetry(tracer_provider=provider_apart(SimpleSpanProcessor(self), Resource.create()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.shutdown()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write spans down."""
        try:
            line = json.dumps(request_of(spans), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
            self._append(line + b"\n")
        except (OSError, ValueError, RecursionError) as error:
            if not self.lost:
                _log.warning("spans cannot be written to %s: %s", self.path, error)
            self.lost += len(spans)
            self.problem = str(error)
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file; what comes later is lost."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True

    def _append(self, line: bytes) -> None:
        with self._lock:
            if self._file is None:
                raise OSError("it is closed")
            data = b"\n" + line if self._torn else line
            written = os.write(self._file, data)
            self._torn = written < len(data)
            if self._torn:
                raise OSError("there is no room for a whole line")


_BINARY = getattr(os, "O_BINARY", 0)
"""Windows would turn a line's end into two characters."""


def _is_torn(file: int) -> bool:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    os.lseek(file, -1, os.SEEK_END)
    return os.read(file, 1) != b"\n"

"""What goes wrong with telemetry, said once or once in a while, and never in a run's way."""

import logging
import re
import time
from functools import lru_cache
from pathlib import Path
from traceback import walk_tb
from typing import Any, Final

log: Final = logging.getLogger("agentkit.telemetry")

SILENCE_SECONDS = 600.0
_LOGGERS = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
_LONGEST = 300


@lru_cache(maxsize=64)
def warn(words: str) -> None:
    """Log it, once."""
    log.warning("%s", words)


def survived(error: Exception) -> None:
    """Say, once for each place, that something of the application's set-up has raised: a run goes on without it.

    Only where it was is said: the words of the error may repeat what is on a span.
    """
    *_, (frame, line) = walk_tb(error.__traceback__)
    where = f"{Path(frame.f_code.co_filename).name}, line {line}"
    warn(f"telemetry is incomplete: {type(error).__name__} in OpenTelemetry, or its set-up ({where})")


class Failures:
    """Counts what exporters could not deliver: the SDK's own `force_flush` does not tell."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, exporter: Any) -> None:
        """Count what this one fails to deliver from now on."""
        export = getattr(exporter, "export", None)
        if export is None:  # a reader that is asked for its metrics
            return

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            result = export(*args, **kwargs)
            self.count -= result.name == "SUCCESS"
            return result

        exporter.export = counted


def quiet() -> None:
    """Let exporters' troubles through once in ten minutes, as warnings of `agentkit.telemetry`.

    A logger that the application has set up itself, with a level or a handler, goes on as it was.
    """
    seldom = _Seldom(logging.WARNING)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET and not logger.handlers:
            logger.addHandler(seldom)
            logger.propagate = False


class _Seldom(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._said.get(record.name, -SILENCE_SECONDS) < SILENCE_SECONDS:
            return
        self._said[record.name] = now
        words = re.sub(r"\?[^\s'\"()]+", "?...", record.getMessage())  # a URL may hold a key
        log.warning("telemetry is not delivered, and this is said again in ten minutes: %s", words[:_LONGEST])

"""What is sent to the log of a model call: that it failed, and, where somebody has asked for it, all of it."""

from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any

from . import semconv as s
from .quiet import survived

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LogRecord
    from opentelemetry.context import Context


def failed(logger: "Logger", context: "Context", kind: str, words: str) -> None:
    """A model call has failed.

    Args:
        logger: Where it is told.
        context: Its span's.
        kind: Its `error.type`.
        words: What may be read of the error.
    """
    from opentelemetry._logs import LogRecord, SeverityNumber

    attributes = {s.EXCEPTION_TYPE: kind, s.EXCEPTION_MESSAGE: words}
    severity = SeverityNumber.WARN
    record = LogRecord(
        timestamp=time_ns(), context=context, severity_number=severity, event_name=s.EXCEPTION, attributes=attributes
    )
    _emit(logger, record)


def details(logger: "Logger", context: "Context", attributes: Mapping[str, Any]) -> None:
    """All that is known of a model call."""
    from opentelemetry._logs import LogRecord

    _emit(
        logger,
        LogRecord(timestamp=time_ns(), context=context, event_name=s.INFERENCE_DETAILS, attributes=attributes),
    )


def _emit(logger: "Logger", record: "LogRecord") -> None:
    try:
        logger.emit(record)
    except Exception as broken:
        survived(broken)

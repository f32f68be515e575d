"""What is sent to the log of a model call: that it failed, and, where somebody has asked for it, all of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import semconv as s

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
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

    logger.emit(
        LogRecord(
            context=context,
            severity_number=SeverityNumber.WARN,
            event_name=s.EXCEPTION,
            attributes={s.EXCEPTION_TYPE: kind, s.EXCEPTION_MESSAGE: words},
        )
    )


def details(logger: "Logger", context: "Context", attributes: Mapping[str, Any]) -> None:
    """All that is known of a model call."""
    from opentelemetry._logs import LogRecord

    logger.emit(LogRecord(context=context, event_name=s.INFERENCE_DETAILS, attributes=attributes))

"""Where what is seen of runs goes: to the providers that were given, or to the application's own."""

import sys
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import trace

from .content import Content
from .metrics import Instruments
from .quiet import survived
from .semconv import SCHEMA_URL

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider


class Sinks:
    """What spans, metrics and events are made with.

    Where nobody has imported the SDK's metrics, or its logs, nobody has set them up, and nothing of them is imported
    here either. What is set up later is found then.
    """

    def __init__(
        self,
        tracers: "TracerProvider | None",
        meters: "MeterProvider | None",
        loggers: "LoggerProvider | None",
        content: Content,
    ) -> None:
        self._meters = meters
        self._loggers = loggers
        self._scope = ("agentkit", version("agentkit"))
        self.content = content
        self.tracer: Tracer = trace.get_tracer(*self._scope, tracers, SCHEMA_URL)

    @property
    def instruments(self) -> Instruments | None:
        """Those of the metrics."""
        return self._instruments if self._meters or "opentelemetry.sdk.metrics" in sys.modules else None

    @property
    def logger(self) -> "Logger | None":
        """What events are sent with."""
        return self._logger if self._loggers or "opentelemetry.sdk._logs" in sys.modules else None

    @cached_property
    def _instruments(self) -> Instruments | None:
        from opentelemetry.metrics import get_meter

        try:
            return Instruments(get_meter(*self._scope, self._meters, SCHEMA_URL))
        except Exception as broken:
            survived(broken)
            return None

    @cached_property
    def _logger(self) -> "Logger | None":
        from opentelemetry._logs import get_logger

        try:
            return get_logger(*self._scope, self._loggers, SCHEMA_URL)
        except Exception as broken:
            survived(broken)
            return None

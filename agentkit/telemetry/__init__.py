"""Where runs are seen from outside: OpenTelemetry, of which this package is the only importer."""

import os
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from agentkit.errors import ConfigError

from .nothing import NOTHING, UPLOADS
from .propagation import inject

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from .content import Content, ContentOption
    from .content_upload import Upload
    from .nothing import NoSpans
    from .run_spans import RunSpans
    from .setup import configure
    from .sinks import Sinks

Spans: TypeAlias = "RunSpans | NoSpans"
"""What a run tells of itself, where it is seen and where it is not."""

__all__ = ["Content", "Telemetry", "Upload", "configure", "inject"]


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """Where an agent's spans, metrics and events go: to the application's own OpenTelemetry set-up, if not given."""

    tracer_provider: "TracerProvider | None" = field(default=None, repr=False)
    meter_provider: "MeterProvider | None" = field(default=None, repr=False)
    logger_provider: "LoggerProvider | None" = field(default=None, repr=False)
    content: "ContentOption" = None
    """What of prompts, answers and tool calls is captured: nothing, unless it is said here or in the environment."""

    def __post_init__(self) -> None:
        for kind in ("tracer", "meter", "logger"):
            given = getattr(self, f"{kind}_provider")
            if given is not None and not hasattr(given, f"get_{kind}"):
                raise ConfigError(f"{kind}_provider={given!r:.60} has no get_{kind}(); give a {kind.title()}Provider")
        if self.content is not None:
            from .content import Content

            Content.of(self.content)  # refused here, not on the first run

    def run(self) -> "Spans":
        """The spans of a run that is about to begin."""
        if not self._is_seen:
            return NOTHING
        from .run_spans import RunSpans

        return RunSpans(self._sinks)

    @property
    def _is_seen(self) -> bool:
        """Whether anybody sees what is sent: who has imported nothing of OpenTelemetry has not set it up either."""
        if self.tracer_provider or self.meter_provider or self.logger_provider or getattr(self.content, "upload", None):
            return True
        if self.content is None and UPLOADS in os.environ:
            return True
        if "opentelemetry.sdk.metrics" in sys.modules or "opentelemetry.sdk._logs" in sys.modules:
            return True
        if "opentelemetry.trace" not in sys.modules:
            return False
        from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

        return not isinstance(get_tracer_provider(), ProxyTracerProvider)

    @cached_property
    def _sinks(self) -> "Sinks":
        from .content import Content
        from .sinks import Sinks

        return Sinks(self.tracer_provider, self.meter_provider, self.logger_provider, Content.of(self.content))


def __getattr__(name: str) -> Any:
    """`configure` and `Content`, on first use: with all that they need they cost a good part of `import agentkit`."""
    if name == "configure":
        from .setup import configure

        return configure
    if name == "Content":
        from .content import Content

        return Content
    if name == "Upload":
        from .content_upload import Upload

        return Upload
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

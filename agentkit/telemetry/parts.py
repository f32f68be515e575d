"""The SDK's own parts for each signal: exporters, and the providers that feed them."""

from collections.abc import Sequence
from typing import Any

from agentkit.errors import ConfigError

from .environment import Signal

_INSTALL = "pip install opentelemetry-exporter-otlp"
PROVIDER: dict[Signal, str] = {"traces": "tracer", "metrics": "meter", "logs": "logger"}
"""What the provider of a signal is called."""


def check_free(signal: Signal) -> None:
    """Make sure that the application has no provider of its own.

    Raises:
        ConfigError: it has one.
    """
    found = type(current(signal))
    if "Proxy" not in found.__name__:  # which stands in for one that is set later
        raise ConfigError(
            f"the application has set a {PROVIDER[signal]} provider of its own "
            f"({found.__module__}.{found.__qualname__}), and agentkit uses that: leave configure() out, or set "
            f"OTEL_{signal.upper()}_EXPORTER=none to have the rest set up"
        )


def current(signal: Signal) -> Any:
    """The provider that the application uses."""
    return getattr(_api(signal), f"get_{PROVIDER[signal]}_provider")()


def install(signal: Signal, provider: Any) -> None:
    """Make it the application's."""
    getattr(_api(signal), f"set_{PROVIDER[signal]}_provider")(provider)


def exporter(signal: Signal, name: str) -> Any:
    """A new exporter, by the name under which it is installed.

    Raises:
        ConfigError: there is none, or its variables say what cannot be.
    """
    from importlib.metadata import entry_points  # late: it costs as much as all of `import agentkit`

    found = list(entry_points(group=f"opentelemetry_{signal}_exporter", name=name))
    if not found and name.startswith("otlp_proto_"):
        raise ConfigError(f"the exporters are not installed: {_INSTALL}")
    if not found:
        raise ConfigError(
            f"OTEL_{signal.upper()}_EXPORTER: there is no {name!r}; take otlp, console or none, or install it"
        )
    try:
        return found[0].load()()
    except ImportError as error:
        raise ConfigError(f"the exporters cannot be imported ({error}): {_INSTALL}") from error
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        raise ConfigError(f"an OTEL_EXPORTER_* variable is wrong: the exporter of {signal} says: {error}") from error


def provider(signal: Signal, exporters: Sequence[Any], resource: Any) -> Any:
    """A new provider, which sends in threads: the event loop never waits.

    Raises:
        ConfigError: a variable says what cannot be.
    """
    try:
        return _PROVIDERS[signal](exporters, resource)
    except ValueError as error:
        raise ConfigError(f"an OTEL_* variable of the {signal} is wrong: {error}") from error


def _tracer_provider(exporters: Sequence[Any], resource: Any) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = TracerProvider(resource=resource, shutdown_on_exit=False)
    for each in exporters:
        made.add_span_processor(BatchSpanProcessor(each))
    return made


def _meter_provider(exporters: Sequence[Any], resource: Any) -> Any:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader

    readers = [each if isinstance(each, MetricReader) else PeriodicExportingMetricReader(each) for each in exporters]
    return MeterProvider(readers, resource=resource, shutdown_on_exit=False)


def _logger_provider(exporters: Sequence[Any], resource: Any) -> Any:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    made = LoggerProvider(resource=resource, shutdown_on_exit=False)
    for each in exporters:
        made.add_log_record_processor(BatchLogRecordProcessor(each))
    return made


_PROVIDERS = {"traces": _tracer_provider, "metrics": _meter_provider, "logs": _logger_provider}


def _api(signal: Signal) -> Any:
    from opentelemetry import _logs, metrics, trace

    return {"traces": trace, "metrics": metrics, "logs": _logs}[signal]

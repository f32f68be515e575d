"""What the OTEL_* variables ask for, read and checked before anything is set up with them.

See https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from agentkit.errors import ConfigError

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
Environment: TypeAlias = Mapping[str, str]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")

_EXPORTERS = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""What the exporters of each protocol are called where they are installed."""
_GRPC_PORT = 4317


def is_disabled(environment: Environment) -> bool:
    """Whether OpenTelemetry is switched off."""
    return _said(environment, "OTEL_SDK_DISABLED").lower() == "true"


def exporters(environment: Environment, signal: Signal) -> tuple[str, ...]:
    """The names under which the exporters of traces, metrics or logs are installed.

    Raises:
        ConfigError: a variable says what cannot be.
    """
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    names = [name.strip() for name in (_said(environment, variable) or "otlp").split(",") if name.strip()]
    if "none" in names and len(names) > 1:
        raise ConfigError(f"{variable} is {environment[variable]!r}; 'none' stands alone")
    return tuple(_otlp(environment, signal) if name == "otlp" else name for name in names if name != "none")


def _otlp(environment: Environment, signal: Signal) -> str:
    _check_headers(environment, signal)
    _check_files(environment, signal)
    endpoint = _endpoint(environment, signal)
    variable, protocol = _first(environment, signal, "PROTOCOL")
    if not protocol:
        protocol = "grpc" if endpoint and endpoint.port == _GRPC_PORT else "http/protobuf"
    if protocol not in _EXPORTERS:
        raise ConfigError(f"{variable} is {protocol!r}; take one of {', '.join(_EXPORTERS)}")
    return _EXPORTERS[protocol]


def _endpoint(environment: Environment, signal: Signal) -> SplitResult | None:
    variable, text = _first(environment, signal, "ENDPOINT")
    if not text:
        return None
    if not (found := _url(text)):
        raise ConfigError(f"{variable} is {_bare(text)!r}; it has to be like http://collector:4318")
    if "@" in found.netloc:
        raise ConfigError(
            f"{variable} has a name or a password in it, which would be logged; put it in OTEL_EXPORTER_OTLP_HEADERS"
        )
    return found


def _url(text: str) -> SplitResult | None:
    try:
        found = urlsplit(text)
        is_good = found.scheme in ("http", "https") and found.hostname and found.port != 0
    except ValueError:
        return None
    return found if is_good else None


def _check_headers(environment: Environment, signal: Signal) -> None:
    """The SDK would log what it cannot read, and that is a key most often."""
    variable, text = _first(environment, signal, "HEADERS")
    for at, part in enumerate(text.split(","), 1):
        if part.strip() and not part.partition("=")[0].strip():
            raise ConfigError(f"{variable}: part {at} has no name; write it like name=value,name=value")
        if part.strip() and "=" not in part:
            raise ConfigError(f"{variable}: part {at} has no '='; write it like name=value,name=value")


def _check_files(environment: Environment, signal: Signal) -> None:
    """The SDK would find out at the first export, or go on without the file."""
    for what in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"):
        variable, file = _first(environment, signal, what)
        if file and not Path(file).is_file():
            raise ConfigError(f"{variable} is {file!r}; there is no such file")


def _bare(endpoint: str) -> str:
    """Without what may be secret."""
    return endpoint.partition("?")[0].rpartition("@")[2]


def _first(environment: Environment, signal: Signal, what: str) -> tuple[str, str]:
    """The signal's own variable, or the one for all signals, and what it says."""
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"
    if text := _said(environment, own):
        return own, text
    shared = f"OTEL_EXPORTER_OTLP_{what}"
    return shared, _said(environment, shared)


def _said(environment: Environment, variable: str) -> str:
    """An empty variable is as good as none."""
    return environment.get(variable, "").strip()

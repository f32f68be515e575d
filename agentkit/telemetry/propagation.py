"""The current span, told to others: to the servers that tools ask, and to the processes that tools run in."""

import sys
from collections.abc import Generator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from agentkit.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

Headers = TypeVar("Headers", bound=MutableMapping[str, str])


def inject(headers: Headers) -> Headers:
    """Add to the headers of a request what makes the server's spans a part of this trace; the same headers.

        httpx2.get(url, headers=inject({}))

    These are `traceparent`, `tracestate` and `baggage`, or what OTEL_PROPAGATORS asks for. Without a span, none.
    Baggage goes to the server as it is: give headers to servers that may read it.

    Raises:
        ConfigError: OTEL_PROPAGATORS names what is not there.
    """
    if not _in_a_span():
        return headers
    try:
        from opentelemetry import propagate
    except ValueError as error:
        raise ConfigError(f"OTEL_PROPAGATORS: {error}") from None
    added: dict[str, str] = {}
    propagate.inject(added)
    for name in [each for each in headers if each.lower() in added]:
        del headers[name]  # a dict would hold it twice, in capitals and in small letters
    headers.update(added)
    return headers


def carried() -> dict[str, str]:
    """The current span and its baggage, for `taken_up` in another process; nothing without a span."""
    carrier: dict[str, str] = {}
    into: Any = carrier  # of a type that only its setter knows
    if _in_a_span():
        for each in _w3c():
            each.inject(into)
    return carrier


@contextmanager
def taken_up(carrier: Mapping[str, str]) -> Generator[None]:
    """The span of another process is the current one in this block; without one, nothing is done nor imported."""
    if not carrier:
        yield
        return
    from opentelemetry import context

    found = context.get_current()
    for each in _w3c():
        found = each.extract(carrier, found)
    token = context.attach(found)
    try:
        yield
    finally:
        context.detach(token)


def _in_a_span() -> bool:
    if "opentelemetry.trace" not in sys.modules:
        return False  # nobody has begun one
    from opentelemetry import trace

    return trace.get_current_span().get_span_context().is_valid


def _w3c() -> "tuple[TextMapPropagator, ...]":
    """Between agentkit's own processes, whatever OTEL_PROPAGATORS says."""
    from opentelemetry.baggage.propagation import W3CBaggagePropagator
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator(), W3CBaggagePropagator()

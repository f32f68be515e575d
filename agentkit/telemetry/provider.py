"""A tracer provider beside the application's own."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON


def provider_apart(processor: SpanProcessor, resource: Resource) -> TracerProvider:
    """A provider that the application's set-up does not reach: no sampling of its environment, no global state."""
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider

"""See a run in OpenTelemetry: set it up once, where the program starts, and each run is traced.

    python examples/tracing.py

It needs OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own. To send spans and metrics to a collector, install
`".[otel]"`, and call `agentkit.telemetry.configure("shop")` in place of the four lines about `provider`. It prints:

    Yes, we have three of A-1.
    chat gpt-5.5
    execute_tool units_left
    chat gpt-5.5
    invoke_agent clerk
    POST /ask
"""

import anyio
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from agentkit import Agent, tool


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock.

    Args:
        sku: The product code printed on the label.
    """
    return 3


clerk = Agent("chat:gpt-5.5", name="clerk", tools=[units_left])


async def main() -> None:
    with trace.get_tracer("shop").start_as_current_span("POST /ask"):  # a web framework's instrumentation makes this
        result = await clerk.run("Have you got A-1?")
    print(result.output)


if __name__ == "__main__":
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"{span.name}\n")))
    trace.set_tracer_provider(provider)
    anyio.run(main)
    provider.shutdown()  # sends what is left

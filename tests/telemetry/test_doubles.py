"""Next to instrumentations of the openai SDK, a model call is one span: real instrumentations, real requests."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

PROGRAM = """
import json, sys
from importlib import import_module

import anyio
import openai
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentkit import Agent, Telemetry
from agentkit.models.chat import ChatBackend
from agentkit.testing import ChatServer

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
import_module(sys.argv[1]).OpenAIInstrumentor().instrument(tracer_provider=provider)

async def main():
    async with ChatServer(["Three.", "Four.", "Five."]) as server:
        model = ChatBackend("gpt-5.5", base_url=f"{server.url}/v1", api_key="k")
        agent = Agent(model, telemetry=Telemetry(tracer_provider=provider))
        await agent.run("How many?")
        async with agent.stream("How many?") as run:
            async for _ in run:
                pass
        client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k")
        await client.chat.completions.create(model="gpt-5.5", messages=[{"role": "user", "content": "How many?"}])
        await client.close()

anyio.run(main)
print(json.dumps([(span.instrumentation_scope.name, span.name) for span in exporter.get_finished_spans()]))
"""

OURS = [("agentkit", "chat gpt-5.5"), ("agentkit", "invoke_agent")]


INSTRUMENTATIONS = [
    "opentelemetry.instrumentation.genai.openai",
    "openinference.instrumentation.openai",
]


@pytest.mark.parametrize("instrumentation", INSTRUMENTATIONS)
def test_a_model_call_is_one_span_and_the_applications_own_requests_keep_theirs(instrumentation: str) -> None:
    """A run, a stream, and then a request of the application's own, to see that the instrumentation is at work."""
    try:
        found = find_spec(instrumentation)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"the instrumentation {instrumentation} is not installed")
    command = [sys.executable, "-c", PROGRAM, instrumentation]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    spans = [tuple(each) for each in json.loads(done.stdout)]
    assert spans[:-1] == OURS * 2
    assert spans[-1][0] == instrumentation

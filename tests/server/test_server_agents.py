"""Agents as models: any client of OpenAI's is their client; their tools run here."""

from pathlib import Path
from typing import Any

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from serving import serving

from agentkit import Agent, Telemetry, ToolResult, tool
from agentkit.errors import ModelTimeout
from agentkit.limits import Limits
from agentkit.messages import AssistantMessage, UserMessage
from agentkit.models.base import ModelSettings
from agentkit.testing import ScriptedModel, call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

ASK: list[Any] = [{"role": "user", "content": "Any A-1 left?"}]
PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}
CHAT_TOOLS: list[Any] = [{"type": "function", "function": {"name": "price", "parameters": PARAMETERS}}]
FLAT_TOOLS: list[Any] = [{"type": "function", "name": "price", "parameters": PARAMETERS, "strict": False}]


@tool
def units_left(sku: str) -> int:
    """How many units are left."""
    return 3


def clerk(script: Any, **options: Any) -> tuple[ScriptedModel, Agent[Any]]:
    """An agent that looks things up."""
    model = ScriptedModel(script)
    return model, Agent(model, name="clerk", instructions="Be brief.", tools=[units_left], **options)


async def test_an_agent_answers_as_a_model_does(tmp_path: Path) -> None:
    """Its tools run here, and the client sees none of them: whole and streamed, on both APIs."""
    looked_up = [[call("units_left", sku="A-1")], "Three left."]
    model, agent = clerk(looked_up * 4)
    async with serving(tmp_path, agents={"clerk": agent}) as served, served.client() as client:
        assert [each.id async for each in client.models.list()] == ["clerk"]
        told = await client.chat.completions.create(model="clerk", messages=ASK)
        assert told.choices[0].message.content == "Three left."
        assert not told.choices[0].message.tool_calls
        assert told.usage is not None
        assert told.usage.total_tokens == 30
        async with client.chat.completions.stream(model="clerk", messages=ASK) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content == "Three left."
        assert final.choices[0].finish_reason == "stop"
        response = await client.responses.create(model="clerk", input="Any A-1 left?")
        assert (response.output_text, len(response.output)) == ("Three left.", 1)
        async with client.responses.stream(model="clerk", input="Any A-1 left?") as events:
            assert (await events.get_final_response()).output_text == "Three left."
    assert list(model.requests[1].messages) == [
        UserMessage(content="Any A-1 left?"),
        AssistantMessage(tool_calls=(call("units_left", sku="A-1"),)),
        ToolResult(call_id="call_units_left", name="units_left", content="3"),
    ]


async def test_what_a_client_says_is_added_to_what_the_agent_is_told(tmp_path: Path) -> None:
    """Its instructions stay, and so does how it samples, where the client says nothing of it."""
    model, agent = clerk(["Yes."] * 2, settings=ModelSettings(temperature=0.25, max_tokens=50))
    async with serving(tmp_path, agents={"clerk": agent}) as served, served.client() as client:
        messages: list[Any] = [{"role": "system", "content": "In German."}, *ASK]
        await client.chat.completions.create(model="clerk", messages=messages, max_completion_tokens=20)
        await client.responses.create(model="clerk", input="Hi", instructions="In German.", temperature=1)
    assert [request.instructions for request in model.requests] == ["Be brief.\n\nIn German."] * 2
    settings = [(request.settings.temperature, request.settings.max_tokens) for request in model.requests]
    assert settings == [(0.25, 20), (1.0, 50)]


async def test_functions_of_the_client_go_together_with_the_agents_tools(tmp_path: Path) -> None:
    """Its own run here, those of the client come back as calls, and the next request brings what they came to."""
    both = [call("units_left", sku="A-1"), call("price", sku="A-1")]
    model, agent = clerk([[call("units_left", sku="A-1")], both, "Three, at 5.", both, "Three, at 5."])
    async with serving(tmp_path, agents={"clerk": agent}) as served, served.client() as client:
        asked = await client.chat.completions.create(model="clerk", messages=ASK, tools=CHAT_TOOLS)
        calls: Any = asked.choices[0].message.tool_calls
        assert asked.choices[0].finish_reason == "tool_calls"
        assert [(each.id, each.function.name) for each in calls] == [("call_price", "price")]
        history: list[Any] = [*ASK, asked.choices[0].message.model_dump(exclude_none=True)]
        history.append({"role": "tool", "tool_call_id": "call_price", "content": "5"})
        told = await client.chat.completions.create(model="clerk", messages=history, tools=CHAT_TOOLS)
        assert told.choices[0].message.content == "Three, at 5."
        async with client.responses.stream(model="clerk", input="Any?", tools=FLAT_TOOLS) as stream:
            response = await stream.get_final_response()
        items: Any = response.output
        assert [(each.type, each.name, each.call_id) for each in items] == [("function_call", "price", "call_price")]
        output: Any = [{"type": "function_call_output", "call_id": "call_price", "output": "5"}]
        last = await client.responses.create(
            model="clerk", input=output, previous_response_id=response.id, tools=FLAT_TOOLS
        )
        assert last.output_text == "Three, at 5."
    assert list(model.requests[2].messages[1:]) == [
        AssistantMessage(tool_calls=(call("price", sku="A-1"),)),
        ToolResult(call_id="call_price", name="price", content="5"),
    ]


async def test_calls_that_do_not_fit_are_asked_for_again(tmp_path: Path) -> None:
    """The client is not bothered with what the agent's run sorts out by itself."""
    wrong, right = [call("price", sku=4)], [call("price", sku="A-1")]
    _, agent = clerk([wrong, right, wrong, right])
    async with serving(tmp_path, agents={"clerk": agent}) as served, served.client() as client:
        asked = await client.chat.completions.create(model="clerk", messages=ASK, tools=CHAT_TOOLS)
        calls: Any = asked.choices[0].message.tool_calls
        assert [each.function.arguments for each in calls] == ['{"sku":"A-1"}']
        response = await client.responses.create(model="clerk", input="Any?", tools=FLAT_TOOLS)
        items: Any = response.output
        assert [each.arguments for each in items] == ['{"sku":"A-1"}']


async def test_what_needs_a_yes_is_not_done(tmp_path: Path) -> None:
    """There is nobody who could be asked; the agent is told, and goes on."""
    done = []

    @tool(approval=True)
    def order(sku: str) -> str:
        """Order more."""
        done.append(sku)
        return "ordered"

    model = ScriptedModel([[call("order", sku="A-1")], "I may not."] * 2)
    agent = Agent(model, tools=[order])
    async with serving(tmp_path, agents={"clerk": agent}) as served, served.client() as client:
        told = await client.chat.completions.create(model="clerk", messages=ASK)
        assert told.choices[0].message.content == "I may not."
        assert (await client.responses.create(model="clerk", input="Order!")).output_text == "I may not."
    assert done == []
    result: Any = model.requests[1].messages[-1]
    assert "nobody can be asked for approval here" in result.content


class Stock(BaseModel):
    left: int


async def test_an_agent_that_answers_in_a_form_says_it_as_json(tmp_path: Path) -> None:
    """Its own output type, where the client asks for none."""
    _, agent = clerk(['{"left": 3}'] * 2, output=Stock)
    async with serving(tmp_path, agents={"clerk": agent}) as served, served.client() as client:
        told = await client.chat.completions.create(model="clerk", messages=ASK)
        assert Stock.model_validate_json(told.choices[0].message.content or "") == Stock(left=3)
        response = await client.responses.create(model="clerk", input="Any?")
        assert Stock.model_validate_json(response.output_text) == Stock(left=3)


async def test_an_agent_keeps_to_its_limits(tmp_path: Path) -> None:
    """And what goes wrong in it has a status of its own."""
    _, agent = clerk([[call("units_left", sku="A-1")]] * 9, limits=Limits(iterations=2))
    _, slow = clerk([ModelTimeout("too late")])
    async with serving(tmp_path, agents={"clerk": agent, "slow": slow}) as served, served.client() as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="clerk", messages=ASK)
        with pytest.raises(openai.InternalServerError) as caught:
            await client.responses.create(model="slow", input="Any?")
        assert caught.value.status_code == 504


async def test_a_function_cannot_take_the_name_of_an_agents_tool(tmp_path: Path) -> None:
    """It would be unclear who runs it."""
    _, agent = clerk([])
    taken: list[Any] = [{"type": "function", "function": {"name": "units_left", "parameters": PARAMETERS}}]
    async with serving(tmp_path, agents={"clerk": agent}) as served, served.client() as client:
        with pytest.raises(openai.BadRequestError, match="has a tool 'units_left' of its own"):
            await client.chat.completions.create(model="clerk", messages=ASK, tools=taken)


async def test_an_agents_run_is_a_part_of_its_clients_trace(tmp_path: Path) -> None:
    """Whoever looks at the client's trace sees what the agent has done for it, streamed or not, on both APIs."""
    recorded = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(recorded))
    _, agent = clerk(["Three."] * 4, telemetry=Telemetry(tracer_provider=provider))
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    async with serving(tmp_path, agents={"clerk": agent}) as served:
        async with served.client(default_headers=headers) as client:
            await client.chat.completions.create(model="clerk", messages=ASK)
            async with client.chat.completions.stream(model="clerk", messages=ASK) as stream:
                await stream.get_final_completion()
            await client.responses.create(model="clerk", input="Any?")
            made = await client.responses.create(model="clerk", input="Any?", background=True, stream=True)
            async for _ in made:
                pass
    spans = [span for span in recorded.get_finished_spans() if span.name.startswith("invoke_agent")]
    assert [f"{span.context.trace_id:x}" for span in spans if span.context] == ["af7651916cd43dd8448eb211c80319c"] * 4

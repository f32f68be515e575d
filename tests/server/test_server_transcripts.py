"""The same conversation through Chat, Responses, Conversations and Assistants: the model is told the same."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from openai import AsyncOpenAI
from serving import serving

from agentkit import Agent, tool
from agentkit.messages import Message
from agentkit.testing import ScriptedModel, call

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"sku": {"type": "string"}},
    "required": ["sku"],
    "additionalProperties": False,
}
NAMES = ("units_left", "price")
NESTED: list[Any] = [{"type": "function", "function": {"name": name, "parameters": PARAMETERS}} for name in NAMES]
FLAT: list[Any] = [{"type": "function", "name": name, "parameters": PARAMETERS, "strict": False} for name in NAMES]
OUTPUTS = {"units_left": "3", "price": "5 euros"}
TOLD = "Be brief."
QUESTIONS = ("Any A-1 left?", "And B-2?", "Thank you!")
SCRIPT: list[Any] = [
    [call("units_left", sku="A-1"), call("price", sku="A-1")],
    "Three, at 5 euros.",
    [call("units_left", sku="B-2")],
    [call("price", sku="B-2")],
    "The same.",
    "You are welcome.",
]
"""Two calls at once, then one after the other, then none."""

Talk: TypeAlias = Callable[[AsyncOpenAI, str], Awaitable[list[str]]]


async def chat(client: AsyncOpenAI, model: str) -> list[str]:
    """The client keeps the conversation."""
    messages: list[Any] = [{"role": "system", "content": TOLD}]
    said = []
    for question in QUESTIONS:
        messages.append({"role": "user", "content": question})
        while True:
            told = await client.chat.completions.create(model=model, messages=messages, tools=NESTED)
            message: Any = told.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            if not message.tool_calls:
                break
            for each in message.tool_calls:
                output = OUTPUTS[each.function.name]
                messages.append({"role": "tool", "tool_call_id": each.id, "content": output})
        said.append(message.content)
    return said


async def _respond(client: AsyncOpenAI, model: str, question: str, state: dict[str, Any], *, chained: bool) -> str:
    given: Any = question
    while True:
        told = await client.responses.create(model=model, input=given, instructions=TOLD, tools=FLAT, **state)
        if chained:
            state["previous_response_id"] = told.id
        given = [
            {"type": "function_call_output", "call_id": item.call_id, "output": OUTPUTS[item.name]}
            for item in told.output
            if item.type == "function_call"
        ]
        if not given:
            return told.output_text


async def responses(client: AsyncOpenAI, model: str) -> list[str]:
    """The server keeps the conversation, response by response."""
    state: dict[str, Any] = {}
    return [await _respond(client, model, question, state, chained=True) for question in QUESTIONS]


async def conversation(client: AsyncOpenAI, model: str) -> list[str]:
    """The server keeps the conversation, as one."""
    state = {"conversation": (await client.conversations.create()).id}
    return [await _respond(client, model, question, state, chained=False) for question in QUESTIONS]


async def assistant(client: AsyncOpenAI, model: str) -> list[str]:
    """The server keeps the conversation, and the run waits for outputs."""
    clerk = await client.beta.assistants.create(model=model, instructions=TOLD, tools=NESTED)
    thread = await client.beta.threads.create()
    runs, said = client.beta.threads.runs, []
    for question in QUESTIONS:
        await client.beta.threads.messages.create(thread.id, role="user", content=question)
        run = await runs.create_and_poll(thread_id=thread.id, assistant_id=clerk.id, poll_interval_ms=5)
        while run.status == "requires_action":
            assert run.required_action is not None
            calls = run.required_action.submit_tool_outputs.tool_calls
            outputs: Any = [{"tool_call_id": each.id, "output": OUTPUTS[each.function.name]} for each in calls]
            run = await runs.submit_tool_outputs_and_poll(
                run_id=run.id, thread_id=thread.id, tool_outputs=outputs, poll_interval_ms=5
            )
        last: Any = (await client.beta.threads.messages.list(thread.id, limit=1)).data[0].content[0]
        said.append(last.text.value)
    return said


async def _transcript(folder: Path, talk: Talk) -> list[tuple[str, list[Message], list[str]]]:
    model = ScriptedModel(SCRIPT)
    async with serving(folder, models={"*": model}) as served, served.client() as client:
        said = await talk(client, "gpt-4o")
    assert said == ["Three, at 5 euros.", "The same.", "You are welcome."]
    return [(each.instructions, list(each.messages), list(each.tools.names)) for each in model.requests]


async def test_the_model_is_told_the_same_by_all_apis(tmp_path: Path) -> None:
    """Each request of a conversation of three turns, with calls at once and one after the other."""
    folders = {talk: tmp_path / talk.__name__ for talk in (chat, responses, conversation, assistant)}
    for folder in folders.values():
        folder.mkdir()
    expected = await _transcript(folders.pop(chat), chat)
    assert len(expected) == len(SCRIPT)
    for talk, folder in folders.items():
        told = await _transcript(folder, talk)
        for number, (one, other) in enumerate(zip(told, expected, strict=True)):
            assert one == other, (talk.__name__, number)


async def test_an_agent_is_told_the_same_by_all_apis(tmp_path: Path) -> None:
    """Its own tools run here, whoever asks; where the server keeps the conversation, it is told of them again."""

    @tool
    def stock(sku: str) -> int:
        """How many there are."""
        return 3

    script: list[Any] = [[call("stock", sku="A-1"), call("stock", sku="A-2")], SCRIPT[1], SCRIPT[4], SCRIPT[5]]
    transcripts = {}
    for talk in (chat, responses, conversation, assistant):
        folder = tmp_path / talk.__name__
        folder.mkdir()
        model = ScriptedModel(script)
        agent = Agent(model, instructions="You are a clerk.", tools=[stock])
        async with serving(folder, agents={"clerk": agent}) as served, served.client() as client:
            assert await talk(client, "clerk") == ["Three, at 5 euros.", "The same.", "You are welcome."]
        transcripts[talk.__name__] = [(each.instructions, list(each.messages)) for each in model.requests]
    expected = transcripts.pop("responses")
    assert expected[0][0] == "You are a clerk.\n\nBe brief."
    assert transcripts.pop("chat")[:2] == expected[:2]
    for name, told in transcripts.items():
        assert told == expected, name

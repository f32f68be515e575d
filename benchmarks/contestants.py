"""Who is compared: two loops one would write by hand, and agentkit. All of them have the same task."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from . import task, telemetry
from .scenarios import ASSISTANTS, HTTPX2, MEASURED, NO_AIOHTTP, OPENAI, TRACED, UNSEEN, Scenario

Conversation = Callable[[], Awaitable[str]]
"""A conversation about to begin: call it for the last answer."""
Contestant = Callable[[], Conversation]
"""Prepares one conversation; that is not timed."""


def contestant(name: str, scenario: Scenario, url: str) -> Contestant:
    """The contestant of that name, with its client made and its modules imported."""
    makers = {OPENAI: openai_loop, HTTPX2: httpx2_loop, ASSISTANTS: assistants_agent, UNSEEN: telemetry.alone}
    return makers.get(name, agentkit_agent)(scenario, url)


def openai_loop(scenario: Scenario, url: str) -> Contestant:
    """The loop of every tutorial: typed parameters in, pydantic objects out."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="none")

    async def converse(messages: Any) -> str:
        while True:
            response = await client.chat.completions.create(model=task.MODEL, messages=messages, tools=task.TOOLS)
            message = response.choices[0].message
            if not message.tool_calls:
                return message.content or ""
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls:
                assert call.type == "function"
                arguments = json.loads(call.function.arguments)
                result = await task.FUNCTIONS[call.function.name](**arguments)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    return on_dicts(scenario, converse)


def httpx2_loop(scenario: Scenario, url: str) -> Contestant:
    """The same loop on plain HTTP: dicts in, dicts out."""
    import httpx2

    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)  # as the openai SDK has them
    client = httpx2.AsyncClient(limits=limits, timeout=600, headers={"Authorization": "Bearer none"})

    async def converse(messages: Any) -> str:
        while True:
            body = {"model": task.MODEL, "messages": messages, "tools": task.TOOLS}
            response = await client.post(f"{url}/chat/completions", json=body)
            response.raise_for_status()
            message = response.json()["choices"][0]["message"]
            if not message.get("tool_calls"):
                return str(message["content"])
            messages.append(message)
            for call in message["tool_calls"]:
                arguments = json.loads(call["function"]["arguments"])
                result = await task.FUNCTIONS[call["function"]["name"]](**arguments)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})

    return on_dicts(scenario, converse)


def on_dicts(scenario: Scenario, converse: Callable[[Any], Awaitable[str]]) -> Contestant:
    """A loop whose conversation is a list of dicts."""

    def prepare() -> Conversation:
        messages = [
            {"role": "system", "content": task.INSTRUCTIONS},
            *task.history(scenario.history, scenario.calls),
            {"role": "user", "content": task.QUESTION},
        ]
        return lambda: converse(messages)

    return prepare


def agentkit_agent(scenario: Scenario, url: str) -> Contestant:
    """An agent, defined as the README defines one."""
    from agentkit.models.chat import ChatBackend

    return on_agentkit(scenario, ChatBackend(task.MODEL, base_url=url, api_key="none"))


def assistants_agent(scenario: Scenario, url: str) -> Contestant:
    """The same agent on the Assistants wire, where each conversation takes one more request: it makes the thread."""
    from agentkit.models.assistants import AssistantsBackend

    return on_agentkit(scenario, AssistantsBackend(task.MODEL, base_url=url, api_key="none"))


def on_agentkit(scenario: Scenario, model: Any) -> Contestant:
    """The agent, on a backend."""
    from agentkit import Agent, Limits, tool

    limits = Limits(iterations=scenario.rounds + 1)
    agent = Agent(model, instructions=task.INSTRUCTIONS, tools=[tool(task.forecast)], limits=limits)

    def prepare() -> Conversation:
        history = agentkit_history(scenario)  # made anew: nothing of it has been encoded before

        async def converse() -> str:
            return (await agent.run(task.QUESTION, history=history)).output

        return converse

    return prepare


def agentkit_history(scenario: Scenario) -> list[Any]:
    """The history of the task as agentkit's messages."""
    from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, UserMessage

    def message(told: dict[str, Any]) -> Message:
        match told["role"]:
            case "user":
                return UserMessage(content=told["content"])
            case "tool":
                return ToolResult(call_id=told["tool_call_id"], name="forecast", content=told["content"])
        calls = [
            ToolCall(id=call["id"], name=call["function"]["name"], arguments=call["function"]["arguments"])
            for call in told.get("tool_calls", ())
        ]
        return AssistantMessage(text=told["content"] or "", tool_calls=tuple(calls))

    return [message(told) for told in task.history(scenario.history, scenario.calls)]


def set_the_stage(name: str) -> Callable[[], object]:
    """What a contestant needs of its process before it begins; returns what belongs to the end of a repetition."""
    if name == NO_AIOHTTP:
        sys.modules["aiohttp"] = None  # type: ignore[assignment]  # to import it now fails
    return telemetry.set_up(metrics=name == MEASURED) if name in (TRACED, MEASURED) else lambda: None

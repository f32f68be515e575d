"""What the tests of runs share: an assistant on a thread, and a model that waits until it is let go on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from openai import AsyncOpenAI
from serving import Served

from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta, TextDelta
from agentkit.testing import ScriptedModel


def function(name: str, *parameters: str) -> dict[str, Any]:
    """A function tool with text parameters."""
    properties = {each: {"type": "string"} for each in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": f"Do {name}.", "parameters": schema}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """An assistant, and a thread on which the user has said something."""

    client: AsyncOpenAI
    assistant: str
    thread: str

    @property
    def runs(self) -> Any:
        """The SDK's own."""
        return self.client.beta.threads.runs

    async def start(self, **settings: Any) -> Any:
        """A run of the assistant on the thread, in the queue."""
        return await self.runs.create(self.thread, assistant_id=self.assistant, **settings)

    async def speaking(self) -> Any:
        """A run that has begun to say something; nobody watches it any more."""
        stream = await self.start(stream=True)
        async for event in stream:
            if event.event == "thread.message.delta":
                break
        await stream.close()
        return (await self.runs.list(self.thread)).data[0]

    async def run(self, **settings: Any) -> Any:
        """A run, until it ends or waits."""
        return await self.runs.create_and_poll(thread_id=self.thread, assistant_id=self.assistant, **settings)

    async def stream(self, **settings: Any) -> list[Any]:
        """All events of a run."""
        stream = await self.runs.create(self.thread, assistant_id=self.assistant, stream=True, **settings)
        return [event async for event in stream]

    async def until(self, run: Any, *states: str) -> Any:
        """The run, once it is in one of these states."""
        while run.status not in states:
            run = await self.runs.retrieve(run.id, thread_id=self.thread)
        return run

    async def outputs(self, run: Any) -> list[dict[str, str]]:
        """Something for all calls that a run waits for."""
        calls = run.required_action.submit_tool_outputs.tool_calls
        return [{"tool_call_id": call.id, "output": f"{call.function.name} is done"} for call in calls]

    async def answer(self, run: Any, outputs: list[dict[str, str]] | None = None) -> Any:
        """The run, once it has gone on with outputs for its calls."""
        given = await self.outputs(run) if outputs is None else outputs
        return await self.runs.submit_tool_outputs_and_poll(run_id=run.id, thread_id=self.thread, tool_outputs=given)

    async def said(self) -> list[tuple[str, str]]:
        """Who has said what on the thread."""
        messages = await self.client.beta.threads.messages.list(self.thread, order="asc")
        return [(each.role, "".join(_words(part) for part in each.content)) for each in messages.data]

    async def steps(self, run: Any, **query: Any) -> list[Any]:
        """The run's steps."""
        return list((await self.runs.steps.list(run.id, thread_id=self.thread, order="asc", **query)).data)


@asynccontextmanager
async def case(served: Served, **assistant: Any) -> AsyncIterator[Case]:
    """An assistant and a thread on a server."""
    async with served.client() as client:
        made = await client.beta.assistants.create(**{"model": "gpt-4o", **assistant})
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "How many A-1 are left?"}])
        yield Case(client=client, assistant=made.id, thread=thread.id)


@dataclass(kw_only=True)
class WaitingModel:
    """Says its first words, waits until it is let go on, and says the rest."""

    first: str = "One "
    rest: str = "two."
    go_on: anyio.Event = field(default_factory=anyio.Event)
    info: ModelInfo = field(default_factory=lambda: ModelInfo(provider="waiting", model="waiting", in_process=True))

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """See `ModelBackend`."""
        if on_delta is not None and self.first:
            await on_delta(TextDelta(text=self.first))
        await self.go_on.wait()
        if on_delta is not None:
            await on_delta(TextDelta(text=self.rest))
        return await ScriptedModel([self.first + self.rest]).generate(request)


def _words(part: Any) -> str:
    return str(part.text.value if part.type == "text" else part.refusal)

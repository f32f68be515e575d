"""Two runs with one conversation: where `lock_timeout` is given, the second waits, or is told that it cannot."""

from functools import partial
from typing import Any

import anyio
import pytest

from agentkit import Agent, Session
from agentkit.errors import ConfigError, SessionBusy, SessionConflict
from agentkit.models.base import ModelRequest, ModelResponse, OnDelta
from agentkit.sessions import MemoryStore
from agentkit.testing import ScriptedModel

pytestmark = pytest.mark.anyio


class Slow(ScriptedModel):
    """Answers once it may."""

    def __init__(self, answers: int) -> None:
        super().__init__([f"answer {number}" for number in range(answers)])
        self.asked = anyio.Event()
        self.go = anyio.Event()

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        self.asked.set()
        await self.go.wait()
        return await super().generate(request, on_delta)


async def test_runs_with_one_conversation_take_turns() -> None:
    """Each has read what the one before it has said, and nothing is interleaved."""
    model, store = Slow(5), MemoryStore()
    agent = Agent(model)
    async with anyio.create_task_group() as group:
        for number in range(5):
            session = Session("alice", store, lock_timeout=30)
            group.start_soon(partial(agent.run, f"question {number}", session=session))
        await model.asked.wait()
        model.go.set()
    messages: list[Any] = list((await store.load("alice")).messages)
    assert [message.role for message in messages] == ["user", "assistant"] * 5
    assert [len(request.messages) for request in model.requests] == [1, 3, 5, 7, 9]


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_who_cannot_wait_any_longer_is_told(seconds: float) -> None:
    """No model is asked, and whoever holds the conversation goes on."""
    model, store = Slow(2), MemoryStore()
    agent = Agent(model)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(agent.run, "first", session=Session("alice", store, lock_timeout=seconds)))
        await model.asked.wait()
        with pytest.raises(SessionBusy, match="'alice'"):
            await agent.run("second", session=Session("alice", store, lock_timeout=seconds))
        model.go.set()
    assert len(model.requests) == 1
    result = await agent.run("third", session=Session("alice", store, lock_timeout=seconds))
    assert [message.role for message in result.messages] == ["user", "assistant"] * 2


async def test_other_conversations_do_not_wait() -> None:
    """Neither another one in the same store, nor the one of that name in another store."""
    model, store = Slow(3), MemoryStore()
    agent = Agent(model)
    places = [("alice", store), ("bob", store), ("alice", MemoryStore())]
    async with anyio.create_task_group() as group:
        for name, where in places:
            group.start_soon(partial(agent.run, "Hi", session=Session(name, where, lock_timeout=0)))
        await model.asked.wait()
        model.go.set()
    assert len(model.requests) == 3


async def test_a_run_that_fails_or_is_cancelled_leaves_the_conversation_to_the_next() -> None:
    """Whoever holds it and whoever waits for it may go at any time."""
    model, store = Slow(1), MemoryStore()
    session = Session("alice", store, lock_timeout=30)
    agent = Agent(model)
    async with anyio.create_task_group() as group:
        group.start_soon(partial(agent.run, "first", session=session))
        await model.asked.wait()
        group.start_soon(partial(agent.run, "second", session=session))
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    broken = Agent(ScriptedModel([OSError("no")]))
    with pytest.raises(Exception, match="no"):
        await broken.run("third", session=session)
    assert (await Agent(ScriptedModel(["ok"])).run("fourth", session=session)).output == "ok"


async def test_without_a_lock_who_stores_last_is_told() -> None:
    """Nothing is overwritten and nothing interleaved."""
    model, store = Slow(2), MemoryStore()
    agent, told = Agent(model), []

    async def run(prompt: str) -> None:
        try:
            await agent.run(prompt, session=Session("alice", store))
        except SessionConflict:
            told.append(prompt)

    async with anyio.create_task_group() as group:
        group.start_soon(run, "first")
        group.start_soon(run, "second")
        await anyio.wait_all_tasks_blocked()
        model.go.set()
    assert len(told) == 1
    assert [message.role for message in (await store.load("alice")).messages] == ["user", "assistant"]


@pytest.mark.parametrize("seconds", [-1, True, "5", float("nan")])
def test_a_time_that_is_none_is_refused(seconds: Any) -> None:
    """When the session is made, with the way out."""
    with pytest.raises(ConfigError, match="lock_timeout"):
        Session("alice", lock_timeout=seconds)

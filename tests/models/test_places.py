"""Many runs and few places at a server: those that have begun go first, and nobody is forgotten."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from assistants_kit import backend as assistants_backend
from chat_kit import backend

from agentkit import Agent, Limits, tool
from agentkit.guardrails import Guardrails
from agentkit.testing import AssistantsServer, ChatServer, Reply, call

pytestmark = pytest.mark.anyio


@tool
def look(at: str) -> str:
    """Look at something."""
    return at


def who(body: dict[str, Any]) -> str:
    """Whose request it is."""
    return str(body["messages"][0]["content"])


def after(rounds: int) -> Callable[[dict[str, Any]], list[Reply] | str]:
    """A model that looks so many times before it answers."""

    def answer(body: dict[str, Any]) -> Any:
        looked = sum(message["role"] == "tool" for message in body["messages"])
        return [call("look", at=str(looked))] if looked < rounds else "seen"

    return answer


async def test_runs_that_have_begun_are_finished_before_others_begin() -> None:
    """Forty runs of five requests at two places: only few are ever in the middle, and all come to their end."""
    async with ChatServer(after(4)) as server:
        agent = Agent(backend(server, concurrency=2), tools=[look])
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(agent.run, f"run {number}")
    asked = Counter[str]()
    most = 0
    for request in server.requests:
        asked[who(request)] += 1
        most = max(most, sum(0 < times < 5 for times in asked.values()))
    assert set(asked.values()) == {5}
    assert len(asked) == 40
    assert most < 20  # all forty, if each waited behind all others each time


async def test_runs_on_threads_that_have_begun_are_finished_before_others_begin() -> None:
    """An Assistants server's places are limited as well: once the assistant is there, few runs are in the middle."""
    asked = Counter[str]()
    most = 0

    def watched(body: dict[str, Any]) -> Any:
        nonlocal most
        asked[who(body)] += 1
        most = max(most, sum(0 < times < 3 for times in asked.values()))
        return after(2)(body)

    async with AssistantsServer(watched) as server:
        agent = Agent(assistants_backend(server, concurrency=2), tools=[look])
        await agent.run("the first makes the assistant")
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(agent.run, f"run {number}")
    assert set(asked.values()) == {3}
    assert len(asked) == 21
    assert most < 12  # all twenty, if nobody were held back


async def test_who_comes_last_gets_through_though_others_never_stop() -> None:
    """Six runs that go on and on at two places do not keep a seventh from its first answer."""
    async with ChatServer(after(1_000)) as server, anyio.create_task_group() as group:
        model = backend(server, concurrency=2)
        agent = Agent(model, tools=[look], limits=Limits(iterations=5_000, tool_calls=5_000))
        for number in range(6):
            group.start_soon(agent.run, f"endless {number}")
        while len(server.requests) < 20:
            await anyio.lowlevel.checkpoint()
        before = len(server.requests)
        group.start_soon(agent.run, "late")
        while not any(who(request) == "late" for request in server.requests):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert len(server.requests) - before < 60


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_guardrail_may_ask_the_same_model_when_there_is_one_place(blocking: bool) -> None:
    """The agent of a guardrail begins while its run has not got its first answer, and does not wait for that."""
    async with ChatServer(lambda _: "fine") as server:
        model = backend(server, concurrency=1)
        checker = Agent(model)

        async def check(messages: Any, context: Any) -> str | None:
            said = (await checker.run(f"about {messages[-1].content}")).output
            return None if said == "fine" else said

        agent = Agent(model, guardrails=Guardrails(input=[check], blocking=blocking))
        done = []

        async def run(number: int) -> None:
            done.append((await agent.run(f"run {number}")).output)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(run, number)
    assert done == ["fine"] * 10


async def test_a_run_that_needs_no_model_lets_the_next_one_in() -> None:
    """Of those that wait, one in two is stopped before it asks; the places go to the others."""
    go = anyio.Event()

    async def answer(body: dict[str, Any]) -> str:
        await go.wait()
        return "seen"

    def odd(messages: Any, context: Any) -> str | None:
        return "odd" if int(messages[-1].content) % 2 else None

    ended = Counter[str]()
    async with ChatServer(answer) as server:
        agent = Agent(backend(server, concurrency=1), guardrails=Guardrails(input=[odd], blocking=True))

        async def run(number: int) -> None:
            try:
                ended[(await agent.run(str(number))).output] += 1
            except Exception as error:
                ended[type(error).__name__] += 1

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for number in range(101):
                    group.start_soon(run, number)
                while not server.requests:
                    await anyio.lowlevel.checkpoint()
                go.set()
    assert ended == {"seen": 51, "GuardrailTripped": 50}


async def cancelled_while_they_wait(run: Callable[[int], Awaitable[Any]], go: anyio.Event) -> None:
    """Start one run that waits for its answer and nine behind it, of which every third is cancelled."""
    scopes = [anyio.CancelScope() for _ in range(10)]

    async def one(number: int) -> None:
        with scopes[number]:
            await run(number)

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(one, number)
        await anyio.wait_all_tasks_blocked()
        for scope in scopes[1::3]:
            scope.cancel()
        go.set()
        for scope in scopes[2::3]:
            scope.cancel()


async def test_who_is_cancelled_while_it_waits_keeps_nobody_waiting() -> None:
    """Cancelled before its turn or at the moment it comes: the others get their answers."""
    go = anyio.Event()
    done = []

    async def answer(body: dict[str, Any]) -> str:
        await go.wait()
        return who(body)

    async with ChatServer(answer) as server:
        agent = Agent(backend(server, concurrency=1))

        async def run(number: int) -> None:
            done.append((await agent.run(str(number))).output)

        with anyio.fail_after(20):
            await cancelled_while_they_wait(run, go)
            assert (await agent.run("after")).output == "after"
    assert {"0", "3", "6", "9"} <= set(done)


async def test_time_spent_waiting_counts_as_the_runs() -> None:
    """A run held back at a full server stops at its limit on seconds."""
    go = anyio.Event()

    async def answer(body: dict[str, Any]) -> str:
        await go.wait()
        return "late"

    async with ChatServer(answer) as server, anyio.create_task_group() as group:
        model = backend(server, concurrency=1)
        group.start_soon(Agent(model).run, "first")
        while not server.requests:
            await anyio.lowlevel.checkpoint()
        result = await Agent(model, limits=Limits(seconds=0.05, on_limit="partial")).run("second")
        go.set()
    assert result.stopped is not None
    assert len(server.requests) == 1

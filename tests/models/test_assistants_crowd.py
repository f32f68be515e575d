"""Many runs at once on one Assistants server: each is alone with its own conversation."""

import re
from typing import Any

import anyio
import pytest
from assistants_kit import active, ask, backend, results, runs, sent, texts, thread_of

from agentkit import Agent, RunResult, tool
from agentkit.messages import Message, dump_messages
from agentkit.testing import AssistantsServer, call

pytestmark = pytest.mark.anyio

FIFTY = pytest.mark.parametrize(
    ("anyio_backend", "fifty"), [("asyncio", 50), ("trio", 10), pytest.param("trio", 50, marks=pytest.mark.sweep)]
)
"""On trio that many are a sweep."""
_MARK = re.compile(r"<[^>]+>")


@tool
async def look_up(mark: str, part: int) -> str:
    """Look something up."""
    await anyio.lowlevel.checkpoint()
    return f"part {part} of {mark}"


def marks(messages: Any) -> set[str]:
    """All marks that stand anywhere in a conversation."""
    return set(_MARK.findall(dump_messages(messages).decode()))


def two_rounds(body: dict[str, Any]) -> Any:
    """Two rounds of tool calls, parallel ones too, and an answer: all of them carry the mark of the last prompt."""
    [mark] = _MARK.findall([message["content"] for message in body["messages"] if message["role"] == "user"][-1])
    found = results(body)
    match len(found):
        case 0:
            return [call("look_up", mark=mark, part=1), call("look_up", mark=mark, part=2)]
        case 2:
            return [call("look_up", mark=mark, part=3)]
    return f"{mark}: {'; '.join(found)}"


def answer(mark: str) -> str:
    return f"{mark}: " + "; ".join(f"part {part} of {mark}" for part in (1, 2, 3))


def greeting(body: dict[str, Any]) -> str:
    return f"Hello, {body['messages'][-1]['content']}"


def hello(mark: str) -> str:
    return f"Hello, Look up {mark}"


async def at_once(agents: list[tuple[Agent, str, tuple[Message, ...]]]) -> dict[str, RunResult[str]]:
    """The results of all runs, by their marks."""
    done: dict[str, RunResult[str]] = {}

    async def one(agent: Agent, mark: str, history: tuple[Message, ...]) -> None:
        done[mark] = await agent.run(f"Look up {mark}", history=history)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for each in agents:
                group.start_soon(one, *each)
    return done


@FIFTY
async def test_two_hundred_runs_over_fifty_threads_are_alone(fifty: int) -> None:
    """Four at a time on each thread: calls, results and answers are each run's own, and each thread has them whole."""
    async with AssistantsServer(two_rounds) as server:
        threads = [(await ask(server, "POST", "/threads"))["id"] for _ in range(fifty)]
        agents = [Agent(backend(server, thread=thread), tools=[look_up]) for thread in threads]
        done = await at_once([(agent, f"<{n}.{m}>", ()) for n, agent in enumerate(agents) for m in range(4)])
        assert active(server) == []
        assert len(server.assistants) == 1
        assert len(runs(server)) == 4 * fifty
        for n, thread in enumerate(threads):
            said = texts(server, thread)
            assert sorted(said[0::2]) == [("user", f"Look up <{n}.{m}>") for m in range(4)]
            for (_, asked), told in zip(said[0::2], said[1::2], strict=True):
                assert told == ("assistant", answer(asked.removeprefix("Look up ")))
    for mark, result in done.items():
        assert result.output == answer(mark)
        assert marks(result.messages) == {mark}
        assert [m.role for m in result.messages] == [
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
            "tool",
            "assistant",
        ]


@FIFTY
async def test_four_branches_of_each_of_fifty_conversations_do_not_meet(fifty: int) -> None:
    """All go on at once from the same history: one stays on its thread, each of the others gets one of its own."""
    async with AssistantsServer(greeting) as server:
        agent = Agent(backend(server), tools=[look_up])
        begun = await at_once([(agent, f"<{n}>", ()) for n in range(fifty)])
        done = await at_once([(agent, f"<{n}.{m}>", begun[f"<{n}>"].messages) for n in range(fifty) for m in range(4)])
        assert active(server) == []
        assert len(server.threads) == 4 * fifty
        threads = {mark: thread_of(result.messages[-1]) for mark, result in done.items()}
        assert len(set(threads.values())) == 4 * fifty
        for n in range(fifty):
            stayed = [m for m in range(4) if threads[f"<{n}.{m}>"] == thread_of(begun[f"<{n}>"].messages[-1])]
            assert len(stayed) == 1
        for mark, result in done.items():
            root = mark.split(".")[0] + ">"
            assert result.output == hello(mark)
            assert marks(result.messages) == {root, mark}
            said = texts(server, threads[mark])
            assert [text for who, text in said if who == "assistant"] == [hello(root), hello(mark)]
            assert set(_MARK.findall(repr(said))) == {root, mark}


async def start(conversations: int) -> None:
    """So many new conversations at once, through one agent."""
    async with AssistantsServer(greeting) as server:
        agent = Agent(backend(server))
        done = await at_once([(agent, f"<{n}>", ()) for n in range(conversations)])
        assert active(server) == []
        assert len(server.assistants) == len(sent(server, "POST", "/assistants")) == 1
        assert len(sent(server, "GET", "/assistants")) == 1
        assert len(server.threads) == conversations
        for mark, result in done.items():
            assert result.output == hello(mark)
            assert texts(server, thread_of(result.messages[-1])) == [
                ("user", f"Look up {mark}"),
                ("assistant", hello(mark)),
            ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_thousand_new_conversations_at_once_need_one_assistant() -> None:
    """It is made once, whoever comes first, and looked for once. On trio it is a sweep."""
    await start(1000)

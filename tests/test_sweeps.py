"""Long sweeps: every place where a run can be cancelled or a stream cut. `make sweep` runs them whole."""

from functools import partial
from typing import Any

import anyio
import pytest
from cancelling import ends_within

from agentkit import Agent, ModelError, Session, tool
from agentkit.messages import unanswered
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retry
from agentkit.testing import ChatServer, Reply, call

pytestmark = [pytest.mark.anyio, pytest.mark.sweep]


@tool
async def step(n: int) -> int:
    """Take a step."""
    await anyio.lowlevel.checkpoint()
    return n


def answer(body: dict[str, Any]) -> Any:
    """Two rounds of tool calls, then a text."""
    rounds = sum(message["role"] == "assistant" for message in body["messages"])
    if rounds < 2:
        return [call("step", n=rounds), call("step", n=rounds + 10)]
    return "done"


async def go(agent: Agent, session: Session, *, streamed: bool) -> None:
    if streamed:
        async with agent.stream("Go.", session=session) as stream:
            await stream.finish()
    else:
        await agent.run("Go.", session=session)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_run_over_http_can_be_cancelled_at_every_checkpoint(streamed: bool) -> None:
    """For N = 1, 2, 3 ... until a run ends before the cancellation: the stored history is one the server takes.

    The server is strict: the run that goes on with the session would be refused if a call were left without a result.
    """
    async with ChatServer(answer) as server:
        agent = Agent(ChatBackend("m", base_url=server.base_url, api_key="k"), tools=[step])
        whole, n = False, 0
        while not whole:
            n += 1
            session = Session(f"s{n}")
            whole = await ends_within(n, partial(go, agent, session, streamed=streamed))
            stored = (await session.store.load(session.id)).messages
            assert unanswered(stored) == (), n
            if n % 10 == 0 or whole:
                result = await agent.run("Go on.", session=session)
                assert result.output == "done"
        assert n > 20


@pytest.mark.parametrize("fault", ["close", "end"])
async def test_a_stream_can_be_cut_at_every_byte(fault: Any) -> None:
    """Whole or an error of ours, and a tool never runs on half of a call."""
    ran: list[int] = []

    @tool
    def order(count: int) -> str:
        """Order some."""
        ran.append(count)
        return "ordered"

    cut, whole = 0, 0

    def answer(body: dict[str, Any]) -> Any:
        if body["messages"][-1]["role"] == "tool":
            return "ok"
        return Reply(message=[call("order", count=1234567)], drip=1, fault=fault, fault_after=cut)

    async with ChatServer(answer) as server:
        agent = Agent(ChatBackend("m", base_url=server.base_url, api_key="k", retry=Retry(times=0)), tools=[order])
        while whole < 3:
            try:
                async with agent.stream("Hi") as run:
                    await run.finish()
                whole += 1
            except ModelError:
                pass
            cut += 1
            assert cut < 5000
    assert ran == [1234567] * whole
    assert cut > 200

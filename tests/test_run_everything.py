"""A run with every feature switched on: sub-agents, a hand-off, guardrails, a journal, a window, limits, a pause."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from cancelling import accepted, ends_within

from agentkit import Agent, Context, Limits, ModelRequest, Session, ToolCall, ToolResult, UserMessage, tool
from agentkit.guardrails import Guardrails
from agentkit.journal import MemoryJournal
from agentkit.messages import unanswered
from agentkit.models.base import ModelResponse, OnDelta
from agentkit.paused import Approved, PausedRun
from agentkit.prices import Price, Prices
from agentkit.sessions import SqlStore
from agentkit.sse import send_sse
from agentkit.testing import ScriptedModel, call, nothing_left_behind
from agentkit.window import Window

pytestmark = pytest.mark.anyio

Says = Callable[[ModelRequest], Any]
PRICES = Prices({"scripted": Price(input=1, output=2)})


class Saying(ScriptedModel):
    """A model that answers by what was said, any number of times."""

    def __init__(self, says: Says) -> None:
        super().__init__([])
        self._says = says

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        await anyio.lowlevel.checkpoint()
        self.script.append(self._says)
        return await super().generate(request, on_delta)


@tool(approval=True, effects="write")
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effects="write")
def note(text: str) -> str:
    """Write down."""
    return f"noted {text}"


@tool
async def look(sku: str) -> int:
    """Look."""
    await anyio.lowlevel.checkpoint()
    return 3


class Everything:
    """A desk that asks a clerk twice at once, and hands over to a till, which asks for a yes and answers by a tool."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        passing = Guardrails(
            input=[self._pass], output=[self._pass], tool_call=[self._pass_call], tool_result=[self._pass_call]
        )
        clerk = Agent(Saying(self._clerk), name="clerk", description="Looks.", tools=[look, note], guardrails=passing)
        till: Agent[dict[str, int]] = Agent(
            Saying(self._till), name="till", tools=[pay], output=dict[str, int], output_mode="tool", guardrails=passing
        )
        self.desk: Agent[dict[str, int]] = Agent(
            Saying(self._desk),
            name="desk",
            tools=[clerk.as_tool(), note],
            output=dict[str, int],
            output_mode="tool",
            handoffs=[till],
            guardrails=passing,
            journal=self.journal,
            window=Window(messages=20),
            limits=Limits(iterations=30, tokens=100_000, cost=1.0, repeats=5, on_limit="answer"),
            prices=PRICES,
        )

    async def _pass(self, given: Any, context: Context[Any]) -> None:
        await anyio.lowlevel.checkpoint()

    async def _pass_call(self, called: ToolCall, given: Any, context: Context[Any]) -> None:
        await anyio.lowlevel.checkpoint()

    @staticmethod
    def _clerk(request: ModelRequest) -> Any:
        is_new = isinstance(request.messages[-1], UserMessage)
        return [call("look", sku="A-1"), call("note", text="inside")] if is_new else "Three."

    @staticmethod
    def _desk(request: ModelRequest) -> Any:
        if not isinstance(request.messages[-1], UserMessage):
            return [call("transfer_to_till")]
        return [call("clerk", prompt="One?"), call("clerk", prompt="Two?"), call("note", text="outside")]

    @staticmethod
    def _till(request: ModelRequest) -> Any:
        last = request.messages[-1]
        if isinstance(last, ToolResult) and last.name == "pay":
            [final] = [each.name for each in request.tools if each.name != "pay"]
            return [ToolCall(id="call_final", name=final, arguments=json.dumps({"paid": 3}))]
        return [call("pay", amount=3)]


@pytest.mark.parametrize("way", ["plain", "streamed", "paused"])
async def test_a_run_with_everything_can_be_cancelled_at_every_checkpoint(way: str) -> None:
    """Whatever an agent is made of, a cancelled run leaves a session that goes on, and no effect unaccounted for."""
    n, ended = 0, False
    while not ended:
        every, session = Everything(), Session("s")

        async def work(every: Everything = every, session: Session = session) -> None:
            if way == "streamed":
                async with every.desk.stream("Go.", session=session, approve=lambda asked: True) as run:
                    await run.finish()
            elif way == "plain":
                await every.desk.run("Go.", session=session, approve=lambda asked: True)
            else:
                paused = (await every.desk.run("Go.", session=session, approve="pause")).paused
                assert paused is not None
                answers = {each.call_id: Approved() for each in paused.waiting}
                await every.desk.resume(paused, answers, session=session)

        ended = await ends_within(n, work)
        kept = (await session.store.load("s")).messages
        if not (way == "paused" and unanswered(kept)):
            accepted(kept)
        assert not [each for each in every.journal.effects.values() if each.state == "attempted"]
        result = await every.desk.run("Again.", session=session, approve=lambda asked: True)
        assert result.output == {"paid": 3}
        accepted(result.messages)
        n += 1
    assert n > 20


async def test_a_client_that_leaves_a_run_with_everything_leaves_nothing_behind() -> None:
    """Whoever serves runs to browsers may have each of them leave at any event."""
    for n in (1, 2, 5, 9, 14, 20, 27, 35):
        every, session, gone, sent = Everything(), Session("s"), anyio.Event(), list[Any]()

        async def receive(gone: anyio.Event = gone) -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any, n: int = n, gone: anyio.Event = gone, sent: list[Any] = sent) -> None:
            sent.append(message)
            if len(sent) == n:
                gone.set()
            await anyio.lowlevel.checkpoint()

        async with nothing_left_behind():
            await send_sse(every.desk.stream("Go.", session=session, approve=lambda asked: True), receive, send)
        accepted((await session.store.load("s")).messages)
        assert not [each for each in every.journal.effects.values() if each.state == "attempted"]


async def test_many_runs_with_everything_pause_and_go_on_at_once(tmp_path: Path) -> None:
    """Whoever serves many conversations from one agent and one store finds each of them whole."""
    every, store, done = Everything(), SqlStore(tmp_path / "s.db"), list[Any]()

    async def one(number: int) -> None:
        session = Session(f"s{number}", store)
        paused = (await every.desk.run("Go.", session=session, approve="pause")).paused
        assert paused is not None
        answers = {each.call_id: Approved() for each in paused.waiting}
        done.append(await every.desk.resume(PausedRun.from_json(paused.to_json()), answers, session=session))

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(one, number)
    assert [each.output for each in done] == [{"paid": 3}] * 40
    assert {(each.iterations, each.usage.total_tokens) for each in done} == {(8, 120)}
    assert not [each for each in every.journal.effects.values() if each.state == "attempted"]

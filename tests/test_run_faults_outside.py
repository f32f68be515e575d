"""Runs with everything switched on, cancelled from outside wherever they wait."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest
from cancelling import How, accepted, ends_within

from agentkit import Agent, Context, Limits, MemoryStore, Message, ModelRequest, Session, ToolResult, tool
from agentkit.approval import Approval
from agentkit.errors import OutputError
from agentkit.executor import NOT_RUN
from agentkit.guardrails import Guardrails
from agentkit.journal import FileJournal
from agentkit.messages import unanswered
from agentkit.models.base import ModelBackend, ModelResponse, OnDelta
from agentkit.models.chat import ChatBackend
from agentkit.telemetry.open_spans import open_spans
from agentkit.telemetry.recorder import SpanRecorder
from agentkit.testing import ChatServer, ScriptedModel, call
from agentkit.testing.leftovers import nothing_left_behind

pytestmark = pytest.mark.anyio


class Model(ScriptedModel):
    """A scripted model that waits a little, as real ones do."""

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        await anyio.lowlevel.checkpoint()
        response = await super().generate(request, on_delta)
        await anyio.lowlevel.checkpoint()
        return response


class Store(MemoryStore):
    """One that waits a little, before and after it writes."""

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        await anyio.lowlevel.checkpoint()
        written = await super().append(session_id, messages, revision=revision)
        await anyio.lowlevel.checkpoint()
        return written


SCRIPT: list[Any] = [
    [call("pay", to="ada"), call("count", n=3), call("order", what="tea")],
    [call("through"), call("helper", prompt="Help!")],
    "Done",
    "All is done.",
]
HELP = "I help."


def answer(body: dict[str, Any]) -> Any:
    """The same, by a server."""
    if body["messages"][0]["role"] == "system":
        return HELP
    return SCRIPT[sum(message["role"] == "assistant" for message in body["messages"])]


class Desk:
    """An agent that has everything, and a note of what its tools have begun and what goes on in them."""

    def __init__(self, journal: FileJournal) -> None:
        self.journal = journal
        self.spans = SpanRecorder()
        self.begun: set[str] = set()
        self.going_on = 0
        self.model: ModelBackend | None = None
        """Who answers, if not a scripted model."""

        @tool
        async def pay(to: str, ctx: Context[Any]) -> str:
            return await self.working(ctx, f"paid {to}")

        @tool
        def count(n: int, ctx: Context[Any]) -> int:
            self.begun.add(ctx.call_id)
            return n

        @tool(approval=True, effects="external", trusted=True)
        async def order(what: str, ctx: Context[Any]) -> str:
            return await self.working(ctx, f"ordered {what}")

        @tool(effects="read")
        async def through(ctx: Context[Any]) -> str:
            self.begun.add(ctx.call_id)
            return str(await ctx.call("pay", {"to": "bob"}))

        self.tools: list[Any] = [pay, count, order, through]
        self.rules = Guardrails(
            input=[self.looks, fine], output=[self.not_at_once], tool_call=[self.looks], tool_result=[self.looks]
        )

    async def working(self, ctx: Context[Any], result: str) -> str:
        self.begun.add(ctx.call_id)
        self.going_on += 1
        try:
            await anyio.lowlevel.checkpoint()
            await ctx.progress(1)
            return result
        finally:
            self.going_on -= 1

    async def looks(self, *given: object) -> None:
        """A guardrail that waits, and lets pass."""
        self.going_on += 1
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            self.going_on -= 1

    async def not_at_once(self, output: str, context: Context[Any]) -> None:
        """A guardrail that has the model answer twice."""
        await self.looks()
        if output == "Done":
            raise OutputError("In a whole sentence, please.")

    async def approve(self, approval: Approval) -> bool:
        await self.looks()
        return True

    def agent(self) -> Agent:
        helper = Agent(
            self.model or Model([HELP]),
            name="helper",
            description="Help.",
            instructions="Help.",
            telemetry=self.spans.telemetry,
        )
        return Agent(
            self.model or Model(SCRIPT),
            tools=[*self.tools, helper.as_tool()],
            limits=Limits(seconds=60, tool_seconds=30, tokens=100_000),
            guardrails=self.rules,
            journal=self.journal,
            telemetry=self.spans.telemetry,
        )

    async def run(self, session: Session, streamed: bool) -> None:
        agent, given = self.agent(), {"session": session, "approve": self.approve}
        if not streamed:
            assert (await agent.run("Go.", **given)).output == "All is done."  # type: ignore[arg-type]
            return
        async with agent.stream("Go.", **given) as run:  # type: ignore[arg-type]
            assert (await run.finish()).output == "All is done."

    def check(self, messages: Sequence[Message]) -> None:
        """The history is accepted, and says of no call that began that it was not made."""
        accepted(messages)
        assert unanswered(messages) == ()
        for message in messages:
            if isinstance(message, ToolResult) and message.content == NOT_RUN:
                assert message.call_id not in self.begun
        assert self.going_on == 0
        self.begun.clear()


def fine(messages: Sequence[Message], context: Context[Any]) -> None:
    """A guardrail that runs in a thread."""


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    """With a journal in a file, opened once: it stays open."""
    journal = FileJournal(tmp_path / "journal.db")
    yield Desk(journal)
    journal.close()


_RUNS_AT_A_LOOK = 8
HOWS = [("asyncio", "scope"), ("asyncio", "task"), ("asyncio", "twice"), ("trio", "scope")]


@pytest.mark.parametrize(("anyio_backend", "how"), HOWS, ids=["-".join(each) for each in HOWS])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_run_can_be_cancelled_wherever_it_waits(
    desk: Desk, anyio_backend: str, how: How, streamed: bool
) -> None:
    """At the N-th checkpoint for N = 1, 2, 3 ... until the run ends before: nothing of it is left, and what is stored
    is accepted by the strictest provider and says truthfully what happened.

    Each way takes every fourth checkpoint, and all of them together take all; `make sweep` takes all in each way.
    """
    first = 1 + HOWS.index((anyio_backend, how))
    assert await _cancelled_everywhere(desk, how, streamed, at=range(first, 10_000, len(HOWS))) > 30


@pytest.mark.sweep
@pytest.mark.parametrize(("anyio_backend", "how"), HOWS, ids=["-".join(each) for each in HOWS])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_run_can_be_cancelled_at_every_checkpoint(desk: Desk, how: How, streamed: bool) -> None:
    """The same, one after the other."""
    assert await _cancelled_everywhere(desk, how, streamed) > 30


@pytest.mark.sweep
@pytest.mark.parametrize(("anyio_backend", "how"), HOWS, ids=["-".join(each) for each in HOWS])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_run_over_http_can_be_cancelled_wherever_it_waits(desk: Desk, how: How, streamed: bool) -> None:
    """The same with a server that answers, whose connections stay open for the next run."""
    with ChatServer.in_thread(answer) as server:
        desk.model = ChatBackend("m", base_url=server.base_url, api_key="k")
        assert await _cancelled_everywhere(desk, how, streamed, partial(no_task_left, desk)) > 100


@asynccontextmanager
async def no_task_left(desk: Desk) -> AsyncGenerator[None]:
    """Within the block, tasks and spans that begin also end."""
    before = {task.id for task in anyio.get_running_tasks()}
    yield
    with anyio.fail_after(5):
        while {task.id for task in anyio.get_running_tasks()} - before:
            await anyio.lowlevel.checkpoint()
    assert open_spans(desk.spans.telemetry) == {}


async def _cancelled_everywhere(
    desk: Desk,
    how: How,
    streamed: bool,
    look: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    at: Iterable[int] = range(1, 10_000),
) -> int:
    """How many checkpoints there were; the run is cancelled `at` some of them."""
    look = look or partial(nothing_left_behind, telemetry=desk.spans.telemetry)
    await desk.run(Session("first", Store()), streamed)  # what is opened once and kept, is open
    n, places, ended = 0, iter(at), False
    while not ended:
        ended = True  # once all at a look are: on a busy machine, a single run may take far fewer checkpoints
        async with look():  # around several: it costs more than a run
            for n in islice(places, _RUNS_AT_A_LOOK):
                session = Session(f"s{n}", Store())
                ended = await ends_within(n, partial(desk.run, session, streamed), how) and ended
                desk.check((await session.store.load(session.id)).messages)
    assert {effect.state for effect in desk.journal.read()} <= {"completed", "unknown"}
    return n

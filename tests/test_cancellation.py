"""Leaving a run in the middle: nothing is left behind, and the history stays valid."""

import gc
import logging
import threading
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from agentkit import Agent, Session, Telemetry, ToolResult, tool
from agentkit.messages import unanswered
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


class OpenSpans(SpanProcessor):
    """Counts the spans that have begun and not ended."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.ended: list[ReadableSpan] = []

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.open.add(span.get_span_context().span_id)

    def on_end(self, span: ReadableSpan) -> None:
        self.open.discard(span.get_span_context().span_id)  # type: ignore[union-attr]
        self.ended.append(span)


@pytest.fixture
def spans() -> OpenSpans:
    return OpenSpans()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Lets the threads of sync tools end after the test."""
    event = threading.Event()
    yield event
    event.set()


def watched(spans: OpenSpans) -> Telemetry:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(spans)
    return Telemetry(tracer_provider=provider)


@pytest.mark.parametrize("streamed", [False, True])
async def test_eight_tools_in_flight_are_cancelled_and_nothing_is_left(
    spans: OpenSpans, released: threading.Event, streamed: bool
) -> None:
    """Half of them sync, in threads. No task, no thread waiter, no open span; the stored history is valid and true."""
    in_flight, ended = [], []
    all_in = anyio.Event()

    @tool
    async def wait() -> None:
        in_flight.append(1)
        if len(in_flight) == 8:
            all_in.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    @tool
    def block() -> None:
        anyio.from_thread.run_sync(in_flight.append, 1)
        anyio.from_thread.run_sync(lambda: all_in.set() if len(in_flight) == 8 else None)
        released.wait(30)

    session = Session("alice")
    model = ScriptedModel([[*(call("wait") for _ in range(4)), *(call("block") for _ in range(4))]])
    agent = Agent(model, name="a", tools=[wait, block], telemetry=watched(spans))
    before = len(anyio.get_running_tasks())

    async def run() -> None:
        if streamed:
            async with agent.stream("go", session=session) as stream:
                await stream.finish()
        else:
            await agent.run("go", session=session)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await all_in.wait()
            group.cancel_scope.cancel()
    gc.collect()
    assert len(anyio.get_running_tasks()) == before
    assert len(ended) == 4
    assert spans.open == set()
    assert {s.name for s in spans.ended} == {
        "invoke_agent a",
        "chat scripted",
        "execute_tool wait",
        "execute_tool block",
    }
    stored = await session.store.load("alice")
    assert unanswered(stored.messages) == ()
    results = [m for m in stored.messages if isinstance(m, ToolResult)]
    assert len(results) == 8
    assert all("may or may not have taken effect" in r.content for r in results)


async def test_what_had_finished_before_the_cancellation_keeps_its_result() -> None:
    """The history says truthfully which calls were done."""
    reached = anyio.Event()

    @tool
    async def done() -> str:
        return "done"

    @tool
    async def wait() -> None:
        reached.set()
        await anyio.sleep_forever()

    session = Session("bob")
    agent = Agent(ScriptedModel([[call("done"), call("wait")]]), tools=[done, wait])
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: agent.run("go", session=session))
            await reached.wait()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    results = [m for m in (await session.store.load("bob")).messages if isinstance(m, ToolResult)]
    assert [r.is_error for r in results] == [False, True]
    assert results[0].content == "done"


async def test_a_cancelled_conversation_can_be_gone_on_with() -> None:
    """The next run on the session is a normal one."""
    reached = anyio.Event()

    @tool
    async def wait() -> None:
        reached.set()
        await anyio.sleep_forever()

    session = Session("carol")
    agent = Agent(ScriptedModel([[call("wait")], "Here again."]), tools=[wait])
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: agent.run("go", session=session))
            await reached.wait()
            group.cancel_scope.cancel()
        result = await agent.run("Hello?", session=session)
    assert [m.role for m in result.messages] == ["user", "assistant", "tool", "user", "assistant"]


@pytest.mark.parametrize("n", range(1, 40))
async def test_cancelled_at_any_checkpoint_the_history_is_valid(spans: OpenSpans, n: int) -> None:
    """Wherever a run with tools, a session and a watcher is cancelled: no open span, no dangling call."""

    @tool
    async def step(n: int) -> int:
        await anyio.lowlevel.checkpoint()
        return n

    session = Session("dora")
    script = [[call("step", n=1), call("step", n=2)], [call("step", n=3)], "done"]
    agent = Agent(ScriptedModel(script), tools=[step], telemetry=watched(spans))

    async def run() -> None:
        async with agent.stream("go", session=session) as stream:
            async for _ in stream:
                await anyio.lowlevel.checkpoint()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            for _ in range(n):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert spans.open == set()
    stored = (await session.store.load("dora")).messages
    assert unanswered(stored) == ()
    calls = [c.id for m in stored if m.role == "assistant" for c in m.tool_calls]
    assert calls == [m.call_id for m in stored if m.role == "tool"]


class Released(logging.Handler):
    """Lets go of something when the log says something."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self.event, self.told = event, list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())
        self.event.set()


async def test_a_tool_that_does_not_end_when_it_is_cancelled_is_named_and_waited_for(released: threading.Event) -> None:
    """Spec line 39. A task cannot be left behind without breaking a promise, so the log says who holds up the end."""
    heard = Released(released)
    reached = anyio.Event()

    @tool
    async def stubborn() -> str:
        """Goes on until the log has named it."""
        reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(released.wait)
        return "never"

    agent = Agent(ScriptedModel([[call("stubborn")], "Never."]), tools=[stubborn])
    logging.getLogger("agentkit").addHandler(heard)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(agent.run, "Go.")
            await reached.wait()
            group.cancel_scope.cancel()
    finally:
        logging.getLogger("agentkit").removeHandler(heard)
    [told] = heard.told
    assert "'stubborn' goes on" in told


async def test_a_tool_that_clears_up_when_it_is_cancelled_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    """Within its seconds it may await what it has to; and no thread is left that watches it."""
    reached = anyio.Event()

    @tool
    async def tidy() -> str:
        """Clears up."""
        reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
        return "never"

    before = threading.active_count()
    async with anyio.create_task_group() as group:
        group.start_soon(Agent(ScriptedModel([[call("tidy")], "Never."]), tools=[tidy]).run, "Go.")
        await reached.wait()
        group.cancel_scope.cancel()
    while threading.active_count() > before:  # the alarm's thread ends at once, and not in five seconds
        await anyio.lowlevel.checkpoint()
    assert not caplog.records

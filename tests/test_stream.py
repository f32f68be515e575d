"""A run that somebody watches."""

import anyio
import pytest

from agentkit import (
    Agent,
    ConfigError,
    ModelAnswered,
    RunFinished,
    Session,
    TextDelta,
    ToolFinished,
    ToolStarted,
    tool,
)
from agentkit.errors import RequestRejected
from agentkit.models.base import ToolCallDelta
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def test_events_come_in_the_order_of_the_run() -> None:
    """The call is written, answered, started and finished; then the text arrives in pieces; then the result."""
    agent = Agent(ScriptedModel([[call("add", a=1, b=2)], "It is 3."]), tools=[add])
    async with agent.stream("1+2?") as run:
        events = [event async for event in run]
    assert [type(event) for event in events] == [
        ToolCallDelta,
        ModelAnswered,
        ToolStarted,
        ToolFinished,
        TextDelta,
        TextDelta,
        TextDelta,
        ModelAnswered,
        RunFinished,
    ]
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "It is 3."
    finished = events[3]
    assert isinstance(finished, ToolFinished)
    assert finished.result.content == "3"
    assert run.result.output == "It is 3."
    assert events[-1] == RunFinished(result=run.result)


async def test_a_stream_comes_to_the_same_result_as_a_run() -> None:
    """Watching changes nothing."""

    def agent() -> Agent:
        return Agent(ScriptedModel([[call("add", a=1, b=2)], "3"]), tools=[add])

    plain = await agent().run("?")
    async with agent().stream("?") as run:
        watched = await run.finish()
    assert (watched.messages, watched.output, watched.usage) == (plain.messages, plain.output, plain.usage)


async def test_leaving_the_block_cancels_the_run() -> None:
    """A watcher who breaks off does not pay for the rest; the run has ended when the block has."""
    ended = []

    @tool
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    model = ScriptedModel([[call("wait")], "never"])
    session = Session("a")
    with anyio.fail_after(5):
        async with Agent(model, tools=[wait]).stream("go", session=session) as run:
            async for event in run:
                if isinstance(event, ToolStarted):
                    await anyio.wait_all_tasks_blocked()
                    break
        assert ended == [1]
    assert len(model.requests) == 1
    with pytest.raises(ConfigError, match="no result yet"):
        _ = run.result
    assert [m.role for m in (await session.store.load("a")).messages] == ["user", "assistant", "tool"]


async def test_what_ends_the_run_is_raised_to_the_watcher_bare() -> None:
    """No ExceptionGroup: the same error as from `run`."""
    with pytest.raises(RequestRejected, match="no"):
        async with Agent(ScriptedModel([RequestRejected("no")])).stream("go") as run:
            async for _ in run:
                pass


async def test_the_watchers_own_error_leaves_the_block_bare() -> None:
    """An error in the body cancels the run and is what the caller sees."""
    with pytest.raises(ZeroDivisionError):
        async with Agent(ScriptedModel(["hello there"])).stream("go") as run:
            async for _ in run:
                _ = 1 / 0


async def test_what_must_end_the_program_is_raised_to_the_watcher_bare() -> None:
    """A tool's SystemExit goes through the stream as it is."""

    @tool
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit, match="3"):
        async with Agent(ScriptedModel([[call("leave")]]), tools=[leave]).stream("go") as run:
            await run.finish()


async def test_the_watcher_sets_the_pace() -> None:
    """The run does not go ahead of who watches: no event is made before the last one is taken."""
    model = ScriptedModel([[call("add", a=1, b=2)], "3"])
    async with Agent(model, tools=[add]).stream("?") as run:
        await anyio.wait_all_tasks_blocked()
        assert len(model.requests) == 1
        assert isinstance(await anext(run), ToolCallDelta)
        await anyio.wait_all_tasks_blocked()
        assert len(model.requests) == 1
        await run.finish()
    assert len(model.requests) == 2


async def test_a_block_that_reads_nothing_ends() -> None:
    """Entering and leaving is allowed."""
    with anyio.fail_after(5):
        async with Agent(ScriptedModel(["x"])).stream("go"):
            pass


@pytest.mark.parametrize("kind", [ToolStarted, ToolFinished])
async def test_a_stream_left_early_stores_what_is_true(kind: type) -> None:
    """What had a result keeps it; what never began is not said to have been interrupted."""
    ran: list[int] = []

    @tool
    async def note(n: int) -> int:
        ran.append(n)
        return n

    session = Session("a")
    model = ScriptedModel([[call("note", n=n) for n in range(4)]])
    async with Agent(model, tools=[note]).stream("go", session=session) as run:
        async for event in run:
            if isinstance(event, kind):
                await anyio.wait_all_tasks_blocked()
                break
    results = [m for m in (await session.store.load("a")).messages if m.role == "tool"]
    assert sorted(ran) == [n for n, result in enumerate(results) if result.content == str(n)]
    assert all("not run" in r.content for n, r in enumerate(results) if n not in ran)


async def test_reading_on_after_the_block_says_what_is_wrong() -> None:
    """Not a stranger's exception without words."""
    async with Agent(ScriptedModel(["hello there"])).stream("go") as run:
        pass
    with pytest.raises(ConfigError, match="inside the block"):
        await run.finish()


async def test_a_stream_that_cannot_begin_raises_bare() -> None:
    """A model string that is none, for example."""
    with pytest.raises(ConfigError, match="wire:model"):
        async with Agent("nonsense").stream("go"):
            pass

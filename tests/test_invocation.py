"""How a tool's function is called: step by step, in a process of its own, and by another tool."""

import functools
import gc
import itertools
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import isolated_tools
import pytest

from agentkit import (
    Agent,
    Context,
    Limits,
    Tool,
    ToolError,
    ToolFailed,
    ToolFinished,
    ToolResult,
    ToolStarted,
    load_tools,
    tool,
)
from agentkit.errors import InvalidArguments
from agentkit.events import ToolProgress
from agentkit.isolation import WORKER_PROCESSES
from agentkit.telemetry.recorder import SpanNode, SpanRecorder
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


async def told(*tools: Any, calls: Any, limits: Limits | None = None, **given: Any) -> list[ToolResult]:
    """What the model is told about its calls; the run must go on and answer."""
    agent = Agent(ScriptedModel([calls, "ok"]), tools=tools, limits=limits or Limits())
    with anyio.fail_after(30):
        result = await agent.run("?", **given)
    assert result.output == "ok"
    return [m for m in result.messages if isinstance(m, ToolResult)]


async def seen(*tools: Any, calls: Any) -> list[Any]:
    """What a watcher sees of the calls: progress by its value, results by their content."""
    events: list[Any] = []
    with anyio.fail_after(30):
        async with Agent(ScriptedModel([calls, "ok"]), tools=tools).stream("?") as run:
            async for event in run:
                if isinstance(event, ToolProgress):
                    events.append(event.value)
                elif isinstance(event, ToolFinished):
                    events.append(f"= {event.result.content}")
    return events


class Climber:
    @tool
    def climbs(self, steps: int) -> Iterator[str]:
        """Climb."""
        for n in range(steps):
            yield f"step {n}"

    @tool
    async def strides(self, steps: int) -> AsyncIterator[str]:
        """Climb fast."""
        for n in range(steps):
            yield f"step {n}"


@tool
def returns() -> Iterator[int]:
    """Count, then sum up."""
    yield 1
    yield 2
    return "three"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        (Climber().climbs, {"steps": 3}, ["step 0", "step 1", "step 2", "= step 2"]),
        (Climber().strides, {"steps": 3}, ["step 0", "step 1", "step 2", "= step 2"]),
        (Climber().climbs, {"steps": 0}, ["= null"]),
        (Climber().strides, {"steps": 0}, ["= null"]),
        (returns, {}, [1, 2, "= three"]),
    ],
)
async def test_what_a_generator_yields_is_progress_and_its_end_the_result(
    function: Any, arguments: dict[str, Any], expected: list[Any]
) -> None:
    """In order; what it returns is the result, or if that is nothing, what it yielded last."""
    assert await seen(function, calls=[call(function.__name__, **arguments)]) == expected
    [result] = await told(function, calls=[call(function.__name__, **arguments)])
    assert f"= {result.content}" == expected[-1]


async def test_a_wrapped_generator_is_one() -> None:
    """Decorators of somebody's own do not hide it."""

    async def fast() -> AsyncIterator[int]:
        yield 1

    def slow() -> Iterator[int]:
        yield 1
        yield 2

    def passed(function: Any) -> Any:
        return functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs))

    assert await seen(passed(fast), calls=[call("fast")]) == [1, "= 1"]
    assert await seen(passed(slow), calls=[call("slow")]) == [1, 2, "= 2"]
    assert await seen(passed(functools.partial(slow)), calls=[call("slow")]) == [1, 2, "= 2"]


async def test_a_generator_that_a_function_hands_out_is_a_list() -> None:
    """A plain function has no progress to report: what it gives is all that is in there."""

    def numbers() -> Iterator[int]:
        return (n for n in range(3))

    def later() -> AsyncIterator[int]:
        async def inner() -> AsyncIterator[int]:
            yield 1
            yield 2

        return inner()

    assert await seen(numbers, calls=[call("numbers")]) == ["= [0,1,2]"]
    assert await seen(later, calls=[call("later")]) == ["= [1,2]"]


async def test_an_endless_generator_ends_with_its_time() -> None:
    """Its thread does not go on for ever."""
    taken: list[int] = []

    def endless() -> Iterator[int]:
        return (taken.append(n) or n for n in itertools.count())  # type: ignore[func-returns-value]

    [result] = await told(endless, calls=[call("endless")], limits=Limits(tool_seconds=0.02))
    assert "longer than 0.02 seconds" in result.content
    with anyio.fail_after(10):
        while True:
            before = len(taken)
            await anyio.to_thread.run_sync(threading.Event().wait, 0.01)
            if len(taken) == before:
                break


async def test_a_generator_that_fails_midway_is_told_after_its_progress() -> None:
    """And is closed, like one that is left."""

    @tool
    def breaks() -> Iterator[int]:
        yield 1
        raise ValueError("a step is missing")

    @tool
    async def slips() -> AsyncIterator[int]:
        yield 1
        raise ToolFailed("slipped")

    assert await seen(breaks, calls=[call("breaks")]) == [1, "= ValueError: a step is missing"]
    assert await seen(slips, calls=[call("slips")]) == [1, "= slipped"]


@pytest.mark.parametrize("sync", [True, False])
async def test_a_generator_that_is_left_midway_is_closed(sync: bool) -> None:
    """Its `finally` runs, though the watcher has gone in the middle of its progress."""
    closed = threading.Event()

    @tool
    def sync_steps() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    @tool
    async def async_steps() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await anyio.lowlevel.checkpoint()
            closed.set()

    name = "sync_steps" if sync else "async_steps"
    agent = Agent(ScriptedModel([[call(name)]]), tools=[sync_steps, async_steps])
    with anyio.fail_after(10):
        async with agent.stream("?") as run:
            async for event in run:
                if isinstance(event, ToolProgress):
                    break
        assert await anyio.to_thread.run_sync(closed.wait, 10)


@pytest.mark.parametrize("sync", [True, False])
async def test_a_generator_has_the_time_of_one_call_for_all_its_steps(sync: bool) -> None:
    """Then it gets no further step, and is closed."""
    closed, steps = threading.Event(), list[int]()
    release = threading.Event()

    @tool(timeout=0.2)
    def sync_steps() -> Iterator[int]:
        try:
            yield 1
            release.wait(20)
            yield 2
            steps.append(2)
        finally:
            closed.set()

    @tool(timeout=0.2)
    async def async_steps() -> AsyncIterator[int]:
        try:
            yield 1
            await anyio.sleep_forever()
        finally:
            closed.set()

    name = "sync_steps" if sync else "async_steps"
    progress, result = await seen(sync_steps, async_steps, calls=[call(name)])
    assert progress == 1
    assert result.startswith(f"= {name} took longer than 0.2 seconds")
    release.set()
    assert await anyio.to_thread.run_sync(closed.wait, 10)
    assert steps == []


async def test_a_generator_that_nobody_watches_ends_with_its_time_too() -> None:
    """It gets no further step, and is closed, in its own thread."""
    closed = threading.Event()

    @tool(timeout=0.05)
    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    [result] = await told(endless, calls=[call("endless")])
    assert "was given up" in result.content
    assert await anyio.to_thread.run_sync(closed.wait, 10)


async def test_an_async_generators_end_cannot_hold_up_a_run_that_is_left() -> None:
    """What it does in its `finally` is waited for, but not for ever."""
    import agentkit.invoke

    assert agentkit.invoke.CLOSE_SECONDS <= 10
    inside = anyio.Event()

    @tool
    async def clings() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            inside.set()
            await anyio.lowlevel.checkpoint()

    async def run() -> None:
        async with Agent(ScriptedModel([[call("clings")], "ok"]), tools=[clings]).stream("?") as run:
            async for event in run:
                if isinstance(event, ToolProgress):
                    return

    with anyio.fail_after(10):
        await run()
        await inside.wait()


async def test_a_sync_generator_stays_in_one_thread() -> None:
    """What belongs to a thread, such as a cursor of SQLite or a lock, lives across its steps."""
    lock = threading.RLock()

    @tool
    def rows() -> Iterator[int]:
        threads = {threading.get_ident()}
        with sqlite3.connect(":memory:") as connection, lock:
            for (n,) in connection.execute("VALUES (1), (2), (3)"):
                yield n
                threads.add(threading.get_ident())
        connection.close()
        yield len(threads)

    @tool
    def busy() -> Iterator[int]:
        yield from range(5)

    events = await seen(rows, busy, calls=[call("rows"), *(call("busy") for _ in range(5))])
    assert "= 1" in events
    assert events.count("= 4") == 5


@pytest.mark.parametrize("sync", [True, False])
async def test_a_generator_may_yield_very_often(sync: bool) -> None:
    """Ten thousand steps are no list in memory, and all are seen."""

    @tool
    def sync_steps() -> Iterator[int]:
        yield from range(10_000)

    @tool
    async def async_steps() -> AsyncIterator[int]:
        for n in range(10_000):
            yield n

    name = "sync_steps" if sync else "async_steps"
    events = await seen(sync_steps, async_steps, calls=[call(name)])
    assert events == [*range(10_000), "= 9999"]


@pytest.mark.parametrize("sync", [True, False])
async def test_a_hundred_thousand_steps_that_nobody_watches(sync: bool) -> None:
    """The run comes to the last of them."""

    @tool
    def sync_steps() -> Iterator[int]:
        yield from range(100_000)

    @tool
    async def async_steps() -> AsyncIterator[int]:
        for n in range(100_000):
            yield n

    name = "sync_steps" if sync else "async_steps"
    result = await Agent(ScriptedModel([[call(name)], "ok"]), tools=[sync_steps, async_steps]).run("?")
    assert [m.content for m in result.messages if isinstance(m, ToolResult)] == ["99999"]


async def test_a_generator_may_ask_for_the_context() -> None:
    """It calls other tools between its steps."""

    @tool
    async def price(sku: str) -> int:
        return len(sku)

    @tool
    async def prices(skus: list[str], ctx: Context[None]) -> AsyncIterator[Any]:
        for sku in skus:
            yield await ctx.call("price", {"sku": sku})

    assert await seen(price, prices, calls=[call("prices", skus=["a", "bb"])]) == ["= 1", 1, "= 2", 2, "= 2"]


async def test_progress_is_shown_while_the_tool_works() -> None:
    """From async tools and from sync ones, in order, and before the result."""

    @tool
    async def fast(ctx: Context[None]) -> str:
        for n in range(3):
            await ctx.progress({"done": n})
        return "all"

    @tool
    def slow(ctx: Context[None]) -> str:
        for n in range(3):
            anyio.from_thread.run(ctx.progress, n)
        return "all"

    assert await seen(fast, calls=[call("fast")]) == [{"done": 0}, {"done": 1}, {"done": 2}, "= all"]
    assert await seen(slow, calls=[call("slow")]) == [0, 1, 2, "= all"]
    assert [r.content for r in await told(fast, slow, calls=[call("fast"), call("slow")])] == ["all", "all"]


async def test_a_tool_waits_with_its_progress_for_the_watcher() -> None:
    """The watcher sets the pace: nothing piles up."""
    sent: list[int] = []

    @tool
    async def count(ctx: Context[None]) -> None:
        for n in range(9):
            sent.append(n)
            await ctx.progress(n)

    async with Agent(ScriptedModel([[call("count")], "ok"]), tools=[count]).stream("?") as run:
        async for event in run:
            if isinstance(event, ToolProgress):
                await anyio.wait_all_tasks_blocked()
                assert len(sent) <= event.value + 2


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return sys.platform != "linux"
    return state != "Z"


async def until_ended(*pids: int) -> None:
    with anyio.fail_after(10):
        while any(map(is_running, pids)):
            await anyio.lowlevel.checkpoint()


async def test_an_isolated_tool_gets_and_gives_what_it_would_here(capfd: pytest.CaptureFixture[str]) -> None:
    """Models, dataclasses and enums arrive as such; each call has a new process; what is printed does no harm."""
    results = await told(
        isolated_tools.kinds,
        isolated_tools.noisy,
        isolated_tools.leaves_a_thread,
        calls=[
            call("kinds", order={"sku": "A-1", "count": 2}, colour="red", items=[{"price": 1.5}]),
            call("noisy"),
            call("leaves_a_thread"),
            call("kinds", order={"sku": "A-1"}, colour="blue", items=[]),
        ],
    )
    assert [r.content for r in results[:3]] == ["A-1 2 True 1.5 none", "said", "done"]
    assert "order.count: is missing" in results[3].content
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "a print" in printed.err
    assert "a child" in printed.err


async def test_a_dozen_isolated_calls_at_once_come_to_their_end() -> None:
    """More than may have a process at once wait their turn. The values are Python's own again, and nothing is kept."""
    made = Tool.of(isolated_tools.whereabouts)
    values: list[Any] = []

    async def ask() -> None:
        values.append(await made.invoke("{}", Context(deps=None, run_id="r", call_id="c", tool="whereabouts")))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(ask)
    assert len({value["pid"] for value in values} - {os.getpid()}) == 12 > WORKER_PROCESSES
    assert all(value["order"] == isolated_tools.Order("A-1", 3) and value["counter"] == 1 for value in values)
    await until_ended(*(value["pid"] for value in values))


async def test_how_an_isolated_tool_ends_is_told_to_the_model() -> None:
    """Errors with their type and words; a death with how it died; and the run goes on."""
    ways = {
        "error": "ValueError: the shelf is empty",
        "told": "ask for its code",
        "strange": "Strange: a hole in the shelf",
        "lock": "the result, a list, cannot leave the tool's process: cannot pickle '_thread.lock' object; "
        "return text or plain data",
        "exit": "the process that ran the tool has died (exit status 3)",
        "crash": "the process that ran the tool has died (SIGSEGV)",
        "kill": "the process that ran the tool has died (SIGKILL; it may have run out of memory)",
    }
    results = await told(isolated_tools.fails, calls=[call("fails", how=how) for how in ways])
    assert [r.content for r in results] == list(ways.values())
    assert all(r.is_error for r in results)


async def test_an_isolated_tool_that_exits_ends_the_program_as_it_would_here() -> None:
    """SystemExit is never told to a model."""
    with pytest.raises(SystemExit, match="bye"):
        await told(isolated_tools.leaves, calls=[call("leaves", word="bye")])


async def test_an_isolated_tool_is_killed_at_its_deadline_with_all_it_has_started(tmp_path: Path) -> None:
    """Unlike a thread, a process can be: the model is told that it was stopped, and it is."""
    for seconds in (1, 4, 16):  # until it is enough to begin
        stuck = tool(isolation="process", timeout=seconds)(isolated_tools.stuck)
        [result] = await told(stuck, calls=[call("stuck", folder=str(tmp_path))])
        assert result.content == f"stuck took longer than {seconds} seconds and was stopped"
        if (tmp_path / "pids").exists():
            break
    await until_ended(*map(int, (tmp_path / "pids").read_text(encoding="utf-8").split()))


async def test_a_cancelled_run_kills_its_isolated_tools(tmp_path: Path) -> None:
    """Whenever that is: when it works, and when it has hardly begun."""
    stuck = tool(isolation="process")(isolated_tools.stuck)
    agent = Agent(ScriptedModel([[call("stuck", folder=str(tmp_path))]] * 2), tools=[stuck])
    with anyio.move_on_after(0.01):
        await agent.run("?")
    assert not (tmp_path / "pids").exists()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(agent.run, "?")
            while not (tmp_path / "pids").exists():
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    await until_ended(*map(int, (tmp_path / "pids").read_text(encoding="utf-8").split()))
    gc.collect()  # a process that was left behind would warn


KILLED = """
import sys
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call
import isolated_tools
stuck = tool(isolation="process")(isolated_tools.stuck)
Agent(ScriptedModel([[call("stuck", folder=sys.argv[1])]]), tools=[stuck]).run_sync("?")
"""


async def test_an_isolated_tool_dies_with_the_program_that_has_called_it(tmp_path: Path) -> None:
    """Also where that is killed by kill -9, and can tidy up nothing."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    async with await anyio.open_process(command, cwd=Path(__file__).parent) as program:
        with anyio.fail_after(60):
            while not (tmp_path / "pids").exists():
                await anyio.lowlevel.checkpoint()
        program.kill()
    await until_ended(*map(int, (tmp_path / "pids").read_text(encoding="utf-8").split()))


SHOP = """
from dataclasses import dataclass
from agentkit import tool

@dataclass
class Order:
    sku: str

@tool(isolation="process")
def order(what: Order) -> Order:
    assert isinstance(what, Order)
    return what
"""


async def test_isolated_tools_may_stand_in_a_file_that_is_no_module(tmp_path: Path) -> None:
    """`load_tools("./shop.py")`: the other process loads the same file."""
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    [result] = await told(*load_tools(tmp_path / "shop.py"), calls=[call("order", what={"sku": "A-1"})])
    assert result.content == '{"sku":"A-1"}'


PROGRAM = """
from dataclasses import dataclass
from agentkit import Agent, AssistantMessage, ModelResponse, ToolCall, Usage, tool
from agentkit.models.base import ModelInfo

print("begun", flush=True)

class Script:
    info = ModelInfo(provider="script", model="script", in_process=True)

    async def generate(self, request, on_delta=None):
        call = ToolCall(id="c", name="order", arguments='{"what": {"sku": "A-1"}}')
        first = len(request.messages) == 1
        message = AssistantMessage(tool_calls=(call,)) if first else AssistantMessage(text="ok")
        return ModelResponse(message=message, finish_reason="stop", usage=Usage(), model="script")

@dataclass
class Order:
    sku: str

@tool(isolation="process")
def order(what: Order) -> list[Order]:
    return [what]

def main():
    print(Agent(Script(), tools=[order]).run_sync("?").messages[2].content, flush=True)
"""


def test_isolated_tools_may_stand_in_the_program_itself(tmp_path: Path) -> None:
    """If it starts under a guard; without one, it is told so instead of starting itself again and again."""
    guarded, bare = tmp_path / "guarded.py", tmp_path / "bare.py"
    guarded.write_text(f"{PROGRAM}\nif __name__ == '__main__':\n    main()\n", encoding="utf-8")
    bare.write_text(f"{PROGRAM}\nmain()\n", encoding="utf-8")
    started = [
        subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for path in (guarded, bare)
    ]
    (said, _), (bare_said, complaint) = (program.communicate(timeout=60) for program in started)
    assert said.splitlines() == ["begun", '[{"sku":"A-1"}]']
    assert bare_said.splitlines() == ["begun"]
    assert "put what starts it under `if __name__ == '__main__':`" in complaint
    assert [program.returncode for program in started] == [0, 1]


@dataclass
class Product:
    sku: str
    price: int


class Store:
    """Two tools, of which one calls the other."""

    def __init__(self) -> None:
        self.contexts: list[Context[Any]] = []

    @tool
    async def look(self, sku: str, ctx: Context[Any]) -> Product:
        self.contexts.append(ctx)
        if sku == "none":
            raise ValueError("no such product")
        return Product(sku, 3)

    @tool
    async def total(self, skus: list[str], ctx: Context[Any]) -> int:
        self.contexts.append(ctx)
        return sum([(await ctx.call("look", {"sku": sku})).price for sku in skus])


async def test_a_tool_gets_from_another_what_that_gives() -> None:
    """The value itself, not its text; with the run's deps and a call of its own."""
    store = Store()
    [result] = await told(store.look, store.total, calls=[call("total", skus=["a", "b"])], deps="shop")
    assert result.content == "6"
    outer, first, second = store.contexts
    assert [ctx.deps for ctx in store.contexts] == ["shop"] * 3
    assert (first.tool, first.run_id, first.call_id) == ("look", outer.run_id, f"{outer.call_id}.1")
    assert [ctx.idempotency_key for ctx in (first, second)] == [outer.idempotency_key + n for n in (".1", ".2")]
    assert outer.idempotency_key == f"{outer.run_id}:1.0"


async def test_what_goes_wrong_in_the_other_tool_can_be_caught() -> None:
    """As a ToolError in words for the model, whatever it was; uncaught, these are what the model reads."""
    store = Store()

    @tool
    async def tries(ctx: Context[None]) -> list[str]:
        words = []
        for name, arguments in [("look", {"sku": "none"}), ("look", {"sku": [1]}), ("nothing", {}), ("tries", {})]:
            try:
                await ctx.call(name, arguments)
            except ToolError as error:
                words.append(str(error))
        return words

    [result] = await told(store.look, tries, calls=[call("tries")])
    for words in ("ValueError: no such product", "sku:", "There is no tool 'nothing'", "tries would call itself"):
        assert words in result.content
    [result] = await told(store.look, store.total, calls=[call("total", skus=["none"])])
    assert (result.is_error, result.content) == (True, "ValueError: no such product")


async def test_calls_in_a_circle_are_refused() -> None:
    """However long the circle is, and under whatever names its tools go."""

    @tool
    async def ping(ctx: Context[None]) -> Any:
        return await ctx.call("pong", {})

    @tool
    async def pong(ctx: Context[None]) -> Any:
        return await ctx.call("ping" if "ping" in ctx.tools else "b_ping", {})

    [result] = await told(ping, pong, calls=[call("ping")])
    assert (result.is_error, result.content) == (True, "not run: ping would call itself")
    [result] = await told(Tool.of(ping).named("a_ping"), Tool.of(ping).named("b_ping"), pong, calls=[call("a_ping")])
    assert (result.is_error, result.content) == (True, "not run: b_ping would call itself")


async def test_the_calls_of_tools_count_as_calls_of_the_run() -> None:
    """`Limits.tool_calls` holds for all of them together, and so do the other limits."""
    store = Store()
    limits = Limits(tool_calls=4)
    results = await told(store.look, store.total, calls=[call("total", skus=["a"] * 5)], limits=limits)
    assert "at most 4 tools" in results[0].content
    assert len(store.contexts) == 4
    results = await told(
        store.look,
        store.total,
        calls=[call("total", skus=["a" * 500])],
        limits=Limits(argument_chars=520, tool_calls=9),
    )
    assert results[0].content == "3"

    @tool
    async def long(ctx: Context[None]) -> Any:
        return await ctx.call("look", {"sku": "a" * 500})

    [result] = await told(store.look, long, calls=[call("long")], limits=Limits(argument_chars=100))
    assert "longer than 100 characters" in result.content


async def test_the_other_tools_policies_hold() -> None:
    """Its timeout, its retries, its cache."""
    tries: list[int] = []

    @tool(timeout=0.01)
    async def stuck() -> None:
        await anyio.sleep_forever()

    @tool(cache=60, effects="read")
    async def once() -> int:
        tries.append(1)
        return len(tries)

    @tool
    async def all_of_them(ctx: Context[None]) -> Any:
        values = [await ctx.call("once", {}) for _ in range(3)]
        try:
            await ctx.call("stuck", {})
        except ToolError as error:
            values.append(str(error))
        return values

    [result] = await told(stuck, once, all_of_them, calls=[call("all_of_them")])
    assert result.content == '[1,1,1,"stuck took longer than 0.01 seconds and was stopped"]'


async def test_calls_inside_calls_are_seen_so() -> None:
    """Their spans are inside that of the tool that makes them, and a watcher is told of each."""
    store, recorder = Store(), SpanRecorder()
    model = ScriptedModel([[call("total", skus=["a", "b"])], "ok"])
    agent = Agent(model, tools=[store.look, store.total], telemetry=recorder.telemetry)
    async with agent.stream("?") as run:
        calls = [event async for event in run if isinstance(event, ToolStarted | ToolFinished)]
    events = [f"{type(event).__name__} {event.call.id}" for event in calls]
    total = "call_total"
    assert events == [
        f"ToolStarted {total}",
        f"ToolStarted {total}.1",
        f"ToolFinished {total}.1",
        f"ToolStarted {total}.2",
        f"ToolFinished {total}.2",
        f"ToolFinished {total}",
    ]
    [outer] = [span for span in inside(recorder.tree()) if span.name == "execute_tool total"]
    assert [span.name for span in outer.children] == ["execute_tool look", "execute_tool look"]


def inside(spans: tuple[SpanNode, ...]) -> Iterator[SpanNode]:
    for span in spans:
        yield span
        yield from inside(span.children)


async def test_a_hundred_calls_of_one_tool_at_once_are_kept_apart() -> None:
    """Each has its id, its key and its result."""
    keys: list[str] = []

    @tool
    async def double(n: int, ctx: Context[None]) -> int:
        keys.append(ctx.idempotency_key)
        await anyio.lowlevel.checkpoint()
        return 2 * n

    @tool
    async def many(ctx: Context[None]) -> list[int]:
        values = [0] * 100

        async def one(n: int) -> None:
            values[n] = await ctx.call("double", {"n": n})

        async with anyio.create_task_group() as group:
            for n in range(100):
                group.start_soon(one, n)
        return values

    [result] = await told(double, many, calls=[call("many")])
    assert result.content == str([2 * n for n in range(100)]).replace(" ", "")
    assert len(set(keys)) == 100


async def test_a_tool_that_is_stopped_stops_those_it_has_called() -> None:
    """By its deadline or with the run."""
    ended: list[str] = []

    @tool
    async def inner() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("inner")

    @tool(timeout=0.05)
    async def outer(ctx: Context[None]) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ctx.call, "inner", {})

    [result] = await told(inner, outer, calls=[call("outer")])
    assert "longer than 0.05 seconds" in result.content
    assert ended == ["inner"] * 3


async def test_a_sync_tool_calls_others_through_its_thread() -> None:
    """`anyio.from_thread.run(ctx.call, name, arguments)`."""
    store = Store()

    @tool
    def dearest(skus: list[str], ctx: Context[None]) -> int:
        return max(anyio.from_thread.run(ctx.call, "look", {"sku": sku}).price for sku in skus)

    [result] = await told(store.look, dearest, calls=[call("dearest", skus=["a", "b"])])
    assert result.content == "3"


async def test_a_sync_tool_that_was_given_up_can_do_nothing_more() -> None:
    """Its thread goes on, but the model was told; so nothing it calls takes effect, and it reports no progress."""
    release, done, words = threading.Event(), threading.Event(), list[str]()
    ordered: list[int] = []

    @tool
    async def order() -> None:
        ordered.append(1)

    @tool(timeout=0.5)  # long enough for its thread to begin, on a machine with much else to do
    def slow(ctx: Context[None]) -> None:
        try:
            release.wait(20)
            anyio.from_thread.run(ctx.call, "order", {})
        except BaseException as error:
            words.append(str(error))
        finally:
            done.set()

    @tool
    async def wait() -> None:
        release.set()
        assert await anyio.to_thread.run_sync(done.wait, 10)

    model = ScriptedModel([[call("slow")], [call("wait")], "ok"])
    with anyio.fail_after(20):
        await Agent(model, tools=[order, slow, wait]).run("?")
    assert ordered == []
    assert len(words) == 1


async def test_a_context_that_outlives_its_call_calls_nothing() -> None:
    """Nobody waits for what it would do."""
    kept: list[Context[None]] = []
    store = Store()

    @tool
    async def keep(ctx: Context[None]) -> None:
        kept.append(ctx)

    await told(keep, store.look, calls=[call("keep")])
    with pytest.raises(ToolError, match="has ended"):
        await kept[0].call("look", {"sku": "a"})
    assert store.contexts == []


class Widget:
    pass


async def test_arguments_for_another_tool_may_be_anything_with_a_json_form() -> None:
    """Models, dates and paths are written as pydantic writes them; what has no form is refused with its type."""
    import datetime as dt

    got: list[Any] = []

    @tool
    async def take(when: dt.date, what: Product, where: Path) -> None:
        got.extend([when, what, where])

    @tool
    async def give(ctx: Context[None]) -> list[str]:
        given = {"when": dt.date(2026, 1, 2), "what": Product("a", 1), "where": Path("b")}
        await ctx.call("take", given)
        words = []
        for bad in (Widget(), float("nan"), {1: Widget()}):
            with pytest.raises(ToolError) as caught:
                await ctx.call("take", given | {"when": bad})
            words.append(type(caught.value).__name__)
        return words

    [result] = await told(take, give, calls=[call("give")])
    assert not result.is_error, result.content
    assert got == [dt.date(2026, 1, 2), Product("a", 1), Path("b")]


async def test_a_context_without_a_run_says_that_it_has_none() -> None:
    """Whoever calls a tool by hand gets an error that names what cannot be."""
    ctx: Context[None] = Context(deps=None, run_id="r", call_id="c", tool="t")
    with pytest.raises(LookupError, match="'look'"):
        await ctx.call("look", {})
    await ctx.progress("nobody sees it")
    with pytest.raises(InvalidArguments):
        await Tool.of(Store().look).invoke("{}", ctx)

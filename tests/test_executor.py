"""Tool calls -> tool results."""

import asyncio
import contextvars
import threading
import time
from dataclasses import replace
from typing import Annotated, Any

import anyio
import pytest
import sniffio
from pydantic import Field

from agentkit import (
    Agent,
    AssistantMessage,
    Context,
    Limits,
    ModelResponse,
    Session,
    Telemetry,
    ToolCall,
    ToolDefinitionError,
    ToolFailed,
    ToolResult,
    tool,
)
from agentkit.caller import INTERRUPTED
from agentkit.executor import NOT_RUN
from agentkit.journal import MemoryJournal
from agentkit.telemetry.recorder import SpanRecorder
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


async def told(*functions: Any, calls: Any, limits: Limits | None = None, deps: Any = None) -> list[ToolResult]:
    """What the model is told about its calls; the run must go on and answer."""
    model = ScriptedModel([calls, "ok"])
    result = await Agent(model, tools=functions, limits=limits or Limits()).run("?", deps=deps)
    assert result.output == "ok"
    return [m for m in result.messages if isinstance(m, ToolResult)]


async def test_the_calls_of_one_answer_run_at_the_same_time() -> None:
    """All eight are in flight before any finishes."""
    waiting, everybody = [], anyio.Event()

    @tool
    async def meet(n: int) -> int:
        waiting.append(n)
        if len(waiting) == 8:
            everybody.set()
        await everybody.wait()
        return n

    with anyio.fail_after(5):
        results = await told(meet, calls=[call("meet", n=n) for n in range(8)])
    assert [r.content for r in results] == [str(n) for n in range(8)]


async def test_results_come_in_the_order_of_the_calls() -> None:
    """Whoever finishes first, the model reads the results as it asked."""
    first = anyio.Event()

    @tool
    async def late() -> str:
        await first.wait()
        return "late"

    @tool
    async def early() -> str:
        first.set()
        return "early"

    with anyio.fail_after(5):
        results = await told(late, early, calls=[call("late"), call("early")])
    assert [r.content for r in results] == ["late", "early"]


async def test_no_more_calls_run_at_once_than_the_limit_says() -> None:
    """`Limits.tool_concurrency` bounds the calls in flight, and all are run in the end."""
    now, most = 0, 0

    @tool
    async def count() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.lowlevel.checkpoint()
        now -= 1

    results = await told(count, calls=[call("count") for _ in range(9)], limits=Limits(tool_concurrency=3))
    assert len(results) == 9
    assert most == 3


async def test_a_tools_exception_is_told_to_the_model() -> None:
    """The run goes on; the model reads the type and the message."""

    @tool
    def fail() -> None:
        raise ValueError("the shelf is empty")

    [result] = await told(fail, calls=[call("fail")])
    assert result.is_error
    assert result.content == "ValueError: the shelf is empty"


async def test_tool_failed_says_it_in_the_tools_own_words() -> None:
    """Nothing is added to what the tool's author wrote."""

    @tool
    async def fail() -> None:
        raise ToolFailed("No such product. Ask for its code.")

    [result] = await told(fail, calls=[call("fail")])
    assert (result.is_error, result.content) == (True, "No such product. Ask for its code.")


async def test_an_exception_that_cannot_speak_is_named() -> None:
    """An exception whose own `__str__` raises does not end the run."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    @tool
    def fail() -> None:
        raise Mute

    [result] = await told(fail, calls=[call("fail")])
    assert result.content == "Mute"


async def test_an_unknown_tool_is_answered_with_the_nearest_names() -> None:
    """The model is told what it may have meant; the run goes on."""

    @tool
    def units_left(sku: str) -> int:
        return 3

    [result] = await told(units_left, calls=[call("unit_left", sku="A-1")])
    assert result.content == "There is no tool 'unit_left'. Did you mean: ['units_left']?"
    [result] = await told(units_left, calls=[call("weather")])
    assert result.content == "There is no tool 'weather'. There are: ['units_left']."


async def test_bad_arguments_are_told_with_their_path_and_the_tool_does_not_run() -> None:
    """The model reads which argument is wrong and what is expected."""
    ran = []

    @tool
    def order(sku: str, count: Annotated[int, Field(ge=1)]) -> None:
        ran.append(sku)

    [result] = await told(order, calls=[call("order", sku="A-1", count=0)])
    assert result.is_error
    assert "count" in result.content
    assert "greater than or equal to 1" in result.content
    assert ran == []


async def test_sync_tools_run_off_the_event_loop_with_their_context() -> None:
    """A slow sync function does not hold up the loop, and context variables reach it."""
    user = contextvars.ContextVar("user", default="nobody")
    main = threading.get_ident()

    @tool
    def who() -> str:
        assert threading.get_ident() != main
        return user.get()

    user.set("ada")
    [result] = await told(who, calls=[call("who")])
    assert result.content == "ada"


async def test_what_a_plain_function_gives_to_be_awaited_is_awaited() -> None:
    """A wrapper that is not itself async may wrap what is."""

    async def inner() -> str:
        return "done"

    def outer() -> Any:
        return inner()

    [result] = await told(outer, calls=[call("outer")])
    assert result.content == "done"


async def test_a_tool_that_takes_too_long_is_stopped_and_the_model_told() -> None:
    """`@tool(timeout=...)` bounds one call; the others are not touched."""

    @tool(timeout=0.01)
    async def stuck() -> None:
        await anyio.sleep_forever()

    @tool
    async def quick() -> str:
        return "here"

    results = await told(stuck, quick, calls=[call("stuck"), call("quick")])
    assert results[0].content == "stuck took longer than 0.01 seconds and was stopped"
    assert (results[1].is_error, results[1].content) == (False, "here")


async def test_a_sync_tool_that_takes_too_long_is_left_behind() -> None:
    """Its thread cannot be stopped, but the run does not wait for it."""
    release = threading.Event()

    @tool
    def stuck() -> None:
        release.wait(30)

    try:
        with anyio.fail_after(10):
            [result] = await told(stuck, calls=[call("stuck")], limits=Limits(tool_seconds=0.05))
    finally:
        release.set()
    assert "longer than 0.05 seconds" in result.content


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("sync", [True, False])
async def test_what_must_end_the_program_ends_the_run_bare(fatal: type[BaseException], sync: bool) -> None:
    """KeyboardInterrupt and SystemExit are never told to a model; the other calls are cancelled first."""
    waiting, cancelled, both = [], [], anyio.Event()

    def stop_sync() -> None:
        anyio.from_thread.run(both.wait)
        raise fatal("now")

    async def stop_async() -> None:
        await both.wait()
        raise fatal("now")

    @tool
    async def wait() -> None:
        waiting.append(1)
        if len(waiting) == 2:
            both.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.append(1)

    stop = stop_sync if sync else stop_async
    model = ScriptedModel([[call("wait"), call(stop.__name__), call("wait")]])
    with anyio.fail_after(10), pytest.raises(fatal, match="now"):
        await Agent(model, tools=[wait, stop]).run("go")
    assert len(cancelled) == 2


async def test_a_long_result_loses_its_middle_and_says_so() -> None:
    """The model pays for at most `Limits.result_chars`, and knows that something is missing."""

    @tool
    def novel() -> str:
        return "a" * 600 + "z" * 600

    [result] = await told(novel, calls=[call("novel")], limits=Limits(result_chars=100))
    assert result.content.startswith("a" * 50)
    assert result.content.endswith("z" * 50)
    assert "1100 characters omitted" in result.content


async def test_arguments_that_are_too_long_are_refused() -> None:
    """The limit on a call's size holds before anything is parsed."""

    @tool
    def note(text: str) -> None: ...

    [result] = await told(note, calls=[call("note", text="x" * 200)], limits=Limits(argument_chars=100))
    assert result.is_error
    assert "longer than 100" in result.content


async def test_a_tool_gets_the_context_of_its_run() -> None:
    """Deps, ids and names reach the tool, and the model never sees the parameter."""
    seen: list[Context[dict[str, int]]] = []

    @tool
    async def look(sku: str, ctx: Context[dict[str, int]]) -> int:
        seen.append(ctx)
        return ctx.deps[sku]

    model = ScriptedModel([[call("look", sku="A-1")], "ok"])
    agent = Agent(model, name="clerk", tools=[look])
    result = await agent.run("?", deps={"A-1": 7})
    assert result.messages[2] == ToolResult(call_id="call_look", name="look", content="7")
    assert (seen[0].run_id, seen[0].call_id, seen[0].tool, seen[0].agent) == (
        result.run_id,
        "call_look",
        "look",
        "clerk",
    )
    assert list(agent.registry["look"].parameters["properties"]) == ["sku"]


async def test_an_answer_with_too_many_calls_runs_the_first_ones() -> None:
    """`Limits.calls_per_iteration` refuses the surplus, and says so."""

    @tool
    def f() -> str:
        return "x"

    results = await told(f, calls=[call("f") for _ in range(5)], limits=Limits(calls_per_iteration=2))
    assert [r.is_error for r in results] == [False, False, True, True, True]
    assert "at most 2" in results[4].content


@pytest.mark.parametrize("beside", [[], [call("good")]])
async def test_a_tool_that_cancels_itself_has_failed_and_nobody_else(beside: list[Any]) -> None:
    """Awaiting a cancelled task raises a cancellation that nobody asked for: that call's error, and the run goes on."""
    if sniffio.current_async_library() != "asyncio":
        pytest.skip("only asyncio lets a task be cancelled from within")

    async def bad() -> None:
        task = asyncio.ensure_future(asyncio.Event().wait())
        task.cancel()
        await task

    async def good() -> str:
        await anyio.wait_all_tasks_blocked()
        return "good"

    with anyio.fail_after(5):
        results = await told(bad, good, calls=[call("bad"), *beside])
    assert [(r.is_error, r.content) for r in results] == [(True, "CancelledError"), (False, "good")][: len(results)]


async def test_a_sync_tools_timeout_does_not_claim_that_it_was_stopped() -> None:
    """A thread cannot be stopped, so it may still take effect; the model is told so."""
    release = threading.Event()

    @tool(timeout=0.01)
    def send() -> None:
        release.wait(30)

    try:
        [result] = await told(send, calls=[call("send")])
    finally:
        release.set()
    assert result.content == "send took longer than 0.01 seconds and was given up; it may still take effect"


async def test_calls_with_one_id_get_each_its_own_result() -> None:
    """A backend of somebody's own may number its calls badly; results are never mixed up."""

    @tool
    def double(n: int) -> int:
        return 2 * n

    twins = tuple(ToolCall(id="a", name="double", arguments=f'{{"n": {n}}}') for n in (1, 2))
    result = await Agent(ScriptedModel([AssistantMessage(tool_calls=twins), "ok"]), tools=[double]).run("?")
    assert [m.content for m in result.messages if isinstance(m, ToolResult)] == ["2", "4"]


async def test_a_tools_own_words_are_not_cut_short() -> None:
    """`ToolFailed` is written for the model; only `Limits.result_chars` cuts it, and says so."""
    words = "row\n" * 400 + "END: use id 7"

    def fail() -> None:
        raise ToolFailed(words)

    def crash() -> None:
        raise ValueError(words)

    results = await told(fail, crash, calls=[call("fail"), call("crash")])
    assert results[0].content == words
    assert results[1].content.endswith("END: use id 7")
    assert "characters omitted" in results[1].content


@pytest.mark.parametrize("recorded", [False, True])
async def test_an_error_without_words_is_the_same_with_and_without_telemetry(recorded: bool) -> None:
    """Telemetry never changes a run."""

    class Mute(ToolFailed):
        def __str__(self) -> str:
            raise ValueError("no words")

    def fail() -> None:
        raise Mute

    telemetry = SpanRecorder().telemetry if recorded else Telemetry()
    result = await Agent(ScriptedModel([[call("fail")], "ok"]), tools=[fail], telemetry=telemetry).run("?")
    assert [m.content for m in result.messages if isinstance(m, ToolResult)] == ["the tool failed"]


async def test_all_calls_of_an_answer_together_have_the_time_that_the_server_waits() -> None:
    """Not each of them: with more calls than may run at once, the server's run would expire while tools work."""

    class Waits(ScriptedModel):
        async def generate(self, request: Any, on_delta: Any = None) -> ModelResponse:
            return replace(await super().generate(request, on_delta), results_within=0.05)

    begun = list[int]()

    @tool(timeout=30)
    async def wait(n: int) -> None:
        begun.append(n)
        await anyio.sleep_forever()

    calls = [call("wait", n=n) for n in range(9)]
    agent = Agent(Waits([calls, "ok"]), tools=[wait], limits=Limits(tool_concurrency=1))
    with anyio.fail_after(2):
        result = await agent.run("?")
    told = [m for m in result.messages if isinstance(m, ToolResult)]
    assert len(begun) == 1
    assert [m.content.endswith("was stopped") for m in told] == [n in begun for n in range(9)]
    assert ["was not run" in m.content for m in told] == [n not in begun for n in range(9)]
    assert all(m.is_error for m in told)


class Room:
    """Tools that tell who is in with them: `alone` is sequential, `join` is not."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.log: list[str] = []
        self.met: set[frozenset[str]] = set()

        @tool(sequential=True)
        async def alone(n: int) -> int:
            await self.stay(f"alone {n}")
            return n

        @tool
        async def join(n: int, ctx: Context[None]) -> int:
            await self.stay(f"join {n}")
            return n

        self.tools = [alone, join]

    async def stay(self, name: str) -> None:
        self.inside.append(name)
        self.log.append(name)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
            self.met.add(frozenset(self.inside))
        self.inside.remove(name)


async def test_a_sequential_tool_runs_alone_after_those_before_it_and_before_those_after_it() -> None:
    """The others run at the same time, as ever; results come in the order of the calls."""
    room = Room()
    names = ["join", "join", "alone", "alone", "join", "alone", "join", "join"]
    results = await told(*room.tools, calls=[call(name, n=n) for n, name in enumerate(names)])
    assert [r.content for r in results] == [str(n) for n in range(8)]
    assert {frozenset({"join 0", "join 1"}), frozenset({"join 6", "join 7"})} <= room.met
    assert all(len(met) == 1 for met in room.met if any(name.startswith("alone") for name in met))
    place = {name: at for at, name in enumerate(room.log)}
    assert max(place["join 0"], place["join 1"]) < place["alone 2"] < place["alone 3"] < place["join 4"]
    assert place["join 4"] < place["alone 5"] < min(place["join 6"], place["join 7"])


async def test_a_sequential_tool_that_fails_does_not_keep_the_others_from_running() -> None:
    """Nor does one that is refused, or one that is not there."""
    room = Room()

    @tool(sequential=True, timeout=0.01)
    async def stuck() -> None:
        await anyio.sleep_forever()

    @tool(sequential=True)
    async def fails() -> None:
        raise ValueError("no")

    calls = [call("stuck"), call("nothing"), call("fails"), call("alone", n="x"), call("join", n=4), call("join", n=5)]
    results = await told(*room.tools, stuck, fails, calls=calls)
    assert [r.is_error for r in results] == [True] * 4 + [False] * 2
    assert frozenset({"join 4", "join 5"}) in room.met


async def test_a_run_that_is_cancelled_before_a_sequential_call_says_that_it_was_not_run() -> None:
    """What waited its turn has not begun."""
    waiting = anyio.Event()

    @tool(sequential=True)
    async def first() -> None:
        waiting.set()
        await anyio.sleep_forever()

    @tool
    async def second() -> None: ...

    session = Session("s")
    agent = Agent(ScriptedModel([[call("first"), call("second")]]), tools=[first, second])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: agent.run("?", session=session))
            await waiting.wait()
            group.cancel_scope.cancel()
    stored = (await session.store.load("s")).messages
    assert [m.content for m in stored if isinstance(m, ToolResult)] == [INTERRUPTED, NOT_RUN]


async def test_all_that_a_call_waits_for_ends_when_the_server_stops_waiting() -> None:
    """A turn, a place, a pause before another attempt, and somebody's yes: none of them is waited for any longer."""

    class Waits(ScriptedModel):
        async def generate(self, request: Any, on_delta: Any = None) -> ModelResponse:
            return replace(await super().generate(request, on_delta), results_within=0.1)

    begun: list[str] = []

    @tool(rate="1/day")
    async def rated() -> None:
        begun.append("rated")

    @tool(concurrency=1, breaker=1)
    async def placed() -> None:
        begun.append("placed")
        await anyio.sleep_forever()

    @tool(retries=50, effects="read")
    async def retried() -> None:
        begun.append("retried")
        raise ValueError("not yet")

    @tool(approval=True)
    async def asked() -> None:
        begun.append("asked")

    async def approve(question: Any) -> bool:
        await anyio.sleep_forever()
        return True

    calls = [call(name) for name in ("rated", "rated", "placed", "placed", "retried", "asked")]
    with anyio.fail_after(5):
        result = await Agent(Waits([calls, "ok"]), tools=[rated, placed, retried, asked]).run("?", approve=approve)
    words = [m.content for m in result.messages if isinstance(m, ToolResult)]
    over = "the time for the tool calls of this answer is over"
    assert [over in each for each in words].count(True) == 4
    assert any("not called: rated may be called 1/day, and its turn would come in" in each for each in words[:2])
    assert "asked was not run" in words[5]
    assert sorted(set(begun)) == ["placed", "rated", "retried"]
    assert begun.count("placed") == begun.count("rated") == 1


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_exceptions_words_may_be_kept_from_the_model(is_async: bool) -> None:
    """With `errors="hide"` it reads the type only; what the tool says with ToolFailed was written for it."""

    async def slow(words: str) -> None:
        raise OSError(words)

    def quick(words: str) -> None:
        raise OSError(words)

    @tool(errors="hide")
    def choosy() -> None:
        raise ToolFailed("no such order")

    crash = tool(name="crash", errors="hide")(slow if is_async else quick)
    first, second = await told(crash, choosy, calls=[call("crash", words="db7.internal"), call("choosy")])
    assert (first.content, first.is_error, second.content) == ("OSError", True, "no such order")


async def test_hidden_words_are_in_no_journal_either() -> None:
    """What is written down is what the model was told."""
    journal = MemoryJournal()

    @tool(errors="hide")
    def crash() -> None:
        raise OSError("db7.internal")

    await Agent(ScriptedModel([[call("crash")], "ok"]), tools=[crash], journal=journal).run("?")
    assert "db7" not in repr(journal.effects)
    assert "OSError" in repr(journal.effects)


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("alone", [True, False])
async def test_an_exception_may_end_the_run(sync: bool, alone: bool) -> None:
    """With `errors="raise"` the other calls are cancelled and have ended; what is stored says what happened."""
    waiting, ended = anyio.Event(), list[str]()

    async def crash_async() -> None:
        if not alone:
            await waiting.wait()
        raise OSError("disk is full")

    def crash_sync() -> None:
        if not alone:
            anyio.from_thread.run(waiting.wait)
        raise OSError("disk is full")

    @tool
    async def wait() -> None:
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("wait")

    crash = tool(name="crash", errors="raise")(crash_sync if sync else crash_async)
    calls = [call("crash")] if alone else [call("wait"), call("crash")]
    session = Session("s")
    with anyio.fail_after(10), pytest.raises(ToolFailed, match="crash: OSError: disk is full") as caught:
        await Agent(ScriptedModel([calls, "ok"]), tools=[crash, wait]).run("?", session=session)
    assert isinstance(caught.value.__cause__, OSError)
    stored = [m.content for m in (await session.store.load("s")).messages if isinstance(m, ToolResult)]
    assert (stored, ended) == (
        (["OSError: disk is full"], []) if alone else ([INTERRUPTED, "OSError: disk is full"], ["wait"])
    )
    assert [m.content for m in caught.value.history if isinstance(m, ToolResult)] == stored


async def test_what_a_tool_says_itself_ends_no_run_and_a_timeout_does() -> None:
    """ToolFailed is an answer, as are arguments that do not fit; too long is a failure."""

    @tool(errors="raise")
    def choosy(n: int) -> None:
        raise ToolFailed("no such order")

    results = await told(choosy, calls=[call("choosy", n=1), call("choosy", n="x")])
    assert results[0].content == "no such order"
    assert "do not fit" in results[1].content

    @tool(errors="raise", timeout=0.01)
    async def stuck() -> None:
        await anyio.sleep_forever()

    with pytest.raises(ToolFailed, match=r"stuck took longer than 0\.01 seconds"):
        await told(stuck, calls=[call("stuck")])


@pytest.mark.parametrize("caught", [True, False])
async def test_what_ends_the_run_does_so_through_the_tools_around_it(caught: bool) -> None:
    """A tool that calls it cannot hold that up, even if it catches the error."""

    @tool(errors="raise")
    async def crash() -> None:
        raise OSError("disk is full")

    @tool
    async def inner(ctx: Context[None]) -> str:
        try:
            return str(await ctx.call("crash", {}))
        except ToolFailed:
            if not caught:
                raise
            return "never mind"

    @tool
    async def outer(ctx: Context[None]) -> str:
        return str(await ctx.call("inner", {}))

    with pytest.raises(ToolFailed, match="crash: OSError: disk is full"):
        await told(crash, inner, outer, calls=[call("outer")])


@pytest.mark.parametrize("value", ["shout", None, True, ["tell"]])
def test_what_becomes_of_errors_is_one_of_three(value: Any) -> None:
    """A typing error is refused where it is written."""
    with pytest.raises(ToolDefinitionError, match=r"errors=.*write one of 'tell', 'hide', 'raise'"):
        tool(errors=value)(lambda: None)


async def test_a_generators_exit_leaves_the_run_as_it_is() -> None:
    """Like all that is no `Exception`: it is nothing to tell a model."""

    @tool
    async def leave() -> None:
        raise GeneratorExit

    for beside in ([], [call("leave")]):
        with pytest.raises(GeneratorExit):
            await told(leave, calls=[call("leave"), *beside])


@pytest.mark.parametrize("beside", [[], [call("wait")]])
@pytest.mark.parametrize("how", ["scope", "task"])
async def test_a_tool_that_swallows_its_cancellation_does_not_save_the_run(how: str, beside: list[Any]) -> None:
    """What it returns is kept, and the run ends cancelled, without another model call."""
    if how == "task" and sniffio.current_async_library() != "asyncio":
        pytest.skip("only asyncio cancels tasks")
    begun, swallowed = anyio.Event(), list[str]()

    @tool
    async def stubborn() -> str:
        begun.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            swallowed.append("once")
        return "done all the same"

    @tool
    async def wait() -> None:
        await anyio.sleep_forever()

    session, model = Session("s"), ScriptedModel([[call("stubborn"), *beside], "ok"])
    agent = Agent(model, tools=[stubborn, wait])
    with anyio.fail_after(10):
        if how == "task":
            task = asyncio.ensure_future(agent.run("?", session=session))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: agent.run("?", session=session))
                await begun.wait()
                group.cancel_scope.cancel()
    stored = [m.content for m in (await session.store.load("s")).messages if isinstance(m, ToolResult)]
    assert stored == ["done all the same", *([INTERRUPTED] if beside else [])]
    assert (len(model.requests), swallowed) == (1, ["once"])


class Clocks(threading.local):
    """A clock for each thread, which stands still while nothing holds the thread up: machines are busy at times."""

    now = 0.0

    def read(self) -> float:
        return self.now

    def hold_up(self) -> None:
        """Keep the thread busy for longer than a tool may keep the event loop."""
        self.now += 0.3


async def test_a_tool_that_holds_up_the_event_loop_is_named_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All runs of the process stand still meanwhile. A thread may take as long as it likes, and so may a wait."""
    clocks = Clocks()
    monkeypatch.setattr(time, "perf_counter", clocks.read)

    @tool
    async def greedy() -> None:
        await anyio.lowlevel.checkpoint()
        clocks.hold_up()

    @tool
    def threaded() -> None:
        clocks.hold_up()

    @tool
    async def outer(ctx: Context[None]) -> None:
        await ctx.call("greedy", {})

    for calls in ([call("threaded"), call("outer")], [call("greedy")], [call("outer")]):
        await told(greedy, threaded, outer, calls=calls)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert said[0].startswith("the tool 'greedy' has held up the event loop for 0.30 seconds")


async def test_what_is_awaited_through_the_watch_is_as_without_it() -> None:
    """Values, exceptions thrown in from outside, and what a tool does about them, go through unchanged."""
    seen = list[str]()

    @tool
    async def works() -> str:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
        with anyio.move_on_after(0.01):
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                seen.append("cancelled")
                raise
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        return "whole"

    [result] = await told(works, calls=[call("works")])
    assert (result.content, seen) == ("whole", ["cancelled"])

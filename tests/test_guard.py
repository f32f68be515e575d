"""What all calls of a tool share, whoever makes them: retries, concurrency, rate, cache and breaker.

The event loops' time is virtual here: minutes of waiting pass at once, on both loops.
"""

import gc
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import anyio.from_thread
import pytest
from virtual_time import anyio_backend as anyio_backend
from virtual_time import passes

from agentkit import Agent, Context, Limits, Tool, ToolFailed, ToolResult, tool
from agentkit.errors import InvalidArguments, JournalFailed, RunTimeout, ToolDenied
from agentkit.guard import CACHE_ENTRIES, Guard
from agentkit.messages import ToolCall
from agentkit.policy import Policy
from agentkit.testing import ScriptedModel, call


def clocked(function: Any, jitter: Callable[[float, float], float] = lambda low, high: high) -> Tool:
    """The tool, with a guard that goes by the event loop's clock, and always waits the longest pause."""
    made = Tool.of(function)
    return replace(made, guard=Guard(name=made.name, policy=made.policy, clock=anyio.current_time, jitter=jitter))


async def told(*tools: Any, calls: list[ToolCall], deps: Any = None) -> list[str]:
    """What a model is told about its calls, in one run of an agent of its own."""
    limits = Limits(seconds=None, tool_concurrency=10_000, calls_per_iteration=10_000)
    result = await Agent(ScriptedModel([calls, "ok"]), tools=tools, limits=limits).run("?", deps=deps)
    assert result.output == "ok"
    return [m.content for m in result.messages if isinstance(m, ToolResult)]


class Fails:
    """Fails so often, then works; notes each attempt's time and context."""

    def __init__(self, times: int, error: BaseException | None = None) -> None:
        self.times, self.error = times, error or ValueError("the line is down")
        self.begun: list[float] = []
        self.contexts: list[Context[None]] = []

    async def __call__(self, ctx: Context[None]) -> str:
        """Fetch."""
        self.begun.append(anyio.current_time())
        self.contexts.append(ctx)
        if len(self.begun) <= self.times:
            raise self.error
        return "here"

    def tool(self, **policy: Any) -> Tool:
        """The tool that this is."""

        @tool(name="fetch", **policy)
        async def fetch(ctx: Context[None]) -> str:
            return await self(ctx)

        return clocked(fetch)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("times", "attempts", "answer"), [(0, 1, "here"), (3, 4, "here"), (4, 4, "ValueError: the line is down")]
)
async def test_a_failed_call_is_tried_again_so_often_and_no_more(times: int, attempts: int, answer: str) -> None:
    """`retries=3` makes four attempts; the model reads only what the last one came to."""
    fails = Fails(times)
    assert await told(fails.tool(retries=3, effects="read"), calls=[call("fetch")]) == [answer]
    assert len(fails.begun) == attempts


@pytest.mark.anyio
async def test_the_pauses_between_attempts_grow_up_to_half_a_minute() -> None:
    """Twice as long each time, so that whoever is overloaded gets air."""
    fails = Fails(9)
    assert await told(fails.tool(retries=9, idempotent=True), calls=[call("fetch")]) == ["here"]
    pauses = [later - earlier for earlier, later in zip(fails.begun, fails.begun[1:], strict=False)]
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30])


@pytest.mark.anyio
async def test_a_pause_is_a_chance_between_its_half_and_its_whole() -> None:
    """So that those who failed together do not come back together."""
    asked: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    made = Fails(4).tool(retries=4, effects="read")
    guard = Guard(name="fetch", policy=made.policy, clock=anyio.current_time, jitter=jitter)
    assert await told(replace(made, guard=guard), calls=[call("fetch")]) == ["here"]
    assert asked == [(0.25, 0.5), (0.5, 1), (1, 2), (2, 4)]


@pytest.mark.anyio
async def test_thousands_of_retries_are_no_number_too_large() -> None:
    """The pause stops growing, and so does what it is worked out from."""
    fails = Fails(3000)
    assert await told(fails.tool(retries=3000, effects="read"), calls=[call("fetch")]) == ["here"]


@pytest.mark.anyio
async def test_each_attempt_is_the_same_call_to_the_outside() -> None:
    """One call id and one idempotency key, so that another system can tell an attempt from a second call."""
    fails = Fails(2)
    await told(fails.tool(retries=2, effects="read"), calls=[call("fetch"), call("fetch")])
    assert len(fails.contexts) == 4
    keys = Counter((ctx.call_id, ctx.idempotency_key) for ctx in fails.contexts)
    assert sorted(keys.values()) == [2, 2]
    assert len({key for _, key in keys if key}) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("error", [ToolFailed("not there"), ToolDenied("not for you"), InvalidArguments("no")])
async def test_what_a_tool_says_itself_is_not_tried_again(error: Exception) -> None:
    """It has answered; asking again would be rude."""
    fails = Fails(9, error)
    assert await told(fails.tool(retries=5, effects="read"), calls=[call("fetch")]) == [str(error)]
    assert len(fails.begun) == 1


@pytest.mark.anyio
async def test_arguments_that_do_not_fit_are_not_tried_again() -> None:
    """They would fit no better."""
    tries: list[int] = []

    @tool(retries=5, effects="read")
    async def look(n: int) -> int:
        tries.append(n)
        return n

    began = anyio.current_time()
    [words] = await told(clocked(look), calls=[call("look", n="many")])
    assert "n:" in words
    assert tries == []
    assert anyio.current_time() == began


@pytest.mark.anyio
async def test_an_attempt_that_took_too_long_is_tried_again() -> None:
    """The timeout is that of one attempt."""
    begun: list[float] = []

    @tool(retries=2, timeout=10, effects="read")
    async def slow() -> str:
        begun.append(anyio.current_time())
        if len(begun) < 3:
            await anyio.sleep_forever()
        return "at last"

    assert await told(clocked(slow), calls=[call("slow")]) == ["at last"]
    assert [later - begun[0] for later in begun] == pytest.approx([0, 10.5, 21.5])


@pytest.mark.anyio
async def test_what_must_end_the_run_is_not_tried_again() -> None:
    """A journal that fails in a call inside the call, or Ctrl-C."""
    for error in (JournalFailed("disk full"), KeyboardInterrupt("now")):
        fails = Fails(9, error)
        with pytest.raises(type(error)):
            await told(fails.tool(retries=5, effects="read"), calls=[call("fetch")])
        assert len(fails.begun) == 1


@pytest.mark.anyio
async def test_a_cancellation_ends_a_pause_at_once() -> None:
    """Nobody waits for an attempt that nobody wants any more."""
    fails = Fails(9)
    with anyio.move_on_after(0.25) as scope:
        await told(fails.tool(retries=5, effects="read"), calls=[call("fetch")])
    assert scope.cancelled_caught
    assert anyio.current_time() - fails.begun[0] == pytest.approx(0.25)
    assert len(fails.begun) == 1


@pytest.mark.anyio
async def test_the_runs_time_bounds_all_attempts_together() -> None:
    """`Limits.seconds` is a promise to the caller, retries or not."""
    fails = Fails(99)
    made = fails.tool(retries=50, effects="read")
    began = anyio.current_time()
    with pytest.raises(RunTimeout):
        await Agent(ScriptedModel([[call("fetch")]]), tools=[made], limits=Limits(seconds=10)).run("?")
    assert anyio.current_time() - began == pytest.approx(10)
    assert len(fails.begun) == 5


class Crowd:
    """A tool that counts how many are in it."""

    def __init__(self, **policy: Any) -> None:
        self.now = self.most = self.all = 0

        @tool(**policy)
        async def enter() -> None:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
            try:
                await passes(1)
            finally:
                self.now -= 1

        self.enter = enter


@pytest.mark.anyio
async def test_no_more_calls_go_on_than_declared_in_all_runs_of_all_agents() -> None:
    """Fifty runs at once, by two agents that share the function; all come to their end."""
    crowd = Crowd(concurrency=3)
    agents = [Agent(ScriptedModel([[call("enter"), call("enter")], "ok"]), tools=[crowd.enter]) for _ in range(50)]
    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for agent in agents:
            group.start_soon(agent.run, "?")
    assert (crowd.most, crowd.all) == (3, 100)
    assert anyio.current_time() - began == pytest.approx(34)


@pytest.mark.anyio
async def test_who_stops_waiting_frees_the_place_that_would_have_been_his() -> None:
    """And who is stopped in his place frees that."""
    crowd = Crowd(concurrency=1)
    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.5):
            await told(crowd.enter, calls=[call("enter") for _ in range(20)])
        group.start_soon(lambda: told(crowd.enter, calls=[call("enter")]))
    assert crowd.most == 1
    assert crowd.all == 2


@pytest.mark.anyio
async def test_waiting_for_a_place_does_not_use_up_the_attempts_time() -> None:
    """The timeout is for the tool, not for the queue before it."""
    crowd = Crowd(concurrency=1, timeout=1.5)
    assert await told(crowd.enter, calls=[call("enter") for _ in range(4)]) == ["null"] * 4


@pytest.mark.anyio
@pytest.mark.parametrize("sync", [True, False])
async def test_a_call_that_would_wait_for_itself_is_refused(sync: bool) -> None:
    """A tool with an agent inside that has the tool again: told at once, not when the time is over."""
    inner: list[Agent] = []

    @tool(concurrency=1, name="think")
    async def think(deep: bool) -> str:
        if not deep:
            return "thought"
        return str((await inner[0].run("?")).messages[2].content)  # type: ignore[union-attr]

    @tool(concurrency=1, name="think")
    def think_sync(deep: bool) -> str:
        return "thought" if not deep else str(anyio.from_thread.run(inner[0].run, "?").messages[2].content)

    function = think_sync if sync else think
    inner.append(Agent(ScriptedModel([[call("think", deep=False)], "ok"]), tools=[function]))
    assert await told(function, calls=[call("think", deep=True)]) == [
        "not run: the call of think that is going on cannot end before this one begins"
    ]
    assert await told(function, calls=[call("think", deep=False)] * 2) == ["thought"] * 2


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """The work in so many threads at once; the first of their exceptions is raised."""
    errors: list[BaseException] = []
    ready = threading.Barrier(count)

    def run(n: int) -> None:
        try:
            ready.wait(20)
            work(n)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("policy", [{"concurrency": 1}, {"rate": "100000/second"}, {"cache": 60}, {"breaker": 2}])
def test_event_loops_in_several_threads_share_a_tool(policy: dict[str, Any]) -> None:
    """Each run of `run_sync` has its own loop; nobody waits for what only another loop could wake."""

    @tool(effects="read", **policy)
    async def look(n: int) -> int:
        await anyio.lowlevel.checkpoint()
        return n

    def work(n: int) -> None:
        for turn in range(3):
            calls = [call("look", n=100 * n + turn + k) for k in range(5)]
            result = Agent(ScriptedModel([calls, "ok"]), tools=[look]).run_sync("?")
            assert [m.content for m in result.messages if isinstance(m, ToolResult)] == [
                str(100 * n + turn + k) for k in range(5)
            ]

    in_threads(6, work)


def test_an_event_loop_that_is_over_is_forgotten() -> None:
    """A tool lives as long as the program, and `run_sync` makes a loop for each call."""

    @tool(concurrency=1, rate="1000/second")
    async def look() -> int:
        return 1

    for backend in ("asyncio", "trio") * 3:
        anyio.run(Agent(ScriptedModel([[call("look")], "ok"]), tools=[look]).run, "?", backend=backend)
    gc.collect()
    guard = Tool.of(look).guard
    assert guard is not None
    assert len(guard._lines) == 0


class Shop:
    def __init__(self) -> None:
        self.asked = 0

    @tool(cache=60, effects="read")
    async def stock(self) -> int:
        self.asked += 1
        return self.asked


@pytest.mark.anyio
async def test_the_method_of_one_object_is_one_tool_and_of_two_are_two() -> None:
    """However often `shop.stock` is written, it is the same gate; another shop has its own."""
    north, south = Shop(), Shop()
    assert await told(north.stock, calls=[call("stock")]) == ["1"]
    assert Tool.of(north.stock).guard is Tool.of(north.stock).guard
    first = Tool.of(north.stock)
    assert await told(first, calls=[call("stock")]) == ["2"]  # no tool was left that could keep anything
    assert await told(north.stock, calls=[call("stock")]) == ["2"]
    assert await told(south.stock, calls=[call("stock")]) == ["1"]
    assert Tool.of(south.stock).guard is not first.guard


def test_a_tool_that_nobody_holds_leaves_nothing_behind() -> None:
    """Neither its guard nor its object."""
    shop = Shop()
    made = Tool.of(shop.stock)
    assert made.guard is not None
    gone = [weakref.ref(shop), weakref.ref(made), weakref.ref(made.guard)]

    @tool(concurrency=2)
    def count() -> int:
        return 1

    own = Tool.of(count).guard
    assert own is not None
    gone.append(weakref.ref(own))
    del shop, made, count, own
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4


class Counted:
    """A tool with a rate that notes when its calls begin."""

    def __init__(self, rate: str, **policy: Any) -> None:
        self.begun: list[tuple[float, int]] = []
        self.seconds = 0.0

        @tool(rate=rate, **policy)
        async def count(n: int) -> int:
            self.begun.append((anyio.current_time(), n))
            await passes(self.seconds)
            return n

        self.count = clocked(count)

    def most_in(self, seconds: float) -> int:
        """The most calls that began in any span of so many seconds."""
        times = [at for at, _ in self.begun]
        return max(sum(0 <= at - start < seconds - 1e-9 for at in times) for start in times)


@pytest.mark.anyio
async def test_no_span_of_time_has_more_calls_than_the_rate_allows() -> None:
    """Whenever they are asked for; and they begin as soon as they may, in the order of asking."""
    counted = Counted("7/minute")

    async def ask(n: int) -> None:
        await passes((n * 37) % 100 / 10 + 40 * (n % 3))
        await told(counted.count, calls=[call("count", n=n)])

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for n in range(60):
            group.start_soon(ask, n)
    assert len(counted.begun) == 60
    assert counted.most_in(60) == 7
    assert anyio.current_time() - began < 60 * 9.1


@pytest.mark.anyio
async def test_who_asks_first_begins_first() -> None:
    """A rate's queue is fair, and each begins as soon as he may."""
    counted = Counted("2/minute")
    async with anyio.create_task_group() as group:
        for n in range(11):
            group.start_soon(lambda n=n: told(counted.count, calls=[call("count", n=n)]))
            await anyio.wait_all_tasks_blocked()
    assert [n for _, n in counted.begun] == list(range(11))
    first, second = counted.begun[0][0], counted.begun[1][0]
    assert [at - (second if n % 2 else first) for at, n in counted.begun] == pytest.approx(
        [n // 2 * 60 for n in range(11)]
    )


@pytest.mark.anyio
async def test_turns_are_not_saved_up_while_all_places_are_taken() -> None:
    """Calls that wait for a place begin one by one at the rate, not all at once when the places are free."""
    counted = Counted("1/second", concurrency=1)
    counted.seconds = 30
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: told(counted.count, calls=[call("count", n=n) for n in range(9)]))
        await passes(20)
        counted.seconds = 0
    assert counted.most_in(1) == 1


@pytest.mark.anyio
async def test_who_stops_waiting_gives_his_turn_back() -> None:
    """Those behind move up: nobody waits for the turns of the dead."""
    counted = Counted("1/minute")
    async with anyio.create_task_group() as group:
        await told(counted.count, calls=[call("count", n=0)])

        async def leave() -> None:
            with anyio.move_on_after(30):
                await told(counted.count, calls=[call("count", n=-1) for _ in range(500)])

        group.start_soon(leave)
        await anyio.wait_all_tasks_blocked()
        for n in (1, 2):
            group.start_soon(lambda n=n: told(counted.count, calls=[call("count", n=n)]))
            await anyio.wait_all_tasks_blocked()
    began = counted.begun[0][0]
    assert [(round(at - began), n) for at, n in counted.begun] == [(0, 0), (60, 1), (120, 2)]


@pytest.mark.anyio
async def test_retries_take_their_turns_too() -> None:
    """A rate bounds what the other side sees."""
    fails = Fails(3)
    await told(fails.tool(retries=3, rate="1/minute", effects="read"), calls=[call("fetch")])
    assert [at - fails.begun[0] for at in fails.begun] == pytest.approx([0, 60, 120, 180])


def test_a_rate_holds_across_threads() -> None:
    """Two hundred calls from eight event loops: as many spans as it takes, and never one call too many in any."""
    local, starts = threading.local(), list[float]()

    def clock() -> float:
        local.now = time.monotonic()
        return float(local.now)

    guard = Guard(name="f", policy=Policy(rate="100/second"), clock=clock)

    async def attempt() -> None:
        starts.append(local.now)

    async def ask() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(25):
                group.start_soon(guard.call, attempt)

    in_threads(8, lambda n: anyio.run(ask, backend="trio" if n % 2 else "asyncio"))
    starts.sort()
    assert len(starts) == 200
    assert all(later - earlier >= 1 for earlier, later in zip(starts, starts[100:], strict=False))


class Cached:
    def __init__(self, seconds: float = 60) -> None:
        self.asked: list[Any] = []

        @tool(cache=seconds, effects="read")
        async def rates(base: str, day: int = 1, extra: Any = None) -> list[Any]:
            self.asked.append((base, day, extra))
            if base == "XXX":
                raise ValueError("unknown")
            return [base, day]

        self.rates = clocked(rates)


def written(arguments: str) -> ToolCall:
    return ToolCall(id="c", name="rates", arguments=arguments)


@pytest.mark.anyio
async def test_the_same_arguments_give_the_kept_result() -> None:
    """However they are spelt: what counts is the JSON they are. Others are another call."""
    cached = Cached()
    for arguments in ('{"base": "EUR", "day": 2}', '{"day":2,"base":"EUR"}', '{ "base" : "\\u0045UR" , "day": 2 }'):
        assert await told(cached.rates, calls=[written(arguments)]) == ['["EUR",2]']
    assert cached.asked == [("EUR", 2, None)]
    others: list[Any] = [1, True, "1", [1], None, {"a": 1}]
    for extra in others:
        await told(cached.rates, calls=[call("rates", base="EUR", extra=extra)])
    assert len(cached.asked) == 1 + len(others)


@pytest.mark.anyio
async def test_a_kept_result_goes_out_of_date() -> None:
    """By the second, counted from when it was there."""
    cached = Cached(60)
    for wait, asked in [(0, 1), (59, 1), (2, 2), (59, 2), (1, 3)]:
        await passes(wait)
        await told(cached.rates, calls=[call("rates", base="EUR")])
        assert len(cached.asked) == asked


@pytest.mark.anyio
async def test_an_error_is_not_kept() -> None:
    """The next call may be luckier."""
    cached = Cached()
    for _ in range(2):
        assert await told(cached.rates, calls=[call("rates", base="XXX")]) == ["ValueError: unknown"]
    assert len(cached.asked) == 2
    for _ in range(2):
        assert "day" in (await told(cached.rates, calls=[call("rates", base="EUR", day="x")]))[0]


@pytest.mark.anyio
async def test_only_so_many_results_are_kept_and_the_oldest_go() -> None:
    """A model that asks for ever new things does not fill the memory."""
    cached = Cached()
    for day in range(CACHE_ENTRIES + 1):
        await told(cached.rates, calls=[call("rates", base="EUR", day=day)])
    await told(cached.rates, calls=[call("rates", base="EUR", day=CACHE_ENTRIES), call("rates", base="EUR", day=1)])
    assert len(cached.asked) == CACHE_ENTRIES + 1
    await told(cached.rates, calls=[call("rates", base="EUR", day=0)])
    assert len(cached.asked) == CACHE_ENTRIES + 2


@pytest.mark.anyio
async def test_tools_do_not_answer_for_each_other() -> None:
    """Not even where name and arguments are the same."""
    one, other = Cached(), Cached()
    await told(one.rates, calls=[call("rates", base="EUR")])
    await told(other.rates, calls=[call("rates", base="EUR")])
    assert (len(one.asked), len(other.asked)) == (1, 1)


@pytest.mark.anyio
async def test_a_tool_under_another_name_is_the_same_tool() -> None:
    """`registry.prefixed` renames what the model sees, not what is behind it."""
    cached = Cached()
    await told(cached.rates, calls=[call("rates", base="EUR")])
    await told(cached.rates.named("north_rates"), calls=[call("north_rates", base="EUR")])
    assert len(cached.asked) == 1


@pytest.mark.anyio
async def test_whoever_changes_a_result_changes_his_own() -> None:
    """A tool that calls another one gets the value itself, and the next one gets it as it was."""
    cached = Cached()

    @tool
    async def spoil(ctx: Context[None]) -> int:
        for _ in range(2):
            value = await ctx.call("rates", {"base": "EUR"})
            value.append("spoilt")
        return len(value)

    assert await told(cached.rates, spoil, calls=[call("spoil")]) == ["3"]
    assert await told(cached.rates, calls=[call("rates", base="EUR")]) == ['["EUR",1]']


def test_what_is_kept_serves_the_next_event_loop() -> None:
    """`run_sync` twice: the second one does not call."""
    asked: list[int] = []

    @tool(cache=3600, effects="read")
    def look(n: int) -> int:
        asked.append(n)
        return n

    for _ in range(2):
        Agent(ScriptedModel([[call("look", n=1)], "ok"]), tools=[look]).run_sync("?")
    assert asked == [1]


def test_a_cache_can_be_used_from_many_threads() -> None:
    """More keys than it keeps, from all sides at once."""
    guard = Guard(name="f", policy=Policy(cache=60, effects="read"))

    async def ask(n: int) -> None:
        async def attempt(key: int) -> int:
            return key

        for key in range(2 * CACHE_ENTRIES):
            key = (key * (n + 1)) % (2 * CACHE_ENTRIES)
            assert await guard.call(lambda key=key: attempt(key), str(key)) == key  # type: ignore[misc]

    in_threads(8, lambda n: anyio.run(ask, n))
    assert len(guard._kept) <= CACHE_ENTRIES


class Line:
    """Something at the other end of a line, that can be down."""

    def __init__(self, **policy: Any) -> None:
        self.up, self.asked = False, 0
        self.hold: anyio.Event | None = None

        @tool(breaker=3, **policy)
        async def ring(n: int = 0) -> str:
            self.asked += 1
            if self.hold is not None:
                await self.hold.wait()
            if not self.up:
                raise ConnectionError("no answer")
            if n < 0:
                raise ToolFailed("wrong number")
            return "hello"

        self.ring = clocked(ring)

    async def rings(self, n: Any = 0) -> str:
        """One run that rings; what the model is told."""
        return (await told(self.ring, calls=[call("ring", n=n)]))[0]

    async def breaks(self) -> None:
        self.up = False
        for _ in range(3):
            assert await self.rings() == "ConnectionError: no answer"


@pytest.mark.anyio
async def test_after_so_many_failures_in_a_row_a_tool_is_not_called_for_a_while() -> None:
    """Across runs; the model is told, and when to try again."""
    line = Line()
    await line.breaks()
    assert await line.rings() == "not called: ring has failed 3 times in a row; it can be tried again in 30 seconds"
    await passes(29.5)
    assert (await line.rings()).endswith("in 1 seconds")
    assert line.asked == 3
    line.up = True
    await passes(0.5)
    assert [await line.rings() for _ in range(5)] == ["hello"] * 5


@pytest.mark.anyio
async def test_failures_count_only_in_a_row() -> None:
    """What answers in between is alive, in whatever words."""
    line = Line()
    for n in range(6):
        line.up = False
        for _ in range(2):
            assert "no answer" in await line.rings()
        line.up = True
        assert await line.rings(-(n % 2)) == ("wrong number" if n % 2 else "hello")


@pytest.mark.anyio
async def test_a_call_that_is_not_fit_to_be_made_says_nothing_about_the_line() -> None:
    """Arguments that do not fit neither break it nor mend it."""
    line = Line()
    for _ in range(5):
        assert "n:" in await line.rings("x")
    for _ in range(2):
        assert await line.rings() == "ConnectionError: no answer"
        assert "n:" in await line.rings("x")
    assert await line.rings() == "ConnectionError: no answer"
    await passes(31)
    assert "n:" in await line.rings("x")
    assert "no answer" in await line.rings()
    assert "not called" in await line.rings()


@pytest.mark.anyio
async def test_when_the_pause_is_over_exactly_one_call_tries() -> None:
    """A thousand ask at once; the others are told, and do not wait."""
    line = Line()
    await line.breaks()
    await passes(31)
    line.hold, line.up = anyio.Event(), True
    answers: list[str] = []

    async def ask() -> None:
        answers.extend(await told(line.ring, calls=[call("ring") for _ in range(1000)]))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        await passes(1000)
        assert "one call is trying it now" in await line.rings()
        line.hold.set()
    assert Counter(answer.partition(":")[0] for answer in answers) == {"not called": 999, "hello": 1}
    assert line.asked == 4
    assert await line.rings() == "hello"


def test_exactly_one_call_tries_from_all_threads_together() -> None:
    """The breaker is one for all event loops."""
    now, tried, refused = [0.0], list[int](), list[int]()
    guard = Guard(name="f", policy=Policy(breaker=1), clock=lambda: now[0])

    async def fails() -> None:
        raise ValueError

    async def ask(n: int) -> None:
        async def attempt() -> None:
            tried.append(n)
            while len(refused) < 15:  # until all others have come by
                await anyio.lowlevel.checkpoint()

        try:
            await guard.call(attempt)
        except ToolDenied:
            refused.append(n)

    with pytest.raises(ValueError):
        anyio.run(guard.call, fails)
    now[0] = 31
    in_threads(16, lambda n: anyio.run(ask, n))
    assert (len(tried), len(refused)) == (1, 15)


@pytest.mark.anyio
async def test_a_trial_that_fails_begins_the_pause_anew() -> None:
    """From when it failed."""
    line = Line()
    await line.breaks()
    for failures in (4, 5):
        await passes(30)
        assert "no answer" in await line.rings()
        assert await line.rings() == (
            f"not called: ring has failed {failures} times in a row; it can be tried again in 30 seconds"
        )


@pytest.mark.anyio
async def test_a_trial_that_is_cancelled_leaves_the_next_one_to_try() -> None:
    """The breaker does not jam."""
    line = Line()
    await line.breaks()
    await passes(31)
    line.hold, line.up = anyio.Event(), True
    with anyio.move_on_after(5):
        await line.rings()
    line.hold = None
    assert await line.rings() == "hello"


@pytest.mark.anyio
async def test_a_cancelled_call_from_before_does_not_open_the_door() -> None:
    """It knows nothing of how the line is now."""
    line = Line()
    line.hold = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(line.rings)
        await anyio.wait_all_tasks_blocked()
        line.hold = None
        await line.breaks()
        group.cancel_scope.cancel()
    assert "not called" in await line.rings()


@pytest.mark.anyio
async def test_a_cancelled_call_from_before_does_not_let_a_second_one_try() -> None:
    """It is not the one that tries."""
    line, early = Line(), anyio.CancelScope()
    line.hold = anyio.Event()

    async def ring_early() -> None:
        with early:
            await line.rings()

    with anyio.fail_after(500):
        async with anyio.create_task_group() as group:
            group.start_soon(ring_early)
            await anyio.wait_all_tasks_blocked()
            line.hold = None
            await line.breaks()
            await passes(31)
            line.hold = anyio.Event()
            group.start_soon(line.rings)
            await anyio.wait_all_tasks_blocked()
            early.cancel()
            await anyio.wait_all_tasks_blocked()
            assert "one call is trying it now" in await line.rings()
            line.hold.set()


@pytest.mark.anyio
async def test_calls_that_wait_are_not_made_once_the_breaker_is_open() -> None:
    """A hundred in the queue do not all have to find out for themselves."""
    line = Line(concurrency=1)
    answers = await told(line.ring, calls=[call("ring") for _ in range(100)])
    assert Counter(answer.partition(":")[0] for answer in answers) == {"ConnectionError": 3, "not called": 97}
    assert line.asked == 3


@pytest.mark.anyio
async def test_a_refused_call_waits_for_nothing() -> None:
    """Neither for a place nor for a turn, which it does not take from those that are made."""
    line = Line(rate="3/day")
    await line.breaks()
    began = anyio.current_time()
    assert "not called" in await line.rings()
    assert anyio.current_time() == began


@pytest.mark.anyio
async def test_retries_end_when_the_breaker_opens() -> None:
    """With what the last attempt came to: that call was made."""
    line = Line(retries=9, idempotent=True)
    assert await line.rings() == "ConnectionError: no answer"
    assert line.asked == 3
    assert "not called" in await line.rings()


@pytest.mark.anyio
async def test_a_tool_without_such_policies_has_no_guard() -> None:
    """What is not used costs nothing."""

    @tool(timeout=3, effects="read", sequential=True)
    def plain() -> None: ...

    assert Tool.of(plain).guard is None

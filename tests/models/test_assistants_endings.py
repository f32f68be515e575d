"""How runs on an Assistants server end before their time: no run is left going on there, and the caller is told why."""

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest
from assistants_kit import KEY, active, ask, backend, results, runs, sent, statuses, texts, until

from agentkit import Agent, Limits, ModelSettings, Session, ToolCall, ToolResult, Usage, tool
from agentkit.errors import (
    AgentError,
    AuthFailed,
    ContentFiltered,
    ContextTooLong,
    LimitExceeded,
    ModelError,
    ModelTimeout,
    QuotaExceeded,
    RateLimited,
    Refused,
    RequestRejected,
    RunTimeout,
    ServerFailed,
    SessionError,
    Truncated,
)
from agentkit.events import ModelAnswered
from agentkit.messages import AssistantMessage, Message, UserMessage, unanswered
from agentkit.sessions import MemoryStore
from agentkit.testing import AssistantsRequest, AssistantsServer, Fault, Reply, call

pytestmark = pytest.mark.anyio


class Shop:
    """A script of two tool rounds and an answer, the tool that it calls, and what both have seen."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.bodies: list[dict[str, Any]] = []

        @tool
        async def count(shelf: int) -> str:
            """Count what is on a shelf."""
            await anyio.lowlevel.checkpoint()
            self.ran.append(shelf)
            return f"{shelf} on shelf {shelf}"

        self.tools = [count]

    def script(self, body: dict[str, Any]) -> Any:
        self.bodies.append(body)
        if [m["content"] for m in body["messages"] if m["role"] == "user"][-1] == "Still there?":
            return "Still here."
        match len(results(body)):
            case 0:
                return AssistantMessage(text="Let me see.", tool_calls=(shelf("a", 1), shelf("b", 2)))
            case 2:
                return [call("count", shelf=3)]
        return "Six in all."


def shelf(id: str, n: int) -> ToolCall:
    return ToolCall(id=f"call_{id}", name="count", arguments=f'{{"shelf":{n}}}')


async def is_left_in_order(server: AssistantsServer, shop: Shop, session: Session) -> None:
    """No run goes on, the session has a true history, and the next run knows all of it and runs no tool again."""
    with anyio.fail_after(3):
        await until(lambda: not active(server))
    stored = (await session.store.load(session.id)).messages
    assert unanswered(stored) == ()
    done = [m.content for m in stored if isinstance(m, ToolResult) and not m.is_error]
    assert done == sorted(done)
    assert set(done) <= {f"{shelf} on shelf {shelf}" for shelf in shop.ran}
    ran = list(shop.ran)
    result = await Agent(backend(server), tools=shop.tools).run("Still there?", session=session)
    assert result.output == "Still here."
    assert shop.ran == ran
    assert result.messages[: len(stored)] == stored
    told = str(shop.bodies[-1]["messages"])
    assert all(content in told for content in done)
    said = [m.text for m in stored if isinstance(m, AssistantMessage) and m.text]
    assert [m["content"] for m in shop.bodies[-1]["messages"] if m["role"] == "assistant" and m["content"]] == said
    assert active(server) == []


async def cancelled(run: Callable[[], Any], when: anyio.Event) -> None:
    """Cancel a run at a moment."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:

            async def to_the_end() -> None:
                await run()
                group.cancel_scope.cancel()

            group.start_soon(to_the_end)
            await when.wait()
            group.cancel_scope.cancel()


async def cancelled_at(n: int, fault: Fault | None = None, quirks: Sequence[str] = ()) -> bool:
    """Cancel a run when the server has got its n-th request; false if there are not so many."""
    shop, session, seen, over = Shop(), Session("alice"), anyio.Event(), False

    def on_request(request: AssistantsRequest) -> Fault | None:
        if request.number != n or over:
            return None
        seen.set()
        return fault

    async with AssistantsServer(shop.script, on_request=on_request, quirks=quirks) as server:
        agent = Agent(backend(server), tools=shop.tools)
        await cancelled(lambda: agent.run("Count all.", session=session), seen)
        over = True
        await is_left_in_order(server, shop, session)
    return seen.is_set()


@pytest.mark.parametrize("fault", [None, Fault("hang"), Fault("lost_after"), Fault("end", events=2)])
@pytest.mark.parametrize("n", range(1, 7))
async def test_cancelled_at_any_request_no_run_goes_on(n: int, fault: Fault | None) -> None:
    """Whether the server was about to take it up, never would have, or had already, and the answer was lost."""
    assert await cancelled_at(n, fault)


async def test_a_run_that_the_server_takes_up_late_is_cancelled_too() -> None:
    """The request was on its way when its sender was cancelled: the first look does not find it, a later one does."""
    sent_off, looked, late = anyio.Event(), anyio.Event(), list[AssistantsRequest]()

    def on_request(request: AssistantsRequest) -> Fault | None:
        if request.path.endswith("/runs") and request.method == "GET":
            looked.set()
        if request.path.endswith("/runs") and request.method == "POST" and not late:
            late.append(request)
            sent_off.set()
            return Fault("hang")
        return None

    async def arrive() -> None:
        await looked.wait()
        [request] = late
        await ask(server, "POST", request.path, **{**(request.body or {}), "stream": False})

    async with AssistantsServer([Reply(message="To nobody.", delay_until="never")], on_request=on_request) as server:
        agent = Agent(backend(server))
        async with anyio.create_task_group() as group:
            group.start_soon(arrive)
            await cancelled(lambda: agent.run("Go."), sent_off)
        assert statuses(server) == ["cancelled"]


@pytest.mark.parametrize("spoken", [0, 4, 7])
@pytest.mark.parametrize("turn", [1, 2, 3])
async def test_cancelled_while_the_model_speaks_no_run_goes_on(turn: int, spoken: int) -> None:
    """What it had said until then is in nobody's history, and the next run does not hear of it."""
    shop, session, asked = Shop(), Session("zoe"), anyio.Event()

    def script(body: dict[str, Any]) -> Any:
        reply = shop.script(body)
        if len(shop.bodies) != turn:
            return reply
        asked.set()
        return Reply(message=reply, delay_until="never", delay_after=spoken)

    async with AssistantsServer(script) as server:
        agent = Agent(backend(server), tools=shop.tools)
        await cancelled(lambda: agent.run("Count all.", session=session), asked)
        assert statuses(server) == ["cancelled"]
        await is_left_in_order(server, shop, session)


async def left_after(events: int, *, by_cancelling: bool, quirks: Sequence[str] = ()) -> bool:
    """Watch so many events of a run and go; false if there are not so many."""
    shop, session = Shop(), Session("bob")
    async with AssistantsServer(shop.script, quirks=quirks) as server:
        agent, seen = Agent(backend(server), tools=shop.tools), 0
        with anyio.CancelScope() as scope:
            async with agent.stream("Count all.", session=session) as run:
                async for _ in run:
                    seen += 1
                    if seen == events:
                        if not by_cancelling:
                            break
                        scope.cancel()
        await is_left_in_order(server, shop, session)
    return seen == events


@pytest.mark.parametrize("by_cancelling", [False, True])
@pytest.mark.parametrize("events", range(1, 15, 3))
async def test_left_at_an_event_the_run_ends_on_the_server_too(events: int, by_cancelling: bool) -> None:
    """Whoever leaves `agent.stream` early, or is cancelled in it, leaves no run behind."""
    with anyio.fail_after(10):
        await left_after(events, by_cancelling=by_cancelling)


async def cancelled_after(checkpoints: int, quirks: Sequence[str] = ()) -> None:
    """Cancel a run after the event loop has gone round so many times."""
    shop, session, over = Shop(), Session("carol"), anyio.Event()
    async with AssistantsServer(shop.script, quirks=quirks) as server:
        agent = Agent(backend(server), tools=shop.tools)

        async def count_down() -> None:
            for _ in range(checkpoints):
                await anyio.lowlevel.checkpoint()
            over.set()

        async with anyio.create_task_group() as group:
            group.start_soon(count_down)
            await cancelled(lambda: agent.run("Count all.", session=session), over)
        await is_left_in_order(server, shop, session)


@pytest.mark.parametrize("checkpoints", range(2, 100, 14))
async def test_cancelled_at_a_checkpoint_no_run_goes_on(checkpoints: int) -> None:
    """Wherever it is in its work. All of them are tried by `make sweep`."""
    await cancelled_after(checkpoints)


async def test_a_deadline_ends_the_run_on_the_server() -> None:
    """`Limits.seconds`, while the model thinks and says nothing."""
    async with AssistantsServer([Reply(message="Too late.", delay_until="never")]) as server:
        with pytest.raises(RunTimeout, match="seconds") as caught:
            await Agent(backend(server), limits=Limits(seconds=0.2)).run("Hurry!")
        assert statuses(server) == ["cancelled"]
    assert caught.value.history == (UserMessage(content="Hurry!"),)


async def test_a_deadline_in_a_tool_ends_the_waiting_run() -> None:
    """And what the run has used until then is in the error."""

    @tool
    async def dig() -> None:
        """Dig."""
        await anyio.sleep_forever()

    async with AssistantsServer(
        [Reply(message=[call("dig")], usage=Usage(input_tokens=70, output_tokens=7))]
    ) as server:
        with pytest.raises(RunTimeout) as caught:
            await Agent(backend(server), tools=[dig], limits=Limits(seconds=0.3)).run("Dig!")
        assert statuses(server) == ["cancelled"]
    assert caught.value.usage == Usage(input_tokens=70, output_tokens=7)


async def test_a_limit_on_iterations_cancels_the_run_that_waits() -> None:
    """Nobody would read the results; what the run has used is in the error, though it was not known before."""
    shop, session = Shop(), Session("dora")
    async with AssistantsServer(shop.script) as server:
        with pytest.raises(LimitExceeded, match="2 iterations") as caught:
            await Agent(backend(server), tools=shop.tools, limits=Limits(iterations=2)).run("Go.", session=session)
        [run] = runs(server)
        assert run["status"] == "cancelled"
        assert caught.value.usage is not None
        assert caught.value.usage.total_tokens == run["usage"]["total_tokens"] > 0
        assert sorted(shop.ran) == [1, 2]
        await is_left_in_order(server, shop, session)


class FullDisk(MemoryStore):
    """Fails at the given appends."""

    def __init__(self, *failing: int) -> None:
        super().__init__()
        self.failing, self.appends = failing, 0

    async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
        self.appends += 1
        if self.appends in self.failing:
            raise OSError("no space left on device")
        return await super().append(session_id, messages, revision=revision)


@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_a_store_that_fails_leaves_no_run(failing: int) -> None:
    """In the middle, where the run waits, and at the end."""
    shop, session = Shop(), Session("erin", FullDisk(failing))
    async with AssistantsServer(shop.script) as server:
        with pytest.raises(SessionError, match="no space left"):
            await Agent(backend(server), tools=shop.tools).run("Count all.", session=session)
        assert active(server) == []
        result = await Agent(backend(server), tools=shop.tools).run("Still there?", session=session)
    assert result.output == "Still here."


@pytest.mark.parametrize("calls", [1, 2])
async def test_a_keyboard_interrupt_in_a_tool_leaves_no_run(calls: int) -> None:
    """It is raised bare, and within seconds nothing waits on the server."""

    @tool
    async def interrupt(n: int) -> None:
        """Press Ctrl-C."""
        raise KeyboardInterrupt

    session = Session("fred")
    async with AssistantsServer([[call("interrupt", n=n) for n in range(calls)], "Still here."]) as server:
        with pytest.raises(KeyboardInterrupt):
            await Agent(backend(server), tools=[interrupt]).run("Go.", session=session)
        assert statuses(server) == ["cancelled"]
        assert (await Agent(backend(server), tools=[interrupt]).run("And?", session=session)).output == "Still here."


async def test_tools_are_stopped_before_the_run_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that expires in 16 seconds leaves its tools one second: the result says so, and the same run goes on."""
    monkeypatch.setattr("agentkit.testing.assistants.objects._RUN_SECONDS", 16)

    @tool
    async def dig() -> None:
        """Dig."""
        await anyio.sleep_forever()

    async with AssistantsServer([[call("dig")], "Too deep."]) as server:
        with anyio.fail_after(5):
            result = await Agent(backend(server), tools=[dig]).run("Dig!")
        assert statuses(server) == ["completed"]
    assert result.output == "Too deep."
    [told] = [m for m in result.messages if isinstance(m, ToolResult)]
    assert told.is_error
    assert "dig was stopped" in told.content


@pytest.mark.parametrize("seconds", [0, 10**9])
async def test_the_servers_clock_may_be_far_off(seconds: int) -> None:
    """How long tools may take does not follow from what our clock shows when the run is made."""
    shop = Shop()
    async with AssistantsServer(shop.script) as server:
        server.clock.advance(seconds)
        async with Agent(backend(server), tools=shop.tools).stream("Count all.") as run:
            within = [event.response.results_within async for event in run if isinstance(event, ModelAnswered)]
    first, second, last = within
    assert first is not None
    assert second is not None
    assert 580 < second <= first <= 585
    assert last is None


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_run_that_expired_while_it_waited_is_gone_on_with_by_another(streamed: bool) -> None:
    """It is told the calls and the results in words: no tool runs twice, and what both have used is counted."""
    shop = Shop()

    def script(body: dict[str, Any]) -> Any:
        told = [m["content"] for m in body["messages"] if m["role"] == "user"][-1]
        return told if "2 on shelf 2" in told else shop.script(body)

    async with AssistantsServer(script) as server:

        @tool
        async def count(shelf: int) -> str:
            """Count what is on a shelf."""
            shop.ran.append(shelf)
            if shelf == 2:
                server.clock.advance(601)
            return f"{shelf} on shelf {shelf}"

        agent = Agent(backend(server), tools=[count])
        if streamed:
            async with agent.stream("Count all.") as run:
                result = await run.finish()
        else:
            result = await agent.run("Count all.")
        assert statuses(server) == ["expired", "completed"]
        [thread] = server.threads
        assert texts(server, thread["id"])[:2] == [("user", "Count all."), ("assistant", "Let me see.")]
        used = [run["usage"]["total_tokens"] for run in runs(server)]
    assert result.output == (
        'Meanwhile, tools were called:\n\ncount({"shelf":1}) gave: 1 on shelf 1'
        '\n\ncount({"shelf":2}) gave: 2 on shelf 2'
    )
    assert sorted(shop.ran) == [1, 2]
    assert result.usage.total_tokens == sum(used)


async def test_a_run_that_expires_while_the_model_thinks_is_a_timeout() -> None:
    """There is nothing to go on with."""

    def script(body: dict[str, Any]) -> str:
        server.clock.advance(601)
        return "Too late."

    async with AssistantsServer(script) as server:
        with pytest.raises(ModelTimeout, match=r"run 'run_\w+' expired"):
            await Agent(backend(server)).run("Think!")
        assert statuses(server) == ["expired"]


async def failing(script: Any, fault: Callable[[AssistantsRequest], Fault | None] | None = None, **more: Any) -> Any:
    """How a run with this script fails, once it is made sure that the error shows no key, and nothing goes on."""
    options = {name: more.pop(name) for name in ("settings", "output", "tools") if name in more}
    async with AssistantsServer(script, on_request=fault) as server:
        with anyio.fail_after(10), pytest.raises(AgentError) as caught:
            await Agent(backend(server, **more), **options).run("Hi")
        assert active(server) == []
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "words", "kind", "retryable"),
    [
        (500, "server_error", "Sorry, something went wrong.", ServerFailed, True),
        (429, "rate_limit_exceeded", "Rate limit reached for m.", RateLimited, True),
        (429, "rate_limit_exceeded", "You exceeded your current quota, please check your plan.", QuotaExceeded, False),
        (400, "invalid_prompt", "Invalid prompt: your prompt was flagged.", RequestRejected, False),
        (400, "invalid_prompt", "This model's maximum context length is 8192 tokens.", ContextTooLong, False),
        (500, "brand_new_code", "Nobody knows.", ServerFailed, True),
        (500, "server_error", f"Incorrect API key provided: {KEY}.", ServerFailed, True),
    ],
)
async def test_a_failed_run_says_why(status: int, code: str, words: str, kind: type, retryable: bool) -> None:
    """Its code decides which error it is, and its message is in it."""
    error = await failing([Reply(status=status, error=words, error_code=code)])
    assert type(error) is kind
    assert words.replace(KEY, "***") in str(error)
    assert code in str(error)
    assert error.retryable is retryable


async def test_an_answer_that_was_cut_is_given_as_it_is() -> None:
    """With text there is something to show; the result says that it was cut."""
    async with AssistantsServer([Reply(message="Half an ans", finish_reason="length")]) as server:
        result = await Agent(backend(server)).run("Hi")
    assert (result.output, result.finish_reason) == ("Half an ans", "length")


@pytest.mark.parametrize(("message", "output"), [('{"n": 1', dict[str, int]), ("", str), ([call("f")], str)])
async def test_a_cut_answer_that_cannot_be_used_is_an_error(message: Any, output: Any) -> None:
    """Half of a form, nothing at all, or calls that may be cut themselves and so are not run."""

    @tool
    def f() -> None:
        """Never called."""
        raise AssertionError

    script = [Reply(message=message, finish_reason="length")]
    error = await failing(script, output=output, tools=[f])
    assert type(error) is Truncated
    assert error.partial == (message if isinstance(message, str) else "")
    assert "token limit" in str(error)


async def test_a_prompt_above_the_runs_limit_is_too_long() -> None:
    """`max_prompt_tokens` is the caller's own."""
    script = [Reply(message="x", usage=Usage(input_tokens=300, output_tokens=1))]
    error = await failing(script, settings=ModelSettings(extra={"max_prompt_tokens": 256}))
    assert type(error) is ContextTooLong
    assert "max_prompt_tokens" in str(error)


async def test_a_content_filter_is_named() -> None:
    """Even if some of the answer was written."""
    error = await failing([Reply(message="Well, first you", finish_reason="content_filter")])
    assert type(error) is ContentFiltered


async def test_a_refusal_is_an_error_with_its_words() -> None:
    """As on every backend."""
    error = await failing([AssistantMessage(refusal="I would rather not.")])
    assert type(error) is Refused
    assert error.text == "I would rather not."


async def test_a_run_that_somebody_else_cancels_while_the_model_thinks_is_an_error() -> None:
    """It says that it was not us."""
    async with AssistantsServer([Reply(message="Never said.", delay_until="never")]) as server:
        errors = []

        async def run() -> None:
            with pytest.raises(ModelError, match=r"run 'run_\w+' was cancelled on the server, by somebody else") as e:
                await Agent(backend(server)).run("Think!")
            errors.append(e.value)

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await until(lambda: statuses(server) == ["in_progress"])
                [stranger] = runs(server)
                await ask(server, "POST", f"/threads/{stranger['thread_id']}/runs/{stranger['id']}/cancel")
    assert not errors[0].retryable


async def test_a_waiting_run_that_somebody_else_cancels_is_gone_on_with_by_another() -> None:
    """The tools have done their work; their results are told to a new run, in words."""

    @tool
    async def meddle() -> str:
        """Cancel the run from elsewhere."""
        [waiting] = runs(server)
        await ask(server, "POST", f"/threads/{waiting['thread_id']}/runs/{waiting['id']}/cancel")
        return "meddled"

    async with AssistantsServer([[call("meddle")], "Never mind."]) as server:
        result = await Agent(backend(server), tools=[meddle]).run("Go.")
        assert statuses(server) == ["cancelled", "completed"]
        assert "meddle({}) gave: meddled" in texts(server, server.threads[0]["id"])[1][1]
    assert result.output == "Never mind."


class Always:
    """Gives a fault to every request of this method and to this kind of path, up to so many."""

    def __init__(self, fault: Fault, method: str, end: str, times: int = 1_000) -> None:
        self.fault, self.method, self.end, self.left = fault, method, end, times

    def __call__(self, request: AssistantsRequest) -> Fault | None:
        if request.method == self.method and request.path.endswith(self.end) and self.left:
            self.left -= 1
            return self.fault
        return None


@pytest.mark.parametrize("method_and_end", [("GET", "/assistants"), ("POST", "/threads"), ("POST", "/runs")])
@pytest.mark.parametrize(("status", "kind"), [(401, AuthFailed), (403, AuthFailed), (404, RequestRejected)])
async def test_a_request_that_is_refused_is_sent_once(status: int, kind: type, method_and_end: tuple[str, str]) -> None:
    """A wrong key does not become right, and a missing endpoint does not appear; only an assistant may be made anew."""
    seen = []

    def on_request(request: AssistantsRequest) -> Fault | None:
        if (fault := Always(Fault("status_before", status=status), *method_and_end)(request)) is not None:
            seen.append(request)
        return fault

    error = await failing(["x"], on_request)
    assert type(error) is kind
    assert error.status == status
    assert len(seen) == (2 if status == 404 and method_and_end == ("POST", "/runs") else 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"thread": "thread_nope"}, "No thread found with id 'thread_nope'."),
        ({"assistant": "asst_nope"}, "No assistant found with id 'asst_nope'."),
    ],
)
async def test_an_id_that_the_server_does_not_know_is_named(given: dict[str, str], words: str) -> None:
    """What the caller has named is never made up for with something new."""
    asked: list[str] = []
    error = await failing(["x"], lambda request: asked.append(request.path), **given)
    assert type(error) is RequestRejected
    assert words in str(error)
    assert sum(path.endswith("/runs") for path in asked) == (1 if "assistant" in given else 2)


async def test_where_there_are_no_assistants_no_thread_is_made() -> None:
    """The server that speaks another wire is left as it was."""
    asked: list[tuple[str, str]] = []

    def on_request(request: AssistantsRequest) -> Fault:
        asked.append((request.method, request.path))
        return Fault("status_before", status=404)

    assert 'use "chat:..."' in str(await failing(["x"], on_request))
    assert asked == [("GET", "/assistants")]


async def test_a_model_that_the_server_does_not_know_is_named() -> None:
    """The server says so when the assistant is made."""
    error = await failing(["x"], Always(Fault("status_before", status=404), "POST", "/assistants"))
    assert type(error) is RequestRejected
    assert error.status == 404


@pytest.mark.parametrize("end", ["/threads", "/runs", "/submit_tool_outputs"])
async def test_a_server_that_asks_for_a_pause_gets_it(end: str) -> None:
    """`429` with `retry-after`: the request is sent again then, and nothing was done twice."""
    shop, times = Shop(), []
    slow_down = Always(Fault("status_before", status=429, headers={"retry-after-ms": "200"}), "POST", end, 1)

    def on_request(request: AssistantsRequest) -> Fault | None:
        if request.method == "POST" and request.path.endswith(end):
            times.append(anyio.current_time())
        return slow_down(request)

    async with AssistantsServer(shop.script, on_request=on_request) as server:
        result = await Agent(backend(server), tools=shop.tools).run("Count all.")
        assert statuses(server) == ["completed"]
    assert result.output == "Six in all."
    assert sorted(shop.ran) == [1, 2, 3]
    assert times[1] - times[0] >= 0.2


async def test_a_server_that_asks_for_a_long_pause_is_not_waited_for() -> None:
    """The caller is told how long, and decides."""
    busy = Always(Fault("status_before", status=429, headers={"retry-after": "300"}), "POST", "/runs")
    error = await failing(["x"], busy)
    assert type(error) is RateLimited
    assert error.retry_after == 300


@pytest.mark.parametrize("kind", ["status_before", "status_after"])
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_server_error_on_the_way_is_survived(kind: Any, status: int) -> None:
    """Whether or not the request has taken effect: the run is there once, and no tool runs twice."""
    shop = Shop()
    fault = Fault(kind, status=status)
    broken = [Always(fault, "POST", end, 1) for end in ("/assistants", "/threads", "/runs", "/submit_tool_outputs")]

    def on_request(request: AssistantsRequest) -> Fault | None:
        return next((fault for each in broken if (fault := each(request))), None)

    async with AssistantsServer(shop.script, on_request=on_request) as server:
        result = await Agent(backend(server), tools=shop.tools).run("Count all.")
        assert statuses(server) == ["completed"]
        assert len(server.assistants) == 1
    assert result.output == "Six in all."
    assert sorted(shop.ran) == [1, 2, 3]


def spending(body: dict[str, Any]) -> Reply:
    """Three turns of 110 tokens each, and a form that does not fit until the model is told so."""
    used = Usage(input_tokens=100, output_tokens=10)
    if "Input should be" in str(body["messages"][-1]["content"]):
        return Reply(message="7", usage=used)
    match len(results(body)):
        case 0:
            return Reply(message=[call("count", shelf=1)], usage=used)
        case 1:
            return Reply(message=[call("count", shelf=2)], usage=used)
    return Reply(message='"seven"', usage=used)


async def test_a_limit_on_tokens_counts_what_the_run_used_once() -> None:
    """Estimates stand in while the run waits, and give way to its usage, so it may ask again."""
    shop = Shop()
    async with AssistantsServer(spending) as server:
        agent = Agent(backend(server), tools=shop.tools, output=int, limits=Limits(tokens=600))
        result = await agent.run("How many?")
        first, second = sent(server, "POST", "/runs")
        assert sum(run["usage"]["total_tokens"] for run in runs(server)) == 440
    assert result.output == 7
    assert result.usage == Usage(input_tokens=400, output_tokens=40)
    assert first["max_completion_tokens"] == 600
    assert second["max_completion_tokens"] == 270


async def test_a_limit_on_tokens_that_is_spent_ends_the_run() -> None:
    """Exactly there."""
    shop = Shop()
    async with AssistantsServer(spending) as server:
        agent = Agent(backend(server), tools=shop.tools, output=int, limits=Limits(tokens=330))
        with pytest.raises(LimitExceeded, match="330 tokens") as caught:
            await agent.run("How many?")
        assert statuses(server) == ["completed"]
    assert caught.value.usage == Usage(input_tokens=300, output_tokens=30)


async def test_the_servers_own_limit_follows_what_is_left() -> None:
    """Of `Limits(tokens=)`, or `max_tokens` where that is less; without either, there is none."""
    shop = Shop()
    async with AssistantsServer(spending) as server:
        for settings, limits in (
            (ModelSettings(), Limits(tokens=2_000)),
            (ModelSettings(max_tokens=1_700), Limits(tokens=2_000)),
            (ModelSettings(), Limits()),
        ):
            agent = Agent(backend(server), tools=shop.tools, output=int, limits=limits, settings=settings)
            await agent.run("How many?")
        most = [body.get("max_completion_tokens") for body in sent(server, "POST", "/runs")]
    assert most == [2_000, 1_670, 1_700, 1_670, None, None]

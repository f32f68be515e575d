"""Failed requests are sent again: which, how often, after how long, and what is told of it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from chat_kit import KEY, STREAMED, backend
from virtual_time import VIRTUAL

from agentkit import (
    Agent,
    AssistantMessage,
    Limits,
    ModelError,
    ModelRequest,
    ModelSettings,
    RunResult,
    Usage,
    UserMessage,
    errors,
    tool,
)
from agentkit.models.base import HoldsAnswers, Retrying, TextDelta
from agentkit.models.chat import ChatBackend
from agentkit.models.retry import Retried, Retry
from agentkit.testing import ChatServer, Reply, ScriptedModel, call
from agentkit.turns import Places
from agentkit.window import Window

pytestmark = pytest.mark.anyio

QUICK = Retry(first_pause=0.002)


def agent(server: ChatServer, retry: Retry | None = QUICK, **more: Any) -> Agent:
    return Agent(backend(server, retry=retry), **more)


async def ask(agent: Agent, streamed: bool, watch: Callable[[object], None] = lambda event: None) -> RunResult[str]:
    if not streamed:
        return await agent.run("Hi")
    async with agent.stream("Hi") as run:
        async for event in run:
            watch(event)
        return await run.finish()


PASSING = {
    "408": Reply(status=408),
    "409": Reply(status=409),
    "429": Reply(status=429),
    "500": Reply(status=500),
    "503 page": Reply(status=503, body=b"<html>", headers={"content-type": "text/html"}),
    "529": Reply(status=529),
    "closed": Reply(fault="close_before_head"),
    "reset": Reply(fault="reset_before_head"),
    "closed in the body": Reply(message="x", fault="close", fault_after=0),
    "reset in the body": Reply(message="x", fault="reset", fault_after=0),
    "200 error": Reply(body=b'{"error": {"message": "busy", "code": 503}}'),
    "the server wants it": Reply(status=418, headers={"x-should-retry": "true"}),
    "no choices": Reply(body=b'{"choices": []}'),
    "null choices": Reply(body=b'{"choices": null}'),
    "nothing said": Reply(body=b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}'),
}


@STREAMED
@pytest.mark.parametrize("fault", PASSING)
async def test_what_may_pass_is_tried_again(fault: str, streamed: bool) -> None:
    """With the same request; the caller sees the answer, and that it took two attempts."""
    seen: list[object] = []
    async with ChatServer([PASSING[fault], "Hello."]) as server:
        result = await ask(agent(server), streamed, seen.append)
    assert result.output == "Hello."
    assert len(server.requests) == 2
    assert dict(server.requests[0]) == dict(server.requests[1])
    told = [event for event in seen if isinstance(event, Retrying)]
    assert [event.attempt for event in told] == [1] * streamed


LASTING: dict[str, tuple[Reply, type[ModelError]]] = {
    "400": (Reply(status=400), errors.RequestRejected),
    "401": (Reply(status=401), errors.AuthFailed),
    "403": (Reply(status=403), errors.AuthFailed),
    "404": (Reply(status=404), errors.RequestRejected),
    "422": (Reply(status=422), errors.RequestRejected),
    "too long": (Reply(status=400, error_code="context_length_exceeded"), errors.ContextTooLong),
    "no money": (Reply(status=429, error_code="insufficient_quota"), errors.QuotaExceeded),
    "too long a wait": (Reply(status=429, headers={"retry-after": "61"}), errors.RateLimited),
    "for ever": (Reply(status=429, headers={"retry-after": "999999999999"}), errors.RateLimited),
    "too long a wait, 503": (Reply(status=503, headers={"retry-after": "3600"}), errors.ServerFailed),
    "the server does not want it": (Reply(status=500, headers={"x-should-retry": "false"}), errors.ServerFailed),
    "a page": (Reply(body=b"<html>", headers={"content-type": "text/html"}), errors.BadResponse),
    "no JSON": (Reply(body=b'{"choices": ['), errors.BadResponse),
    "elsewhere": (Reply(status=307, headers={"location": "http://127.0.0.1:9/v1"}), errors.RequestRejected),
}


@STREAMED
@pytest.mark.parametrize("fault", LASTING)
async def test_what_will_not_pass_is_an_error_at_once(fault: str, streamed: bool) -> None:
    """After one request, however often it might be tried; a pause that is too long is not made shorter."""
    reply, kind = LASTING[fault]
    async with ChatServer([reply, "Hello."]) as server:
        with pytest.raises(ModelError) as caught:
            await ask(agent(server, Retry(times=9)), streamed)
    assert type(caught.value) is kind
    assert len(server.requests) == 1
    assert not getattr(caught.value, "__notes__", [])


async def test_the_number_of_attempts_is_what_was_asked_for() -> None:
    """One and `times` more; the last error is raised as it is, with a note of how often it was tried."""
    for times in range(4):
        async with ChatServer([Reply(status=500)] * 9) as server:
            with pytest.raises(errors.ServerFailed) as caught:
                await agent(server, Retry(times=times, first_pause=0.001)).run("Hi")
        assert len(server.requests) == times + 1
        told = getattr(caught.value, "__notes__", [])
        assert told == ([f"127.0.0.1 was asked {times + 1} times"] if times else [])


async def test_a_client_of_the_callers_own_says_how_often() -> None:
    """Its `max_retries` counts; there is one budget, not one inside the other."""
    from openai import AsyncOpenAI

    async with ChatServer([Reply(status=500, headers={"retry-after-ms": "1"})] * 9) as server:
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=1) as client:
            with pytest.raises(errors.ServerFailed):
                await Agent(ChatBackend("m", client=client)).run("Hi")
    assert len(server.requests) == 2


@STREAMED
async def test_an_answer_that_says_nothing_is_asked_for_once_more(streamed: bool) -> None:
    """Not more often, however often anything else may be tried; what both answers used is counted."""
    nothing = Reply(
        body=b'{"choices": [{"message": {"content": null}}], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}'
    )
    async with ChatServer([nothing] * 9) as server:
        with pytest.raises(errors.BadResponse, match="neither content nor tool calls") as caught:
            await ask(agent(server, Retry(times=5, first_pause=0.001)), streamed)
    assert len(server.requests) == 2
    assert caught.value.spent == Usage(input_tokens=10, output_tokens=2)
    async with ChatServer([nothing, Reply(message="x", usage=Usage(input_tokens=5, output_tokens=1))]) as server:
        result = await ask(agent(server), streamed)
    assert (result.usage.input_tokens, result.usage.output_tokens) == (10, 2)


async def test_nothing_is_asked_again_once_a_piece_was_delivered() -> None:
    """Whoever watches would see it twice: the stream is broken, and what came is kept."""
    for fault in ("close", "reset", "end"):
        reply = Reply(message="one two three four", fault=fault, fault_after=3)
        async with ChatServer([reply, "Hello."]) as server:
            with pytest.raises(errors.StreamBroken) as caught:
                await ask(agent(server), streamed=True)
        assert "one two three four".startswith(caught.value.partial)
        assert caught.value.partial
        assert not caught.value.retryable
        assert len(server.requests) == 1


async def test_an_error_in_a_stream_is_not_tried_again_once_a_piece_was_delivered() -> None:
    """Although the same error would be, before that."""
    piece = b'data: {"choices": [{"delta": {"content": "one"}}]}\n\n'
    error = b'data: {"error": {"message": "busy", "code": 503}}\n\n'
    for body, requests in [(piece + error, 1), (error, 2)]:
        reply = Reply(body=body, headers={"content-type": "text/event-stream"})
        async with ChatServer([reply] * 2) as server:
            with pytest.raises(errors.ServerFailed):
                await ask(agent(server, Retry(times=1, first_pause=0.001)), streamed=True)
        assert len(server.requests) == requests


async def test_a_stream_that_breaks_before_its_first_piece_is_asked_for_again() -> None:
    """The event with the role has come, and nobody has seen anything yet."""
    for fault in ("close", "reset", "end"):
        async with ChatServer([Reply(message="one two", fault=fault, fault_after=1), "Hello."]) as server:
            assert (await ask(agent(server), streamed=True)).output == "Hello."


def in_twenty_seconds(server_time: datetime) -> dict[str, str]:
    return {"retry-after": format_datetime(server_time + timedelta(seconds=20), usegmt=True)}


LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)
ASKED: list[tuple[dict[str, str], float, float]] = [
    ({"retry-after": "7"}, 7, 7.5),
    ({"retry-after": "0.25"}, 0.25, 0.75),
    ({"retry-after-ms": "1500"}, 1.5, 2),
    ({"retry-after-ms": "?", "retry-after": "3"}, 3, 3.5),
    ({"retry-after": "-5"}, 0, 0.5),
    ({"retry-after": "nan"}, 0, 0.5),
    ({"retry-after": "soon"}, 0, 0.5),
    ({"retry-after": "in twenty seconds"}, 15, 20.5),
    ({"date": format_datetime(LONG_AGO, usegmt=True), **in_twenty_seconds(LONG_AGO)}, 20, 20.5),
    (in_twenty_seconds(LONG_AGO), 0, 0.5),
    ({"retry-after": "Fri, 99 Feb 2031 25:00:00 GMT"}, 0, 0.5),
    ({"retry-after": "Fri, 31 Dec 9999 23:59:59 -2359"}, -1, -1),
]


@pytest.mark.parametrize(("headers", "least", "most"), ASKED, ids=range(len(ASKED)))
@pytest.mark.parametrize("status", [429, 503])
async def test_the_pause_is_at_least_what_the_server_asks_for(
    headers: dict[str, str], least: float, most: float, status: int
) -> None:
    """In seconds, in milliseconds or as a date by the server's clock; with some chance on top, so not all come at once.

    What cannot be read is as good as nothing. The pause is not waited for here: the run is cancelled in it.
    """
    pauses: list[float] = []
    if headers == {"retry-after": "in twenty seconds"}:
        headers = in_twenty_seconds(datetime.now(UTC))
    async with ChatServer([Reply(status=status, headers=headers), "Hello."]) as server:
        with anyio.CancelScope() as scope:

            def leave(event: object) -> None:
                if isinstance(event, Retrying):
                    pauses.append(event.seconds)
                    scope.cancel()

            try:
                await ask(agent(server, Retry()), True, leave)
            except ModelError:
                pauses.append(-1)
    [pause] = pauses
    assert least <= pause <= most
    assert len(server.requests) == 1


def test_pauses_grow_and_are_drawn_anew() -> None:
    """From almost nothing up to a bound that doubles, and ends; in one request, the second is longer than the first."""
    retry, error = Retry(times=99), errors.ServerFailed("x")
    for attempt, bound in [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (9, 8.0), (99, 8.0)]:
        drawn = [retry.pause(error, attempt) or 0.0 for _ in range(300)]
        assert bound / 8 <= min(drawn) < bound / 4
        assert bound * 0.9 < max(drawn) <= bound
    for _ in range(100):
        first = retry.pause(error, 1) or 0.0
        second = retry.pause(error, 2, first) or 0.0
        third = retry.pause(error, 3, second) or 0.0
        assert first * 1.4 < second
        assert second * 1.4 < third
    assert retry.pause(error, 20, 8.0) == 8.0


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_pause_is_waited_for() -> None:
    """By the clock of the event loop."""
    limited: list[str | Exception] = [
        errors.RateLimited("slow down", retry_after=30.0),
        errors.ServerFailed("x"),
        "Hello.",
    ]
    begun = anyio.current_time()
    assert (await Agent(Retried(ScriptedModel(limited))).run("Hi")).output == "Hello."
    assert 30 <= anyio.current_time() - begun <= 31.5


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_cancellation_in_a_pause_takes_effect_at_once() -> None:
    """Nobody waits for a pause to end."""
    begun = anyio.current_time()
    with anyio.move_on_after(5):
        await Agent(Retried(ScriptedModel([errors.RateLimited("slow down", retry_after=50.0)]))).run("Hi")
    assert anyio.current_time() - begun == pytest.approx(5)


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_any_backend_can_be_wrapped() -> None:
    """The wrapped one's name and errors stay; the failed attempts are in the answer and told to whoever watches."""
    model = Retried(ScriptedModel([errors.ServerFailed("a"), errors.ConnectionFailed("b"), "Hello."]))
    seen: list[object] = []
    result = await ask(Agent(model), True, seen.append)
    told = [event for event in seen if isinstance(event, Retrying)]
    assert [(event.error, event.attempt) for event in told] == [("ServerFailed", 1), ("ConnectionFailed", 2)]
    assert result.output == "Hello."
    assert model.info == model.model.info
    with pytest.raises(errors.ModelTimeout) as caught:
        await Agent(Retried(ScriptedModel([errors.ModelTimeout("late")] * 3), Retry(times=1))).run("Hi")
    assert caught.value.__notes__ == ["scripted was asked 2 times"]


async def test_each_retry_is_a_warning_that_names_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Host, attempt, class and pause; no body, no key, no prompt."""
    caplog.set_level(logging.INFO, "agentkit")
    async with ChatServer([Reply(status=500, error=f"echo {KEY} body")] * 3) as server:
        with pytest.raises(errors.ServerFailed):
            await agent(server).run("the prompt")
    lines = [record.getMessage() for record in caplog.records if record.name == "agentkit"]
    assert [line.partition("; ")[0] for line in lines] == [f"127.0.0.1: attempt {n}: ServerFailed" for n in (1, 2, 3)]
    assert {record.levelname for record in caplog.records if record.name == "agentkit"} == {"WARNING"}
    assert not any(word in "".join(lines) for word in (KEY, "echo", "prompt"))


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_watcher_that_fails_is_not_a_failed_attempt() -> None:
    """What it raises leaves as it is, be it a model's error."""

    async def watch(delta: object) -> None:
        if isinstance(delta, TextDelta):
            raise errors.ServerFailed("the watcher's own")

    model = ScriptedModel(["Hello."] * 3)
    with pytest.raises(errors.ServerFailed, match="own") as caught:
        await Retried(model).generate(ModelRequest(messages=[UserMessage(content="Hi")]), watch)
    assert len(model.requests) == 1
    assert not getattr(caught.value, "__notes__", [])


@STREAMED
async def test_no_attempt_begins_after_the_deadline(streamed: bool) -> None:
    """A pause that would outlast it is not begun: the error is there at once."""
    async with ChatServer([Reply(status=429, headers={"retry-after": "30"}), "x"]) as server:
        with anyio.fail_after(10), pytest.raises(errors.RateLimited):
            await ask(agent(server, settings=ModelSettings(deadline=5)), streamed)
    assert len(server.requests) == 1


async def test_a_hundred_runs_at_once_each_have_their_own_attempts() -> None:
    """None uses up another's."""
    counts: dict[str, int] = {}

    def answer(body: dict[str, Any]) -> Reply | str:
        who = body["messages"][0]["content"]
        counts[who] = counts.get(who, 0) + 1
        return Reply(status=503) if counts[who] < 3 else f"Hello {who}."

    said: list[str] = []
    async with ChatServer(answer) as server:
        asked = agent(server)

        async def one(who: str) -> None:
            said.append((await asked.run(who)).output)

        async with anyio.create_task_group() as group:
            for n in range(100):
                group.start_soon(one, str(n))
    assert sorted(said) == sorted(f"Hello {n}." for n in range(100))
    assert set(counts.values()) == {3}


class _Holding(ScriptedModel):
    """A model whose server holds its answers, and has one place."""

    def __init__(self, script: list[Any]) -> None:
        super().__init__(script)
        self.places = Places(1)
        self.released: list[AssistantMessage] = []

    async def release(self, answer: AssistantMessage) -> Usage:
        self.released.append(answer)
        return Usage(input_tokens=7, output_tokens=0)


@tool
def look() -> str:
    """Look."""
    return "seen"


async def test_a_server_that_holds_answers_is_told_through_the_retries_that_nobody_goes_on() -> None:
    """The run ends at its limit: the wrapped backend releases the answer, and what that tells is paid for."""
    model = _Holding([errors.ServerFailed("a"), [call("look")]])
    limits = Limits(iterations=1, on_limit="partial")
    result = await Agent(Retried(model, QUICK), tools=[look], limits=limits).run("Hi")
    assert model.released == [result.messages[1]]
    assert result.usage.input_tokens == 10 + 7


async def test_retries_are_no_more_and_no_less_than_the_backend_inside() -> None:
    """What the backend can do besides answering, the retried one can; what it cannot, neither."""
    plain, holding = Retried(ScriptedModel([])), Retried(model := _Holding([]))
    assert not isinstance(plain, HoldsAnswers)
    assert isinstance(holding, HoldsAnswers)
    assert holding.places is model.places
    assert isinstance(plain.places, Places)
    await Agent(Retried(ScriptedModel(["a"])), window=Window(messages=9)).run("Hi")
    with pytest.raises(errors.ConfigError, match="keeps the conversation"):
        await Agent(Retried(_Holding(["a"])), window=Window(messages=9)).run("Hi")


async def test_runs_wait_for_a_place_at_the_backend_inside() -> None:
    """Nobody begins while the wrapped backend's only place is taken; without places, nobody waits."""
    model = _Holding(["late"])
    begun = anyio.Event()

    async def run() -> None:
        begun.set()
        await Agent(Retried(model)).run("Hi")

    async with anyio.create_task_group() as group:
        async with model.places:
            group.start_soon(run)
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            assert not model.requests
            assert (await Agent(Retried(ScriptedModel(["at once"]))).run("Hi")).output == "at once"
    assert len(model.requests) == 1


def _billed() -> ModelError:
    error = errors.ServerFailed("it broke at the end")
    error.spent = Usage(input_tokens=100, output_tokens=300)
    return error


@pytest.mark.parametrize(("tokens", "asked"), [(None, 2), (1000, 2), (700, 1)])
async def test_an_attempt_that_cannot_be_paid_for_is_not_made(tokens: int | None, asked: int) -> None:
    """Failed attempts that the server charges for count towards the limit before another one like them is made."""
    model = ScriptedModel([_billed(), "Hello."])
    agent = Agent(Retried(model, QUICK), limits=Limits(tokens=tokens))
    if asked == 1:
        with pytest.raises(errors.ServerFailed) as caught:
            await agent.run("Hi")
        assert caught.value.usage == Usage(input_tokens=100, output_tokens=300)
    else:
        assert (await agent.run("Hi")).usage.total_tokens == 400 + 15
    assert len(model.requests) == asked

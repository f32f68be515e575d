"""A paused run that goes on before somebody's eyes, or from code that is not async: as `resume` would have it."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentkit import (
    Agent,
    ConfigError,
    Context,
    LimitExceeded,
    Limits,
    ModelAnswered,
    RunFinished,
    Session,
    TextDelta,
    ToolFinished,
    ToolStarted,
    tool,
)
from agentkit.errors import ApprovalRefused, RequestRejected, SessionConflict
from agentkit.events import ApprovalNeeded
from agentkit.messages import unanswered
from agentkit.paused import Approved, Denied, PausedRun
from agentkit.recording import Recorder, Replay
from agentkit.sse import send_sse
from agentkit.testing import ScriptedModel, call

YES = {"call_pay": Approved()}


class Shop:
    """An agent whose tool needs a yes, and who has been paid how much, for whom."""

    def __init__(self, *script: Any, **given: Any) -> None:
        self.paid: list[tuple[int, Any]] = []
        self.hangs = False

        @tool(approval=True)
        async def pay(ctx: Context[Any], amount: int) -> str:
            """Pay."""
            await (anyio.sleep_forever() if self.hangs else anyio.lowlevel.checkpoint())
            self.paid.append((amount, ctx.deps))
            return f"paid {amount}"

        self.model = ScriptedModel([*script] or [[call("pay", amount=5)], "It is paid."])
        self.agent = Agent(self.model, name="clerk", tools=[pay], **given)

    async def pauses(self, **given: Any) -> PausedRun:
        """The pause to which a run comes, as another process would read it."""
        result = await self.agent.run("Go.", approve="pause", **given)
        assert result.paused is not None
        return PausedRun.from_json(result.paused.to_json())


# watched


@pytest.mark.anyio
async def test_what_follows_a_yes_can_be_watched() -> None:
    """The call that waited is seen to begin and to end, then the answer comes, in pieces; all is as with `resume`."""
    shop, other = Shop(), Shop()
    paused = await shop.pauses()
    async with shop.agent.resume_stream(paused, YES, deps="ada") as run:
        events = [event async for event in run]
    assert [type(event) for event in events] == [
        ToolStarted,
        ToolFinished,
        *[TextDelta] * 3,
        ModelAnswered,
        RunFinished,
    ]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "It is paid."
    assert (run.result.output, run.result.run_id, shop.paid) == ("It is paid.", paused.run_id, [(5, "ada")])
    assert events[-1] == RunFinished(result=run.result)
    plain = await other.agent.resume(await other.pauses(), YES)
    assert (plain.messages, plain.usage, plain.iterations) == (
        run.result.messages,
        run.result.usage,
        run.result.iterations,
    )


@pytest.mark.anyio
async def test_a_watched_run_may_pause_again() -> None:
    """Whoever watches hears what is still waited for, and goes on from there; a function may be asked instead."""
    shop = Shop([call("pay", amount=1), call("pay", amount=2)], [call("pay", amount=3)], "Done.")
    async with shop.agent.resume_stream(await shop.pauses(), YES) as run:
        first = await run.finish()
    assert first.paused is not None
    assert (first.stopped_by, [each.call_id for each in first.paused.waiting]) == ("paused", ["call_pay_2"])
    async with shop.agent.resume_stream(first.paused, {"call_pay_2": Denied("not twice")}) as run:
        events = [event async for event in run]
    [needed] = [event.call for event in events if isinstance(event, ApprovalNeeded)]
    assert (needed.arguments, run.result.stopped_by) == ('{"amount":3}', "paused")
    assert run.result.paused is not None
    async with shop.agent.resume_stream(run.result.paused, {needed.id: Denied()}) as run:
        assert (await run.finish()).output == "Done."
    assert [amount for amount, _ in shop.paid] == [1]


@pytest.mark.anyio
async def test_whoever_goes_on_may_have_somebody_to_ask() -> None:
    """Then the watched rest of the run does not pause."""
    shop = Shop([call("pay", amount=1)], [call("pay", amount=2)], "Done.")
    async with shop.agent.resume_stream(await shop.pauses(), YES, approve=lambda asked: True) as run:
        assert (await run.finish()).output == "Done."
    assert [amount for amount, _ in shop.paid] == [1, 2]


@pytest.mark.anyio
async def test_leaving_the_watched_rest_of_a_run_cancels_it() -> None:
    """The yes is used up, the model is not asked, and the session says what became of the call."""
    shop, session = Shop(), Session("s")
    paused, shop.hangs = await shop.pauses(session=session), True
    with anyio.fail_after(5):
        async with shop.agent.resume_stream(paused, YES, session=session) as run:
            async for event in run:
                if isinstance(event, ToolStarted):
                    break
    assert (len(shop.model.requests), shop.paid) == (1, [])
    assert unanswered((await session.store.load("s")).messages) == ()
    with pytest.raises(SessionConflict, match="has gone on"):
        await shop.agent.resume(paused, YES, session=session)


@pytest.mark.anyio
async def test_a_stream_whose_block_is_not_entered_leaves_the_pause_as_it_is() -> None:
    """Nothing is done before that, so the yes is still good."""
    shop = Shop()
    paused = await shop.pauses()
    shop.agent.resume_stream(paused, YES)
    assert (await shop.agent.resume(paused, YES)).output == "It is paid."
    assert len(shop.paid) == 1


@pytest.mark.anyio
async def test_what_the_stream_of_a_resumed_run_is_not_for_is_named() -> None:
    """With its own name, and not that of `stream`."""
    shop = Shop()
    watched: Any = shop.agent.resume_stream(await shop.pauses(), YES)
    with pytest.raises(ConfigError, match=r"write `async with agent\.resume_stream\("):
        await watched
    async with watched as run:
        await run.finish()
    with pytest.raises(ConfigError, match=r"call agent\.resume_stream\(\.\.\.\) again"):
        async with watched:
            pass


@pytest.mark.anyio
async def test_a_pause_is_taken_up_once_however_many_watch() -> None:
    """One of them sees the call made, and the others are refused, bare."""
    shop, refused, done = Shop(), list[str](), list[str]()
    paused = await shop.pauses()

    async def one() -> None:
        try:
            async with shop.agent.resume_stream(paused, YES) as run:
                done.append((await run.finish()).output)
        except ApprovalRefused as error:
            refused.append(str(error))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(one)
    assert (done, len(refused), len(shop.paid)) == (["It is paid."], 49, 1)
    assert set(refused) == {"this pause has been answered before; go on with what that came to"}


@pytest.mark.anyio
async def test_what_ends_a_watched_rest_is_raised_bare() -> None:
    """A refused answer, a limit and a failing model are what `resume` would raise."""
    shop = Shop([call("pay", amount=5)], RequestRejected("no"))
    paused = await shop.pauses()
    with pytest.raises(ApprovalRefused, match="no call 'call_1' waits"):
        async with shop.agent.resume_stream(paused, {"call_1": Approved()}) as run:
            await run.finish()
    assert shop.paid == []
    with pytest.raises(RequestRejected, match="no"):
        async with shop.agent.resume_stream(paused, YES) as run:
            await run.finish()
    limited = Shop([call("pay", amount=1)], [call("pay", amount=2)], limits=Limits(iterations=2))
    paused = await limited.pauses()
    with pytest.raises(LimitExceeded, match="iterations"):
        async with limited.agent.resume_stream(paused, YES, approve=lambda asked: True) as run:
            await run.finish()


@pytest.mark.anyio
async def test_the_watched_rest_of_a_run_is_recorded_and_replayed(tmp_path: Path) -> None:
    """As `resume` is: nobody is paid again."""
    shop = Shop()
    paused = await shop.pauses()
    async with shop.agent.resume_stream(paused, YES, steps=Recorder(tmp_path / "rest.jsonl")) as run:
        recorded = await run.finish()
    async with shop.agent.resume_stream(paused, YES, steps=Replay(tmp_path / "rest.jsonl")) as run:
        replayed = await run.finish()
    assert (replayed.messages, len(shop.paid)) == (recorded.messages, 1)


@pytest.mark.anyio
async def test_a_web_page_watches_what_follows_its_yes() -> None:
    """`send_sse` takes it as it takes any run."""
    shop, sent = Shop(), list[Any]()
    paused = await shop.pauses()

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        await anyio.sleep_forever()
        raise AssertionError("nobody wakes it")

    with anyio.fail_after(5):
        await send_sse(shop.agent.resume_stream(paused, YES), receive, send, tools=shop.agent.registry)
    told = [json.loads(each["body"].split(b"data: ")[1]) for each in sent[1:-1]]
    assert [each["event"] for each in told if each["event"] != "text_delta"] == [
        "tool_started",
        "tool_finished",
        "model_answered",
        "run_finished",
    ]
    assert (told[0]["call"]["arguments"], told[-1]["output"]) == ({"amount": 5}, "It is paid.")


# from code that is not async


def test_code_that_is_not_async_goes_on_too() -> None:
    """A chat program's handler, for example, which somebody's yes comes to."""
    shop, session = Shop(), Session("s")
    paused = shop.agent.run_sync("Go.", approve="pause", session=session).paused
    assert paused is not None
    result = shop.agent.resume_sync(paused, YES, session=session, deps="ada")
    assert (result.output, shop.paid) == ("It is paid.", [(5, "ada")])


def test_code_that_is_not_async_pauses_again_unless_somebody_is_asked() -> None:
    """As `resume` does."""
    for approve, comes_to in (("pause", "paused"), (lambda asked: True, None)):
        shop = Shop([call("pay", amount=1)], [call("pay", amount=2)], "Done.")
        paused = shop.agent.run_sync("Go.", approve="pause").paused
        assert paused is not None
        given: dict[str, Any] = {} if approve == "pause" else {"approve": approve}
        assert shop.agent.resume_sync(paused, YES, **given).stopped_by == comes_to


@pytest.mark.anyio
async def test_in_an_event_loop_the_other_form_is_named() -> None:
    """Nothing is done, so the pause can still be answered."""
    shop = Shop()
    paused = await shop.pauses()
    with pytest.raises(ConfigError, match=r"resume_sync was called in an event loop; use `await agent.resume\(...\)`"):
        shop.agent.resume_sync(paused, YES)
    with pytest.raises(ConfigError, match=r"run_sync was called in an event loop; use `await agent.run\(...\)`"):
        shop.agent.run_sync("Go.")
    assert (await shop.agent.resume(paused, YES)).output == "It is paid."


def test_what_a_run_raises_comes_of_nothing_else() -> None:
    """The traceback of a run from code that is not async shows its own error alone."""
    with pytest.raises(RequestRejected) as raised:
        Agent(ScriptedModel([RequestRejected("no")])).run_sync("Go.")
    assert raised.value.__context__ is None

"""Guardrails: functions that may stop a run; here each by itself, in `test_guarded_runs.py` in runs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import pytest
from virtual_time import VIRTUAL

from agentkit import ConfigError, Context, LimitExceeded, Message, ModelError, OutputError, ToolCall, ToolResult
from agentkit import UserMessage as User
from agentkit.errors import GuardrailTripped, ToolDenied
from agentkit.guardrails import Guardrails, Guards

pytestmark = pytest.mark.anyio

HISTORY = [User(content="Hello")]
CALL = ToolCall(id="c1", name="pay", arguments='{"to": ["ada"]}')
RESULT = ToolResult(call_id="c1", name="pay", content="paid")
tenant: ContextVar[str] = ContextVar("tenant", default="")


def about() -> Context[Any]:
    """What the loop makes, if a guardrail is to be asked."""
    return Context(deps="shop", run_id="r1", call_id="", tool="")


def no_context() -> Context[Any]:
    """Where nobody is asked, nothing is made."""
    raise AssertionError("a context was made for nobody")


def guards(**given: Any) -> Guards:
    """The guardrails of a run."""
    made = Guards()
    made.add(Guardrails(**given))
    return made


async def passing(*given: object) -> None:
    """Let everything pass."""


async def waiting(*given: object) -> None:
    """Wait for ever."""
    await anyio.sleep_forever()


async def refusing(messages: Sequence[Message], context: Context[Any]) -> str:
    """Let nothing pass."""
    return "rude"


class Model:
    """Work that waits until it is told to answer, and says how it ended."""

    def __init__(self) -> None:
        self.begun, self.may_answer, self.ended = anyio.Event(), anyio.Event(), ""

    async def __call__(self) -> str:
        self.begun.set()
        self.ended = "cancelled"
        await self.may_answer.wait()
        self.ended = "answered"
        return "Hi."


async def bare(work: Awaitable[Any]) -> BaseException:
    """What leaves the work."""
    try:
        with anyio.fail_after(10):
            await work
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


async def test_the_input_is_looked_at_while_the_model_answers() -> None:
    """Both are in flight before either ends; the answer is given when both have ended."""
    model = Model()

    async def check(messages: Sequence[Message], context: Context[Any]) -> None:
        assert (messages, context.deps, context.run_id) == (tuple(HISTORY), "shop", "r1")
        await model.begun.wait()
        model.may_answer.set()

    run = guards(input=[check])
    assert not run.passed
    with anyio.fail_after(10):
        assert await run.beside(model, HISTORY, about) == "Hi."
    assert run.passed


async def test_an_answer_is_kept_back_until_the_input_has_passed() -> None:
    """The model is quicker than the guardrail: nobody gets the answer before, and where it trips, nobody at all."""
    model = Model()
    model.may_answer.set()

    async def check(messages: Sequence[Message], context: Context[Any]) -> str:
        await anyio.wait_all_tasks_blocked()
        assert model.ended == "answered"
        return "rude"

    run = guards(input=[check])
    error = await bare(run.beside(model, HISTORY, about))
    assert str(error) == "the guardrail 'check' stopped the run at the input: rude"
    assert not run.passed


@pytest.mark.parametrize("others", [[], [waiting], [waiting, passing, waiting]])
async def test_a_trip_cancels_the_model_and_the_other_guardrails_at_once(others: list[Any]) -> None:
    """When the error is there, the model call has ended."""
    model = Model()

    async def check(messages: Sequence[Message], context: Context[Any]) -> str:
        await model.begun.wait()
        return "rude"

    run = guards(input=[*others, check])
    error = await bare(run.beside(model, HISTORY, about))
    assert isinstance(error, GuardrailTripped)
    assert (error.guardrail, error.stage, error.reason, error.__cause__) == ("check", "input", "rude", None)
    assert model.ended == "cancelled"


async def test_a_model_that_swallows_the_cancellation_gives_nothing_all_the_same() -> None:
    """The trip counts, whatever the work makes of its end."""

    async def stubborn() -> str:
        try:
            await anyio.sleep_forever()
        except BaseException:
            return "an answer"
        raise AssertionError

    async def angry() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            raise ModelError("the connection broke")

    for work in (stubborn, angry):
        assert isinstance(await bare(guards(input=[refusing]).beside(work, HISTORY, about)), GuardrailTripped)


async def test_the_first_of_several_trips_is_the_one() -> None:
    """They look at the input at the same time."""
    both = anyio.Event()

    async def late(messages: Sequence[Message], context: Context[Any]) -> str:
        both.set()
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()
        return "late"

    async def early(messages: Sequence[Message], context: Context[Any]) -> str:
        await both.wait()
        return "early"

    error = await bare(guards(input=[late, early]).beside(Model(), HISTORY, about))
    assert isinstance(error, GuardrailTripped)
    assert error.reason == "early"


async def test_blocking_guardrails_come_before_the_model() -> None:
    """It is not asked at all if one trips."""
    model = Model()
    model.may_answer.set()

    async def check(messages: Sequence[Message], context: Context[Any]) -> None:
        await anyio.wait_all_tasks_blocked()
        assert not model.begun.is_set()

    assert await guards(input=[check, check], blocking=True).beside(model, HISTORY, about) == "Hi."
    again = Model()
    assert isinstance(
        await bare(guards(input=[refusing], blocking=True).beside(again, HISTORY, about)), GuardrailTripped
    )
    assert not again.begun.is_set()


async def test_the_input_is_looked_at_once() -> None:
    """Before the tool calls of a paused run, or beside the first model call; not again beside the second."""
    seen: list[int] = []

    async def check(messages: Sequence[Message], context: Context[Any]) -> None:
        seen.append(len(messages))

    run, model = guards(input=[check]), Model()
    model.may_answer.set()
    await run.input(HISTORY, about)
    assert run.passed
    for _ in range(2):
        assert await run.beside(model, HISTORY * 2, no_context) == "Hi."
    assert seen == [1]


async def test_an_input_that_has_passed_may_be_stored_though_the_model_fails() -> None:
    """And not while a guardrail still looks at it."""

    async def failing() -> None:
        await anyio.wait_all_tasks_blocked()
        raise ModelError("no answer")

    for others, passed in (([], True), ([waiting], False)):
        run = guards(input=[passing, *others])
        assert type(await bare(run.beside(failing, HISTORY, about))) is ModelError
        assert run.passed is passed


async def test_a_model_that_fails_ends_the_guardrails() -> None:
    """Its error leaves bare, when they have ended."""
    ended: list[str] = []

    async def check(messages: Sequence[Message], context: Context[Any]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("check")

    async def failing() -> None:
        await anyio.wait_all_tasks_blocked()
        raise ModelError("no answer")

    assert str(await bare(guards(input=[check]).beside(failing, HISTORY, about))) == "no answer"
    assert ended == ["check"]


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_model_that_is_cancelled_in_several_tasks_at_once_is_no_failure() -> None:
    """A nursery of trio's gives a group of cancellations: while it connects to a server, for example."""
    import trio

    async def connecting() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anyio.sleep_forever)
            nursery.start_soon(anyio.sleep_forever)

    async def late(messages: Sequence[Message], context: Context[Any]) -> str:
        await anyio.wait_all_tasks_blocked()
        return "rude"

    for others in ([], [connecting_too]):
        error = await bare(guards(input=[late, *others]).beside(connecting, HISTORY, about))
        assert isinstance(error, GuardrailTripped), error
    with anyio.move_on_after(0.01) as scope:
        await guards(input=[waiting]).beside(connecting, HISTORY, about)
    assert scope.cancelled_caught


async def connecting_too(messages: Sequence[Message], context: Context[Any]) -> None:
    """A guardrail that does so."""
    import trio

    async with trio.open_nursery() as nursery:
        nursery.start_soon(anyio.sleep_forever)
        nursery.start_soon(anyio.sleep_forever)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_model_that_ends_in_a_cancellation_of_its_own_has_failed() -> None:
    """It has awaited a task that somebody cancelled: nobody has cancelled the run, so that leaves as any error does."""
    import asyncio

    async def lost() -> None:
        task = asyncio.create_task(asyncio.sleep(100))
        task.cancel()
        await task

    run = guards(input=[passing, waiting])
    with anyio.fail_after(10):
        with pytest.raises(asyncio.CancelledError) as caught:
            await run.beside(lost, HISTORY, about)
        await anyio.lowlevel.checkpoint()
    assert caught.value.args == ()


async def test_a_limit_waits_for_the_guardrails() -> None:
    """A run that is at a limit may still answer: not before its input has passed."""
    reached = anyio.Event()

    async def check(messages: Sequence[Message], context: Context[Any]) -> str | None:
        await anyio.wait_all_tasks_blocked()
        return "rude" if reached.is_set() else None

    async def limited() -> None:
        if messages:
            reached.set()
        raise LimitExceeded("tokens", 3)

    for messages, kind in (([], LimitExceeded), (HISTORY, GuardrailTripped)):
        run = guards(input=[check])
        assert type(await bare(run.beside(limited, messages, about))) is kind
        assert run.passed is (kind is LimitExceeded)


async def test_functions_that_are_not_async_run_in_a_thread_with_the_context_variables() -> None:
    """Two of them at the same time, and the event loop goes on."""
    from threading import Barrier, current_thread

    barrier, loop = Barrier(2, timeout=10), current_thread()

    def check(messages: Sequence[Message], context: Context[Any]) -> str | None:
        barrier.wait()
        assert current_thread() is not loop
        return None if tenant.get() == "acme" else "no tenant"

    def other(messages: Sequence[Message], context: Context[Any]) -> str | None:
        return check(messages, context)

    tenant.set("acme")
    await guards(input=[check, other]).input(HISTORY, about)


class Wrong:
    """Guardrails that do not do what one expects of them."""

    async def fails(self, *given: object) -> str:
        raise ValueError(f"cannot parse {given[0]!r}")

    def fails_in_a_thread(self, *given: object) -> str:
        raise LookupError(f"{given[0]!r}")

    async def says_yes(self, *given: object) -> Any:
        return True

    async def says_nothing(self, *given: object) -> str:
        return ""

    async def stops(self, *given: object) -> str:
        raise StopAsyncIteration

    async def times_out(self, *given: object) -> str:
        raise TimeoutError

    async def trips(self, *given: object) -> str:
        raise GuardrailTripped("inner", "input", "Hello")

    async def cancels_itself(self, *given: object) -> str:
        raise anyio.get_cancelled_exc_class()("nobody asked") if anyio_is_asyncio() else RuntimeError

    async def has_no_words(self, *given: object) -> str:
        class Mute(Exception):
            def __str__(self) -> str:
                raise ValueError

        raise Mute


def anyio_is_asyncio() -> bool:
    """Trio's Cancelled cannot be made by hand."""
    return anyio.get_cancelled_exc_class().__name__ == "CancelledError"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fails", "it failed with ValueError"),
        ("fails_in_a_thread", "it failed with LookupError"),
        ("says_yes", "it gave bool, which is neither None nor a reason"),
        ("says_nothing", "it gave no reason"),
        ("stops", "it failed with StopAsyncIteration"),
        ("times_out", "it failed with TimeoutError"),
        ("trips", "it failed with GuardrailTripped"),
        ("cancels_itself", "it failed with "),
        ("has_no_words", "it failed with Mute"),
    ],
)
@pytest.mark.parametrize("stage", ["input", "output", "tool_call", "tool_result"])
async def test_a_guardrail_that_fails_stops_the_run(stage: str, name: str, words: str) -> None:
    """Nothing passes that nobody has looked at; what it raised is the cause, and its words are not repeated."""
    run = guards(**{stage: [passing, getattr(Wrong(), name)]})
    error = await bare(_at(stage, run))
    assert isinstance(error, GuardrailTripped)
    assert (error.stage, error.guardrail) == (stage, name)
    assert error.reason.startswith(words)
    assert "Hello" not in str(error)
    assert (error.__cause__ is not None) is words.startswith("it failed")
    assert run.tripped is error


def _at(stage: str, run: Guards) -> Awaitable[Any]:
    match stage:
        case "input":
            return run.input(HISTORY, about)
        case "output":
            return run.output("Hello", about)
        case "tool_call":
            return run.call(CALL, dict, about)
    return run.result(CALL, RESULT, about)


STAGES = pytest.mark.parametrize("stage", ["input", "output", "tool_call", "tool_result"])


@STAGES
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_guardrail_that_hangs_stops_the_run(stage: str) -> None:
    """After its seconds, thirty if nothing is said; one that then says that all is well is too late."""

    async def too_late(*given: object) -> None:
        try:
            await anyio.sleep_forever()
        except BaseException:
            return

    for hanging, seconds in ((waiting, 30), (too_late, 2.5)):
        before = anyio.current_time()
        error = await _virtually_bare(_at(stage, guards(**{stage: [hanging]}, seconds=seconds)))
        assert isinstance(error, GuardrailTripped)
        assert error.reason == f"it did not answer within {seconds:g} seconds"
        assert seconds <= anyio.current_time() - before < seconds + 1


async def _virtually_bare(work: Awaitable[Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        await work
    return caught.value


async def test_a_trip_may_be_tried_again_where_its_cause_may() -> None:
    """A model that judges may be overloaded."""
    from agentkit.errors import ServerFailed

    async def judge(*given: object) -> None:
        raise ServerFailed("busy", status=503)

    for guardrail, again in ((judge, True), (Wrong().fails, False), (refusing, False)):
        error = await bare(guards(input=[guardrail]).input(HISTORY, about))
        assert isinstance(error, GuardrailTripped)
        assert error.retryable is again


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("sync", [False, True])
@STAGES
async def test_what_must_end_the_program_goes_through(stage: str, sync: bool, kind: type[BaseException]) -> None:
    """Bare, from threads too, and from a guardrail that another one's trip has cancelled."""

    async def quits(*given: object) -> None:
        raise kind("now")

    def quits_in_a_thread(*given: object) -> None:
        raise kind("now")

    guardrail = quits_in_a_thread if sync else quits
    for others in ([], [waiting]) if stage != "tool_result" else ([],):
        run = guards(**{stage: [guardrail, *others]})
        assert type(await bare(_at(stage, run))) is kind
    if stage == "input":
        assert type(await bare(guards(input=[guardrail]).beside(Model(), HISTORY, about))) is kind


async def test_what_must_end_the_program_counts_for_more_than_a_trip() -> None:
    """It comes while the trip cancels the others, or while the run is cancelled from outside."""

    async def quits(*given: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyboardInterrupt("now")

    async def trips(*given: object) -> str:
        await anyio.wait_all_tasks_blocked()
        return "rude"

    assert type(await bare(guards(input=[quits, trips]).beside(Model(), HISTORY, about))) is KeyboardInterrupt

    async def cancelled() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await guards(input=[quits]).beside(Model(), HISTORY, about)

    assert type(await bare(cancelled())) is KeyboardInterrupt


async def test_a_cancellation_from_outside_ends_everything_and_is_not_swallowed() -> None:
    """At the N-th checkpoint, for all N there are."""
    open_now = 0

    async def steps() -> None:
        nonlocal open_now
        open_now += 1
        try:
            for _ in range(4):
                await anyio.lowlevel.checkpoint()
        finally:
            open_now -= 1

    async def check(*given: object) -> None:
        await steps()

    async def everything() -> None:
        run = guards(input=[check, check], output=[check, check], tool_call=[check, check], tool_result=[check])
        await run.beside(steps, HISTORY, about)
        await run.call(CALL, dict, about)
        await run.result(CALL, RESULT, about)
        await run.output("Hi.", about)

    async def after(n: int, scope: anyio.CancelScope) -> None:
        for _ in range(n):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    n = ended = 0
    while not ended:
        with anyio.fail_after(10), anyio.CancelScope() as outside:
            async with anyio.create_task_group() as group:
                group.start_soon(after, n, outside)
                await everything()
                ended = 1
        assert open_now == 0
        assert ended or outside.cancelled_caught
        n += 1
    assert n > 10


async def test_an_output_may_be_asked_for_again() -> None:
    """What the guardrail says is for the model; that the run must stop counts for more."""

    async def unsigned(output: str, context: Context[Any]) -> None:
        if "Ada" not in output:
            raise OutputError("Sign as Ada.")

    async def rude(output: str, context: Context[Any]) -> str | None:
        await anyio.wait_all_tasks_blocked()
        return "rude" if "fool" in output else None

    for run in (guards(output=[unsigned, rude]), guards(output=[rude, unsigned])):
        await run.output("Yours, Ada", about)
        error = await bare(run.output("Yours", about))
        assert (type(error), str(error)) == (OutputError, "Sign as Ada.")
        assert run.tripped is None
        assert type(await bare(run.output("You fool", about))) is GuardrailTripped


async def test_a_call_may_be_refused_without_stopping_the_run() -> None:
    """A trip counts for more, whichever comes first."""

    async def small(call: ToolCall, arguments: Mapping[str, Any], context: Context[Any]) -> None:
        if arguments["euros"] > 10:
            raise ToolDenied("At most ten euros.")

    async def known(call: ToolCall, arguments: Mapping[str, Any], context: Context[Any]) -> str | None:
        await anyio.wait_all_tasks_blocked()
        return None if call.name == "pay" else "an unknown tool"

    for run in (guards(tool_call=[small, known]), guards(tool_call=[known, small])):
        await run.call(CALL, lambda: {"euros": 5}, about)
        error = await bare(run.call(CALL, lambda: {"euros": 50}, about))
        assert (type(error), str(error)) == (ToolDenied, "At most ten euros.")
        assert type(await bare(run.call(replace(CALL, name="x"), lambda: {"euros": 50}, about))) is GuardrailTripped


async def test_no_guardrail_sees_what_another_has_done_to_the_arguments() -> None:
    """Each gets the values anew."""
    seen: list[Any] = []

    async def meddles(call: ToolCall, arguments: Any, context: Context[Any]) -> None:
        seen.append(list(arguments["to"]))
        arguments["to"].append("eve")

    other = partial(meddles)
    await guards(tool_call=[meddles, other]).call(CALL, lambda: {"to": ["ada"]}, about)
    assert seen == [["ada"], ["ada"]]


@pytest.mark.parametrize(
    ("stage", "kind"), [("input", OutputError), ("output", ToolDenied), ("tool_result", ToolDenied)]
)
async def test_what_is_for_the_model_elsewhere_is_a_failure_here(stage: str, kind: type[Exception]) -> None:
    """An input cannot be asked for again, and an output is no call: it stops the run."""

    async def confused(*given: object) -> None:
        raise kind("Try again.")

    error = await bare(_at(stage, guards(**{stage: [confused]})))
    assert isinstance(error, GuardrailTripped)
    assert error.reason == f"it failed with {kind.__name__}"


async def test_a_result_goes_from_one_guardrail_to_the_next() -> None:
    """Each may put another in its place."""

    def starred(call: ToolCall, result: ToolResult, context: Context[Any]) -> ToolResult:
        return replace(result, content=result.content.replace("4111", "****"))

    async def marked(call: ToolCall, result: ToolResult, context: Context[Any]) -> ToolResult:
        return replace(result, content=f"<{result.content}>", untrusted=True)

    run = guards(tool_result=[starred, passing, marked])
    told = await run.result(CALL, replace(RESULT, content="card 4111"), about)
    assert told == replace(RESULT, content="<card ****>", untrusted=True)


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        ({}, {"call_id": "c9", "name": "other"}, {}),
        ({"untrusted": True}, {"content": "x", "untrusted": False}, {"content": "x", "untrusted": True}),
        ({"secret": True}, {"content": "x", "secret": False}, {"content": "x", "secret": True}),
        ({}, {"secret": True, "is_error": True}, {"secret": True, "is_error": True}),
        ({"full": "all of 4111"}, {"content": "x", "full": "all of 4111"}, {"content": "x", "full": None}),
        ({"full": "all of 4111"}, {"content": "x", "full": "all of x"}, {"content": "x", "full": "all of x"}),
        ({"full": "all of it"}, {"untrusted": True, "full": "all of it"}, {"untrusted": True, "full": "all of it"}),
        ({}, {"content": "a\ud800\x00"}, {"content": "a\ufffd\u2400"}),
    ],
)
async def test_a_result_in_the_place_of_another_is_of_the_same_call(
    before: dict[str, Any], given: dict[str, Any], after: dict[str, Any]
) -> None:
    """What was secret or untrusted stays so, and what was taken out of the text is not left in the whole of it."""
    run = guards(tool_result=[lambda call, result, context: replace(RESULT, **given)])
    old = replace(RESULT, **before)
    told = await run.result(CALL, old, about)
    wanted = replace(RESULT, **after)
    assert (told.call_id, told.name, told.content, told.full) == ("c1", "pay", wanted.content, wanted.full)
    assert (told.secret, told.untrusted, told.is_error) == (wanted.secret, wanted.untrusted, wanted.is_error)


async def test_a_trip_that_somebody_catches_comes_again() -> None:
    """A tool that calls others might; it cannot make the run go on."""

    async def never(*given: object) -> str:
        return "never"

    run = guards(tool_call=[never])
    error = await bare(run.call(CALL, dict, about))
    for stage in ("output", "tool_call", "tool_result"):
        assert await bare(_at(stage, run)) is error


async def test_where_there_are_no_guardrails_nothing_is_made() -> None:
    """No context, no values, no task."""

    def no_values() -> Mapping[str, Any]:
        raise AssertionError("values were made for nobody")

    async def work() -> str:
        return "Hi."

    run = Guards()
    assert run.passed
    await run.input(HISTORY, no_context)
    assert await run.beside(work, HISTORY, no_context) == "Hi."
    await run.call(CALL, no_values, no_context)
    assert await run.result(CALL, RESULT, no_context) is RESULT
    await run.output("Hi.", no_context)


async def test_who_takes_over_brings_its_own_guardrails() -> None:
    """Those that were there stay, and are not asked twice; what has looked at the input does not look again."""
    seen: list[str] = []

    class Check:
        """An object may be a guardrail, and so may its methods."""

        def __init__(self, name: str) -> None:
            self.name = name

        async def look(self, value: object, context: Context[Any]) -> None:
            seen.append(self.name)

    first, second = Check("first"), Check("second")
    run = guards(input=[first.look], output=[first.look])
    await run.input(HISTORY, about)
    run.add(Guardrails(input=[first.look, second.look], output=[first.look, second.look]))
    assert not run.passed
    await run.input(HISTORY, about)
    assert seen == ["first", "second"]
    await run.output("Hi.", about)
    assert sorted(seen[2:]) == ["first", "second"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"input": refusing}, "write a list of functions"),
        ({"input": "refusing"}, "write a list of functions"),
        ({"output": None}, "write a list of functions"),
        ({"output": ["check"]}, "'check' is no function"),
        ({"tool_call": [refusing]}, r"'refusing' must take \(call, arguments, context\), and no more"),
        ({"tool_result": [lambda call: None]}, r"'<lambda>' must take \(call, result, context\)"),
        ({"seconds": 0}, "seconds=0"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"seconds": float("inf")}, "seconds=inf"),
        ({"seconds": True}, "seconds=True"),
        ({"seconds": "3"}, "seconds='3'"),
        ({"blocking": 1}, "blocking=1"),
    ],
)
def test_what_cannot_be_a_guardrail_is_refused_at_once(given: dict[str, Any], words: str) -> None:
    """Not in the first run."""
    with pytest.raises(ConfigError, match=words):
        Guardrails(**given)


def test_a_description_of_guardrails_does_not_change() -> None:
    """Also not by way of the list that it was made of."""
    given: list[Callable[..., Any]] = [refusing]
    made = Guardrails(input=given)
    given.clear()
    assert made.input == (refusing,)
    assert made == Guardrails(input=(refusing,))


async def test_a_thousand_runs_are_guarded_at_once() -> None:
    """Each trip is of its own run."""
    tripped: list[str] = []

    async def even(messages: Sequence[Message], context: Context[Any]) -> str | None:
        await anyio.lowlevel.checkpoint()
        text = messages[0].text if isinstance(messages[0], User) else ""
        return text if int(text) % 2 else None

    given = Guardrails(input=[even, passing])

    async def one(n: int) -> None:
        model = Model()
        model.may_answer.set()
        try:
            run = Guards()
            run.add(given)
            await run.beside(model, [User(content=str(n))], about)
        except GuardrailTripped as error:
            tripped.append(error.reason)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for n in range(1000):
                group.start_soon(one, n)
    assert sorted(map(int, tripped)) == list(range(1, 1000, 2))

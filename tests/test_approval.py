"""Calls that somebody must say yes to: nothing happens before, and nothing at all without."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, Context, Limits, RunResult, ToolResult, tool
from agentkit.approval import Approval
from agentkit.context import Secret
from agentkit.errors import ConfigError, RunTimeout, ToolDenied
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


class Till:
    """A tool that needs approval, and what has gone through it."""

    def __init__(self, approval: Any = True, **policy: Any) -> None:
        self.paid: list[tuple[str, int]] = []

        @tool(approval=approval, effects="external", **policy)
        async def pay(to: str, amount: int = 1) -> str:
            self.paid.append((to, amount))
            return f"paid {amount}"

        self.pay = pay

    async def pays(self, approve: Any = None, **arguments: Any) -> str:
        """What the model is told of one call."""
        [result] = results(await run([self.pay], [call("pay", **arguments)], approve))
        return result.content


def results(result: RunResult[str]) -> list[ToolResult]:
    return [m for m in result.messages if isinstance(m, ToolResult)]


async def run(tools: Any, calls: Any, approve: Any = None, **given: Any) -> RunResult[str]:
    with anyio.fail_after(10):
        return await Agent(ScriptedModel([calls, "ok"]), tools=tools).run("?", approve=approve, **given)


async def yes(asked: Approval) -> bool:
    return True


async def test_a_yes_lets_the_call_through() -> None:
    """Once, with its arguments."""
    till = Till()
    assert await till.pays(yes, to="ada", amount=3) == "paid 3"
    assert till.paid == [("ada", 3)]


async def test_without_an_approver_the_call_is_refused_and_the_model_told() -> None:
    """A forgotten `approve=` is a no."""
    till = Till()
    assert await till.pays(to="ada") == "not run: pay needs somebody's approval, and nobody can be asked here"
    assert till.paid == []


@pytest.mark.parametrize("answer", [False, None, 0, 1, "yes", "no", [True], object()])
async def test_anything_but_true_is_a_no(answer: Any) -> None:
    """Text that a person typed, or a forgotten return, is no approval."""
    till = Till()

    async def approve(asked: Approval) -> Any:
        return answer

    assert await till.pays(approve, to="ada") == "not run: the call was not approved"
    assert till.paid == []


async def test_who_says_no_may_say_why() -> None:
    """The model reads it and can do better."""
    till = Till()

    async def approve(asked: Approval) -> bool:
        raise ToolDenied("too much for one day")

    assert await till.pays(approve, to="ada") == "too much for one day"
    assert till.paid == []


@pytest.mark.parametrize("error", [ValueError("secret-host:99"), OSError("gone"), ExceptionGroup("g", [ValueError()])])
async def test_an_approver_that_fails_has_not_said_yes(error: Exception) -> None:
    """The model learns that asking failed, and nothing of the approver's insides."""
    till = Till()

    async def approve(asked: Approval) -> bool:
        raise error

    words = await till.pays(approve, to="ada")
    assert words == f"not run: asking for approval failed ({type(error).__name__})"
    assert till.paid == []


async def test_an_approver_need_not_be_async() -> None:
    """A plain function says yes and no as well."""
    till = Till()
    await till.pays(lambda asked: asked.arguments["to"] == "ada", to="ada")
    await till.pays(lambda asked: asked.arguments["to"] == "ada", to="eve")
    assert [to for to, _ in till.paid] == ["ada"]


async def test_an_approver_that_takes_nothing_has_not_said_yes() -> None:
    """Something that cannot be asked cannot approve by accident."""
    till = Till()
    refuse: Any = lambda: True  # noqa: E731
    assert (await till.pays(refuse, to="ada")).startswith("not run: asking for approval failed")
    assert till.paid == []


@pytest.mark.parametrize("approve", [True, "yes"])
async def test_an_approver_that_is_no_function_is_refused(approve: Any) -> None:
    """At once, and by whoever runs the agent: the model could do nothing about it."""
    till = Till()
    with pytest.raises(ConfigError, match=r"approve=.*give a function"):
        await till.pays(approve, to="ada")
    assert till.paid == []


@pytest.mark.parametrize("account", [1, "1", 1.0, " 1"])
async def test_who_is_asked_sees_what_the_function_gets(account: Any) -> None:
    """However the model spells it, and with the defaults for what it left out: no spelling gets around the question."""
    seen = list[Any]()

    def needed(ctx: Context[Any], arguments: Mapping[str, Any]) -> bool:
        seen.append(dict(arguments))
        return arguments["account"] in {1, 2}

    @tool(approval=needed)
    def close(account: int, notice: int = 30) -> str:
        return "closed"

    assert results(await run([close], [call("close", account=account)]))[0].is_error
    assert seen == [{"account": 1, "notice": 30}]


async def test_a_run_that_is_cancelled_while_somebody_thinks_has_paid_nothing() -> None:
    """Nor does it pay when the answer comes too late."""
    till, asked, late = Till(), anyio.Event(), list[str]()

    async def approve(question: Approval) -> bool:
        asked.set()
        try:
            await anyio.sleep_forever()
        finally:
            late.append("left")
        return True

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(run, [till.pay], [call("pay", to="ada")], approve)
            await asked.wait()
            group.cancel_scope.cancel()
    assert (till.paid, late) == ([], ["left"])


async def test_the_runs_time_bounds_the_thinking() -> None:
    """`Limits.seconds` holds, whoever it is that takes so long. The tool's own timeout does not count it."""
    till = Till(timeout=0.01)

    async def approve(asked: Approval) -> bool:
        await anyio.sleep_forever()
        return True

    agent = Agent(ScriptedModel([[call("pay", to="ada")]]), tools=[till.pay], limits=Limits(seconds=0.05))
    with pytest.raises(RunTimeout):
        await agent.run("?", approve=approve)
    assert till.paid == []


@pytest.mark.parametrize("arguments", [{}, {"to": 3}, {"to": "ada", "amount": "much"}, {"to": "ada", "x": 1}])
async def test_nobody_is_asked_about_a_call_that_cannot_be_made(arguments: dict[str, Any]) -> None:
    """Arguments that do not fit are the model's business alone."""
    till, asked = Till(), list[Approval]()

    async def approve(question: Approval) -> bool:
        asked.append(question)
        return True

    await till.pays(approve, **arguments)
    assert (asked, till.paid) == ([], [])


async def test_the_question_shows_what_would_be_done() -> None:
    """The tool, its effects, the arguments as the function will get them, whose run it is, and what not to show."""
    asked: list[Approval] = []
    got: list[Any] = []

    @tool(approval=True, effects="destructive")
    def wipe(disk: str, passes: int, pin: Annotated[str, Secret]) -> None:
        got.append({"disk": disk, "passes": passes, "pin": pin})

    async def approve(question: Approval) -> bool:
        asked.append(question)
        return True

    result = await run([wipe], [call("wipe", disk="a\u2028é", passes=3, pin="1234")], approve, deps="ada")
    [question] = asked
    assert question.call.name == "wipe"
    assert dict(question.arguments) == got[0]
    assert question.effects == "destructive"
    assert question.secrets == {"pin"}
    assert (question.run_id, question.deps) == (result.run_id, "ada")


async def test_whoever_is_asked_cannot_change_what_is_done() -> None:
    """The arguments shown are a copy: neither the predicate nor the approver reaches the call itself."""

    def needed(ctx: Context[Any], arguments: Mapping[str, Any]) -> bool:
        assert isinstance(arguments, dict)
        arguments["amount"] = 0
        return True

    async def approve(asked: Approval) -> bool:
        assert isinstance(asked.arguments, dict)
        assert asked.arguments["amount"] == 5
        asked.arguments["to"] = "eve"
        return True

    till = Till(needed)
    await till.pays(approve, to="ada", amount=5)
    assert till.paid == [("ada", 5)]


def over_ten(ctx: Context[Any], arguments: Mapping[str, Any]) -> bool:
    return arguments.get("amount", 0) > 10 and ctx.deps != "boss"


async def over_ten_async(ctx: Context[Any], arguments: Mapping[str, Any]) -> bool:
    await anyio.lowlevel.checkpoint()
    return over_ten(ctx, arguments)


@pytest.mark.parametrize("needed", [over_ten, over_ten_async])
async def test_a_predicate_tells_which_calls_need_approval(needed: Callable[..., Any]) -> None:
    """By the arguments and the context; those below go through with nobody to ask."""
    till = Till(needed)
    calls = [call("pay", to="ada", amount=n) for n in (10, 11)]
    told = results(await run([till.pay], calls))
    assert [r.is_error for r in told] == [False, True]
    assert till.paid == [("ada", 10)]
    assert not results(await run([till.pay], calls, deps="boss"))[1].is_error


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_predicate_that_fails_lets_nothing_through(is_async: bool) -> None:
    """The call is not made, whatever the approver would have said."""

    def sync_needed(ctx: Context[Any], arguments: Mapping[str, Any]) -> bool:
        raise KeyError("limit")

    async def async_needed(ctx: Context[Any], arguments: Mapping[str, Any]) -> bool:
        raise KeyError("limit")

    till = Till(async_needed if is_async else sync_needed)
    assert await till.pays(yes, to="ada") == "not run: asking for approval failed (KeyError)"
    assert till.paid == []


async def test_other_calls_go_on_while_somebody_thinks() -> None:
    """The calls of one answer wait for none but themselves; two questions may be open at once."""
    till, both, looked = Till(), anyio.Event(), anyio.Event()
    asked: list[str] = []

    @tool
    async def look() -> str:
        await both.wait()
        looked.set()
        return "seen"

    async def approve(question: Approval) -> bool:
        asked.append(question.arguments["to"])
        if len(asked) == 2:
            both.set()
        await looked.wait()
        return question.arguments["to"] == "ada"

    told = results(await run([till.pay, look], [call("pay", to="ada"), call("look"), call("pay", to="eve")], approve))
    assert [r.content for r in told] == ["paid 1", "seen", "not run: the call was not approved"]
    assert till.paid == [("ada", 1)]


async def test_each_call_is_asked_about_even_if_it_is_the_same() -> None:
    """A yes is for one call."""
    till, asked = Till(), list[Approval]()

    async def approve(question: Approval) -> bool:
        asked.append(question)
        return len(asked) == 1

    told = results(await run([till.pay], [call("pay", to="ada")] * 3, approve))
    assert [r.is_error for r in told].count(False) == 1
    assert (len(asked), len(till.paid)) == (3, 1)
    assert len({question.call.id for question in asked}) == 3


async def test_a_retry_is_not_asked_about_again_and_a_kept_result_is() -> None:
    """Attempts are one call; a call that is answered from the cache is a call."""
    asked: list[str] = []
    tries: list[int] = []

    @tool(approval=True, effects="read", retries=1, cache=60)
    async def peek() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return len(tries)

    async def approve(question: Approval) -> bool:
        asked.append(question.call.name)
        return True

    for _ in range(2):
        assert [r.content for r in results(await run([peek], [call("peek")], approve))] == ["2"]
    assert (len(asked), len(tries)) == (2, 2)


async def test_a_call_by_another_tool_is_asked_about_too() -> None:
    """A yes to the outer one is no yes to the inner one, which is refused without an approver."""
    till, asked = Till(), list[str]()

    @tool(approval=True)
    async def order(to: str, ctx: Context[None]) -> str:
        return str(await ctx.call("pay", {"to": to, "amount": 9}))

    async def approve(question: Approval) -> bool:
        asked.append(question.call.id)
        return question.call.name == "order" or question.arguments["to"] == "ada"

    told = results(await run([till.pay, order], [call("order", to="ada"), call("order", to="eve")], approve))
    assert [r.content for r in told] == ["paid 9", "not run: the call was not approved"]
    assert sorted(asked) == ["call_order", "call_order.1", "call_order_2", "call_order_2.1"]
    assert till.paid == [("ada", 9)]


async def test_a_call_above_the_runs_limit_is_not_asked_about() -> None:
    """Nobody is bothered with what is refused anyway."""
    till, asked = Till(), list[Approval]()

    async def approve(question: Approval) -> bool:
        asked.append(question)
        return True

    agent = Agent(ScriptedModel([[call("pay", to="ada")] * 3, "ok"]), tools=[till.pay], limits=Limits(tool_calls=1))
    await agent.run("?", approve=approve)
    assert (len(asked), len(till.paid)) == (1, 1)


async def test_a_sync_run_and_a_stream_ask_too() -> None:
    """All ways to run take `approve=`."""
    till = Till()
    agent = Agent(ScriptedModel([[call("pay", to="ada")], "ok"] * 2), tools=[till.pay])
    async with agent.stream("?", approve=yes) as stream:
        await stream.finish()
    await anyio.to_thread.run_sync(lambda: agent.run_sync("?", approve=yes))
    assert len(till.paid) == 2


WORDS = st.sampled_from(["yes", "no", "why", "fail", "truthy"])


@settings(max_examples=40, deadline=None)
@given(
    answers=st.lists(st.tuples(WORDS, st.integers(0, 4), st.booleans()), min_size=1, max_size=8),
    backend=st.sampled_from(["asyncio", "trio"]),
)
def test_nothing_is_done_before_its_yes(answers: list[tuple[str, int, bool]], backend: str) -> None:
    """Whatever is answered, in whatever order, directly or through another tool: a call is made if, and after, its
    own question was answered with True.
    """
    log: list[tuple[str, int]] = []

    @tool(approval=True)
    async def act(n: int) -> None:
        log.append(("act", n))
        await anyio.lowlevel.checkpoint()

    @tool
    async def pass_on(n: int, ctx: Context[None]) -> None:
        await ctx.call("act", {"n": n})

    async def approve(question: Approval) -> Any:
        n = question.arguments["n"]
        word, wait, _ = answers[n]
        for _ in range(wait):
            await anyio.lowlevel.checkpoint()
        match word:
            case "yes":
                log.append(("yes", n))
                return True
            case "why":
                raise ToolDenied("because")
            case "fail":
                raise RuntimeError
        return "yes" if word == "truthy" else False

    calls = [call("pass_on" if inner else "act", n=n) for n, (_, _, inner) in enumerate(answers)]
    result = anyio.run(run, [act, pass_on], calls, approve, backend=backend)
    for n, (word, _, _) in enumerate(answers):
        assert [what for what, who in log if who == n] == (["yes", "act"] if word == "yes" else [])
        assert results(result)[n].is_error == (word != "yes")

"""What a run and its sub-runs may spend: reserved before, settled after, and never more."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from agentkit import Agent, Context, LimitExceeded, Limits, ToolResult, tool
from agentkit.budget import Budget, Need
from agentkit.errors import ConfigError, LoopDetected, RunTimeout
from agentkit.history import bytes_of
from agentkit.messages import AssistantMessage, ImagePart, ToolCall, Usage
from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta
from agentkit.prices import Price, Prices
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


class Spender:
    """A model whose every answer costs the same, whatever is asked for, and that says how many it has given."""

    def __init__(self, usage: Usage, *, text: str = "done", tools: tuple[str, ...] = ()) -> None:
        self.info = ModelInfo(provider="test", model="spender", in_process=True)
        self.usage = usage
        self.text = text
        self.tools = tools
        self.requests: list[ModelRequest] = []
        self.at_once = self.most_at_once = 0

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        self.requests.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await anyio.wait_all_tasks_blocked()
        finally:
            self.at_once -= 1
        calls = tuple(replace(call(name), id=f"{name}-{len(self.requests)}") for name in self.tools)
        message = AssistantMessage(text="" if calls else self.text, tool_calls=calls)
        return ModelResponse(message=message, usage=self.usage)


HUNDRED = Usage(input_tokens=60, output_tokens=40)


def team(model: Spender, size: int, limits: Limits) -> Agent:
    """An agent whose model asks `size` others at once, which all answer through one model."""
    worker = Agent(model, name="worker", description="Works.", limits=Limits(iterations=5))
    asks = [replace(call("worker", prompt=f"part {n}"), id=f"call-{n}") for n in range(size)]
    first = ModelResponse(message=AssistantMessage(tool_calls=tuple(asks)), usage=HUNDRED)
    return Agent(ScriptedModel([first, "All is done."]), tools=[worker.as_tool()], limits=limits)


async def test_eight_sub_agents_share_three_model_calls_and_250_tokens() -> None:
    """Sub-runs reserve from the one budget before they spend: together they make no call too many."""
    model = Spender(HUNDRED)
    agent = team(model, 8, Limits(iterations=3, tokens=250))
    with pytest.raises(LimitExceeded) as caught:
        await agent.run("go")
    assert len(model.requests) + 1 <= 3
    assert caught.value.usage is not None
    assert (caught.value.usage.total_tokens or 0) <= 250


@pytest.mark.parametrize("tokens", [100, 150, 199, 200, 250, 330, 1000])
async def test_however_many_sub_agents_there_are_the_tokens_hold(tokens: int) -> None:
    """With room for N answers, no more than N are given, though all ask at the same time."""
    model = Spender(HUNDRED)
    agent = team(model, 8, Limits(tokens=tokens, on_limit="partial"))
    result = await agent.run("go")
    assert (result.usage.total_tokens or 0) <= tokens + 15  # the script's own last answer says 15
    assert len(model.requests) <= max(0, tokens // 100 - 1)


async def test_sub_agents_work_side_by_side_where_there_is_enough() -> None:
    """Reserving does not make a queue of what could go on at the same time."""
    model = Spender(HUNDRED)
    result = await team(model, 8, Limits(tokens=1_000_000)).run("go")
    assert result.output == "All is done."
    assert model.most_at_once >= 7  # the first may be done before the last begins


async def test_a_sub_agent_of_a_sub_agent_spends_of_the_same_budget() -> None:
    """Each level counts what is spent below it."""
    model = Spender(HUNDRED)
    inner = Agent(model, name="inner", description="Works.")
    middle = Agent(
        ScriptedModel([[call("inner", prompt="x")], "ok"]), name="middle", description="Asks.", tools=[inner.as_tool()]
    )
    outer = Agent(ScriptedModel([[call("middle", prompt="x")], "fine"]), tools=[middle.as_tool()])
    result = await outer.run("go")
    assert result.usage == Usage(input_tokens=60 + 4 * 10, output_tokens=40 + 4 * 5)
    assert result.iterations == 5


async def test_agents_in_agents_are_nested_only_so_deep() -> None:
    """A chain of agents that ask each other ends at `Limits.depth`, and the model is told."""
    agents: list[Agent] = [Agent(ScriptedModel(["bottom"]), name="a0", description="x")]
    for level in range(1, 6):
        below = agents[-1]
        script = ScriptedModel([[call(below.name, prompt="x")], lambda r: _last(r)])
        agents.append(Agent(script, name=f"a{level}", description="x", tools=[below.as_tool()]))
    result = await agents[-1].run("go")
    assert "limit of 3 depth" in result.output


def _last(request: ModelRequest) -> str:
    last = request.messages[-1]
    assert isinstance(last, ToolResult)
    return last.content


async def test_deps_and_approval_reach_the_tools_of_a_sub_agent() -> None:
    """What a tool needs is what the caller of the whole run has given."""
    seen: list[Any] = []

    @tool(approval=True)
    def look(ctx: Context[str]) -> str:
        seen.append(ctx.deps)
        return ctx.deps

    worker = Agent(ScriptedModel([[call("look")], "seen"]), name="worker", description="x", tools=[look])
    agent = Agent(ScriptedModel([[call("worker", prompt="x")], "ok"]), tools=[worker.as_tool()])
    await agent.run("go", deps="shop", approve=lambda approval: True)
    assert seen == ["shop"]


async def test_what_a_sub_agent_does_is_the_progress_of_its_call() -> None:
    """Who watches a run sees what goes on inside the agents that it asks."""
    worker = Agent(ScriptedModel(["one two"]), name="worker", description="x")
    agent = Agent(ScriptedModel([[call("worker", prompt="x")], "ok"]), tools=[worker.as_tool()])
    async with agent.stream("go") as run:
        inner = [type(e.value).__name__ async for e in run if type(e).__name__ == "ToolProgress"]
    assert inner == ["TextDelta", "TextDelta", "ModelAnswered", "RunFinished"]


@pytest.mark.parametrize("which", ["tokens", "input_tokens", "output_tokens"])
async def test_each_kind_of_tokens_has_a_limit(which: str) -> None:
    """Calls are made while there is room for another one like them, and not beyond."""
    model = Spender(HUNDRED, tools=("nothing",))

    @tool
    def nothing() -> None: ...

    per_call = {"tokens": 100, "input_tokens": 60, "output_tokens": 40}[which]
    agent = Agent(model, tools=[nothing], limits=Limits(iterations=9, **{which: per_call * 3 + 5}))  # type: ignore[arg-type]
    with pytest.raises(LimitExceeded) as caught:
        await agent.run("go")
    assert caught.value.which == which
    assert len(model.requests) <= 3
    assert len(model.requests) >= 2


async def test_an_answer_is_told_how_long_it_may_be_where_tokens_are_limited() -> None:
    """What is left of the limit goes to the server as the longest answer, if that is no more than servers take."""
    model = Spender(Usage(input_tokens=1, output_tokens=1))
    await Agent(model, limits=Limits(tokens=500)).run("go")
    longest = model.requests[0].longest_answer
    assert longest is not None
    assert 400 < longest <= 500
    await Agent(model, limits=Limits(tokens=5_000_000)).run("go")
    assert model.requests[1].longest_answer is None
    await Agent(model).run("go")
    assert model.requests[2].longest_answer is None


async def test_a_batch_of_six_under_a_limit_of_three_runs_three() -> None:
    """The rest are refused, the model is told, and the run can still answer."""
    ran: list[int] = []

    @tool
    def count(number: int) -> str:
        ran.append(number)
        return "counted"

    batch = [replace(call("count", number=n), id=f"call-{n}") for n in range(6)]
    agent = Agent(ScriptedModel([batch, "Three."]), tools=[count], limits=Limits(tool_calls=3))
    result = await agent.run("go")
    assert (result.output, sorted(ran), result.tool_calls) == ("Three.", [0, 1, 2], 3)
    told = [m.content for m in result.messages if isinstance(m, ToolResult)]
    assert told[:3] == ["counted"] * 3
    assert all("at most 3 tools" in each for each in told[3:])


async def test_a_single_tool_may_have_a_limit_of_its_own() -> None:
    """The others go on."""

    @tool
    def rare() -> str:
        return "rare"

    @tool
    def common() -> str:
        return "common"

    batch = [call("rare"), call("common"), replace(call("rare"), id="again")]
    agent = Agent(ScriptedModel([batch, "ok"]), tools=[rare, common], limits=Limits(tool_calls_each={"rare": 1}))
    told = [m.content for m in (await agent.run("go")).messages if isinstance(m, ToolResult)]
    assert told[:2] == ["rare", "common"]
    assert "call rare at most 1 times" in told[2]


@tool
def again() -> str:
    """Do it once more."""
    return "so"


async def test_at_a_limit_one_last_answer_can_be_had() -> None:
    """`answer`: N iterations are N model calls, the last of which may call no tools and is told why."""
    model = ScriptedModel([[call("again")], [call("again")], "What I have."])
    agent = Agent(model, tools=[again], limits=Limits(iterations=3, on_limit="answer"))
    result = await agent.run("go")
    assert (result.output, result.stopped_by, result.iterations) == ("What I have.", "iterations", 3)
    assert model.requests[-1].settings.tool_choice == "none"
    last = model.requests[-1].messages[-1]
    assert isinstance(last, ToolResult)
    assert "answer now" in last.content


async def test_where_the_last_answer_calls_tools_all_the_same_there_is_no_output() -> None:
    """A server may ignore that no tool is to be called: nothing is run, and the history is whole."""
    model = ScriptedModel([[call("again")]] * 3)
    agent = Agent(model, tools=[again], limits=Limits(iterations=3, on_limit="answer"))
    result = await agent.run("go")
    assert result.stopped_by == "iterations"
    assert result.tool_calls == 1
    with pytest.raises(LimitExceeded):
        _ = result.output
    assert isinstance(result.messages[-1], ToolResult)


async def test_the_tokens_for_the_last_answer_are_kept_free() -> None:
    """With `answer`, the run stops early enough to be able to pay for it."""
    model = Spender(HUNDRED, tools=("again",))

    def answering(request: ModelRequest) -> None:
        model.tools = () if request.settings.tool_choice == "none" else ("again",)

    generate = model.generate

    async def watched(request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        answering(request)
        return await generate(request, on_delta)

    model.generate = watched  # type: ignore[method-assign]
    result = await Agent(model, tools=[again], limits=Limits(tokens=450, on_limit="answer")).run("go")
    assert result.output == "done"
    assert result.stopped_by == "tokens"
    assert (result.usage.total_tokens or 0) <= 450


def counted(request: ModelRequest, message: AssistantMessage) -> ModelResponse:
    """An answer, with the usage that a server counts which takes four bytes for a token."""
    read = bytes_of(request.messages) // 4
    return ModelResponse(message=message, usage=Usage(input_tokens=read, output_tokens=bytes_of([message]) // 4 + 1))


def asking(*calls: ToolCall) -> Callable[[ModelRequest], ModelResponse]:
    """An answer of a script that calls tools."""
    return lambda request: counted(request, AssistantMessage(tool_calls=calls))


def saying(text: str) -> Callable[[ModelRequest], ModelResponse]:
    """An answer of a script that says something, as far as it may."""
    return lambda request: counted(request, AssistantMessage(text=text[: 4 * (request.longest_answer or 99)]))


@tool
def read_log(n: int = 0) -> str:
    """Read a log that is far too long."""
    return "first line " + "more " * 2000 + " last line"


@tool(name="read_log")
def read_short(n: int = 0) -> str:
    """Read a log of some lines."""
    return "line " * 60


MONEY = Prices({"scripted": Price(input=1, output=4)})
TIGHT = pytest.mark.parametrize("limit", [{"tokens": 600}, {"cost": 0.0006}], ids=str)


@TIGHT
async def test_the_last_request_is_as_short_as_what_is_left_can_pay_for(limit: dict[str, Any]) -> None:
    """Results that would make it too long are cut, with head and tail; the result and its history have them whole."""
    model = ScriptedModel([asking(call("read_log")), saying("All is well.")])
    agent = Agent(model, tools=[read_log], prices=MONEY, limits=Limits(**limit, on_limit="answer"))
    result = await agent.run("go")
    assert (result.output, result.stopped_by) == ("All is well.", next(iter(limit)))
    sent = model.requests[-1].messages[-1]
    assert isinstance(sent, ToolResult)
    assert sent.content.startswith("first line")
    assert sent.content.endswith("last line")
    assert "characters omitted" in sent.content
    assert 200 < len(sent.content) < 4 * 600
    assert (model.requests[-1].longest_answer or 0) >= len(sent.content) // 4
    assert isinstance(whole := result.messages[2], ToolResult)
    assert len(whole.content) > 10_000
    assert result.usage.total_tokens is not None
    assert result.cost is not None
    assert result.usage.total_tokens <= limit.get("tokens", 10**9)
    assert result.cost <= limit.get("cost", 1)


@pytest.mark.parametrize("which", ["tokens", "cost"])
async def test_the_last_answer_comes_about_after_many_results_and_sub_agents(which: str) -> None:
    """Four agents that spend what they can, and say in their results that it was too little, leave enough for it."""
    for most in range(300, 1300, 50):
        limits = Limits(**{which: most if which == "tokens" else most * 3 / 1e6}, on_limit="answer")  # type: ignore[arg-type]
        worker = Agent(
            ScriptedModel([asking(call("read_log", n=n)) for n in range(60)]),
            name="worker",
            description="Works.",
            tools=[read_log],
            limits=Limits(iterations=20),
        )
        asks = [replace(call("worker", prompt="look " * 9), id=f"call-{n}") for n in range(4)]
        model = ScriptedModel([asking(*asks), saying("I could not look.")])
        result = await Agent(model, tools=[worker.as_tool()], prices=MONEY, limits=limits).run("go")
        assert result.value == "I could not look.", most
        assert (result.usage.total_tokens or 0) <= (limits.tokens or 10**9)
        assert (result.cost or 0) <= (limits.cost or 1)


@pytest.mark.parametrize("which", ["tokens", "cost"])
async def test_a_run_stops_while_the_last_answer_can_still_be_paid_for(which: str) -> None:
    """Whatever the limit is, a model that would go on for ever has not used up what its last answer takes."""
    looks = asking(*(replace(call("read_log", n=n), id=f"call-{n}") for n in range(2)))

    def answer(request: ModelRequest) -> ModelResponse:
        return (saying("Enough.") if request.settings.tool_choice == "none" else looks)(request)

    for most in range(200, 1400, 10):
        limits = Limits(**{which: most if which == "tokens" else most / 1e6}, iterations=50, on_limit="answer")  # type: ignore[arg-type]
        model = ScriptedModel([answer] * 50)
        result = await Agent(model, tools=[read_short], prices=MONEY, limits=limits).run("go")
        assert (result.value, result.stopped_by) == ("Enough.", which), most
        assert (result.usage.total_tokens or 0) <= (limits.tokens or 10**9)
        assert (result.cost or 0) <= (limits.cost or 1)


async def test_where_not_even_the_shortest_request_can_be_paid_for_there_is_no_output() -> None:
    """A hundred results of which each takes what it takes: the run ends as `partial` does, and overspends nothing."""
    calls = [replace(call("read_log", n=n), id=f"call-{n}") for n in range(100)]
    model = ScriptedModel([asking(*calls), saying("All is well.")])
    result = await Agent(model, tools=[read_log], limits=Limits(tokens=2000, on_limit="answer")).run("go")
    assert (result.value, result.stopped_by) == (None, "tokens")
    assert len(model.requests) == 1


async def test_a_request_that_fits_is_sent_whole_also_at_the_limit() -> None:
    """Only what would not fit is cut."""
    model = ScriptedModel([asking(call("read_log")), saying("All is well.")])
    limits = Limits(iterations=2, tokens=1_000_000, on_limit="answer")
    result = await Agent(model, tools=[read_log], limits=limits).run("go")
    assert result.output == "All is well."
    assert model.requests[-1].messages[-1] == result.messages[2]


async def test_a_partial_result_has_what_was_said_and_no_output() -> None:
    """`partial`: no error; asking for the output raises what stopped the run."""
    agent = Agent(
        ScriptedModel([[call("again")], [call("again")]]),
        tools=[again],
        limits=Limits(iterations=2, on_limit="partial"),
    )
    result = await agent.run("go")
    assert result.stopped_by == "iterations"
    assert result.answer.tool_calls
    with pytest.raises(LimitExceeded, match="2 iterations"):
        _ = result.output


async def test_a_run_whose_time_is_over_can_have_a_partial_result() -> None:
    """Time cannot be kept free, so `answer` is as `partial` then."""

    @tool
    async def forever() -> None:
        await anyio.sleep_forever()

    for how in ("answer", "partial"):
        limits = Limits(seconds=0.01, on_limit=how)  # type: ignore[arg-type]
        result = await Agent(ScriptedModel([[call("forever")]]), tools=[forever], limits=limits).run("go")
        assert isinstance(result.stopped, RunTimeout)
        assert result.stopped_by == "seconds"


async def test_a_run_that_goes_in_circles_is_stopped() -> None:
    """The same call with the same arguments and result, for the third time."""
    asks = [[replace(call("again", **arguments), id=f"call-{n}")] for n, arguments in enumerate([{}, {}, {}, {}])]
    with pytest.raises(LoopDetected) as caught:
        await Agent(ScriptedModel(asks), tools=[again], limits=Limits(repeats=3)).run("go")
    assert caught.value.which == "repeats"
    assert len([m for m in caught.value.history if isinstance(m, ToolResult)]) == 3


async def test_a_run_in_which_everything_fails_is_stopped() -> None:
    """Iterations in a row in which no call succeeds bring nothing new, whatever the calls are."""
    asks = [[replace(call("no_such_tool", n=n), id=f"call-{n}")] for n in range(5)]
    with pytest.raises(LoopDetected):
        await Agent(ScriptedModel(asks), tools=[again], limits=Limits(repeats=3)).run("go")


async def test_calls_that_come_to_something_new_are_no_circle() -> None:
    """A poll whose result changes goes on."""
    numbers = iter(range(100))

    @tool
    def poll() -> int:
        return next(numbers)

    asks: list[Any] = [[replace(call("poll"), id=f"call-{n}")] for n in range(6)]
    agent = Agent(ScriptedModel([*asks, "ready"]), tools=[poll], limits=Limits(repeats=3))
    assert (await agent.run("go")).output == "ready"


async def test_a_cancelled_model_call_gives_back_what_it_held() -> None:
    """A sub-run that is cancelled while it waits or asks leaves the budget to the others."""
    budget = Budget(limits=Limits(tokens=1000))
    first = await budget.hold(Need(input=10))
    with anyio.move_on_after(0):
        await budget.hold(Need(input=10))
    budget.release(first)
    assert (await budget.hold(Need(input=10))).output == 990


async def test_who_waits_for_room_gets_it_or_is_told_when_the_others_have_settled() -> None:
    """No one waits for ever, and no one is refused while what others hold may come back."""
    budget = Budget(limits=Limits(tokens=300))
    got: list[int | str] = []

    async def spend(used: int) -> None:
        try:
            hold = await budget.hold(Need(input=10, output=100))
        except LimitExceeded as error:
            got.append(error.which)
            return
        await anyio.lowlevel.checkpoint()
        budget.spend(Usage(input_tokens=10, output_tokens=used))
        budget.release(hold)
        got.append(hold.output)

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(spend, 100)
    assert sorted(got, key=str) == [60, 100, 100, "tokens", "tokens", "tokens"] or budget.tokens <= 330


def cents(input: int, output: int) -> float:
    return (input * 1 + output * 10) / 1_000_000


async def test_money_is_reserved_too() -> None:
    """What an answer may cost at most is held until it is known."""
    budget = Budget(limits=Limits(cost=0.01))
    hold = await budget.hold(Need(input=1000, price=cents))
    assert math.isclose(hold.cost, 0.01, rel_tol=0.01)
    budget.spend(Usage(input_tokens=1000, output_tokens=899), cost=cents(1000, 899))
    budget.release(hold)
    with pytest.raises(LimitExceeded) as caught:
        await budget.hold(Need(input=1000, price=cents))
    assert caught.value.which == "cost"


@pytest.mark.parametrize("limit", [{"cost": 0.002}, {"tokens": 800}, {"output_tokens": 450}, {"input_tokens": 450}])
async def test_what_a_server_tells_later_counts_until_then_as_estimated(limit: dict[str, Any]) -> None:
    """An answer whose usage is pending has been paid for, in tokens and in money, before another one is asked for."""
    calls = [replace(call("again"), id=f"call-{n}") for n in range(40)]
    later = ModelResponse(message=AssistantMessage(text="x" * 400, tool_calls=tuple(calls)), usage_pending=True)
    model = ScriptedModel([later] * 9)
    agent = Agent(model, tools=[again], prices=MONEY, limits=Limits(iterations=9, **limit, on_limit="partial"))
    result = await agent.run("go " * 100)
    assert result.stopped_by == next(iter(limit))
    assert 1 <= len(model.requests) <= 3


async def test_pictures_are_reserved_too() -> None:
    """About 1,000 tokens each, as long as nobody has said what they take."""
    model = ScriptedModel(["I see."] * 2)
    prompt = ["What is this?", ImagePart(url="https://example.org/a.png"), ImagePart(url="https://example.org/b.png")]
    with pytest.raises(LimitExceeded):
        await Agent(model, limits=Limits(tokens=1900)).run(prompt)
    assert not model.requests
    assert (await Agent(model, limits=Limits(tokens=2100)).run(prompt)).output == "I see."


async def test_what_was_pending_counts_once_when_it_is_told() -> None:
    """The estimates make room for what the server says, of each kind."""
    budget = Budget(limits=Limits())
    guess = Usage(input_tokens=100, output_tokens=50)
    budget.spend(Usage(), estimate=guess, pending=True, guess=0.5)
    budget.spend(Usage(), estimate=guess, pending=True, guess=0.5)
    assert budget.spent().amounts == (300, 200, 100, 0.0)
    budget.spend(Usage(input_tokens=7, output_tokens=3), cost=0.01)
    assert budget.spent().amounts == (10, 7, 3, 0.01)
    budget.spend(Usage(input_tokens=1, output_tokens=None), estimate=guess)
    assert budget.spent().amounts == (61, 8, 53, 0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_limit": "stop"},
        {"tool_calls_each": 3},
        {"tool_calls_each": {"a": 0}},
        {"cost": 0},
        {"cost": -1.0},
        {"depth": None},
        {"repeats": True},
        {"output_tokens": 1.5},
    ],
    ids=str,
)
def test_what_is_no_limit_is_refused_by_name(wrong: dict[str, Any]) -> None:
    """The message names the field and what it may be."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Limits(**wrong)


async def test_hand_off_goes_on_as_the_other_agent() -> None:
    """The other's instructions, tools and model; the same conversation, budget and session."""

    @tool
    def refund() -> str:
        return "refunded"

    money = ScriptedModel([[call("refund")], "Your money is on its way."])
    till = Agent(money, name="till", description="Gives money back.", instructions="Be kind.", tools=[refund])
    front = ScriptedModel([[call("transfer_to_till")]])
    desk = Agent(front, name="desk", instructions="Send people on.", handoffs=[till])
    result = await desk.run("I want my money back.")
    assert (result.output, result.agent, result.iterations) == ("Your money is on its way.", "till", 3)
    assert money.requests[0].instructions == "Be kind."
    assert money.requests[0].tools.names == ["refund"]
    assert front.requests[0].tools.names == ["transfer_to_till"]


async def test_agents_may_hand_over_to_each_other() -> None:
    """A function names agents that are defined later."""
    first = Agent(
        ScriptedModel([[call("transfer_to_second")], "Back at the first."]),
        name="first",
        handoffs=lambda: [second],
    )
    second = Agent(ScriptedModel([[call("transfer_to_first")]]), name="second", handoffs=lambda: [first])
    assert (await first.run("go")).output == "Back at the first."


async def test_a_hand_off_to_an_agent_with_another_output_is_refused() -> None:
    """The caller has been promised one type."""
    other = Agent(ScriptedModel([]), name="other", output=int)
    with pytest.raises(ConfigError, match="transfer_to_other"):
        await Agent(ScriptedModel([]), handoffs=[other]).run("go")  # type: ignore[list-item]


async def test_a_run_within_needs_a_context_that_a_tool_was_called_with() -> None:
    """Another one shares nothing."""
    made_up: Context[Any] = Context(deps=None, run_id="", call_id="", tool="")
    with pytest.raises(ConfigError, match="run_within"):
        await Agent(ScriptedModel([])).run_within(made_up, "go")


def test_an_agent_without_a_name_is_no_tool() -> None:
    """A model could not call it."""
    with pytest.raises(ConfigError, match="name and a description"):
        Agent(ScriptedModel([])).as_tool()
    with pytest.raises(ConfigError, match="needs a name"):
        _ = Agent(ScriptedModel([])).handoff_tool

"""`ToolFaults`: tools that go wrong when the test says so, and each time in the same way."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from agentkit import Agent, ConfigError, Limits, ToolResult, tool
from agentkit.hosted import FileSearch
from agentkit.registry import ToolRegistry
from agentkit.testing import FaultyCall, ScriptedModel, ToolFault, ToolFaults, call, nothing_left_behind
from agentkit.tool_search import ToolSearch

pytestmark = pytest.mark.anyio


def shop() -> tuple[list[str], Sequence[Any]]:
    """Tools, and what they have done."""
    done: list[str] = []

    @tool
    def pay(amount: int) -> str:
        """Pay."""
        done.append(f"pay {amount}")
        return "paid"

    @tool
    async def look(at: str) -> str:
        """Look."""
        done.append(f"look {at}")
        return "seen"

    return done, [pay, look]


def results(messages: Sequence[Any]) -> list[str]:
    return [m.content for m in messages if isinstance(m, ToolResult)]


async def test_a_chosen_call_goes_wrong() -> None:
    """By its number among all calls; the tool itself is not called."""
    done, tools = shop()
    faults = ToolFaults({2: "fail"})
    script: list[Any] = [[call("pay", amount=1)], [call("look", at="x")], [call("pay", amount=2)], "Done."]
    result = await Agent(ScriptedModel(script), tools=faults.of(tools)).run("?")
    assert results(result.messages) == ["paid", "an injected failure", "paid"]
    assert done == ["pay 1", "pay 2"]
    assert [(each.tool, each.number, each.of_tool, bool(each.fault)) for each in faults.calls] == [
        ("pay", 1, 1, False),
        ("look", 2, 1, True),
        ("pay", 3, 2, False),
    ]


async def test_a_chosen_call_of_one_tool_goes_wrong_after_its_work() -> None:
    """Only the result is lost: what idempotency keys are for."""
    done, tools = shop()
    faults = ToolFaults({"pay": {2: ToolFault("timeout", after=True)}})
    script: list[Any] = [[call("pay", amount=n)] for n in (1, 2, 3)]
    result = await Agent(ScriptedModel([*script, "Done."]), tools=faults.of(tools)).run("?")
    assert [each == "paid" for each in results(result.messages)] == [True, False, True]
    assert done == ["pay 1", "pay 2", "pay 3"]


@pytest.mark.parametrize("fault", ["fail", "crash", "timeout", "unserialisable", ValueError("mine")])
async def test_whatever_goes_wrong_in_a_tool_is_its_result(fault: Any) -> None:
    """The run goes on, and the model is told."""
    _, tools = shop()
    agent = Agent(ScriptedModel([[call("pay", amount=1)], "Done."]), tools=ToolFaults({1: fault}).of(tools))
    async with nothing_left_behind():
        result = await agent.run("?")
    assert result.output == "Done."
    [told] = [m for m in result.messages if isinstance(m, ToolResult)]
    assert told.is_error


@pytest.mark.parametrize(("kind", "error"), [("interrupt", KeyboardInterrupt), ("exit", SystemExit)])
async def test_what_must_end_the_run_ends_it(kind: Any, error: type[BaseException]) -> None:
    """Bare, and with nothing left, while another call hangs."""
    _, tools = shop()
    faults = ToolFaults({"pay": {1: kind}, "look": {1: "hang"}})
    script: list[Any] = [[call("look", at="x"), call("pay", amount=1)]]
    async with nothing_left_behind():
        with pytest.raises(error):
            await Agent(ScriptedModel(script), tools=faults.of(tools)).run("?")


async def test_a_call_that_hangs_is_cut_off_by_its_deadline() -> None:
    """As any call of the tool would be: what is declared of the tool still holds."""
    _, tools = shop()
    agent = Agent(
        ScriptedModel([[call("look", at="x")], "Done."]),
        tools=ToolFaults({1: "hang"}).of(tools),
        limits=Limits(tool_seconds=0.01),
    )
    result = await agent.run("?")
    assert results(result.messages) == ["look took longer than 0.01 seconds and was stopped"]


async def test_a_run_whose_calls_all_hang_can_be_left() -> None:
    """At once, and nothing of it is left."""
    _, tools = shop()
    with anyio.CancelScope() as scope:

        def hang(call: FaultyCall) -> Any:
            if call.number == 16:  # as many as may run at the same time
                scope.cancel()
            return "hang"

        faults = ToolFaults(hang)
        agent = Agent(ScriptedModel([[call("look", at=str(n)) for n in range(20)]]), tools=faults.of(tools))
        async with nothing_left_behind():
            await agent.run("?")
    assert len(faults.calls) >= 16


async def outcomes(seed: int, order: Sequence[int]) -> dict[str, bool]:
    _, tools = shop()
    faults = ToolFaults(chance=0.4, seed=seed)
    script: list[Any] = [[call("pay", amount=n) for n in order], "Done."]
    await Agent(ScriptedModel(script), tools=faults.of(tools)).run("?")
    return {each.arguments: each.fault is not None for each in faults.calls}


async def test_chance_is_the_same_each_time_whatever_the_order() -> None:
    """It depends on the seed, the tool and the arguments, so a failure can be repeated, on trio too."""
    first = await outcomes(1, range(40))
    assert first == await outcomes(1, range(40)) == await outcomes(1, range(39, -1, -1))
    assert first != await outcomes(2, range(40))
    assert 5 < sum(first.values()) < 30


async def test_the_same_call_again_has_a_chance_of_its_own() -> None:
    """A retry is not doomed."""
    _, tools = shop()
    faults = ToolFaults(chance=0.5, seed=3)
    script: list[Any] = [[call("pay", amount=1)] for _ in range(9)]
    await Agent(ScriptedModel([*script, "Done."]), tools=faults.of(tools)).run("?")
    assert {each.fault is None for each in faults.calls} == {True, False}


async def test_a_function_may_choose() -> None:
    """By anything that a call has."""
    _, tools = shop()
    faults = ToolFaults(lambda call: "fail" if '"amount":2' in call.arguments else None)
    script: list[Any] = [[call("pay", amount=n)] for n in (1, 2, 3)]
    result = await Agent(ScriptedModel([*script, "Done."]), tools=faults.of(tools)).run("?")
    assert results(result.messages) == ["paid", "an injected failure", "paid"]


async def test_hosted_and_searched_tools_stay_what_they_are() -> None:
    """A registry keeps its kinds; tools that a search hides go wrong too, when they are found."""
    _, tools = shop()
    registry = ToolRegistry([FileSearch(stores=("vs_1",)), ToolSearch(tools=tools)])
    faults = ToolFaults({"pay": {1: "fail"}})
    changed = faults.of(registry)
    assert changed.names == registry.names
    assert changed.hosted == registry.hosted
    script: list[Any] = [[call(registry.searches[0].tool.name, query="pay")], [call("pay", amount=1)], "Done."]
    result = await Agent(ScriptedModel(script), tools=faults.of(ToolRegistry([ToolSearch(tools=tools)]))).run("?")
    assert results(result.messages)[-1] == "an injected failure"


async def test_a_tool_keeps_its_name_and_its_policy() -> None:
    """Retries see each fault as they would see the tool's own."""

    @tool(effects="read", retries=2)
    def read() -> str:
        """Read."""
        return "text"

    faults = ToolFaults({1: "timeout"})
    agent = Agent(ScriptedModel([[call("read")], "Done."]), tools=[read])
    result = await replace(agent, tools=faults.of(agent.tools)).run("?")
    assert len(faults.calls) in (1, 2)
    assert result.output == "Done."


@pytest.mark.parametrize(
    "given",
    [
        {"plan": {0: "fail"}},
        {"plan": {True: "fail"}},
        {"plan": {1: "explode"}},
        {"plan": {"pay": "fail"}},
        {"plan": {"pay": {1: 2}}},
        {"plan": ["fail"]},
        {"chance": 1.5},
        {"chance": 0.5, "kinds": ()},
        {"chance": 0.5, "kinds": ("explode",)},
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_plan_that_cannot_be_read_is_refused(given: Any) -> None:
    """Where it is made, not at the first call."""
    with pytest.raises(ConfigError, match="ToolFault"):
        ToolFaults(given.pop("plan", None), **given)

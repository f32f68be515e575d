"""Runs in which agents hand over: a workflow, and in it each agent that has the word."""

from itertools import pairwise
from typing import Any

import pytest
from endings import Stage, add, local, pay
from exports import Exports, Memory, Span

from agentkit import Agent
from agentkit.errors import ApprovalRefused
from agentkit.paused import Approved, PausedRun
from agentkit.telemetry import semconv as s
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio
FLOW = "invoke_workflow clerk"


def shop(memory: Memory, *script: Any) -> Agent[Any]:
    """A clerk that may hand over to the till, which may hand back to a clerk of its own."""
    model = local(*script)
    porter = Agent(model, name="porter", tools=[add], telemetry=memory.telemetry)
    till = Agent(model, name="till", description="Takes money.", tools=[add, pay], handoffs=[porter])
    return Stage(memory.telemetry).clerk(model, add, handoffs=[till])


def agents(exports: Exports) -> list[Span]:
    return sorted(exports.of("invoke_agent"), key=lambda span: span.start)


async def test_each_agent_that_has_the_word_has_a_span_in_that_of_the_workflow() -> None:
    """One after the other, each with its own model and tool calls, and with what these came to."""
    memory = Memory()
    script = [[call("add", a=1, b=2)], [call("transfer_to_till")], [call("transfer_to_porter")], "done"]
    result = await shop(memory, *script).run("?")
    exports = memory.exports()
    [flow] = exports.of("invoke_workflow")
    assert (flow.name, flow.parent_id, flow.attributes[s.WORKFLOW_NAME]) == (FLOW, None, "clerk")
    spans = agents(exports)
    assert [span.name for span in spans] == ["invoke_agent clerk", "invoke_agent till", "invoke_agent porter"]
    assert {span.parent_id for span in spans} == {flow.span_id}
    assert all(one.end <= two.start for one, two in pairwise(spans))
    inside = [[child.name for child in exports.children(span)] for span in spans]
    assert inside == [
        ["chat m", "execute_tool add", "chat m", "execute_tool transfer_to_till"],
        ["chat m", "execute_tool transfer_to_porter"],
        ["chat m"],
    ]
    assert [span.attributes[s.USAGE_INPUT_TOKENS] for span in spans] == [20, 10, 10]
    assert [span.attributes[s.OUTCOME] for span in spans] == ["handed_over", "handed_over", "completed"]
    assert flow.attributes[s.OUTCOME] == "completed"
    assert spans[1].attributes[s.AGENT_DESCRIPTION] == "Takes money."
    assert result.trace_id == f"{flow.trace_id:032x}"


async def test_the_run_is_counted_once_and_each_agent_by_itself() -> None:
    """A dashboard of agents has all three, and one of runs has one."""
    memory = Memory()
    await shop(memory, [call("transfer_to_till")], "done").run("?")
    points = memory.exports().points
    of = {name: [p for p in points if p.name == name] for name in (s.RUNS, s.AGENT_DURATION, s.WORKFLOW_DURATION)}
    assert [(p.attributes[s.AGENT_NAME], p.sum) for p in of[s.RUNS]] == [("clerk", 1)]
    assert {(p.attributes[s.AGENT_NAME], p.count) for p in of[s.AGENT_DURATION]} == {("clerk", 1), ("till", 1)}
    assert [(p.attributes[s.WORKFLOW_NAME], p.count) for p in of[s.WORKFLOW_DURATION]] == [("clerk", 1)]


async def test_where_nobody_hands_over_there_is_a_workflow_all_the_same() -> None:
    """Whether it is one is known before the model has said a word: samplers ask then."""
    memory = Memory()
    await shop(memory, "done").run("?")
    assert [span.name for span in memory.exports().spans] == ["chat m", "invoke_agent clerk", FLOW]


async def test_what_goes_wrong_is_of_the_agent_that_has_the_word_and_of_the_workflow() -> None:
    """The one that has handed over has done its part."""
    memory = Memory()
    with pytest.raises(ValueError, match="no"):
        await shop(memory, [call("transfer_to_till")], ValueError("no")).run("?")
    exports = memory.exports()
    assert [span.attributes.get(s.ERROR_TYPE) for span in agents(exports)] == [None, "ValueError"]
    [flow] = exports.of("invoke_workflow")
    assert flow.attributes[s.ERROR_TYPE] == "ValueError"
    assert {p.attributes.get(s.ERROR_TYPE) for p in exports.points if p.name == s.WORKFLOW_DURATION} == {"ValueError"}


async def test_a_run_that_goes_on_begins_with_the_agent_that_had_the_word() -> None:
    """After a pause the first agent has nothing to say any more; the workflow has the link."""
    memory = Memory()
    agent = shop(memory, [call("transfer_to_till")], [call("pay", to="ada")], "done")
    first = await agent.run("?", approve="pause")
    assert first.paused is not None
    [before] = memory.exports().of("invoke_workflow")
    seen = len(memory.exports().spans)
    paused = PausedRun.from_json(first.paused.to_json())
    await agent.resume(paused, {each.call_id: Approved() for each in paused.waiting})
    after = memory.exports().spans[seen:]
    assert [span.name for span in after] == ["execute_tool pay", "chat m", "invoke_agent till", FLOW]
    assert after[-1].links == ((before.trace_id, before.span_id),)
    assert after[-2].links == ()


async def test_a_pause_that_cannot_be_taken_up_fails_the_workflow() -> None:
    """No agent has had the word."""
    memory = Memory()
    agent = shop(memory, [call("transfer_to_till")], [call("pay", to="ada")], "done")
    first = await agent.run("?", approve="pause")
    assert first.paused is not None
    answers = {each.call_id: Approved() for each in first.paused.waiting}
    await agent.resume(first.paused, answers)
    seen = len(memory.exports().spans)
    with pytest.raises(ApprovalRefused):
        await agent.resume(first.paused, answers)
    [flow] = memory.exports().spans[seen:]
    assert (flow.name, flow.status, flow.attributes[s.OUTCOME]) == (FLOW, "ERROR", "failed")


async def test_an_agent_that_is_asked_may_hand_over_too() -> None:
    """Its workflow is in the tool call."""
    memory = Memory()
    desk = shop(memory, [call("transfer_to_till")], "4")
    boss = Agent(
        ScriptedModel([[call("desk", prompt="2+2?")], "4"]),
        name="boss",
        tools=[desk.as_tool(name="desk", description="Asks.")],
        telemetry=memory.telemetry,
    )
    await boss.run("?")
    exports = memory.exports()
    [flow] = exports.of("invoke_workflow")
    around = exports.parent(flow)
    assert around is not None
    assert around.name == "execute_tool desk"
    [outer] = [span for span in agents(exports) if span.name == "invoke_agent boss"]
    assert outer.attributes[s.USAGE_INPUT_TOKENS] == 20

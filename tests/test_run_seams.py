"""What holds where features of a run meet: hand-offs and pauses, sub-runs and limits, guardrails and inner calls."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentkit import Agent, AssistantMessage, Context, Limits, ToolCall, ToolResult, Usage, UserMessage, tool
from agentkit.errors import ApprovalRefused, ConfigError, GuardrailTripped, LimitExceeded
from agentkit.guardrails import Guardrails
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.base import ModelInfo
from agentkit.paused import Approved, PausedRun
from agentkit.recording import Recorder, replay
from agentkit.testing import AssistantsServer, ScriptedModel, call
from agentkit.window import Summary, Window

pytestmark = pytest.mark.anyio


@tool(approval=True, effects="write")
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool
def look() -> str:
    """Look."""
    return "three"


def results(messages: Any) -> list[str]:
    return [message.content for message in messages if isinstance(message, ToolResult)]


async def test_the_guardrails_of_the_agent_that_began_hold_on_after_a_hand_off_and_a_pause() -> None:
    """What an application forbids a run, no pause in the middle allows."""

    async def forbid(output: Any, context: Context[Any]) -> str | None:
        return "never say that"

    till = Agent(ScriptedModel([[call("pay", amount=3)], "the secret word"]), name="till", tools=[pay])
    desk = Agent(
        ScriptedModel([[call("transfer_to_till")]]),
        name="desk",
        handoffs=[till],
        guardrails=Guardrails(output=[forbid]),
    )
    paused = (await desk.run("pay", approve="pause")).paused
    assert paused is not None
    kept = PausedRun.from_json(paused.to_json())
    assert kept.agent == "desk"
    with pytest.raises(ApprovalRefused, match="'desk'"):
        await till.resume(kept, {"call_pay": Approved()})
    with pytest.raises(GuardrailTripped, match="never say that"):
        await desk.resume(kept, {"call_pay": Approved()})


async def test_a_hand_off_beside_a_call_that_waits_is_not_forgotten() -> None:
    """The history says who has taken over, so that is who goes on."""
    till = Agent(ScriptedModel(["till is here"]), name="till", tools=[pay])
    script = [[call("transfer_to_till"), call("pay", amount=3)], "desk is here"]
    desk = Agent(ScriptedModel(script), name="desk", tools=[pay], handoffs=[till])
    paused = (await desk.run("pay", approve="pause")).paused
    assert paused is not None
    result = await desk.resume(paused, {"call_pay": Approved()})
    assert (result.agent, result.output) == ("till", "till is here")
    assert results(result.messages) == ["till has taken over", "paid 3"]


async def test_of_two_hand_offs_in_one_answer_one_counts_and_the_other_says_so() -> None:
    """A history never says of two agents that each has taken over."""
    one, other = (Agent(ScriptedModel([name]), name=name) for name in ("one", "other"))
    script = [[call("transfer_to_one"), call("transfer_to_other")]]
    result = await Agent(ScriptedModel(script), name="desk", handoffs=[one, other]).run("x")
    assert result.agent == "one"
    taken, refused = results(result.messages)
    assert taken == "one has taken over"
    assert refused.startswith("not run:")


async def test_a_tool_gets_of_another_tool_what_a_guardrail_has_made_of_it() -> None:
    """What is struck out of a result does not come back through a tool that asks for it."""

    @tool
    def person() -> str:
        """Find."""
        return "number 123-45"

    @tool
    async def outer(context: Context[Any]) -> str:
        """Ask."""
        return f"got {await context.call('person', {})}"

    async def strike(asked: ToolCall, result: ToolResult, context: Context[Any]) -> ToolResult | None:
        return replace(result, content=result.content.replace("123-45", "***")) if asked.name == "person" else None

    script = [[call("outer")], "done"]
    agent = Agent(ScriptedModel(script), tools=[person, outer], guardrails=Guardrails(tool_result=[strike]))
    assert results((await agent.run("x")).messages) == ["got number ***"]


async def test_the_last_answer_that_is_kept_free_is_kept_free_of_sub_runs_too() -> None:
    """`on_limit="answer"` promises one last answer, whoever has spent the rest."""
    sub = Agent(ScriptedModel([[call("look")]] * 3 + ["done"]), name="sub", description="Looks.", tools=[look])
    limits = Limits(iterations=3, on_limit="answer")
    script = [[call("sub", prompt="look")], "my last words", "one more"]
    result = await Agent(ScriptedModel(script), tools=[sub.as_tool()], limits=limits).run("x")
    assert (result.output, result.stopped_by, result.iterations) == ("my last words", "iterations", 3)


async def test_a_summary_that_would_cost_more_than_there_is_is_no_way_around_a_limit() -> None:
    """What a function that sums up says it has used is spent of the run's budget."""

    async def sum_up(messages: Any) -> Summary:
        info = ModelInfo(provider="scripted", model="scripted")
        used = Usage(input_tokens=5000, output_tokens=2000)
        return Summary(text="short", usage=used, info=info, model="scripted")

    agent = Agent(ScriptedModel(["never"]), window=Window(tokens=300, summarise=sum_up), limits=Limits(tokens=2000))
    told = [UserMessage(content="q" * 200), AssistantMessage(text="a" * 200)] * 6
    with pytest.raises(LimitExceeded, match="tokens"):
        await agent.run("x", history=told)


@pytest.mark.parametrize("tokens", [200, 1000, 3000])
async def test_a_run_with_sub_runs_under_a_limit_replays_to_the_same_end(tokens: int, tmp_path: Path) -> None:
    """A recording keeps what counted, also where the provider does not say what was used."""

    def agent() -> Agent[str]:
        sub = Agent(ScriptedModel(["three " * 40] * 20), name="sub", description="Looks.")
        script = [[call("sub", prompt="q" * 200), call("sub", prompt="p")]] * 4 + ["done"]
        limits = Limits(tokens=tokens, on_limit="partial")
        return Agent(ScriptedModel(script), name="top", tools=[sub.as_tool()], limits=limits)

    path = tmp_path / "run.jsonl"
    ran = await agent().run("x", steps=Recorder(path))
    again = await replay(agent(), path)
    assert (again.value, again.stopped_by, again.usage) == (ran.value, ran.stopped_by, ran.usage)


async def test_a_window_is_refused_where_a_model_takes_over_whose_server_keeps_the_conversation() -> None:
    """Nothing of a conversation is left out without a word on a server that has all of it."""

    class Keeps(ScriptedModel):
        async def release(self, answer: AssistantMessage) -> Usage:
            return Usage()

    other = Agent(Keeps(["hello"]), name="other")
    desk = Agent(ScriptedModel([[call("transfer_to_other")]]), name="desk", handoffs=[other], window=Window(messages=3))
    with pytest.raises(ConfigError, match="leave window out"):
        await desk.run("x")


async def test_a_thousand_runs_that_begin_at_once_let_a_timer_have_its_turn_in_between() -> None:
    """Runs that begin together do not hold up what else the event loop has to do."""
    agent, finished, seen = Agent(ScriptedModel(["hello"] * 1000)), 0, list[int]()

    async def one() -> None:
        nonlocal finished
        await agent.run("x")
        finished += 1

    async with anyio.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(one)
        while finished < 1000:
            await anyio.lowlevel.checkpoint()
            seen.append(finished)
    assert max(after - before for before, after in pairwise(seen)) <= 200


@pytest.mark.parametrize("where", ["the same server", "another"])
async def test_who_takes_over_answers_where_a_server_holds_the_answer_of_the_first(where: str) -> None:
    """After a hand-off, no run of the first agent goes on, nor waits on its server."""
    asked = list[str]()

    def says(body: dict[str, Any]) -> Any:
        asked.append(body["messages"][0]["content"])
        return [call("transfer_to_other")] if len(asked) == 1 else "Other here."

    async with AssistantsServer(says) as server:
        model = AssistantsBackend("any-name", base_url=server.base_url, api_key="any-key")
        taking = model if where == "the same server" else ScriptedModel(["Other here."])
        other = Agent(taking, name="other", instructions="You are the other.")
        desk = Agent(model, name="desk", instructions="You are the desk.", handoffs=[other])
        assert (await desk.run("Go.")).output == "Other here."
        runs = [run for thread in server.threads for run in server.runs(thread["id"])]
    assert asked == ["You are the desk.", "You are the other."][: len(asked)]
    assert len(asked) == (2 if where == "the same server" else 1)
    assert {run["status"] for run in runs} <= {"completed", "cancelled"}


async def test_a_tool_cannot_hand_over() -> None:
    """It is told so, and who has the word goes on; nobody is said to have taken over who has not."""

    @tool
    async def escalate(ctx: Context[Any]) -> str:
        return str(await ctx.call("transfer_to_till", {}))

    till = Agent(ScriptedModel(["Till here."]), name="till")
    desk = Agent(ScriptedModel([[call("escalate")], "Desk here."]), name="desk", tools=[escalate], handoffs=[till])
    result = await desk.run("Hi")
    assert (result.output, result.agent) == ("Desk here.", "desk")
    assert results(result.messages) == ["only the model hands over to till, and no tool"]

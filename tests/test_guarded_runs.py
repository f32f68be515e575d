"""Guardrails in runs: what waits for them, what they stop, what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import anyio
import pytest

from agentkit import (
    Agent,
    AgentError,
    AssistantMessage,
    ConfigError,
    Context,
    Event,
    LimitExceeded,
    Limits,
    Message,
    ModelRequest,
    OutputError,
    RunResult,
    Session,
    ToolCall,
    ToolFinished,
    ToolResult,
    UserMessage,
    tool,
)
from agentkit.approval import Approval
from agentkit.errors import GuardrailTripped, ToolDenied
from agentkit.executor import NOT_RUN
from agentkit.guardrails import Guardrails
from agentkit.messages import unanswered
from agentkit.models.base import ModelResponse, OnDelta
from agentkit.paused import Answered
from agentkit.telemetry.recorder import SpanRecorder
from agentkit.testing import ScriptedModel, call

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])]


class Hanging(ScriptedModel):
    """A model that begins an answer and does not end it."""

    def __init__(self) -> None:
        super().__init__([])
        self.begun, self.ended = anyio.Event(), False

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended = True
        raise AssertionError


class Shop:
    """Tools, what was done with them, and guardrails."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.events: list[Event] = []
        self.session = Session("s")

        @tool
        async def pay(to: str) -> str:
            self.done.append(f"pay {to}")
            return f"card 4111 paid {to}"

        @tool(approval=True)
        async def order(what: str) -> str:
            self.done.append(f"order {what}")
            return "ordered"

        @tool
        async def fails() -> str:
            raise ValueError("card 4111 is refused")

        @tool
        async def waits() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                self.done.append("waits ended")

        @tool
        async def through(to: str, ctx: Context[Any]) -> str:
            try:
                return str(await ctx.call("pay", {"to": to}))
            except Exception as error:
                self.done.append(type(error).__name__)
                return "never mind"

        self.tools: list[Any] = [pay, order, fails, waits, through]

    def agent(self, script: Sequence[Any], guardrails: Guardrails, **given: Any) -> Agent[Any]:
        return Agent(ScriptedModel(script), tools=self.tools, guardrails=guardrails, **given)

    async def run(self, agent: Agent[Any], streamed: bool, prompt: str | None = "Go.", **given: Any) -> RunResult[Any]:
        given = {"session": self.session, **given}
        with anyio.fail_after(10):
            if not streamed:
                return await agent.run(prompt, **given)
            async with agent.stream(prompt, **given) as run:
                async for event in run:
                    self.events.append(event)
            return run.result

    async def tripped(
        self, agent: Agent[Any], streamed: bool, prompt: str | None = "Go.", **given: Any
    ) -> GuardrailTripped:
        with pytest.raises(GuardrailTripped) as caught:
            await self.run(agent, streamed, prompt, **given)
        error = caught.value
        assert error.run_id
        assert unanswered(error.history) == ()
        assert error.usage is not None
        return error

    async def stored(self) -> tuple[Message, ...]:
        return (await self.session.store.load(self.session.id)).messages


def results(messages: Sequence[Message]) -> list[str]:
    """What the model was told."""
    return [message.content for message in messages if isinstance(message, ToolResult)]


async def rude(messages: Sequence[Message], context: Context[Any]) -> str | None:
    """Stop what begins with a bad word."""
    said = messages[-1]
    return "rude" if isinstance(said, UserMessage) and said.text.startswith("Fool") else None


async def no_eve(call: ToolCall, arguments: Mapping[str, Any], context: Context[Any]) -> str | None:
    """Stop the run where Eve is paid, refuse Bob."""
    if arguments["to"] == "bob":
        raise ToolDenied("not to Bob")
    return "Eve" if arguments["to"] == "eve" else None


def starred(call: ToolCall, result: ToolResult, context: Context[Any]) -> ToolResult:
    """Card numbers are not for the model."""
    return replace(result, content=result.content.replace("4111", "****"))


async def no_cards(call: ToolCall, result: ToolResult, context: Context[Any]) -> str | None:
    """Stop where a card number comes."""
    return "a card number" if "4111" in result.content else None


async def test_a_trip_at_the_input_cancels_the_model_call_and_stores_nothing(streamed: bool) -> None:
    """The model call has ended when the error is there."""
    shop, model, recorder = Shop(), Hanging(), SpanRecorder()

    async def late(messages: Sequence[Message], context: Context[Any]) -> str:
        await model.begun.wait()
        return "rude"

    agent = Agent(model, guardrails=Guardrails(input=[late]), telemetry=recorder.telemetry)
    error = await shop.tripped(agent, streamed, "Fool.")
    assert (error.guardrail, error.stage, error.reason) == ("late", "input", "rude")
    assert model.ended
    assert await shop.stored() == ()
    [run] = recorder.tree()
    assert run.error is not None
    assert run.error.endswith("GuardrailTripped")
    assert [child.name for child in run.children] == ["chat scripted"]


async def test_no_tool_begins_and_nothing_is_stored_before_the_input_has_passed(streamed: bool) -> None:
    """Though the model has answered long since."""
    shop = Shop()

    async def slow(messages: Sequence[Message], context: Context[Any]) -> None:
        await anyio.wait_all_tasks_blocked()
        assert shop.done == []
        assert await shop.stored() == ()
        assert context.agent == "clerk"
        assert context.deps == "till"

    agent = shop.agent([[call("pay", to="ada")], "Done."], Guardrails(input=[slow]), name="clerk")
    assert (await shop.run(agent, streamed, deps="till")).output == "Done."
    assert shop.done == ["pay ada"]
    assert len(await shop.stored()) == 4


async def test_a_conversation_goes_on_without_what_was_stopped(streamed: bool) -> None:
    """The guardrail gets the whole conversation; the prompt that was stopped is not in it."""
    shop, seen = Shop(), list[int]()

    async def count(messages: Sequence[Message], context: Context[Any]) -> None:
        seen.append(len(messages))

    agent = shop.agent(["Hi.", [call("pay", to="ada")], "Bye."], Guardrails(input=[rude, count]))
    await shop.run(agent, streamed)
    await shop.tripped(agent, streamed, "Fool.")
    assert shop.done == []
    await shop.run(replace(agent, model=ScriptedModel(["Bye."])), streamed)
    assert [seen[0], seen[-1]] == [1, 3]
    assert "Fool." not in repr(await shop.stored())


async def test_the_calls_of_a_paused_run_wait_for_the_input_guardrails(streamed: bool) -> None:
    """They look at the history and the prompt, before anything is done."""
    shop = Shop()
    history = [UserMessage(content="Pay."), AssistantMessage(tool_calls=(call("pay", to="ada"),))]
    agent = shop.agent(["Done."], Guardrails(input=[rude]))
    error = await shop.tripped(agent, streamed, "Fool.", session=None, history=history)
    assert (error.stage, shop.done) == ("input", [])
    result = await shop.run(agent, streamed, "And?", session=None, history=history)
    assert (result.output, shop.done) == ("Done.", ["pay ada"])


async def test_an_output_guardrail_has_the_model_try_again(streamed: bool) -> None:
    """Within the limits, as where the answer does not fit the output type."""
    shop, seen = Shop(), list[int]()

    async def small(output: int, context: Context[Any]) -> None:
        seen.append(output)
        if output > 9:
            raise OutputError("One digit, please.")

    agent = shop.agent(['{"value": 10}', '{"value": 7}'], Guardrails(output=[small]), output=int)
    result = await shop.run(agent, streamed)
    assert (result.value, result.iterations, seen) == (7, 2, [10, 7])
    assert UserMessage(content="One digit, please.") in await shop.stored()
    again = replace(agent, model=ScriptedModel(['{"value": 10}'] * 3), limits=Limits(iterations=2))
    with pytest.raises(LimitExceeded):
        await shop.run(again, streamed)


async def test_an_answer_that_is_stopped_is_given_to_nobody_and_not_stored(streamed: bool) -> None:
    """What was said before it is."""
    shop = Shop()

    async def secret(output: str, context: Context[Any]) -> str | None:
        return "a secret" if "4111" in output else None

    script = [[call("pay", to="ada")], "It was 4111."]
    agent = shop.agent(script, Guardrails(output=[secret], tool_result=[starred]))
    error = await shop.tripped(agent, streamed)
    assert error.stage == "output"
    assert "4111" not in repr(await shop.stored())
    assert "4111" not in repr(error.history)
    assert results(await shop.stored()) == ["card **** paid ada"]


async def test_a_refused_call_is_told_to_the_model_and_the_run_goes_on(streamed: bool) -> None:
    """The others of the same answer are made."""
    shop = Shop()
    calls = [call("pay", to="ada"), replace(call("pay", to="bob"), id="c2")]
    result = await shop.run(shop.agent([calls, "Done."], Guardrails(tool_call=[no_eve])), streamed)
    assert results(result.messages) == ["card 4111 paid ada", "not to Bob"]
    assert shop.done == ["pay ada"]


async def test_a_trip_at_a_call_ends_the_other_calls(streamed: bool) -> None:
    """The call is not made; the history says so, and is one that a provider accepts."""
    shop = Shop()

    async def late(call: ToolCall, arguments: Mapping[str, Any], context: Context[Any]) -> str | None:
        if call.name != "pay":
            return None
        await anyio.wait_all_tasks_blocked()
        return "Eve"

    error = await shop.tripped(
        shop.agent([[call("waits"), call("pay", to="eve")]], Guardrails(tool_call=[late])), streamed
    )
    assert (error.guardrail, error.stage, shop.done) == ("late", "tool_call", ["waits ended"])
    assert results(await shop.stored())[1] == NOT_RUN


async def test_nobody_is_asked_to_approve_a_call_that_is_stopped(streamed: bool) -> None:
    """A guardrail comes before a person; a call that does not fit the schema comes to neither."""
    shop, asked = Shop(), list[Any]()

    async def approve(approval: Approval) -> bool:
        asked.append(approval.arguments["what"])
        return True

    async def no_guns(call: ToolCall, arguments: Mapping[str, Any], context: Context[Any]) -> str | None:
        if arguments["what"] == "knives":
            raise ToolDenied("no knives")
        return "guns" if arguments["what"] == "guns" else None

    script = [
        [call("order", what="tea")],
        [call("order", what="knives")],
        [call("order", x=1)],
        [call("order", what="guns")],
    ]
    await shop.tripped(shop.agent(script, Guardrails(tool_call=[no_guns])), streamed, approve=approve)
    assert (asked, shop.done) == (["tea"], ["order tea"])


async def test_what_is_taken_out_of_a_result_is_nowhere(streamed: bool) -> None:
    """Not for the model, not for the watcher, not in the session; also where the tool has failed."""
    shop = Shop()
    agent = shop.agent([[call("pay", to="ada"), call("fails")], "Done."], Guardrails(tool_result=[starred]))
    result = await shop.run(agent, streamed)
    assert results(result.messages) == ["card **** paid ada", "ValueError: card **** is refused"]
    finished = [event.result.content for event in shop.events if isinstance(event, ToolFinished)]
    assert sorted(finished) == (sorted(results(result.messages)) if streamed else [])
    assert "4111" not in repr(await shop.stored()) + repr(agent.model.requests)  # type: ignore[union-attr]


async def test_a_result_that_stops_the_run_is_nowhere(streamed: bool) -> None:
    """It is not said that the call was not made."""
    shop = Shop()
    error = await shop.tripped(shop.agent([[call("pay", to="ada")]], Guardrails(tool_result=[no_cards])), streamed)
    assert error.stage == "tool_result"
    [told] = results(await shop.stored())
    assert told.startswith("interrupted")
    assert not any(isinstance(event, ToolFinished) for event in shop.events)
    assert "4111" not in repr(error.history)


async def test_a_tool_that_catches_everything_cannot_make_a_stopped_run_go_on(streamed: bool) -> None:
    """It has called another tool, which a guardrail has stopped."""
    shop = Shop()
    error = await shop.tripped(
        shop.agent([[call("through", to="eve")], "Done."], Guardrails(tool_call=[no_eve])), streamed
    )
    assert error.reason == "Eve"
    assert "pay eve" not in shop.done


async def test_the_trip_of_an_agent_that_is_a_tool_is_told_to_the_model_that_called_it(streamed: bool) -> None:
    """It ends the run whose guardrail it is."""
    shop = Shop()
    inner = Agent(ScriptedModel(["Hi."]), name="inner", description="Answer.", guardrails=Guardrails(input=[rude]))
    agent = Agent(
        ScriptedModel([[call("inner", prompt="Fool.")], "Sorry."]),
        tools=[inner.as_tool()],
        guardrails=Guardrails(tool_result=[no_cards]),
    )
    result = await shop.run(agent, streamed)
    assert result.output == "Sorry."
    [told] = results(result.messages)
    assert "the guardrail 'rude' stopped the run at the input: rude" in told


async def test_a_model_may_judge_within_the_run(streamed: bool) -> None:
    """What it uses counts for the run; if it reaches a limit, nothing passes."""
    shop = Shop()
    judge: Agent[Any] = Agent(ScriptedModel(['{"value": "fine"}'] * 2), output=Literal["fine", "rude"])  # type: ignore[arg-type]

    async def judged(messages: Sequence[Message], context: Context[Any]) -> str | None:
        result = await judge.run_within(context, "?")
        return None if result.output == "fine" else "rude"

    agent = shop.agent(["Hi.", "Hi."], Guardrails(input=[judged]))
    result = await shop.run(agent, streamed)
    assert result.output == "Hi."
    assert result.usage.total_tokens == 30
    error = await shop.tripped(replace(agent, limits=Limits(iterations=1)), streamed)
    assert error.reason == "it failed with LimitExceeded"


async def test_who_takes_over_brings_guardrails(streamed: bool) -> None:
    """They look at the conversation before the first answer of the new agent is used, and at its output."""
    shop = Shop()
    seen: list[str] = []

    def noted(name: str) -> Guardrails:
        async def note_input(messages: Sequence[Message], context: Context[Any]) -> None:
            seen.append(f"{name} input {len(messages)}")

        async def note_output(output: str, context: Context[Any]) -> None:
            seen.append(f"{name} output by {context.agent}")

        return Guardrails(input=[note_input], output=[note_output])

    second = Agent(ScriptedModel(["Hi."]), name="second", description="x", guardrails=noted("second"))
    first = Agent(
        ScriptedModel([[call("transfer_to_second")]]), name="first", handoffs=[second], guardrails=noted("first")
    )
    assert (await shop.run(first, streamed)).output == "Hi."
    assert seen[:2] == ["first input 1", "second input 3"]
    assert sorted(seen[2:]) == ["first output by second", "second output by second"]


async def test_the_last_answer_of_a_run_at_its_limit_is_looked_at_too(streamed: bool) -> None:
    """Otherwise a limit would be a way around the guardrails."""
    shop = Shop()

    async def secret(output: str, context: Context[Any]) -> str | None:
        return "a secret" if "4111" in output else None

    script = [[call("pay", to="ada")], "It was 4111."]
    agent = shop.agent(script, Guardrails(output=[secret]), limits=Limits(iterations=2, on_limit="answer"))
    assert (await shop.tripped(agent, streamed)).stage == "output"


async def test_a_run_whose_time_is_over_ends_its_guardrails(streamed: bool) -> None:
    """And what they have not let pass is not stored."""
    shop, ended = Shop(), list[int]()

    async def waits(messages: Sequence[Message], context: Context[Any]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    for how in ("raise", "partial", "answer"):
        limits = Limits(seconds=0.01, on_limit=how)
        with pytest.raises(TimeoutError):
            _ = (await shop.run(shop.agent(["Hi."], Guardrails(input=[waits]), limits=limits), streamed)).output
    assert ended == [1, 1, 1]
    assert await shop.stored() == ()


@pytest.mark.parametrize("stage", ["input", "output", "tool_call", "tool_result"])
async def test_ctrl_c_in_a_guardrail_ends_the_run_bare(streamed: bool, stage: str) -> None:
    """It is no trip."""
    shop = Shop()

    async def quits(*given: object) -> None:
        raise KeyboardInterrupt("now")

    script: list[Any] = ["Hi."] if stage == "output" else [[call("pay", to="ada"), call("waits")], "Hi."]
    agent = shop.agent(script, Guardrails(**{stage: [quits]}))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt, match="now"):
        await shop.run(agent, streamed)
    assert unanswered(await shop.stored()) == ()


async def test_an_agent_takes_guardrails_and_nothing_else(streamed: bool) -> None:
    """A list of functions says not at which stage."""
    with pytest.raises(ConfigError, match=r"guardrails="):
        Agent("chat:m", guardrails=[rude])  # type: ignore[arg-type]
    assert issubclass(GuardrailTripped, AgentError)


async def test_a_call_that_is_refused_waits_for_nobody(streamed: bool) -> None:
    """A run that would pause for a yes does not, where a guardrail has said no; a trip stops it."""
    shop = Shop()

    async def no_knives(call: ToolCall, arguments: Mapping[str, Any], context: Context[Any]) -> str | None:
        if arguments["what"] == "knives":
            raise ToolDenied("no knives")
        return "guns" if arguments["what"] == "guns" else None

    script = [[call("order", what="knives")], "No."]
    result = await shop.run(shop.agent(script, Guardrails(tool_call=[no_knives])), streamed, approve="pause")
    assert (result.paused, result.output, results(result.messages)) == (None, "No.", ["no knives"])
    script = [[call("order", what="tea")]]
    agent = shop.agent(script, Guardrails(tool_call=[no_knives], output=[fine]))
    assert (await shop.run(agent, streamed, approve="pause")).stopped_by == "paused"
    shop.session = Session("s2")
    script = [[call("order", what="guns")]]
    agent = shop.agent(script, Guardrails(tool_call=[no_knives]))
    assert (await shop.tripped(agent, streamed, approve="pause")).stage == "tool_call"


async def fine(output: object, context: Context[Any]) -> str:
    """Of a run that pauses there is no output to be looked at."""
    return "never"


async def test_an_answer_from_elsewhere_is_looked_at(streamed: bool) -> None:
    """It comes from outside as any result does, when the run is resumed."""
    shop = Shop()

    @tool(elsewhere=True)
    def ask_people(question: str) -> str:
        """Ask people."""
        raise AssertionError

    shop.tools = [ask_people]
    script = [[call("ask_people", question="Which card?")], "It is ****."]
    agent = shop.agent(script, Guardrails(tool_result=[starred]))
    paused = (await shop.run(agent, streamed, approve="pause", session=None)).paused
    assert paused is not None
    with anyio.fail_after(10):
        result = await agent.resume(paused, {"call_ask_people": Answered(value="4111 or 4112")})
    assert (result.output, results(result.messages)) == ("It is ****.", ["**** or 4112"])

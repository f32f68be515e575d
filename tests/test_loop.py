"""The straight line: prompt, tools, answer."""

import pickle
from dataclasses import replace
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from agentkit import (
    Agent,
    AssistantMessage,
    ConfigError,
    Context,
    ImagePart,
    LimitExceeded,
    Limits,
    ModelResponse,
    Session,
    TextPart,
    ToolCall,
    ToolResult,
    Usage,
    UserMessage,
    tool,
)
from agentkit.errors import Refused, RequestRejected, RunTimeout
from agentkit.messages import unanswered
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio

STOCK = {"A-1": 3}


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    return STOCK.get(sku, 0)


async def test_the_model_gets_the_tools_result_and_answers() -> None:
    """The main road: the model asks, the function runs, the model reads the result and answers."""
    model = ScriptedModel([[call("units_left", sku="A-1")], "Three left."])
    result = await Agent(model, instructions="Be brief.", tools=[units_left]).run("Any A-1?")
    assert result.output == "Three left."
    assert result.messages == (
        UserMessage(content="Any A-1?"),
        AssistantMessage(tool_calls=(call("units_left", sku="A-1"),)),
        ToolResult(call_id="call_units_left", name="units_left", content="3"),
        AssistantMessage(text="Three left."),
    )
    assert (result.iterations, result.tool_calls) == (2, 1)
    assert result.usage == Usage(input_tokens=20, output_tokens=10)
    assert model.requests[1].messages == result.messages[:3]
    assert model.requests[0].instructions == "Be brief."


async def test_a_run_goes_on_from_an_earlier_result() -> None:
    """`history=result.messages` continues the conversation."""
    first = await Agent(ScriptedModel(["Hello Ada."])).run("I am Ada.")
    model = ScriptedModel(["Ada."])
    second = await Agent(model).run("Who am I?", history=first.messages)
    assert [m.text for m in model.requests[0].messages if isinstance(m, UserMessage)] == ["I am Ada.", "Who am I?"]
    assert second.messages[:2] == first.messages


@pytest.mark.parametrize("n", [1, 2, 5])
async def test_a_limit_of_n_iterations_makes_exactly_n_model_calls(n: int) -> None:
    """A model that calls tools for ever is stopped; the calls of its last answer are not run, and are closed."""
    ran = []

    @tool
    def again() -> str:
        ran.append(1)
        return "more"

    model = ScriptedModel([[call("again")]] * 100)
    with pytest.raises(LimitExceeded, match=f"limit of {n} iterations") as caught:
        await Agent(model, tools=[again], limits=Limits(iterations=n)).run("go")
    assert len(model.requests) == n
    assert len(ran) == n - 1
    assert (caught.value.which, caught.value.limit) == ("iterations", n)
    assert unanswered(caught.value.history) == ()
    last = caught.value.history[-1]
    assert isinstance(last, ToolResult)
    assert last.is_error
    assert "not run" in last.content
    assert caught.value.usage == Usage(input_tokens=10 * n, output_tokens=5 * n)


async def test_an_answer_at_the_last_iteration_is_a_result() -> None:
    """The limit counts model calls, not answers."""
    model = ScriptedModel([[call("units_left", sku="A-1")], "3"])
    result = await Agent(model, tools=[units_left], limits=Limits(iterations=2)).run("?")
    assert result.output == "3"


async def test_spent_tokens_stop_the_run_before_the_next_model_call() -> None:
    """No model call begins once the tokens are used up."""
    model = ScriptedModel([[call("units_left", sku="A-1")]] * 9)
    with pytest.raises(LimitExceeded) as caught:
        await Agent(model, tools=[units_left], limits=Limits(tokens=45)).run("?")
    assert caught.value.which == "tokens"
    assert len(model.requests) == 2


async def test_where_the_provider_does_not_say_tokens_are_estimated() -> None:
    """An unknown usage is not free: about one token for four characters is counted, and reserved for the next call."""
    silent = ModelResponse(message=AssistantMessage(tool_calls=(call("units_left", sku="A" * 4000),)))
    model = ScriptedModel([silent] * 9)
    with pytest.raises(LimitExceeded) as caught:
        await Agent(model, tools=[units_left], limits=Limits(tokens=1500)).run("?")
    assert caught.value.which == "tokens"
    assert len(model.requests) == 1
    assert caught.value.usage == Usage()


async def test_a_run_that_takes_too_long_is_stopped() -> None:
    """`Limits.seconds` ends the run with RunTimeout, a TimeoutError, and what was interrupted is said."""

    @tool
    async def sleep() -> None:
        await anyio.sleep_forever()

    agent = Agent(ScriptedModel([[call("sleep")]]), tools=[sleep], limits=Limits(seconds=0.01))
    with pytest.raises(TimeoutError) as caught:
        await agent.run("go")
    assert isinstance(caught.value, RunTimeout)
    assert caught.value.which == "seconds"
    last = caught.value.history[-1]
    assert isinstance(last, ToolResult)
    assert "interrupted" in last.content


async def test_a_tool_limit_refuses_the_rest_and_the_run_can_still_answer() -> None:
    """A batch of six under a limit of three runs exactly the first three."""
    ran = []

    @tool
    def step(n: int) -> int:
        ran.append(n)
        return n

    model = ScriptedModel([[call("step", n=n) for n in range(6)], "done"])
    result = await Agent(model, tools=[step], limits=Limits(tool_calls=3)).run("go")
    assert sorted(ran) == [0, 1, 2]
    assert result.output == "done"
    results = [m for m in result.messages if isinstance(m, ToolResult)]
    assert [m.is_error for m in results] == [False] * 3 + [True] * 3
    assert "at most 3 tools" in results[3].content
    assert result.tool_calls == 3


async def test_a_model_error_leaves_the_history_of_complete_steps() -> None:
    """What the caller gets with the error can be sent to a provider as it is."""
    model = ScriptedModel([[call("units_left", sku="A-1")], RequestRejected("no")])
    with pytest.raises(RequestRejected) as caught:
        await Agent(model, tools=[units_left]).run("?")
    assert [m.role for m in caught.value.history] == ["user", "assistant", "tool"]
    assert caught.value.run_id


async def test_a_history_that_ends_in_unanswered_calls_is_taken_up_first() -> None:
    """A paused run: its calls are run before the model is asked, and then the new prompt is added."""
    asked = AssistantMessage(tool_calls=(call("units_left", sku="A-1"),))
    model = ScriptedModel(["Three."])
    result = await Agent(model, tools=[units_left]).run("Well?", history=[UserMessage(content="Any A-1?"), asked])
    assert [m.role for m in result.messages] == ["user", "assistant", "tool", "user", "assistant"]
    assert result.messages[2] == ToolResult(call_id="call_units_left", name="units_left", content="3")


async def test_without_a_prompt_the_run_goes_on_with_the_history() -> None:
    """`run(None, history=...)` adds nothing."""
    model = ScriptedModel(["Hi."])
    result = await Agent(model).run(None, history=[UserMessage(content="Hello")])
    assert [m.role for m in result.messages] == ["user", "assistant"]


async def test_an_empty_answer_is_asked_again() -> None:
    """The output of a run is never an empty text."""
    result = await Agent(ScriptedModel(["", "Here I am."])).run("?")
    assert result.output == "Here I am."
    assert result.iterations == 2


async def test_every_effect_is_a_drawn_step() -> None:
    """Model calls, tool calls and writes go through `steps`, drawn in program order; replayed, nothing runs again."""

    class Recorder:
        def __init__(self, recorded: dict[int, Any]) -> None:
            self.recorded, self.names = recorded, list[str]()

        def reserve(self, name: str, kind: type) -> Any:
            number = len(self.names)
            self.names.append(name)

            async def run(work: Any) -> Any:
                if number not in self.recorded:
                    self.recorded[number] = await work()
                assert isinstance(self.recorded[number], kind)
                return self.recorded[number]

            return run

    script = [[call("units_left", sku="A-1"), call("units_left", sku="B-2")], "Three."]
    first, log = ScriptedModel(script), dict[int, Any]()
    steps = Recorder(log)
    result = await Agent(first, tools=[units_left]).run("?", steps=steps)
    assert steps.names == ["model", "tool:units_left", "tool:units_left", "model"]
    again = ScriptedModel([])
    replayed = await Agent(again, tools=[units_left]).run("?", steps=Recorder(log))
    assert replayed == replace(result, run_id=replayed.run_id)
    assert again.requests == []


async def test_what_a_step_returns_survives_json() -> None:
    """An engine may keep each step in a database, and the run is the same: results are JSON that round-trips."""

    class ThroughJson:
        def reserve(self, name: str, kind: type) -> Any:
            async def run(work: Any) -> Any:
                value, adapter = await work(), TypeAdapter(kind)
                again = adapter.validate_json(adapter.dump_json(value))
                assert again == value
                return again

            return run

    def agent() -> Agent:
        odd = AssistantMessage(
            text="é\u2028", tool_calls=(call("units_left", sku="A-1"),), state={"id": 1, "x": [None]}
        )
        return Agent(ScriptedModel([odd, [call("nothing")], "Three."]), tools=[units_left])

    plain = await agent().run("?", session=Session("a"))
    kept = await agent().run("?", session=Session("a"), steps=ThroughJson())
    assert kept == replace(plain, run_id=kept.run_id)


async def test_one_agent_serves_many_runs_at_once() -> None:
    """An agent holds no state of a run: 50 at once do not mix."""

    @tool
    async def echo(ctx: Context[int]) -> int:
        await anyio.lowlevel.checkpoint()
        return ctx.deps

    def answer(request: Any) -> Any:
        last = request.messages[-1]
        return last.content if isinstance(last, ToolResult) else [call("echo")]

    agent = Agent(ScriptedModel([answer] * 100), tools=[echo])
    outputs: dict[int, str] = {}

    async def one(n: int) -> None:
        outputs[n] = (await agent.run("?", deps=n)).output

    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(one, n)
    assert outputs == {n: str(n) for n in range(50)}


async def test_run_sync_inside_an_event_loop_says_what_to_do() -> None:
    """The mistake is named, with its mend."""
    with pytest.raises(ConfigError, match=r"await agent\.run"):
        Agent(ScriptedModel(["x"])).run_sync("?")


def test_run_sync_runs_to_the_end() -> None:
    """Scripts need no event loop of their own."""
    assert Agent(ScriptedModel(["hello"])).run_sync("?").output == "hello"


@pytest.mark.parametrize(
    "bad",
    [
        {"iterations": 0},
        {"iterations": None},
        {"tokens": -1},
        {"seconds": "1"},
        {"seconds": float("nan")},
        {"tool_calls": False},
        {"tool_concurrency": 1.5},
        {"result_chars": None},
    ],
)
def test_a_limit_that_is_none_is_refused_by_name(bad: dict[str, Any]) -> None:
    """Bad limits are refused when they are written, not when they bite."""
    with pytest.raises(ConfigError, match=next(iter(bad))):
        Limits(**bad)


async def test_tool_calls_with_text_keep_both() -> None:
    """What the model says beside its calls stays in the history."""
    both = AssistantMessage(text="Let me look.", tool_calls=(call("units_left", sku="A-1"),))
    result = await Agent(ScriptedModel([both, "3"]), tools=[units_left]).run("?")
    assert result.messages[1] == both


def test_calls_of_one_name_in_a_script_get_ids_of_their_own() -> None:
    """A script is as valid as a real model's answer."""
    model = ScriptedModel([[call("f", n=1), call("f", n=2)]])
    response = anyio.run(model.generate, __import__("agentkit").ModelRequest(messages=()))
    assert [c.id for c in response.message.tool_calls] == ["call_f", "call_f_2"]
    assert response.message.tool_calls[1] == ToolCall(id="call_f_2", name="f", arguments='{"n":2}')


@pytest.mark.parametrize(
    ("prompt", "content"),
    [
        ("a\ud800", "a\ufffd"),
        (["look", ImagePart(url="data:,")], (TextPart(text="look"), ImagePart(url="data:,"))),
        ([TextPart(text="a\ud800")], (TextPart(text="a\ufffd"),)),
        (UserMessage(content="a\x00"), "a\u2400"),
    ],
)
async def test_a_prompt_is_text_or_parts_and_clean(prompt: Any, content: Any) -> None:
    """What no provider takes does not get into the history."""
    result = await Agent(ScriptedModel(["x"]), instructions="b\ud800").run(prompt)
    assert result.messages[0] == UserMessage(content=content)


@pytest.mark.parametrize("prompt", [b"x", 3, [3], {"a": 1}, [b"x"]])
async def test_a_prompt_that_is_none_is_named(prompt: Any) -> None:
    """With what it can be."""
    with pytest.raises(ConfigError, match="it can be text"):
        await Agent(ScriptedModel(["x"])).run(prompt)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"model": None}, 'write "wire:model"'),
        ({"limits": {"iterations": 3}}, r"write limits=Limits\(...\)"),
        ({"settings": {"temperature": 0}}, r"write settings=ModelSettings\(...\)"),
        ({"tools": units_left}, "write a list of functions"),
        ({"tools": "clock"}, r"load_tools\('clock'\)"),
    ],
)
def test_an_agent_that_is_wrong_is_refused_when_it_is_made(wrong: dict[str, Any], says: str) -> None:
    """Not on the first run, and with what to write instead."""
    with pytest.raises(ConfigError, match=says):
        Agent(**{"model": "chat:m", **wrong})


async def test_a_run_that_is_begun_wrong_says_what_to_write() -> None:
    """A session's id is no session, and a text no history."""
    agent: Any = Agent(ScriptedModel(["x"]))
    with pytest.raises(ConfigError, match="write session=Session"):
        await agent.run("?", session="alice")
    with pytest.raises(ConfigError, match="give messages"):
        await agent.run("?", history="alice")


@pytest.mark.parametrize("nonsense", [None, "text", AssistantMessage(text="x")])
async def test_a_backend_that_answers_nonsense_is_named(nonsense: Any) -> None:
    """The natural slip: a message instead of a response."""

    class Mine:
        info = ScriptedModel([]).info

        async def generate(self, request: Any, on_delta: Any = None) -> Any:
            return nonsense

    with pytest.raises(ConfigError, match="gives a ModelResponse"):
        await Agent(Mine()).run("?")


@pytest.mark.parametrize("error", [LimitExceeded("iterations", 3), RunTimeout("seconds", 1.5), Refused("no")])
def test_errors_survive_pickling(error: Any) -> None:
    """They cross process pools and task queues."""
    error.run_id = "r"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)

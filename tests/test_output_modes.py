"""The three ways to a structured answer, what they refuse, and what streams of it."""

import json
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import BaseModel, SecretStr, field_validator
from typing_extensions import TypedDict

from agentkit import Agent, Limits, OutputError, tool
from agentkit.errors import ConfigError, Refused, Truncated
from agentkit.events import PartialOutput
from agentkit.messages import AssistantMessage, ToolCall, ToolResult
from agentkit.models.base import Delta, OutputFormat, OutputMode, Retrying, TextDelta, ToolCallDelta
from agentkit.models.chat import ChatBackend
from agentkit.models.functions import format_strictness, response_format
from agentkit.output import TOOL, OutputType
from agentkit.testing import ChatServer, ScriptedModel, call
from agentkit.testing.reply import Reply

MODES: tuple[OutputMode, ...] = ("native", "tool", "prompted")


class Price(BaseModel):
    ticker: str
    amount: float
    note: str = ""


class Point(TypedDict):
    x: int
    y: int


class Login(BaseModel):
    user: str
    password: SecretStr


class Tree(BaseModel):
    name: str
    left: "Tree | None" = None
    right: "Tree | None" = None


def given(mode: OutputMode, text: str) -> Any:
    """The answer, as a model gives it in a mode."""
    return [ToolCall(id="c1", name=TOOL, arguments=text)] if mode == "tool" else text


def knowing(*modes: OutputMode, script: Any = ()) -> ScriptedModel:
    """A model whose backend can bring it to an answer in these ways only, the best one first."""
    model = ScriptedModel(script)
    model.info = replace(model.info, output_modes=modes)
    return model


@pytest.mark.anyio
async def test_a_model_gets_the_best_way_that_its_backend_knows() -> None:
    """Unless the agent says which; one that the backend does not know is refused before anything is asked."""
    text = '{"ticker":"A","amount":1}'
    for modes in (MODES, MODES[1:], MODES[2:], ("prompted", "tool")):
        model = knowing(*modes, script=[given(modes[0], text), given(modes[-1], text)])
        for mode in (None, modes[-1]):
            assert (await Agent(model, output=Price, output_mode=mode).run("?")).output == Price(ticker="A", amount=1)
        for mode, request in zip((modes[0], modes[-1]), model.requests, strict=True):
            how = (request.output is not None, TOOL in request.tools.names, "JSON Schema" in request.instructions)
            assert how == (mode == "native", mode == "tool", mode == "prompted")
    with pytest.raises(ConfigError, match=r"output_mode='native': .* knows tool, prompted"):
        await Agent(knowing("tool", "prompted"), output=Price, output_mode="native").run("?")


@pytest.mark.anyio
async def test_an_output_type_is_read_once() -> None:
    """When the agent is made: a large one takes a while, and the first run is as quick as the others."""
    read = list[str]()

    class Large(BaseModel):
        n: int

        @classmethod
        def __get_pydantic_json_schema__(cls, *given: Any) -> Any:
            read.append(cls.__name__)
            return given[1](given[0])

    agent = Agent(ScriptedModel(['{"n":1}', '{"n":2}']), output=Large)
    made = len(read)
    for n in (1, 2):
        assert (await agent.run("?")).output == Large(n=n)
    assert 0 < made == len(read)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Price, '{"ticker":"A","amount":1}', Price(ticker="A", amount=1)),
        (Price, '{"ticker":"A","amount":1,"note":null}', Price(ticker="A", amount=1)),
        (Point, '{"x":1,"y":2}', {"x": 1, "y": 2}),
        (list[Point], '{"value":[{"x":1,"y":2}]}', [{"x": 1, "y": 2}]),
        (int | list[int], '{"value":[1]}', [1]),
        (Price | None, '{"value":null}', None),
        (Literal["yes", "no"], '{"value":"no"}', "no"),
        (Tree, '{"name":"a","left":{"name":"b"}}', Tree(name="a", left=Tree(name="b"))),
    ],
    ids=["model", "null for left out", "typed dict", "list", "union", "none", "literal", "recursive"],
)
async def test_each_type_comes_back_in_each_mode(mode: OutputMode, kind: Any, text: str, value: Any) -> None:
    """What the backend can do decides how it is asked, and not what comes out."""
    model = ScriptedModel([given(mode, text)])
    result = await Agent(model, output=kind, output_mode=mode).run("?")
    assert result.output == value
    [request] = model.requests
    assert (request.output is not None) == (mode == "native")
    assert [each.name for each in request.tools] == [TOOL] * (mode == "tool")
    assert ("JSON Schema" in request.instructions) == (mode == "prompted")


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
async def test_what_does_not_fit_is_told_with_path_and_form(mode: OutputMode) -> None:
    """In each mode the model reads what to mend, and mends it."""
    model = ScriptedModel([given(mode, '{"ticker":"A"}'), given(mode, '{"ticker":"A","amount":1}')])
    result = await Agent(model, output=Price, output_mode=mode).run("?")
    assert result.output == Price(ticker="A", amount=1)
    told = model.requests[1].messages[-1]
    assert '- amount: Field required; expected: {"type": "number"}' in str(told.content)  # type: ignore[union-attr]
    assert isinstance(told, ToolResult) == (mode == "tool")


@pytest.mark.anyio
async def test_a_call_beside_the_answer_is_not_run() -> None:
    """The answer ends the run; the history still has a result for each call."""
    ran = []

    @tool
    def effect() -> None:
        ran.append(1)

    model = ScriptedModel([[call("effect"), call(TOOL, ticker="A", amount=1)]])
    result = await Agent(model, tools=[effect], output=Price, output_mode="tool").run("?")
    assert (result.output.ticker, ran) == ("A", [])
    assert [m.call_id for m in result.messages if isinstance(m, ToolResult)] == ["call_effect", "call_final_answer"]


@pytest.mark.anyio
async def test_a_union_of_classes_has_a_tool_for_each() -> None:
    """The model chooses by the tool it calls, and each class is an object of its own."""
    model = ScriptedModel([[call("final_answer_Point", x=1)], [call("final_answer_Point", x=1, y=2)]])
    result = await Agent(model, output=Price | Point, output_mode="tool").run("?")  # type: ignore[arg-type]
    assert result.output == {"x": 1, "y": 2}
    assert [each.name for each in model.requests[0].tools] == ["final_answer_Price", "final_answer_Point"]
    result = await Agent(ScriptedModel(['{"value":{"x":1,"y":2}}']), output=Price | Point).run("?")  # type: ignore[arg-type]
    assert result.output == {"x": 1, "y": 2}


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
async def test_a_union_with_text_may_be_answered_in_words(mode: OutputMode) -> None:
    """`Price | str`: the model may say why there is no price."""
    for script, output in (
        ("There is no such share.", "There is no such share."),
        (given(mode, '{"value":{"ticker":"A","amount":1}}' if mode == "native" else '{"ticker":"A","amount":1}'), None),
    ):
        result: Any = await Agent(ScriptedModel([script]), output=Price | str, output_mode=mode).run("?")
        assert result.output == (output or Price(ticker="A", amount=1))


@pytest.mark.parametrize(
    "text",
    [
        '{"x":1,"x":2,"y":3}',
        '{"x":NaN,"y":1}',
        '{"x":1e999,"y":1}',
        '{"x":1,"y":' + "[" * 100_000,
        '{"x":1,"y":' + "9" * 5000 + "}",
        '{"x":1,"y":2} {"x":3,"y":4}',
        '{"x":1,"y":',
        '"\ud800"',
        "```json\n```",
    ],
    ids=["key twice", "NaN", "beyond floats", "deep", "long number", "two", "cut", "surrogate", "empty fence"],
)
@pytest.mark.parametrize("mode", MODES)
def test_an_answer_that_readers_would_read_differently_is_refused(mode: OutputMode, text: str) -> None:
    """The rules of tool arguments hold for answers too."""
    message = AssistantMessage(
        text="" if mode == "tool" else text,
        tool_calls=(ToolCall(id="c", name=TOOL, arguments=text),) if mode == "tool" else (),
    )
    with pytest.raises(OutputError) as caught:
        OutputType(Point, mode).read(message)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        'Here it is:\n```json\n{"x":1,"y":2}\n```\nAnything else?',
        '```\n{"x":1,"y":2}\n```',
        'The point: {"x":1,"y":2}. Good?',
    ],
)
def test_words_and_a_fence_around_the_json_are_taken_away(text: str) -> None:
    """Models that are only told write so."""
    assert OutputType(Point, "prompted").parse(text) == {"x": 1, "y": 2}


@pytest.mark.parametrize("text", ['{"user":1,"password":["hunter2-hunter2"]}', '{"password":"hunter2-hunter2"}'])
def test_a_secret_is_in_no_error(text: str) -> None:
    """Neither in its words nor in what caused it."""
    with pytest.raises(OutputError) as caught:
        OutputType(Login).parse(text)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in repr(error)
        error = error.__cause__ or error.__context__


def test_the_form_is_strict_where_that_means_the_same() -> None:
    """Otherwise the schema goes as it is, and one can ask why."""
    sent = response_format(OutputType(Price).format)["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["required"] == ["ticker", "amount", "note"]
    loose = OutputType(dict[str, int]).format
    assert isinstance(loose, OutputFormat)
    assert "strict" not in response_format(loose)["json_schema"]
    assert "keys are not known beforehand" in str(format_strictness(loose))


def streamed(mode: OutputMode, text: str, size: int = 1) -> list[Any]:
    """What a reader tells of an answer that comes in pieces."""
    reader = OutputType(list[int], mode).reader()
    assert reader is not None
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    deltas: list[Delta] = [
        ToolCallDelta(index=0, name=TOOL, arguments=each) if mode == "tool" else TextDelta(text=each) for each in pieces
    ]
    return [told.value for told in map(reader, deltas) if told]


@pytest.mark.parametrize("mode", MODES)
def test_the_answer_is_seen_while_it_grows(mode: OutputMode) -> None:
    """Each state is told once, as JSON values."""
    assert streamed(mode, '{"value":[1,2,3]}') == [[], [1], [1, 2], [1, 2, 3]]


def test_an_answer_in_a_fence_is_seen_while_it_grows() -> None:
    """Words before it, and what follows the fence, do not matter."""
    told = streamed("prompted", 'Here:\n```json\n{"value":[1,2]}\n```\nMore {words}.')
    assert told == [[], [1], [1, 2]]


def test_a_long_answer_is_read_again_only_when_it_has_grown() -> None:
    """A hundred thousand pieces take some hundred readings."""
    text = json.dumps({"value": list(range(50_000))})
    told = streamed("native", text, size=3)
    assert 100 < len(told) < 500
    assert len(told[-1]) > 45_000


def test_what_was_written_before_a_retry_is_forgotten() -> None:
    """The next attempt begins anew."""
    reader = OutputType(Point).reader()
    assert reader is not None
    reader(TextDelta(text='{"x":1,'))
    reader(Retrying(error="ServerFailed", attempt=1, seconds=0))
    assert reader(TextDelta(text='{"x":2,"y":3}')) == PartialOutput(value={"x": 2, "y": 3})


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
async def test_a_watched_run_tells_what_the_output_holds_so_far(mode: OutputMode) -> None:
    """The events come between the pieces; the last one holds all."""
    model = ScriptedModel([given(mode, '{"ticker": "A", "amount": 1, "note": "cheap today"}')])
    async with Agent(model, output=Price, output_mode=mode).stream("?") as run:
        told = [event.value async for event in run if isinstance(event, PartialOutput)]
    assert told[-1] == {"ticker": "A", "amount": 1, "note": "cheap today"}
    assert run.result.output.note == "cheap today"


@pytest.mark.anyio
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("watched", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("how", [Refused, Truncated])
async def test_a_refusal_and_a_cut_are_errors_of_their_own(mode: OutputMode, watched: bool, how: type) -> None:
    """Neither is taken for an answer that does not fit. A call that was cut is asked for again once."""
    says = AssistantMessage(refusal="I will not.") if how is Refused else given(mode, '{"ticker":"A","am')
    reply = Reply(message=says, finish_reason="stop" if how is Refused else "length")
    async with ChatServer([reply, reply]) as server:
        backend = ChatBackend("m", base_url=server.base_url, api_key="k")
        agent = Agent(backend, output=Price, output_mode=mode, limits=Limits(iterations=3))
        with pytest.raises(how):
            if watched:
                async with agent.stream("?") as run:
                    await run.finish()
            else:
                await agent.run("?")


class Pin(BaseModel):
    pin: SecretStr

    @field_validator("pin")
    @classmethod
    def is_digits(cls, pin: SecretStr) -> SecretStr:
        raise ValueError(f"{pin.get_secret_value()} is none")


def test_what_a_validator_says_of_a_secret_is_not_told() -> None:
    """Its words may hold the secret."""
    with pytest.raises(OutputError, match="- pin: does not fit") as caught:
        OutputType(Pin).parse('{"pin":"hunter2-hunter2"}')
    assert "hunter2" not in str(caught.value)


def test_json_of_more_than_64_levels_is_refused() -> None:
    """As in a tool's arguments."""
    with pytest.raises(OutputError, match="the answer is too deep"):
        OutputType(dict[str, Any]).parse('{"a":' + "[" * 70 + "]" * 70 + "}")


def test_only_the_first_call_of_the_output_tool_is_read() -> None:
    """It is the answer; another one is not run."""
    reader = OutputType(Point, "tool").reader()
    assert reader is not None
    assert reader(ToolCallDelta(index=0, name=TOOL, arguments='{"x":1')) is not None
    assert reader(ToolCallDelta(index=1, name=TOOL, arguments=',"y":5}')) is None

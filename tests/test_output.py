"""`output=`: the model's text becomes a value of the type, or is asked for again."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from agentkit import Agent, ConfigError, LimitExceeded, Limits, UserMessage
from agentkit.output import OutputType
from agentkit.testing import ScriptedModel


class Price(BaseModel):
    ticker: str
    amount: Annotated[float, Field(gt=0)]


class Node(BaseModel):
    name: str
    children: list["Node"] = []


@dataclass
class Point:
    x: int
    y: int


CASES: list[tuple[Any, str, Any]] = [
    (str, "Hello", "Hello"),
    (Price, '{"ticker":"AAPL","amount":182.5}', Price(ticker="AAPL", amount=182.5)),
    (Point, '{"x":1,"y":2}', Point(1, 2)),
    (Node, '{"name":"a","children":[{"name":"b"}]}', Node(name="a", children=[Node(name="b")])),
    (list[int], '{"value":[1,2]}', [1, 2]),
    (int, '{"value":3}', 3),
    (int, "3", 3),
    (list[Price], '[{"ticker":"A","amount":1}]', [Price(ticker="A", amount=1)]),
    (bool, '{"value":false}', False),
    (Literal["yes", "no"], '{"value":"no"}', "no"),
    (Price | Point, '{"value":{"x":1,"y":2}}', Point(1, 2)),
    (dict[str, int], '{"a":1}', {"a": 1}),
    (Price, '```json\n{"ticker":"AAPL","amount":1}\n```', Price(ticker="AAPL", amount=1)),
]


@pytest.mark.parametrize(("kind", "text", "value"), CASES, ids=[str(case[0]) for case in CASES])
def test_the_text_becomes_a_value(kind: Any, text: str, value: Any) -> None:
    """Any type pydantic knows; one whose JSON is not an object travels as `{"value": ...}`."""
    output = OutputType(kind)
    assert output.parse(text) == value
    assert type(output.parse(text)) is type(value)
    if output.format is not None:
        Draft202012Validator.check_schema(output.format.schema)
        assert output.format.schema["type"] == "object"


@pytest.mark.anyio
async def test_what_does_not_fit_is_told_to_the_model_and_asked_again() -> None:
    """The model reads the path and the problem, and mends it."""
    model = ScriptedModel(['{"ticker":"AAPL","amount":-1}', "not json", '{"ticker":"AAPL","amount":1}'])
    result = await Agent(model, output=Price).run("?")
    assert result.output == Price(ticker="AAPL", amount=1)
    assert result.iterations == 3
    said = [m.text for m in result.messages if isinstance(m, UserMessage)]
    assert "- amount: Input should be greater than 0" in said[1]
    assert "the answer is not valid JSON" in said[2]
    assert model.requests[0].output is not None


@pytest.mark.anyio
async def test_a_model_that_never_fits_runs_into_the_limit() -> None:
    """Asking again is a model call like any other."""
    model = ScriptedModel(["no"] * 9)
    with pytest.raises(LimitExceeded):
        await Agent(model, output=Price, limits=Limits(iterations=3)).run("?")
    assert len(model.requests) == 3


def test_a_type_without_json_is_refused_when_the_agent_is_made() -> None:
    """Not on the first run."""

    class Socket: ...

    with pytest.raises(ConfigError, match="Socket"):
        Agent(ScriptedModel([]), output=Socket)


def test_the_models_own_input_is_not_repeated_to_it() -> None:
    """The feedback names path and problem; a long wrong answer is not sent twice."""
    with pytest.raises(Exception, match="amount") as caught:
        OutputType(Price).parse('{"ticker":"AAPL","amount":"SECRET-VALUE"}')
    assert "SECRET-VALUE" not in str(caught.value)

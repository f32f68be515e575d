"""`Secret` in an annotation: what it marks is in no error, and the schema says that it is written and never shown."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from marks import named
from pydantic import BaseModel, Field, SecretStr
from typing_extensions import TypeAliasType, TypedDict

from agentkit import Secret, Tool
from agentkit.errors import InvalidArguments
from agentkit.schema import FunctionSchema, describe

if TYPE_CHECKING:
    from decimal import Decimal


class Login(BaseModel):
    user: str
    pin: Annotated[int, Secret]


@dataclass
class Account:
    number: Annotated[str, Secret()]


class Card(TypedDict):
    number: Annotated[str, Secret]


Token = TypeAliasType("Token", Annotated[int, Secret])
HIDDEN = "5550123"


def taking(annotation: Any) -> FunctionSchema:
    def function(secret: Any, other: int = 1) -> None: ...

    function.__annotations__["secret"] = annotation
    return describe(function)


@pytest.mark.parametrize(
    ("annotation", "sent"),
    [
        (Annotated[int, Secret], '"x5550123"'),
        (Annotated[int, Secret()], '"x5550123"'),
        (Annotated[int, Secret] | None, '"x5550123"'),
        (Annotated[int, Field(ge=1), Secret, "The number."], "-5550123"),
        (list[Annotated[int, Secret]], '["x5550123"]'),
        (dict[str, Annotated[int, Secret]], '{"5550123": "x"}'),
        (Token, '"x5550123"'),
        (Login, '{"user": 5550123, "pin": 1}'),
        (Login, '{"user": "a", "pin": "x5550123"}'),
        (list[Login], '[{"user": "a", "pin": "x5550123"}]'),
        (Account, '{"number": 5550123}'),
        (Card, '{"number": 5550123}'),
        ("Annotated[int, Secret]", '"x5550123"'),
        (SecretStr, "5550123"),
    ],
    ids=named,
)
def test_what_is_marked_secret_is_in_no_error(annotation: Any, sent: str) -> None:
    """At any depth, in any kind of record; the other parameters are explained as ever."""
    schema = taking(annotation)
    assert schema.secrets == {"secret"}
    with pytest.raises(InvalidArguments) as caught:
        schema.bind(f'{{"secret": {sent}, "other": "x"}}', None)
    assert HIDDEN not in str(caught.value)
    assert "- secret: does not fit" in str(caught.value)
    assert '- other: Input should be a valid integer, unable to parse string as an integer, got "x"' in str(
        caught.value
    )


def test_the_schema_says_that_it_is_written_and_never_shown() -> None:
    """`writeOnly`, beside all that was said of the type otherwise."""
    properties = taking(Annotated[int, Field(ge=1), Secret, "The number."]).parameters["properties"]
    assert properties["secret"] == {"type": "integer", "minimum": 1, "writeOnly": True, "description": "The number."}
    assert taking(Login).parameters["$defs"]["Login"]["properties"]["pin"] == {"type": "integer", "writeOnly": True}


def test_the_function_gets_what_was_sent() -> None:
    """A mark is no type: an `int` stays an `int`."""
    assert taking(Annotated[int, Secret]).bind('{"secret": 3}', None)[1] == {"secret": 3}


def test_words_about_secrets_are_no_secret() -> None:
    """Only a mark counts, and only for the parameter that has it."""

    def function(a: Annotated[str, 'not "writeOnly": true'], b: Annotated[int, Secret], c: list[str]) -> None: ...

    assert describe(function).secrets == {"b"}


def test_a_secret_default_is_not_told() -> None:
    """But that there is none may be known."""

    def function(a: Annotated[str, Secret] = HIDDEN, b: Annotated[str, Secret] | None = None) -> None: ...

    properties = describe(function).parameters["properties"]
    assert "default" not in properties["a"]
    assert properties["b"]["default"] is None


def plain() -> str:
    return ""


def marked() -> Annotated[str, Secret]:
    return ""


def instance() -> Annotated[str, Secret()]:
    return ""


def inside() -> dict[str, Annotated[str, Secret]] | None:
    return None


def aliased() -> Token:
    return 1


def steps() -> Iterator[Annotated[str, Secret]]:
    yield ""


async def async_steps() -> AsyncIterator[Annotated[str, Secret]]:
    yield ""


def later() -> "Annotated[Decimal, Secret]":
    raise NotImplementedError


def elsewhere() -> "list[Decimal]":
    raise NotImplementedError


def nonsense() -> "int |":  # type: ignore[syntax]  # noqa: F722
    return 1


@pytest.mark.parametrize(
    ("function", "is_secret"),
    [
        (plain, False),
        (marked, True),
        (instance, True),
        (inside, True),
        (aliased, True),
        (steps, True),
        (async_steps, True),
        (later, True),
        (elsewhere, False),
        (nonsense, False),
    ],
)
def test_a_result_is_secret_if_its_annotation_says_so(function: Any, is_secret: bool) -> None:
    """Wherever the mark is; also where the annotation cannot be resolved, which is never an error."""
    assert describe(function).secret_result is is_secret
    assert Tool.of(function).secret_result is is_secret


class Settings(BaseModel):
    key: Annotated[str, Secret] = Field("TOPSECRET", examples=["TOPSECRET"])
    other: int = 3


class Outer(BaseModel):
    settings: Settings = Settings()


def test_a_secret_in_the_code_is_in_no_schema() -> None:
    """The default of a secret field is not shown, nor that of a class that has one; other defaults are."""

    def connect(settings: Settings, outer: Outer, name: str = "db") -> None:
        """Connect."""

    shown = json.dumps(Tool.of(connect).parameters)
    assert "TOPSECRET" not in shown
    assert '"default": 3' in shown
    assert '"default": "db"' in shown

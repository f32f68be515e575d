"""What a tool returned -> the text that the model reads."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import threading
import uuid
from typing import Any

import pydantic
import pytest

from agentkit import ToolFailed
from agentkit.results import to_content


class Model(pydantic.BaseModel):
    at: dt.datetime
    tags: set[str]


@dataclasses.dataclass
class Data:
    n: int


class Colour(enum.Enum):
    RED = "red"


class Speaks:
    def __str__(self) -> str:
        return "about 3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        ({"a": [1, 2.5]}, '{"a":[1,2.5]}'),
        (Model(at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC), tags={"x"}), '{"at":"2026-01-02T00:00:00Z","tags":["x"]}'),
        ([Data(n=1)], '[{"n":1}]'),
        (decimal.Decimal("1.10"), '"1.10"'),
        (float("nan"), "null"),
        ((1, {2}), "[1,[2]]"),
        (b"\x00\xff", '"AP8="'),
        (Colour.RED, '"red"'),
        (pathlib.PurePosixPath("/a"), '"/a"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ({"e": ValueError("bad")}, '{"e":"ValueError: bad"}'),
        ([Speaks()], '["about 3"]'),
        ("a\x00b\ud800", "a\u2400b\ufffd"),
    ],
)
def test_values_become_text_a_model_can_read(value: Any, text: str) -> None:
    """Text as it is, data as JSON, what has words of its own by them."""
    assert to_content(value, limit=1000).text == text


def deep(n: int) -> Any:
    value: Any = []
    for _ in range(n):
        value = [value]
    return value


def cycle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), [lambda: 1], {"x": threading.Lock()}, cycle(), deep(100_000), ["\ud800"]])
def test_what_has_no_json_form_is_an_error_that_names_it(value: Any) -> None:
    """Told to the model as a failed call; never `<object at 0x...>`, never the end of the run."""
    with pytest.raises(ToolFailed, match=r"the result") as caught:
        to_content(value, limit=1000)
    assert " at 0x" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_long_text_keeps_head_and_tail() -> None:
    """The cut says how much is gone."""
    cut = to_content("abcdefghij", limit=4).text
    assert cut == "ab\n… 6 characters omitted …\nij"
    assert json.loads(to_content(["x"], limit=5).text) == ["x"]

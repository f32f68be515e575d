"""Functions that nobody wrote to be tools: each becomes a right schema, or an error that names the parameter."""

import calendar
import inspect
import json
import shutil
import statistics
import textwrap
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agentkit.errors import ToolDefinitionError
from agentkit.schema import describe

FUNCTIONS = [
    pytest.param(function, id=f"{module.__name__}.{name}")
    for module in (statistics, shutil, textwrap, calendar)
    for name in sorted(module.__all__)
    if inspect.isroutine(function := getattr(module, name))
]


def _silently(function: Callable[..., Any]) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* has no annotation|.* is in the docstring", category=UserWarning)
        return describe(function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_of_the_standard_library_is_described_or_refused(function: Callable[..., Any]) -> None:
    """The schema has the function's parameters, those without a default required; a refusal says whose fault it is."""
    signature = inspect.signature(function).parameters
    try:
        schema = _silently(function)
    except ToolDefinitionError as error:
        culprits = [name for name in signature if f"parameter {name!r}: " in str(error)]
        assert len(culprits) == 1
        assert signature[culprits[0]].kind is inspect.Parameter.VAR_KEYWORD
        return
    Draft202012Validator.check_schema(schema.parameters)
    json.dumps(schema.parameters, allow_nan=False)
    assert list(schema.parameters["properties"]) == list(signature)
    assert schema.parameters["required"] == [
        name for name, p in signature.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    ]


@pytest.mark.parametrize(
    ("function", "sent", "result"),
    [
        (statistics.mean, {"data": [1, 2, 3]}, 2),
        (statistics.quantiles, {"data": [1, 2, 3, 4], "n": 2}, [2.5]),
        (textwrap.shorten, None, None),
        (textwrap.indent, {"text": "a\nb", "prefix": "> "}, "> a\n> b"),
        (calendar.isleap, {"year": 2024}, True),
        (calendar.monthrange, {"year": 2026, "month": 2}, (6, 28)),
        (shutil.which, {"cmd": "no-such-command-anywhere"}, None),
    ],
    ids=str,
)
def test_a_function_of_the_standard_library_can_be_called(function: Any, sent: Any, result: Any) -> None:
    """With arguments in JSON, by name; what takes `**options` is refused, and says so."""
    if sent is None:
        with pytest.raises(ToolDefinitionError, match=r"parameter 'kwargs': .*; write the parameters out"):
            _silently(function)
        return
    args, kwargs = _silently(function).bind(json.dumps(sent), None)
    assert function(*args, **kwargs) == result

"""docs/tools.md lists every annotation and docstring with what it becomes: each row is run here."""

import ast
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agentkit.errors import ToolDefinitionError
from agentkit.schema import FunctionSchema, describe

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")
CONTEXT = "the context"


def rows(heading: str, header: str) -> list[Any]:
    """The rows of all tables below a heading that have this header, cell by cell, without backticks."""
    below = re.split(r"\n## ", PAGE.partition(f"\n## {heading}\n")[2])[0]
    tables = re.findall(r"(?:^\|.*\n)+", below, re.MULTILINE)
    found = [line for table in tables if table.startswith(header) for line in table.splitlines()[2:]]
    return [pytest.param(*_cells(line), id=_cells(line)[0]) for line in found]


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line)[1:-1]
    return [cell.strip().removeprefix("`").removesuffix("`").replace("\\|", "|") for cell in cells]


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    """What the page has defined where its tables stand, in a module that pydantic can look into."""
    module = ModuleType("page")
    sys.modules["page"] = module
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for mark in ("class Size(", "class Database"):
        block = next(block for block in blocks if mark in block)
        exec(block.partition("\nfor function in")[0], vars(module))
    yield vars(module)
    del sys.modules["page"]


def taking(annotation: str, names: dict[str, Any]) -> FunctionSchema:
    exec("def function(x): return x", names)
    function = names["function"]
    function.__annotations__["x"] = eval(annotation, names)
    return describe(function)


ANNOTATIONS = rows("What an annotation becomes", "| annotation | its JSON Schema |")
PARAMETERS = rows("What an annotation becomes", "| parameters | their JSON Schema |")
DOCSTRINGS = rows("Docstrings", "| a docstring |")
REFUSED = rows("What is refused, and where", "| annotation | is | the error says |")


def test_the_tables_are_there() -> None:
    """A slip in the Markdown does not take rows out of the tests."""
    below = PAGE.partition("\n## What an annotation becomes\n")[2].partition("\n## Sync and async\n")[0]
    headers = len(re.findall(r"^\|[-|]+\|$", below, re.MULTILINE))
    assert len(ANNOTATIONS) > 90
    assert (
        sum(map(len, (ANNOTATIONS, PARAMETERS, DOCSTRINGS, REFUSED)))
        == len(re.findall(r"^\|", below, re.MULTILINE)) - 2 * headers
    )


@pytest.mark.parametrize(("annotation", "schema", "sent", "got"), ANNOTATIONS)
def test_an_annotation_becomes_what_the_table_says(
    annotation: str, schema: str, sent: str, got: str, names: dict[str, Any]
) -> None:
    """The schema that the model is told, and what the function gets of what the model sends."""
    described = taking(annotation, names)
    assert described.parameters["properties"]["x"] == json.loads(schema)
    Draft202012Validator(dict(described.parameters)).validate({"x": json.loads(sent)})
    _, kwargs = described.bind(f'{{"x": {sent}}}', None)
    assert repr(kwargs["x"]) == got


@pytest.mark.parametrize(("parameters", "schema", "required", "sent", "got"), PARAMETERS)
def test_parameters_become_what_the_table_says(
    parameters: str, schema: str, required: str, sent: str, got: str, names: dict[str, Any]
) -> None:
    """Every kind of parameter, with and without a default."""
    here = dict(names)
    exec(f"def function({parameters}): return locals()", here)
    described = describe(here["function"])
    assert described.parameters["properties"] == json.loads(schema)
    assert described.parameters["required"] == json.loads(required)
    args, kwargs = described.bind(sent, CONTEXT)
    assert repr(here["function"](*args, **kwargs)) == got


@pytest.mark.parametrize(("_style", "docstring", "description", "parameters"), DOCSTRINGS)
def test_a_docstring_becomes_what_the_table_says(
    _style: str, docstring: str, description: str, parameters: str
) -> None:
    """What the model is told of the function, and of its parameters."""

    def count(sku: str, place: str = "north") -> int:
        return 3

    count.__doc__ = ast.literal_eval(docstring)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        described = describe(count)
    properties = described.parameters["properties"]
    assert described.description == ast.literal_eval(description)
    assert {name: each["description"] for name, each in properties.items() if "description" in each} == json.loads(
        parameters
    )


@pytest.mark.parametrize(("annotation", "_what", "said"), REFUSED)
def test_what_the_table_says_is_refused_is_refused(
    annotation: str, _what: str, said: str, names: dict[str, Any]
) -> None:
    """With these words, the parameter, and the way out."""
    with pytest.raises(ToolDefinitionError) as caught:
        taking(annotation, names)
    why, _, way_out = str(caught.value).partition("; ")
    assert why == f"tool 'function', parameter 'x': {said.replace('__main__', 'page')}"
    assert way_out

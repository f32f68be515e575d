"""Functions of ten packages that nobody wrote to be tools, and what becomes of each.

    python tests/tools/known_packages.py

writes docs/packages.md and, for the test that compares, known_packages.json.
"""

import inspect
import json
import platform
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentkit import Tool, ToolDefinitionError

PACKAGES = (
    *("statistics", "shutil", "textwrap", "calendar", "math"),
    *("networkx", "pendulum", "httpx2", "anyio", "humanize"),
)
PAGE = Path(__file__).parents[2] / "docs" / "packages.md"
DATA = Path(__file__).with_suffix(".json")

TOOL = "tool"
REFUSED = {
    "unknown names": "a model cannot know which names",
    "a type without JSON": "cannot be an argument: ",
    "a missing name": r"its annotation .* needs ",
    "a builtin": r"a builtin does not say|its parameters are unknown \(no signature found for builtin",
    "a context manager": "it gives a context manager",
}
"""Why a function is no tool -> how the error says so."""

TELLING = (
    *("statistics.mean", "calendar.monthrange", "pendulum.duration", "anyio.getaddrinfo", "humanize.naturalsize"),
    *("textwrap.shorten", "networkx.shortest_path", "pendulum.now", "httpx2.get", "math.sqrt", "anyio.fail_after"),
)


def functions(package: str) -> dict[str, Callable[..., Any]]:
    """The public functions of a package: what `__all__` holds, or what is written in it."""
    module = import_module(package)
    names = getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]
    found = {name: getattr(module, name) for name in sorted(names)}
    return {name: each for name, each in found.items() if _is_function(each) and _is_of(each, package)}


def _is_function(value: Any) -> bool:
    return inspect.isroutine(value) or (callable(value) and hasattr(value, "__wrapped__"))


def _is_of(function: Any, package: str) -> bool:
    return package in sys.stdlib_module_names or function.__module__.partition(".")[0] == package


def version_of(package: str) -> str:
    """The version of a package; of one of the standard library, Python's."""
    if package in sys.stdlib_module_names:
        return ".".join(platform.python_version_tuple()[:2])
    return version(package)


def tool_of(function: Callable[..., Any]) -> Tool:
    """The tool, without the warnings that its parameters have no annotations.

    Raises:
        ToolDefinitionError: it cannot be one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* has no annotation|.* is in the docstring", category=UserWarning)
        return Tool.of(function)


def fate(function: Callable[..., Any]) -> str:
    """`TOOL`, or one of `REFUSED`."""
    try:
        tool_of(function)
    except ToolDefinitionError as error:
        [why] = [why for why, words in REFUSED.items() if re.search(words, str(error))]
        return why
    return TOOL


def fates() -> Iterator[tuple[str, dict[str, list[str]]]]:
    """For each package, its functions by what becomes of them."""
    for package in PACKAGES:
        found: dict[str, list[str]] = {each: [] for each in (TOOL, *REFUSED)}
        for name, function in functions(package).items():
            found[fate(function)].append(name)
        yield package, {each: names for each, names in found.items() if names}


def page() -> str:
    """docs/packages.md."""
    rows = [["package", "functions", "tools", *REFUSED], ["---", *["---:"] * (2 + len(REFUSED))]]
    for package, found in fates():
        counts = [len(found.get(each, ())) for each in (TOOL, *REFUSED)]
        rows.append([f"`{package}` {version_of(package)}", str(sum(counts)), *(str(n or "") for n in counts)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return _PAGE.format(table=table, telling="\n".join(map(_told, TELLING)))


def _told(name: str) -> str:
    package, _, function = name.partition(".")
    try:
        tool = tool_of(functions(package)[function])
    except ToolDefinitionError as error:
        told = str(error)
    else:
        properties = {name: _type(each) for name, each in tool.parameters["properties"].items()}
        told = f"a tool; {json.dumps(properties)}"
    return f"| `{name}` | `{told.replace('|', chr(92) + '|')}` |"


def _type(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in schema.items() if key not in ("description", "default")}


def data() -> str:
    """known_packages.json."""
    found = {package: {"version": version_of(package), **by_fate} for package, by_fate in fates()}
    lines = [json.dumps(package) + ": " + _lines(each) for package, each in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _lines(each: dict[str, Any]) -> str:
    return "{\n  " + ",\n  ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in each.items()) + "\n}"


_PAGE = """\
# Functions that nobody wrote to be tools

What becomes of every public function of ten packages, given to `Tool.of` as it is: a tool, or an error that names the \
parameter and the way out.
`python tests/tools/known_packages.py` makes this page, and the tests compare it with what they find.

{table}

The columns after the tools are reasons to refuse a function:

| reason | the function | the way out |
|---|---|---|
| unknown names | takes `**options`, and a model cannot know which | a function around it, with what matters |
| a type without JSON | takes an object, a callback, a connection | bind it with `functools.partial`, or as above |
| a missing name | has an annotation that is imported for type checkers only | a function around it |
| a builtin | is written in C and does not say what it takes | a function around it |
| a context manager | gives something to be entered with `with` | a function around it that does, and returns a value |

A parameter without an annotation takes any JSON, so most functions of the standard library are tools as they are; \
there is a warning for each such parameter.
A tool that takes any JSON is right, and not yet good: the model is not told what to send.

| function | becomes |
|---|---|
{telling}

## A function around it

It says what a model may send, and in which words:

```python
import textwrap

from agentkit import Tool, tool


@tool
def shorten(text: str, width: int = 70) -> str:
    \"\"\"Shorten a text at the end of a word.

    Args:
        text: What to shorten.
        width: How many characters may be left.
    \"\"\"
    return textwrap.shorten(text, width)


print(list(Tool.of(shorten).parameters["properties"]))
print(shorten("The quick brown fox jumps over the lazy dog.", width=20))
```

```text
['text', 'width']
The quick [...]
```

Where a single parameter is in the way, `functools.partial(function, parameter=value)` binds it, and the model does \
not see it.
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    DATA.write_text(data(), encoding="utf-8")

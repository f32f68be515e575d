"""Functions that nobody wrote to be tools: each is a right tool, or refused with an error that says what to do."""

import inspect
import json
import re
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from known_packages import DATA, PACKAGES, PAGE, fates, functions, page, tool_of, version_of

from agentkit import Context, Tool, ToolDefinitionError
from agentkit.results import to_content

CONTEXT: Context[None] = Context(deps=None, run_id="r", call_id="c", tool="t")


@pytest.mark.parametrize("package", PACKAGES)
def test_each_function_of_a_package_is_a_right_tool_or_refused(package: str) -> None:
    """Whoever passes a function of somebody else gets all of it, or is told which parameter is at fault."""
    for function in functions(package).values():
        parameters = _signature(function)
        try:
            tool = tool_of(function)
        except ToolDefinitionError as error:
            _check_refusal(function.__name__, str(error), parameters)
        else:
            _check_schema(tool, parameters)
            _check_words(tool, inspect.getdoc(function) or "", parameters)


def _signature(function: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except ValueError:  # a builtin that does not say
        return {}


def _check_refusal(name: str, error: str, parameters: dict[str, inspect.Parameter]) -> None:
    said = re.fullmatch(r"tool '(\w+)'(?:, parameter '(\w+)')?: (.+); (.+)", error)
    assert said, error
    tool, parameter, why, _ = said.groups()
    assert tool == name
    if parameter is None:
        assert re.match("its parameters are unknown|it gives a context manager", why)
        return
    at_fault = parameters[parameter]
    if why.startswith("a model cannot know"):
        assert at_fault.kind is at_fault.VAR_KEYWORD
    elif why.startswith("a builtin"):
        assert at_fault.annotation is at_fault.empty
    else:
        assert str(at_fault.annotation) in why or "cannot be an argument: JSON has no form of" in why


def _check_schema(tool: Tool, parameters: dict[str, inspect.Parameter]) -> None:
    schema = dict(tool.parameters)
    Draft202012Validator.check_schema(schema)
    json.dumps(schema, allow_nan=False)
    assert list(schema["properties"]) == list(parameters)
    assert schema["required"] == [
        name for name, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    ]
    for name, p in parameters.items():
        shown = schema["properties"][name]
        if p.default is None or isinstance(p.default, bool | int | str):
            assert shown["default"] == p.default
        if p.annotation is p.empty and p.kind is not p.VAR_POSITIONAL:
            assert shown.keys() <= {"description", "default"}


def _check_words(tool: Tool, docstring: str, parameters: dict[str, inspect.Parameter]) -> None:
    summary = docstring.strip().split("\n")[0]
    assert tool.description.startswith(summary) or not summary
    for name in parameters:
        words = tool.parameters["properties"][name].get("description", "")
        first = next(_described(name, docstring), "")
        assert words.startswith(first), (tool.name, name)
        assert bool(words) == bool(first), (tool.name, name)


def _described(name: str, docstring: str) -> Iterator[str]:
    """The first line that a docstring has on a parameter, looked for as simply as may be."""
    numpy = rf"^(?:\w+, ?)*\*?{name}(?:, ?\w+)* ?(?::.*)?\n+ +(\S.*)"
    google = rf"^ +\*?{name}(?: \(.*?\))?: *(\S.*)"
    rest = rf"^:param (?:\w+ )?{name}:\s*(\S.*)"
    for section, line in ((r"Parameters\n-+\n", numpy), (r"Args:\n", google), ("", rest)):
        below = re.split(section, docstring, maxsplit=1)[-1] if section and re.search(section, docstring) else ""
        below = re.split(r"\n\n\w[\w ]*\n-+\n|\n\n\w+:\n", below)[0] if section else docstring
        yield from (" ".join(each.split()) for each in re.findall(line, below, re.MULTILINE))


def test_what_becomes_of_each_function_is_written_down() -> None:
    """A change that makes a tool of what was none, or the other way round, is seen; the page says the same."""
    known = json.loads(DATA.read_text(encoding="utf-8"))
    assert list(known) == list(PACKAGES)
    same = [package for package in PACKAGES if known[package].pop("version") == version_of(package)]
    found = dict(fates())
    assert {package: found[package] for package in same} == {package: known[package] for package in same}
    if same != list(PACKAGES):
        pytest.skip(f"not compared, being of another version: {sorted(set(PACKAGES) - set(same))}")
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tests/tools/known_packages.py"


CALLS: dict[str, list[dict[str, Any]]] = {
    "statistics.correlation": [{"x": [1, 2, 3], "y": [2, 4, 7]}],
    "statistics.covariance": [{"x": [1, 2, 3], "y": [2, 4, 7]}],
    "statistics.fmean": [{"data": [1, 2.5]}, {"data": [1, 2], "weights": [3, 1]}],
    "statistics.geometric_mean": [{"data": [54, 24, 36]}],
    "statistics.harmonic_mean": [{"data": [40, 60]}, {"data": [40, 60], "weights": [5, 30]}],
    "statistics.linear_regression": [{"x": [1, 2, 3], "y": [2, 4, 7]}],
    "statistics.mean": [{"data": [1, 2, 3, 4]}, {"data": []}],
    "statistics.median": [{"data": [1, 3, 5]}],
    "statistics.median_grouped": [{"data": [1, 2, 2, 3], "interval": 2}],
    "statistics.median_high": [{"data": [1, 3, 5, 7]}],
    "statistics.median_low": [{"data": [1, 3, 5, 7]}],
    "statistics.mode": [{"data": ["red", "blue", "red"]}],
    "statistics.multimode": [{"data": "aabbc"}],
    "statistics.pstdev": [{"data": [1.5, 2.5, 2.5]}, {"data": [1, 2], "mu": 1.5}],
    "statistics.pvariance": [{"data": [0.0, 0.25, 1.25]}],
    "statistics.quantiles": [{"data": [1, 2, 3, 4]}, {"data": [1, 2, 3], "n": 2, "method": "inclusive"}],
    "statistics.stdev": [{"data": [1.5, 2.5, 2.5]}],
    "statistics.variance": [{"data": [2.75, 1.75]}, {"data": [1]}],
    "shutil.get_archive_formats": [{}],
    "shutil.get_unpack_formats": [{}],
    "shutil.get_terminal_size": [{}, {"fallback": [80, 24]}],
    "shutil.which": [{"cmd": "sh"}, {"cmd": "no-such-command-anywhere"}],
    "shutil.copy": [{"src": "/no/such/file", "dst": "/no/such/folder"}],
    "textwrap.dedent": [{"text": "  a\n    b"}],
    "textwrap.indent": [{"text": "a\nb", "prefix": "> "}],
    "calendar.calendar": [{"theyear": 2026}, {"theyear": 2026, "m": 4}],
    "calendar.firstweekday": [{}],
    "calendar.isleap": [{"year": 2024}, {"year": 1900}],
    "calendar.leapdays": [{"y1": 1900, "y2": 2000}],
    "calendar.month": [{"theyear": 2026, "themonth": 2}, {"theyear": 2026, "themonth": 13}],
    "calendar.monthcalendar": [{"year": 2026, "month": 2}],
    "calendar.monthrange": [{"year": 2026, "month": 2}],
    "calendar.timegm": [{"tuple": [2026, 2, 1, 0, 0, 0]}],
    "calendar.weekday": [{"year": 2026, "month": 2, "day": 1}],
    "calendar.weekheader": [{"width": 3}],
    "networkx.global_parameters": [{"b": [6, 3], "c": [1, 2]}],
    "networkx.mixing_dict": [{"xy": [["a", "b"], ["b", "a"]]}, {"xy": [["a", "b"]], "normalized": True}],
    "networkx.to_networkx_graph": [{"data": {"a": ["b", "c"]}}, {"data": [["a", "b"]]}, {"data": 5}],
    "networkx.number_of_nodes": [{"G": "no graph"}],
    "pendulum.date": [{"year": 2026, "month": 2, "day": 1}, {"year": 2026, "month": 2, "day": 30}],
    "pendulum.duration": [{"days": 1.5}, {"weeks": 1, "hours": 3}],
    "pendulum.get_locale": [{}],
    "pendulum.local": [{"year": 2026, "month": 2, "day": 1, "hour": 5}],
    "pendulum.naive": [{"year": 2026, "month": 2, "day": 1, "fold": 0}],
    "pendulum.time": [{"hour": 5}, {"hour": 25}],
    "pendulum.timezone": [{"name": "Europe/Rome"}, {"name": 3600}, {"name": "Nowhere"}],
    "pendulum.timezones": [{}],
    "pendulum.locale": [{"name": "xx"}],
    "anyio.sleep": [{"delay": 0}],
    "anyio.get_all_backends": [{}],
    "anyio.gettempdir": [{}],
    "anyio.gettempdirb": [{}],
    "anyio.getaddrinfo": [{"host": "127.0.0.1", "port": 80}, {"host": "::1", "port": "80", "flags": 4}],
    "humanize.metric": [{"value": 1500, "unit": "V"}, {"value": 2e-7, "unit": "F", "precision": 2}],
    "humanize.naturalsize": [{"value": 3_000_000}, {"value": "3000", "binary": True}, {"value": 1e6, "format": "%.3f"}],
    "humanize.decimal_separator": [{}],
    "humanize.thousands_separator": [{}],
}  # fmt: skip
"""What is sent to some of those that are tools. httpx2 has one that is, and that would change the whole process."""


@pytest.mark.anyio
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_in_json_returns_what_a_direct_call_returns(name: str) -> None:
    """The same result for the model to read, or the same exception."""
    package, _, function_name = name.partition(".")
    function = functions(package)[function_name]
    for sent in CALLS[name]:
        assert await _outcome(_in_json(function, sent)) == await _outcome(_directly(function, sent))


async def _in_json(function: Any, sent: dict[str, Any]) -> object:
    return await tool_of(function).invoke(json.dumps(sent), CONTEXT)


async def _directly(function: Any, sent: dict[str, Any]) -> object:
    only = [name for name, p in inspect.signature(function).parameters.items() if p.kind is p.POSITIONAL_ONLY]
    named = {name: value for name, value in sent.items() if name not in only}
    value = function(*(sent[name] for name in only), **named)
    if inspect.isgenerator(value):
        return list(value)
    return await value if inspect.isawaitable(value) else value


async def _outcome(call: Awaitable[object]) -> tuple[str, str]:
    try:
        value = await call
        return type(value).__name__, to_content(value, limit=100_000).text
    except Exception as error:
        return type(error).__name__, str(error)


def test_the_sample_of_calls_is_large_enough() -> None:
    """At least sixty, of every package that has something to call."""
    assert sum(map(len, CALLS.values())) >= 60
    assert {name.partition(".")[0] for name in CALLS} == set(PACKAGES) - {"math", "httpx2"}

"""`agentkit tools`: what tools there are, what a model is told about one, and what one does."""

import difflib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from agentkit import ConfigError, Limits, Telemetry, Tool, ToolCall, ToolFailed, ToolRegistry, ToolResult, load_tools
from agentkit.approval import Approval
from agentkit.caller import Caller
from agentkit.events import to_no_one
from agentkit.executor import Executor
from agentkit.limits import Budget
from agentkit.loader import available_tools
from agentkit.steps import Inline

from .failures import OK, told
from .screen import first_line
from .text import safe


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A tool, and what `--tools` and `load_tools` call it."""

    source: str
    tool: Tool


def list_tools(sources: Sequence[str], *, debug: bool) -> int:
    """Print the tools of modules, of all that are installed if none is named; a broken one does not hide the others."""
    code = OK
    for source in sources or available_tools():
        try:
            for found in _load(source):
                print(f"{found.source}: {first_line(found.tool)}")
        except ConfigError as error:
            code = told(error, debug=debug)
    return code


def show_tools(name: str) -> int:
    """Print what a model is told about a tool, or about each tool of a module, as JSON, and where the tool is from."""
    for found in _find(name):
        tool = found.tool
        told_to_models = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        print(json.dumps({"from": found.source, "at": _place(tool), **told_to_models}, indent=2))
    return OK


def call_tool(name: str, words: Sequence[str]) -> int:
    """Call a tool the way a run does, and print its result as a model would read it."""
    found = _find(name)
    if len(found) > 1:
        raise ConfigError(f"{name!r} is {len(found)} tools; name one: {', '.join(each.source for each in found)}")
    tool = found[0].tool
    result = anyio.run(_called, tool, _arguments(tool, words))
    if result.is_error:
        raise ToolFailed(result.content)
    print(safe(result.content))
    return OK


async def _called(tool: Tool, arguments: str) -> ToolResult:
    caller = Caller(
        tools=ToolRegistry([tool]),
        deps=None,
        run_id="agentkit-tools-call",
        agent="",
        budget=Budget(limits=Limits()),
        telemetry=Telemetry(),
        emit=to_no_one,
        approve=_approved,
    )
    [result] = await Executor(tools=caller.tools, caller=caller, steps=Inline()).execute(
        [ToolCall(id="call_1", name=tool.name, arguments=arguments)]
    )
    return result


async def _approved(approval: Approval) -> bool:
    """Whoever writes the call has said yes to it."""
    return True


def _arguments(tool: Tool, words: Sequence[str]) -> str:
    """The JSON of `{...}` as it is, or of `key=value` words."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return words[0]
    given: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} is neither key=value nor a JSON object in quotes")
        if key in given:
            raise ConfigError(f"{key!r} is given twice; a list is written {key}='[...]'")
        given[key] = _value(text, tool.parameters.get("properties", {}).get(key, {}), tool.parameters)
    return json.dumps(given)


def _value(text: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """The text itself where the schema takes text, else the JSON in it if it is JSON."""
    if _takes_text(schema, root):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _takes_text(schema: Mapping[str, Any], root: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        return _takes_text(root.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {}), root)
    if any(_takes_text(one, root) for one in schema.get("anyOf", ())):
        return True
    fixed = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())]
    return schema.get("type") == "string" or any(isinstance(value, str) for value in fixed)


def _find(name: str) -> list[Found]:
    """The tools of a module or file, or the one that is called so in the installed modules."""
    installed = available_tools()
    if ":" in name or "/" in name or name.endswith(".py") or name in installed:
        return _load(name)
    tools = [found for source in installed for found in _load(source)]
    named = [found for found in tools if found.tool.name == name]
    if not named:
        near = difflib.get_close_matches(name, [*(found.tool.name for found in tools), *installed], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`agentkit tools list` shows what there is"
        raise ConfigError(f"there is no tool {name!r}; {hint}")
    return named


def _load(source: str) -> list[Found]:
    module = source if source in available_tools() or source.endswith(".py") else source.rpartition(":")[0]
    functions = load_tools(source)
    return [Found(source=f"{module}:{each.__name__}", tool=Tool.of(each)) for each in functions]


def _place(tool: Tool) -> str:
    """The file and line of a tool's function."""
    function = inspect.unwrap(tool.function)
    try:
        return f"{inspect.getsourcefile(function)}:{inspect.getsourcelines(function)[1]}"
    except (OSError, TypeError):
        return f"{function.__module__}"

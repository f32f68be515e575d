"""`agentkit tools`: what tools there are, what a model is told about one, and what one does."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from agentkit import ConfigError, Limits, Tool, ToolCall, ToolFailed, ToolRegistry, ToolResult
from agentkit.approval import Approval
from agentkit.budget import Budget
from agentkit.caller import Caller
from agentkit.dialects import strict
from agentkit.events import to_no_one
from agentkit.executor import Executor
from agentkit.loader import available_tools
from agentkit.steps import Inline
from agentkit.telemetry.nothing import NOTHING

from .failures import OK, told
from .screen import first_line
from .sources import find, load
from .text import safe


def list_tools(sources: Sequence[str], *, debug: bool) -> int:
    """Print the tools of modules, of all that are installed if none is named; a broken one does not hide the others."""
    code = OK
    for source in sources or available_tools():
        try:
            for found in load(source):
                declared = ", ".join(f"{name}={_said(value)}" for name, value in found.tool.policy.declared.items())
                print(f"{found.source}: {first_line(found.tool)}{declared and f' [{declared}]'}")
        except ConfigError as error:
            code = told(error, debug=debug)
    return code


def show_tools(name: str) -> int:
    """Print what a model is told about a tool, or about each tool of a module, as JSON, and where the tool is from."""
    for found in find(name):
        tool = found.tool
        told_to_models = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        declared = {
            "policy": {
                option: value if _is_json(value) else _said(value) for option, value in tool.policy.declared.items()
            },
            "strict": _strictness(tool),
        }
        print(json.dumps({"from": found.source, "at": _place(tool), **told_to_models, **declared}, indent=2))
    return OK


def call_tool(name: str, words: Sequence[str]) -> int:
    """Call a tool the way a run does, and print its result as a model would read it."""
    found = find(name)
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
        spans=NOTHING,
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


def _said(value: Any) -> str:
    """A declared value; a function by its name."""
    return f"{getattr(value, '__name__', type(value).__name__)}()" if callable(value) else str(value)


def _is_json(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | None)


def _strictness(tool: Tool) -> str:
    """Whether OpenAI's strict mode holds a model to the schema, and if not, why."""
    if tool.policy.strict is False:
        return "no, because it is declared so"
    return str(strict(tool.parameters)).removeprefix("strict: ")


def _place(tool: Tool) -> str:
    """The file and line of a tool's function."""
    function = inspect.unwrap(tool.function)
    try:
        return f"{inspect.getsourcefile(function)}:{inspect.getsourcelines(function)[1]}"
    except (OSError, TypeError):
        return f"{function.__module__}"

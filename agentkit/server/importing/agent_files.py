"""An assistant -> the text of `agent.toml`, and of the Python file with its tools."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .signatures import Signatures

_SEARCH = 'The assistant searched files: put them into a folder here, and add "search" to the tools.'
_CODE = 'The assistant ran Python: the tool "python" does that here, in a sandbox.'
_HEAD = '''"""The functions of {name}: write what they do."""

{imports}from agentkit import ToolFailed, tool
'''
_STUB = """

{decorator}
def {name}({parameters}) -> str:
    {docstring}
    raise ToolFailed("{name} is not written yet")
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentFiles:
    """An agent as files."""

    toml: str
    tools: str | None
    """The Python file, if the assistant had functions."""
    notes: Sequence[str]
    """What is not as it was."""


def agent_files(assistant: Mapping[str, Any], tools_file: str) -> AgentFiles:
    """An assistant as an agent.

    Args:
        assistant: As the API shows it, checked.
        tools_file: What the file of its functions will be called, from the agent file's folder.
    """
    functions = [tool["function"] for tool in assistant["tools"] if tool["type"] == "function"]
    kinds = {tool["type"] for tool in assistant["tools"]}
    notes: list[str] = []
    tools = [f"./{tools_file}"] * bool(functions) + ["python"] * ("code_interpreter" in kinds)
    comments = [_SEARCH] * ("file_search" in kinds) + [_CODE] * ("code_interpreter" in kinds)
    lines = [f'# {assistant["id"]}, as an agent: agentkit run THIS_FILE "..."', ""]
    lines.append(f"model = {toml('chat:' + assistant['model'])}")
    given = [key for key in ("name", "description", "instructions") if assistant[key]]
    lines += [f"{key} = {toml(assistant[key])}" for key in given]
    lines += [f"# {comment}" for comment in comments]
    lines += [f"tools = {toml(tools)}"] * bool(tools)
    lines += list(_settings(assistant, notes))
    written = _functions(assistant, functions, notes) if functions else None
    return AgentFiles(toml="\n".join(lines) + "\n", tools=written, notes=notes + comments)


def _settings(assistant: Mapping[str, Any], notes: list[str]) -> Iterator[str]:
    """What the assistant said of sampling; 1 is what a model does anyway, and some take no other."""
    settings = {name: assistant[name] for name in ("temperature", "top_p") if assistant[name] not in (None, 1)}
    if assistant["reasoning_effort"]:
        settings["reasoning_effort"] = assistant["reasoning_effort"]
    form = assistant["response_format"]
    if isinstance(form, dict) and form["type"] != "text":
        try:
            toml(form)
        except TypeError:
            notes.append("response_format holds null, which TOML has not: give the agent an output type, in Python")
        else:
            settings["extra"] = {"response_format": form}
            notes.append("response_format is sent as it was; in Python, an output type has the answer checked, too")
    if settings:
        yield from ("", "[settings]", *(f"{name} = {toml(value)}" for name, value in settings.items()))


def _functions(assistant: Mapping[str, Any], functions: Sequence[Mapping[str, Any]], notes: list[str]) -> str:
    signatures = Signatures()
    stubs = []
    for function in functions:
        name = signatures.free(function["name"])
        parameters, described = signatures.parameters(name, function.get("parameters") or {})
        decorator = "@tool" if name == function["name"] else f"@tool(name={text(function['name'])})"
        about = " ".join((function.get("description") or function["name"].replace("_", " ")).split())
        docstring = _docstring(about, described)
        stubs.append(_STUB.format(decorator=decorator, name=name, parameters=parameters, docstring=docstring))
    notes += signatures.notes
    named = " ".join(str(assistant["name"] or assistant["id"]).split())
    head = _HEAD.format(name=_escaped(named), imports=signatures.imports())
    return "".join([head, *signatures.classes, *stubs])


def _docstring(about: str, described: Mapping[str, str]) -> str:
    if not described:
        return f'"""{_escaped(about)}"""'
    lines = [f'"""{_escaped(about)}', "", "    Args:"]
    lines += [f"        {name}: {_escaped(' '.join(told.split()))}" for name, told in described.items()]
    return "\n".join([*lines, '    """'])


def _escaped(value: str) -> str:
    """Text within a docstring, which it does not end."""
    quoted = re.sub(r'"(?=""|$)', r'\\"', value.replace("\\", "\\\\"))
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)


def text(value: str) -> str:
    """Text as Python writes it."""
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted if value.isprintable() else repr(value)


def toml(value: Any) -> str:
    """A value as TOML writes it, in one line but for long text.

    Raises:
        TypeError: it holds null, which TOML has not.
    """
    if isinstance(value, str):
        if "\n" in value:
            return '"""\n' + "\n".join(_basic(line) for line in value.split("\n")) + '"""'
        return f'"{_basic(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        pairs = (f'"{_basic(name)}" = {toml(each)}' for name, each in value.items())
        return f"{{ {', '.join(pairs)} }}".replace("{  }", "{}")
    raise TypeError(f"TOML has no {value!r}")


def _basic(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")

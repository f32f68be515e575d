"""Steps as JSON values, for recordings: what went in and what came out, without what is secret."""

import builtins
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from agentkit.errors import ConfigError, said
from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, Usage, UserMessage
from agentkit.models.base import ModelRequest, ModelSettings
from agentkit.registry import ToolRegistry

if TYPE_CHECKING:
    from pydantic import TypeAdapter

HIDDEN = "***"
"""What stands in a recording for something secret."""
_UNPAIRED = re.compile("[\ud800-\udfff]")
"""Halves of characters, which JSON does not take."""
_SHORTEST = 6
"""Characters from which on a secret text is hidden wherever else it appears; shorter ones would be everywhere."""
_PRIVATE_WORDS = ("key", "secret", "password", "passwd", "token", "credential", "authorization")


@dataclass(slots=True)
class Describer:
    """Says in JSON what the steps of one run are given and what they come to; keeps what is secret to itself."""

    _secrets: dict[str, frozenset[str]] = field(default_factory=dict)
    """The secret arguments of tools, by the tools' names."""
    _texts: set[str] = field(default_factory=set)
    """Secret texts that have been seen."""
    _messages: dict[int, tuple[Message, Any]] = field(default_factory=dict)
    """Messages that were described before, by identity."""

    def knows(self, tools: ToolRegistry) -> None:
        """Learn which arguments are secret."""
        for tool in tools:
            self._secrets[tool.name] = tool.arguments.secrets

    def given(self, given: object) -> dict[str, Any]:
        """What goes into a step.

        Raises:
            ConfigError: it has no JSON form.
        """
        match given:
            case ModelRequest():
                return self._request(given)
            case ToolCall():
                return {"call": self.hidden(_brief(dumped(ToolCall, given)))}
            case UserMessage() | AssistantMessage() | ToolResult():
                return {"message": self.message(given)}
            case list() | tuple() if all(isinstance(each, Message) for each in given):
                return {"messages": [self.message(each) for each in given]}
            case None:
                return {}
            case _:
                return {"value": self.hidden(_as_json(given))}

    def result(self, kind: Any, value: object) -> Any:
        """What a step returns.

        Raises:
            ConfigError: it has no JSON form.
        """
        return self.hidden(dumped(kind, value))

    def message(self, message: Message) -> Any:
        """A message as it goes into a step: without what is not set, and the keys of calls, which differ by run."""
        known = self._messages.get(id(message))
        if known is None:
            told = self.hidden(_brief(dumped(type(message), message)))
            known = self._messages[id(message)] = (message, told)
        return known[1]

    def error(self, error: BaseException) -> dict[str, Any]:
        """An exception: enough to raise its like again."""
        kind = type(error)
        described = {
            "class": f"{kind.__module__}:{kind.__qualname__}",
            "fatal": not isinstance(error, Exception),
            "message": said(error),
            "args": [each if _is_plain(each) else str(type(each)) for each in error.args],
            "attributes": {name: each for name, each in vars(error).items() if _is_plain(each)},
        }
        if isinstance(spent := vars(error).get("spent"), Usage):
            described["spent"] = dumped(Usage, spent)
        hidden: dict[str, Any] = self.hidden(described)
        return hidden

    def hidden(self, value: Any) -> Any:
        """A JSON value without what is secret in it."""
        marked = self._marked(value)  # first of all, so that what is found to be secret is hidden before that too
        return self._without(marked)

    def _marked(self, value: Any) -> Any:
        """The value without results and arguments that are declared secret, which are remembered."""
        if isinstance(value, list):
            return [self._marked(each) for each in value]
        if not isinstance(value, dict):
            return value
        if value.get("role") == "tool" and value.get("secret"):
            return self._secret_result(value)
        if self._secrets.get(str(value.get("name"))) and isinstance(value.get("arguments"), str):
            return {**value, "arguments": self._public(value["name"], value["arguments"])}
        return {name: self._marked(each) for name, each in value.items()}

    def _without(self, value: Any) -> Any:
        """The value without secret texts."""
        if isinstance(value, str):
            return self._without_secrets(value)
        if isinstance(value, list):
            return [self._without(each) for each in value]
        return {n: self._without(each) for n, each in value.items()} if isinstance(value, dict) else value

    def _request(self, request: ModelRequest) -> dict[str, Any]:
        self.knows(request.tools)
        return {
            "messages": [self.message(each) for each in request.messages],
            "instructions": self.hidden(request.instructions),
            "tools": json.loads(request.tools.encoded("recording", _tools)),
            "output": None if request.output is None else _as_json(request.output),
            "settings": self.hidden(_settings(request.settings)),
        }

    def _secret_result(self, result: dict[str, Any]) -> dict[str, Any]:
        self._remember([result.get("content"), result.get("full")])
        return {**result, "content": HIDDEN, "parts": [], "full": None}

    def _public(self, tool: str, arguments: str) -> str:
        """The arguments of a call, the secret ones hidden; all of them, where they cannot be told apart."""
        try:
            given = json.loads(arguments)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            return HIDDEN
        secret = self._secrets[tool] & given.keys()
        self._remember([given[name] for name in secret])
        return json.dumps({**given, **dict.fromkeys(secret, HIDDEN)}, ensure_ascii=False)

    def _remember(self, value: Any) -> None:
        if isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                self._remember(each)
        elif value is not None and len(str(value)) >= _SHORTEST:
            self._texts.add(str(value))

    def _without_secrets(self, text: str) -> str:
        for secret in sorted(self._texts, key=len, reverse=True):
            text = text.replace(secret, HIDDEN).replace(json.dumps(secret)[1:-1], HIDDEN)
        return text if text.isascii() else _UNPAIRED.sub("\ufffd", text)


def read(kind: Any, value: Any) -> Any:
    """What a step returned, from its JSON.

    Raises:
        ValueError: it is none of this kind.
    """
    return _adapter(kind).validate_json(json.dumps(value))


def rebuilt(described: Mapping[str, Any]) -> BaseException:
    """An exception like the one that was described: of its class, if the program has that; else of one of its name.

    Nothing is imported for it, and a class that is not Python's own is not called.
    """
    module, _, name = str(described.get("class")).partition(":")
    message, args = str(described.get("message")), list(described.get("args") or ())
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, BaseException):
        try:
            error: BaseException = found(*args) if found.__module__ == builtins.__name__ else _bare(found, args)
            vars(error).update(described.get("attributes") or {})
            if "spent" in described:
                vars(error)["spent"] = read(Usage, described["spent"])
            if said(error) == message:
                return error
        except Exception:
            pass  # its like is made below
    base = BaseException if described.get("fatal") else Exception
    like: Any = type(name.rpartition(".")[2], (base,), {"__module__": module, "__qualname__": name})
    made: BaseException = like(message)
    return made


def _bare(kind: type[BaseException], args: Sequence[Any]) -> BaseException:
    error = kind.__new__(kind)
    error.args = tuple(args)
    return error


def is_set(value: Any) -> bool:
    """Whether a JSON value says something: nothing, false, and what is empty do not."""
    return not (value is None or value is False or value in ("", [], {}))


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str | int | float | bool | None)


def _brief(described: Any) -> Any:
    """A call, or a message, without what is not set: so a field of a newer agentkit makes no difference."""
    if isinstance(described, list):
        return [_brief(each) for each in described]
    if not isinstance(described, dict):
        return described
    is_call = "arguments" in described
    return {
        name: each if name == "state" else _brief(each)
        for name, each in described.items()
        if is_set(each) and not (is_call and name == "key")
    }


def _tools(tools: ToolRegistry) -> bytes:
    told: dict[str, Any] = {
        tool.name: {"description": tool.description, "parameters": tool.parameters} for tool in tools
    }
    return json.dumps(_as_json(told | {each.type: each for each in tools.hosted})).encode()


def _settings(settings: ModelSettings) -> dict[str, Any]:
    """What is set of the settings; of `extra`, not what looks like a key."""
    values = _as_json({each.name: getattr(settings, each.name) for each in fields(settings)})
    told = {name: value for name, value in values.items() if is_set(value)}
    for name, value in (told.get("extra") or {}).items():
        if isinstance(value, str) and any(word in name.lower() for word in _PRIVATE_WORDS):
            told["extra"][name] = HIDDEN
    return told


def _as_json(value: object) -> Any:
    from pydantic_core import to_jsonable_python  # on first use: it costs a good part of `import agentkit`

    return to_jsonable_python(
        value, fallback=lambda each: type(each).__name__, bytes_mode="base64", inf_nan_mode="constants"
    )


def dumped(kind: Any, value: object) -> Any:
    try:
        return _adapter(kind).dump_python(value, mode="json")
    except ValueError as error:
        raise ConfigError(f"what has no JSON form cannot be recorded: {said(error)}") from error


@cache
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter  # on first use: it costs more than the whole of `import agentkit`

    return TypeAdapter(kind)

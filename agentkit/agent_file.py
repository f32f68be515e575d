"""An agent as a file: `agent.toml` -> `Agent`. The file says what it is; only the tools it names are code."""

import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

from .agent import Agent
from .errors import ConfigError
from .limits import Limits
from .loader import load_tools
from .models.base import ModelBackend, ModelSettings

T = TypeVar("T")

_KEYS: dict[str, Any] = {
    "model": str,
    "name": str,
    "description": str,
    "instructions": str,
    "tools": tuple[str, ...],
    "taint": Literal["approve", "allow"],
    "limits": dict[str, Any],
    "settings": dict[str, Any],
}
_WANTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
}


def load_agent(path: str | Path, *, default_model: str | ModelBackend | None = None) -> Agent:
    """The agent that a TOML file describes.

        model = "chat:gpt-5.5"
        name = "clerk"
        instructions = "Answer in one sentence."
        tools = ["clock", "calc:calculate", "./tools/stock.py"]

        [limits]
        iterations = 6

        [settings]
        temperature = 0

    The keys are those of `Agent`, `Limits` and `ModelSettings`; only `model` must be there. Tools are what `load_tools`
    takes, relative paths from the file's folder, and their modules are imported. For no limit of time write
    `seconds = inf`. An `output` type is Python, so an agent that has one is written in Python, or made from this one
    with `dataclasses.replace`.

    Args:
        path: The file.
        default_model: The model, where the file names none.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or has a value of the wrong type, a tool cannot be
            loaded, or there is no model. The message names the file and the key.
    """
    path = Path(path)
    with _naming(path):
        data = _read(path)
        known = _fitted(_KEYS, data, "")
        model = known.pop("model", None) or default_model
        if model is None:
            raise ConfigError("'model' is missing; add a line such as model = \"chat:gpt-5.5\"")
        limits = _fitted(get_type_hints(Limits), known.pop("limits", {}), "limits.")
        settings = _fitted(get_type_hints(ModelSettings), known.pop("settings", {}), "settings.")
        for key, value in settings.items():
            _sendable(value, f"settings.{key}")
        tools = [tool for source in known.pop("tools", ()) for tool in load_tools(source, base=path.parent)]
        return Agent(model, tools=tools, limits=Limits(**limits), settings=ModelSettings(**settings), **known)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"agent file {str(path)!r}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # ValueError: no such path, not UTF-8, not TOML
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"it cannot be read: {why}") from None
    except RecursionError:
        raise ConfigError("it cannot be read: it is nested too deeply") from None


def _fitted(types: Mapping[str, Any], data: Mapping[str, Any], inside: str) -> dict[str, Any]:
    """The values of a table, each of the type its key has."""
    for key in data:
        if key not in types:
            raise ConfigError(f"there is no key {inside + key!r}; {_near(key, types)}")
    return {key: _fit(types[key], value, inside + key) for key, value in data.items()}


def _fit(kind: Any, value: Any, key: str) -> Any:
    from pydantic import TypeAdapter, ValidationError  # on first use: it costs more than all of `import agentkit`

    try:
        return TypeAdapter(kind).validate_python(tuple(value) if isinstance(value, list) else value, strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        item = "".join(f"[{part}]" for part in problem["loc"] if isinstance(part, int))
        wanted = _WANTED.get(problem["type"], problem["msg"].removeprefix("Input should be "))
        got = repr(problem["input"] if item else value)[:60]
        raise ConfigError(f"{key + item!r} must be {wanted}, not {got}") from None


def _sendable(value: Any, key: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ConfigError(f"{key!r} holds a date, inf or nan, which cannot be sent to a model as JSON") from None


def _near(key: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(key, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"

"""`tools.lock.json`: what was agreed on a set of tools, so that what becomes of them can be told."""

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from agentkit.errors import ConfigError
from agentkit.tool import Tool

Lock: TypeAlias = dict[str, Any]
"""What is in a lock file: its version, and for each tool by name its hash and what the hash is of."""

LOCK_FILE = "tools.lock.json"
VERSION = 1
_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that nobody sees, or that change what is seen: a file that people review spells them out."""


def lock(tools: Iterable[Tool]) -> Lock:
    """What is to be agreed on tools, such as a `ToolRegistry`: the same for the same tools, in whatever order.

    A policy's function is kept as its name only, so what changes inside it is not seen.
    """
    return {"version": VERSION, "tools": {tool.name: _locked(tool) for tool in sorted(tools, key=lambda t: t.name)}}


def dump_lock(lock: Lock) -> str:
    """The text of a lock file: a line for each thing, so that a review sees what has changed."""
    text = json.dumps(lock, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return _UNSEEN.sub(_spelt, text)


def save_lock(lock: Lock, path: str | Path = LOCK_FILE) -> None:
    """Write a lock file: it has the whole of it or is as it was.

    Raises:
        ConfigError: it cannot be written.
    """
    place = Path(os.path.realpath(path))
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        try:
            with open(beside, "x", encoding="utf-8", newline="\n") as file:
                file.write(dump_lock(lock))
                file.flush()
                os.fsync(file.fileno())
            if place.exists():
                beside.chmod(place.stat().st_mode & 0o777)
            beside.replace(place)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"the lock file {str(path)!r} cannot be written: {error.strerror}") from error


def load_lock(path: str | Path = LOCK_FILE) -> Lock:
    """Read a lock file.

    Raises:
        ConfigError: there is none, it is damaged, somebody has edited it, or it is of a newer agentkit.
    """
    where, again = f"the lock file {str(path)!r}", "write it anew with `agentkit tools lock`"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{where} is not there; {again}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{where} cannot be read: {why}") from None
    try:
        return _checked(json.loads(text, object_pairs_hook=_once, parse_constant=_no_number))
    except _TooNew as error:
        raise ConfigError(f"{where} {error}") from None
    except (ValueError, RecursionError) as error:
        merged = "it has marks of a merge" if re.search("^(<{7}|>{7}) ", text, re.MULTILINE) else said_of(error)
        raise ConfigError(f"{where} is damaged: {merged}; {again}") from None


class _TooNew(Exception):
    pass


def _checked(found: Any) -> Lock:
    if not isinstance(found, dict) or "version" not in found:
        raise ValueError("it is no lock file")
    version = found["version"]
    if isinstance(version, int) and version > VERSION:
        raise _TooNew(f"is of format {version}, and this agentkit knows formats up to {VERSION}; update agentkit")
    if version != VERSION or isinstance(version, bool) or not isinstance(found.get("tools"), dict):
        raise ValueError("it is no lock file")
    for name, entry in found["tools"].items():
        kinds = {"hash": str, "description": str, "parameters": dict, "policy": dict}
        if not isinstance(entry, dict) or not all(isinstance(entry.get(k), kind) for k, kind in kinds.items()):
            raise ValueError(f"something of {name!r} is missing")
        if entry["hash"] != _hash(entry):
            raise ValueError(f"{name!r} does not fit its hash, so somebody has changed it here")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is there twice")
    return made


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def said_of(error: Exception) -> str:
    """What is wrong with a text, in few words."""
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON (line {error.lineno}: {error.msg})"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _locked(tool: Tool) -> dict[str, Any]:
    policy = {name: _plain(value) for name, value in sorted(tool.policy.declared.items())}
    if tool.secret_result:
        policy["secret_result"] = True
    content = {"description": tool.description, "parameters": _tidy(tool.parameters), "policy": policy}
    return {"hash": _hash(content), **content}


def _hash(content: Mapping[str, Any]) -> str:
    """Of everything but the hash itself, and of the order of parameters, which a model sees, but of no other."""
    parts = [content["description"], _tidy(content["parameters"]), _tidy(content["policy"])]
    return sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A declared value as JSON; a function by its name."""
    if callable(value):
        return {"function": getattr(value, "__qualname__", type(value).__qualname__)}
    return value


def _tidy(value: Any, *, ordered: bool = False) -> Any:
    """A schema with its keywords sorted, and parameters in their order."""
    if isinstance(value, Mapping):
        names = list(value) if ordered else sorted(value)
        return {name: _tidy(value[name], ordered=name == "properties" and not ordered) for name in names}
    if isinstance(value, list | tuple):
        return [_tidy(each) for each in value]
    return value


def _spelt(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]

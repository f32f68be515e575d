"""Reads what servers send: lenient in what is not needed, so a field of the wrong kind is as good as none. Pure."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import count
from typing import Any

from pydantic_core import from_json, to_json

from agentkit.errors import ModelError
from agentkit.messages import Message, ToolCall, call_ids, clean

from .http_errors import bad_response, of_code


def json_object(body: bytes) -> dict[str, Any]:
    """A response body, or the data of an event.

    Raises:
        ModelError: it is not a JSON object, or one that reports an error.
    """
    try:
        data = from_json(body)
    except ValueError:
        raise bad_response("it is not JSON", body) from None
    if not isinstance(data, dict):
        raise bad_response("it is not a JSON object", body)
    if (error := data.get("error")) is not None:
        raise reported(error)
    if data.get("object") == "error":  # vLLM's, where others have it in `error`
        raise reported(data)
    return data


def unnamed(given: Mapping[str, Any], named: Set[str]) -> dict[str, Any]:
    """What an object says that nobody here reads; null says nothing."""
    return {name: given[name] for name in given.keys() - named if given[name] is not None}


def reported(error: object) -> ModelError:
    """The error in a response that came with status 200."""
    told = error if isinstance(error, dict) else {"message": error}
    code = told.get("code") or told.get("type") or ""
    status = an_int(code) or 0
    return of_code(status, str(code), str(told.get("message") or "the server reports an error")[:2000])


def a_str(value: object) -> str:
    """The value if it is a string."""
    return value if isinstance(value, str) else ""


def an_int(value: object) -> int | None:
    """The value if it is a number of something: whole, and not below zero."""
    return value if type(value) is int and value >= 0 else None


def a_dict(value: object) -> dict[str, Any]:
    """The value if it is an object."""
    return value if isinstance(value, dict) else {}


def dicts(value: object) -> list[dict[str, Any]]:
    """The objects in the value, if it is an array."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_arguments(value: object) -> str:
    """A call's arguments as JSON text; some servers send them as an object."""
    if isinstance(value, str):
        return value
    return to_json(value).decode() if value else ""


def with_own_ids(calls: Sequence[ToolCall], messages: Iterable[Message]) -> tuple[ToolCall, ...]:
    """The calls; missing and repeated ids are replaced by ones that no other call of the conversation has."""
    messages = list(messages)
    taken, ids = {"", *call_ids(messages)}, list[str]()
    for call in calls:
        id = clean(call.id)
        ids.append("" if id in taken else id)
        taken.add(id)
    minted = (f"call_{len(messages)}_{n}" for n in count())
    free = (id for id in minted if id not in taken)
    return tuple(
        replace(call, id=id or next(free), name=clean(call.name), arguments=clean(call.arguments))
        for id, call in zip(ids, calls, strict=True)
    )

"""How a strict server says no, and the small checks that all of its rules are made of."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from pydantic_core import from_json

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Refusal(Exception):
    """A request is refused; `body` is the error that says why, in OpenAI's form."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code},
        }


def read_object(body: bytes) -> dict[str, Any]:
    """A request's body as the JSON object that it has to be.

    Raises:
        Refusal: it is not JSON (RFC 8259, in valid Unicode), or no object.
    """
    value = parsed(body)
    if not isinstance(value, dict):
        raise Refusal("The body of the request is not a JSON object.")
    return value


def refuse(param: str, reason: str, *, code: str | None = "invalid_value") -> NoReturn:
    """Refuse the request because of one parameter, named as in `messages[0].role`."""
    raise Refusal(f"Invalid {param!r}: {reason}.", param=param, code=code)


def parsed(text: bytes | str) -> Any:
    """JSON text as a value."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(f"The body of the request could not be read as JSON: {error}.") from None


def known(value: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    """An object has no other fields than these."""
    for name in value:
        if name not in names:
            param = f"{where}.{name}" if where else name
            raise Refusal(f"Unknown parameter: {param!r}.", param=param, code="unknown_parameter")


def an_object(value: Any, where: str) -> dict[str, Any]:
    """The value, which has to be an object."""
    if not isinstance(value, dict):
        refuse(where, f"expected an object, got {kind_of(value)}", code="invalid_type")
    return value


def an_array(value: Any, where: str, *, most: int | None = None) -> Sequence[Any]:
    """The value, which has to be an array with something in it."""
    if not isinstance(value, list):
        refuse(where, f"expected an array, got {kind_of(value)}", code="invalid_type")
    if not value:
        refuse(where, "the array is empty", code="empty_array")
    if most is not None and len(value) > most:
        refuse(where, f"the array has {len(value)} elements, and {most} are allowed", code="array_above_max_length")
    return value


def a_string(value: Any, where: str, *, longest: int | None = None) -> str:
    """The value, which has to be a string."""
    if not isinstance(value, str):
        refuse(where, f"expected a string, got {kind_of(value)}", code="invalid_type")
    if longest is not None and len(value) > longest:
        refuse(where, f"{len(value)} characters, and {longest} are allowed", code="string_above_max_length")
    return value


def a_name(value: Any, where: str) -> str:
    """The value, which has to be what all providers take for a name."""
    name = a_string(value, where)
    if not _NAME.fullmatch(name):
        refuse(where, "expected a name that matches '^[a-zA-Z0-9_-]{1,64}$'")
    return name


def kind_of(value: Any) -> str:
    """What JSON calls such a value."""
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")

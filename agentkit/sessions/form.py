"""What a step of a conversation looks like where it is kept: JSON that says of which format it is.

`{"format": 1, "messages": [...]}`. What any release has written is read for ever.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from agentkit.errors import SessionCorrupt, SessionError
from agentkit.messages import Message, clean

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORMAT = 1
_NUL = b"\\u0000"


@cache
def _adapter() -> "TypeAdapter[tuple[Message, ...]]":
    from typing import Annotated

    from pydantic import ConfigDict, Field, TypeAdapter  # on first use: it costs more than `import agentkit`

    return TypeAdapter(
        tuple[Annotated[Message, Field(discriminator="role")], ...],
        config=ConfigDict(extra="forbid"),  # a field that is not known here was written by somebody who knew why
    )


def encode(messages: Sequence[Message]) -> str:
    """A step, which can be read again.

    Raises:
        SessionError: something in it is no JSON, or too deep.
    """
    return _encoded(messages)[0]


def storable(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages as they will be read again; the very same, if nothing in them has to change.

    Raises:
        SessionError: see `encode`.
    """
    given, read = tuple(messages), _encoded(messages)[1]
    return given if given == read else read


def _encoded(messages: Sequence[Message]) -> tuple[str, tuple[Message, ...]]:
    try:
        step = f'{{"format":{FORMAT},"messages":{_json(messages).decode()}}}'
        return step, decode(step, "")
    except ValueError as error:  # of pydantic, which says whose value it was only below its first line
        why = str(error).partition("\n")[0]
    except SessionCorrupt:
        why = "they could not be read again"
    raise SessionError(f"these messages cannot be stored: {why}")


def decode(step: object, session_id: str) -> tuple[Message, ...]:
    """The messages of a step.

    Raises:
        SessionCorrupt: it is damaged, or of a newer format.
    """
    from pydantic import ValidationError
    from pydantic_core import from_json, to_json

    if not isinstance(step, str | bytes):
        raise corrupt(session_id, f"is damaged: a step of it is of type {type(step).__name__}")
    try:
        found = from_json(step)
    except ValueError:
        raise corrupt(session_id, "is damaged: a step of it is no JSON") from None
    match found:
        case {"format": int(number)} if number > FORMAT:
            raise corrupt(session_id, f"is of format {number}; this version of agentkit reads {FORMAT} at most")
        case {"format": 1, "messages": list(messages), **rest} if not rest:
            try:
                return _adapter().validate_json(to_json(messages))
            except ValidationError as error:
                first = error.errors(include_url=False, include_context=False, include_input=False)[0]
                place = ".".join(map(str, first["loc"]))
            raise corrupt(session_id, f"is damaged, or of a newer agentkit: {place}: {first['type']}")
    raise corrupt(session_id, "is damaged: a step of it has no messages")


def corrupt(session_id: str, why: str) -> SessionCorrupt:
    """For a conversation that cannot be read; `why` goes on where its name ends."""
    return SessionCorrupt(f"session {session_id!r} {why}; it was left as it is")


def _json(messages: Sequence[Message]) -> bytes:
    """What is kept of messages; what neither JSON nor databases take is replaced."""
    from pydantic_core import PydanticSerializationError, to_json

    adapter, given, written = _adapter(), tuple(messages), b""
    try:
        written = adapter.dump_json(given, warnings=False)
    except PydanticSerializationError:
        pass  # of lone surrogates, most likely
    if not written or _NUL in written:
        written = to_json(_cleaned(adapter.dump_python(given, warnings=False)), inf_nan_mode="null")
    return written


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case dict():
            return {_cleaned(name): _cleaned(item) for name, item in value.items()}
        case list() | tuple():
            return [_cleaned(item) for item in value]
    return value

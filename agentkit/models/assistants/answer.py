"""An answer of the server: a JSON object, and when to ask for it again. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from agentkit.models.lenient import json_object

_USUAL = 1.0
_SHORTEST = 0.001
_LONGEST = 10.0


class Answer(NamedTuple):
    """A JSON object, and when to ask for it again."""

    data: dict[str, Any]
    pause: float
    """Seconds; what the server says, if that makes sense."""


def read_answer(body: bytes, headers: Mapping[str, str]) -> Answer:
    """A body and its headers.

    Raises:
        ModelError: it is not a JSON object, or one that reports an error.
    """
    try:
        pause = float(headers["openai-poll-after-ms"]) / 1000
    except (KeyError, ValueError):
        pause = _USUAL
    return Answer(json_object(body), min(pause, _LONGEST) if pause >= _SHORTEST else _USUAL)

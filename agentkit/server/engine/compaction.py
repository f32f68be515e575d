"""The beginning of a conversation in short, as text that clients keep and need not understand. Pure."""

from base64 import b64decode, b64encode
from collections.abc import Sequence

from pydantic_core import from_json, to_json

COMPACTION = "compaction"
"""The type of the item."""
_BEFORE = "What was said before, in short:"


def packed(summary: str, told: Sequence[str]) -> str:
    """What was said in short, and what the conversation itself tells the model to do."""
    return b64encode(to_json({"summary": summary, "told": list(told)})).decode()


def unpacked(text: str) -> tuple[str, list[str]]:
    """What `packed` was given, the first as words for the model.

    Raises:
        ValueError: this is nothing that it has made.
    """
    held = from_json(b64decode(text, validate=True))
    summary, told = (held.get("summary"), held.get("told")) if isinstance(held, dict) else (None, None)
    if not isinstance(summary, str) or not isinstance(told, list) or not all(isinstance(each, str) for each in told):
        raise ValueError("it was made by another server")
    return f"{_BEFORE}\n{summary}", told

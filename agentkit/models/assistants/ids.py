"""Ids in paths: they are texts that somebody else has made up. Pure."""

from urllib.parse import quote

from agentkit.errors import ConfigError


def path(*parts: str) -> str:
    """A path of names and ids.

    Raises:
        ConfigError: one of them cannot be an id.
    """
    return "".join(f"/{segment(part)}" for part in parts)


def segment(id: str) -> str:
    """An id as a part of a path, in which dots alone would lead elsewhere.

    Raises:
        ConfigError: it cannot be an id.
    """
    if not is_id(id):
        raise ConfigError(f"{id!r} is no id; pass one that the server gave")
    return quote(id, safe="", errors="replace")


def is_id(text: str) -> bool:
    """Whether a text can be an id."""
    return bool(text.strip("."))

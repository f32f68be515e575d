"""The assistants that agentkit keeps on a server: found again by their content, made where there are none."""

from typing import Any

from agentkit.errors import ConfigError
from agentkit.models.http import Server
from agentkit.models.lenient import a_dict, a_str

from .encode import MARK, as_json
from .persist import persistently
from .wire import Wire, lock, path

_known: dict[tuple[str, int, str], str] = {}
"""The assistants that this process has found: where, for whom, with which fingerprint -> the id."""


class Keeper:
    """Knows which assistant on a server has which content.

    The content's fingerprint stands in the assistant's metadata, so other processes find it too. A new content is a new
    assistant: two versions of a program that run side by side do not overwrite each other's.
    """

    def __init__(self, server: Server, where: str) -> None:
        self._whose = where, hash(server)

    async def assistant(self, wire: Wire, body: dict[str, Any]) -> str:
        """The id of an assistant with this content; it is made if there is none, and mended if somebody changed it."""
        key = (*self._whose, body["metadata"][MARK])
        if key not in _known:
            async with lock(f"assistant {key}"):
                if key not in _known:
                    _known[key] = await self._find_or_make(wire, body)
        return _known[key]

    def forget(self, id: str) -> bool:
        """Look for it again next time, since it is gone; whether it was known."""
        keys = [key for key, known in _known.items() if known == id and key[:2] == self._whose]
        for key in keys:
            del _known[key]
        return bool(keys)

    async def delete_all(self, wire: Wire) -> int:
        """Delete all assistants that agentkit has made there; how many there were."""
        made = [a_str(found.get("id")) for found in await wire.all("/assistants") if _mark(found)]
        for id in made:
            await wire.delete(path("assistants", id))
            self.forget(id)
        return len(made)

    async def _find_or_make(self, wire: Wire, body: dict[str, Any]) -> str:
        mark = body["metadata"][MARK]
        found = await self._found(wire, mark)
        if found is None:
            found = await persistently(
                lambda: wire.post("/assistants", as_json(body)), found=lambda: self._found(wire, mark)
            )
        id = a_str(found.get("id"))
        if not id:
            raise ConfigError("the server has made an assistant without an id: does it speak the Assistants wire?")
        if not _covers(found, body):
            await persistently(lambda: wire.post(path("assistants", id), as_json(body)))
        return id

    async def _found(self, wire: Wire, mark: str) -> dict[str, Any] | None:
        return next((found for found in await wire.all("/assistants") if _mark(found) == mark), None)


def _mark(assistant: dict[str, Any]) -> str:
    return a_str(a_dict(assistant.get("metadata")).get(MARK))


def _covers(theirs: Any, ours: Any) -> bool:
    """Whether the server still has what we sent; it may have added defaults of its own."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(_covers(theirs.get(name), value) for name, value in ours.items())
    if isinstance(ours, list | tuple):
        same = isinstance(theirs, list | tuple) and len(theirs) == len(ours)
        return same and all(map(_covers, theirs, ours))
    return bool(theirs == ours) or (theirs is None and not ours)

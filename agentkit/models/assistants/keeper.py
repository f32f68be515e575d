"""The assistants that agentkit keeps on a server: found again by their content, made where there are none."""

from contextlib import aclosing
from typing import Any

from agentkit.errors import BadResponse, RequestRejected
from agentkit.models.http import Server
from agentkit.models.lenient import a_dict, a_str

from .encode import MARK, as_json
from .ids import is_id, path
from .wire import Wire, lock

_known: dict[tuple[str, int, str], str] = {}
"""The assistants that this process has found: where, for whom, with which fingerprint -> the id."""


_USUAL: dict[str, tuple[Any, ...]] = {
    "temperature": (None, 1),
    "top_p": (None, 1),
    "reasoning_effort": (None,),
    "response_format": (None, "auto"),
    "tool_resources": (None, {}),
}
"""What an assistant has where nothing was said."""


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
        found = _known.get(key)
        if found is None:
            async with lock(f"assistant {key}"):
                found = _known.get(key) or await self._find_or_make(wire, body)
                _known[key] = found
        return found

    def forget(self, id: str) -> None:
        """Look for it again next time, since it is gone."""
        for key, known in list(_known.items()):
            if known == id and key[:2] == self._whose:
                _known.pop(key, None)

    async def delete_all(self, wire: Wire) -> int:
        """Delete all assistants that agentkit has made there; how many there were."""
        made = [a_str(found.get("id")) async for found in wire.each("/assistants", "asc") if _mark(found)]
        for id in made:
            await wire.delete(path("assistants", id))
            self.forget(id)
        return len(made)

    async def _find_or_make(self, wire: Wire, body: dict[str, Any]) -> str:
        found = await self._found(wire, body)
        if found is None:
            found = await wire.persistently(
                lambda: wire.post("/assistants", as_json(body)), found=lambda: self._found(wire, body)
            )
        id = a_str(found.get("id"))
        if not is_id(id):
            raise BadResponse("the server has made an assistant without an id: does it speak the Assistants wire?")
        if not _covers(found, _content(body)):
            await wire.persistently(lambda: wire.post(path("assistants", id), as_json(body)))
        return id

    async def _found(self, wire: Wire, body: dict[str, Any]) -> dict[str, Any] | None:
        try:
            async with aclosing(wire.each("/assistants", "desc")) as assistants:
                async for assistant in assistants:
                    if _is_of(assistant, body):
                        return assistant
        except RequestRejected as error:
            if error.status == 404:
                error.args = (f'{error}; a server that speaks only Chat Completions has no assistants: use "chat:..."',)
            raise
        return None


def _is_of(assistant: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether it was made of this content, by its mark, or where a server keeps no metadata, by the content itself."""
    if assistant.get("metadata"):
        return bool(_mark(assistant) == body["metadata"][MARK])
    more = any(assistant.get(name) not in usual for name, usual in _USUAL.items() if name not in body)
    return assistant.get("name") == body["name"] and not more and _covers(assistant, _content(body))


def _content(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "metadata"}


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

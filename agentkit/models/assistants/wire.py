"""The requests of the Assistants wire: what is lost on the way is sent again, and nothing takes effect twice."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlencode
from weakref import WeakValueDictionary

import anyio
from anyio.lowlevel import RunVar

from agentkit.errors import BadResponse, ModelError, RequestRejected
from agentkit.models.base import Retrying
from agentkit.models.http import Call, Server
from agentkit.models.lenient import a_str, dicts
from agentkit.models.sse import Event

from .answer import Answer, read_answer
from .persist import persistently

T = TypeVar("T")

HEADERS = {"OpenAI-Beta": "assistants=v2"}
_PAGE = 100
_PAGES = 200
_locks: RunVar["WeakValueDictionary[str, anyio.Lock]"] = RunVar("agentkit_assistants_locks")


@dataclass(frozen=True, slots=True)
class Wire:
    """One server, and the time limit of each request to it."""

    server: Server
    timeout: float | None = None
    retries: list[Retrying] = field(default_factory=list, compare=False)
    """The requests that were lost and sent again, whichever they were."""

    async def persistently(
        self, attempt: Callable[[], Awaitable[T]], *, found: Callable[[], Awaitable[T | None]] | None = None
    ) -> T:
        """See `persist.persistently`; what is lost is noted."""
        return await persistently(attempt, found=found, lost=self._lost)

    def _lost(self, error: ModelError, pause: float) -> None:
        self.retries.append(Retrying(error=type(error).__name__, attempt=len(self.retries) + 1, seconds=pause))

    async def get(self, path: str) -> dict[str, Any]:
        """An object."""
        return (await self.look(path)).data

    async def look(self, path: str) -> Answer:
        """An object, and after how many seconds the server wants to be asked again."""
        return await self.persistently(lambda: self._send("get", path, None))

    async def post(self, path: str, body: bytes = b"{}") -> dict[str, Any]:
        """What a request came to, which is sent once: who sends it knows how to find out whether it took effect."""
        return (await self._send("post", path, body)).data

    async def delete(self, path: str) -> None:
        """Delete an object; one that is gone already is as good."""
        await if_there(self.persistently(lambda: self._send("delete", path, None)))

    async def newest(self, path: str, limit: int, **query: str) -> list[dict[str, Any]]:
        """The newest objects of a list, newest first, even where a server lists the oldest first whatever is asked."""
        page = await self.get(f"{path}?{urlencode({'limit': limit, 'order': 'desc', **query})}")
        found = dicts(page.get("data"))
        if not _rises(found):
            return found
        return [item async for item in self.each(path, "asc", **query)][-limit:][::-1]

    async def each(self, path: str, order: Literal["asc", "desc"], **query: str) -> AsyncGenerator[dict[str, Any]]:
        """The objects of a list; a page with nothing new is the last one, whatever the server says.

        Raises:
            BadResponse: the list does not end.
        """
        known = set[str]()
        asked = {"limit": str(_PAGE), "order": order, **query}
        for _ in range(_PAGES):
            page = await self.get(f"{path}?{urlencode(asked)}")
            fresh = {id: item for item in dicts(page.get("data")) if (id := a_str(item.get("id"))) not in known}
            for item in fresh.values():
                yield item
            if not fresh or page.get("has_more") is not True:
                return
            known |= fresh.keys()
            asked["after"] = list(fresh)[-1]
        raise BadResponse(f"the list {path!r} on the server does not end; {_PAGES} pages were read")

    def events(self, path: str, body: bytes) -> AbstractAsyncContextManager[AsyncGenerator[Event]]:
        """The events that a request is answered with; sent once."""
        return self.server.door().events(self._call("post", path, body))

    async def _send(self, method: Literal["get", "post", "delete"], path: str, body: bytes | None) -> Answer:
        return await self.server.door().send(self._call(method, path, body), read_answer)

    def _call(self, method: Literal["get", "post", "delete"], path: str, body: bytes | None) -> Call:
        return Call(path=path, method=method, body=body, headers=HEADERS, timeout=self.timeout, retries=0)


def _rises(items: list[dict[str, Any]]) -> bool:
    """Whether a list that was to begin with the newest begins with the oldest."""
    made = [when for item in items if isinstance(when := item.get("created_at"), int | float)]
    return len(made) == len(items) > 1 and made == sorted(made) and made[0] < made[-1]


async def if_there(work: Awaitable[T]) -> T | None:
    """What is asked for, or None where the server has no such thing."""
    try:
        return await work
    except RequestRejected as error:
        if error.status != 404:
            raise
        return None


def lock(key: str) -> anyio.Lock:
    """The lock of this event loop by that name; it is forgotten when nobody holds it."""
    try:
        locks = _locks.get()
    except LookupError:
        locks = WeakValueDictionary()
        _locks.set(locks)
    found = locks.get(key)
    if found is None:
        found = locks[key] = anyio.Lock(fast_acquire=True)
    return found


class Hold:
    """Holds a lock until it is let go of, at the latest when the block is left."""

    def __init__(self, lock: anyio.Lock) -> None:
        self._lock = lock
        self._held = False

    @property
    def is_held(self) -> bool:
        """Whether somebody holds it now."""
        return self._lock.locked()

    async def __aenter__(self) -> Self:
        await self._lock.acquire()
        self._held = True
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Let others have it; it may be said more than once."""
        if self._held:
            self._held = False
            self._lock.release()

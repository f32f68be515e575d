"""What a request's handler works with: what all requests share, and whose request it is."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from anyio.abc import TaskGroup
from fastapi import Depends, Query, Request

from .settings import ServerSettings
from .store import Database, Objects, Page

T = TypeVar("T")


@dataclass(kw_only=True, slots=True)
class Server:
    """What all requests share."""

    settings: ServerSettings
    database: Database
    tasks: TaskGroup
    """Work that goes on beside the requests and ends: the server waits for it when it stops."""
    loops: TaskGroup
    """What goes on until the server stops."""
    draining: bool = False
    """Whether the server has been told to stop: it begins nothing new."""
    parts: dict[type, Any] = field(default_factory=dict)
    """One of each kind of what the server has; see `part`."""

    def part(self, kind: type[T]) -> T:
        """The one of its kind: `server.part(Engine)`."""
        found: T = self.parts[kind]
        return found

    def now(self) -> int:
        """The time, in whole seconds since 1970."""
        return int(self.settings.clock())

    @asynccontextmanager
    async def write(self, tenant: str) -> AsyncIterator[Objects]:
        """A tenant's objects, to be changed: all that the block does or nothing."""
        async with self.database.write() as connection:
            yield Objects(connection, tenant)

    @asynccontextmanager
    async def read(self, tenant: str) -> AsyncIterator[Objects]:
        """A tenant's objects, to be looked at."""
        async with self.database.read() as connection:
            yield Objects(connection, tenant)


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """Where one request is handled."""

    server: Server
    tenant: str
    """Whose objects the request sees."""

    def now(self) -> int:
        """See `Server.now`."""
        return self.server.now()

    def write(self) -> AbstractAsyncContextManager[Objects]:
        """See `Server.write`."""
        return self.server.write(self.tenant)

    def read(self) -> AbstractAsyncContextManager[Objects]:
        """See `Server.read`."""
        return self.server.read(self.tenant)


def _desk(request: Request) -> Desk:
    return Desk(server=request.app.state.server, tenant=request.state.tenant)


def _page(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
    before: str | None = None,
) -> Page:
    return Page(limit=limit, order=order, after=after, before=before)


At = Annotated[Desk, Depends(_desk)]
Listed = Annotated[Page, Depends(_page)]
"""Which part of a list is asked for, by `limit`, `order`, `after` and `before`."""
Included = Annotated[list[str], Query(alias="include[]", max_length=32)]
"""What is asked for that answers leave out otherwise."""

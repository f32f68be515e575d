"""One tenant's objects, in one transaction."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from agentkit.server.errors import ApiError, missing

from .database import Transaction
from .tables import OBJECTS

_C = OBJECTS.c


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: int = 20
    order: str = "desc"
    after: str | None = None
    before: str | None = None


class Objects:
    """The objects of a tenant. Nothing here sees, or changes, what is another tenant's."""

    def __init__(self, connection: Transaction, tenant: str) -> None:
        self.connection = connection
        self.tenant = tenant

    async def add(
        self, kind: str, body: Mapping[str, Any], *, parent: str = "", private: Any = None, **columns: Any
    ) -> None:
        """Keep a new object under its `id`, at the end of its parent's list.

        Args:
            kind: What it is.
            body: All that clients see of it; its `status`, if it has one, can be looked for.
            parent: Whose it is.
            private: JSON that no client sees.
            columns: `ref`, another id by which it is looked for; `active`, `expires`.

        Raises:
            ApiError: it holds what is no Unicode.
            IntegrityError: it would be its thread's second active run; see `is_locked`.
        """
        row = {"tenant": self.tenant, "kind": kind, "id": body["id"], "parent": parent, "body": _encoded(body)}
        row |= {"status": str(body.get("status") or ""), "private": None if private is None else _encoded(private)}
        await self.connection.execute(insert(OBJECTS).values(**row, **columns))

    async def get(
        self, kind: str, id: str, *, parent: str | None = None, noun: str | None = None, lock: bool = False
    ) -> dict[str, Any]:
        """An object.

        Args:
            kind: What it is.
            id: Its id.
            parent: Whose it is, where that matters.
            noun: What an error calls it.
            lock: Whether nobody else may change it, nor lock it, before this transaction ends.

        Raises:
            ApiError: there is none (404).
        """
        found = await self.find(kind, id, parent=parent, lock=lock)
        if found is None:
            raise missing(noun or kind, id)
        return found

    async def find(self, kind: str, id: str, *, parent: str | None = None, lock: bool = False) -> dict[str, Any] | None:
        """An object, if there is one; see `get`."""
        asked = select(_C.body).where(*self._this(kind, id, parent))
        row = (await self.connection.execute(asked.with_for_update() if lock else asked)).first()
        return None if row is None else from_json(row[0])

    async def private(self, kind: str, id: str) -> Any:
        """What is kept with an object that no client sees."""
        row = (await self.connection.execute(select(_C.private).where(*self._this(kind, id)))).first()
        return None if row is None or row[0] is None else from_json(row[0])

    async def put(
        self, kind: str, body: Mapping[str, Any], *, parent: str | None = None, of: Collection[str] = (), **columns: Any
    ) -> bool:
        """Overwrite an object; whether it was there, and in one of these states where some are given.

        Args:
            kind: What it is.
            body: All of it.
            parent: Whose it is, where an id is known under several.
            of: The states it must be in, so that of two who change it at once one is told that it came too late.
            columns: `active`, `expires`, `ref` or `private`, where they change too.
        """
        if columns.get("private") is not None:
            columns["private"] = _encoded(columns["private"])
        where = [*self._this(kind, body["id"], parent), *([_C.status.in_(of)] if of else [])]
        changed = update(OBJECTS).where(*where)
        values = {"body": _encoded(body), "status": str(body.get("status") or ""), **columns}
        return bool((await self.connection.execute(changed.values(**values))).rowcount)

    async def delete(self, kind: str, id: str, *, parent: str | None = None) -> bool:
        """Forget an object; whether it was there."""
        return bool((await self.connection.execute(delete(OBJECTS).where(*self._this(kind, id, parent)))).rowcount)

    async def delete_all(self, parent: str, kind: str | None = None) -> None:
        """Forget all that has a parent."""
        kinds = [] if kind is None else [_C.kind == kind]
        await self.connection.execute(delete(OBJECTS).where(_C.tenant == self.tenant, _C.parent == parent, *kinds))

    async def all(
        self, kinds: str | Collection[str], parent: str = "", *, ref: str | None = None, last: int | None = None
    ) -> list[dict[str, Any]]:
        """The objects of some kinds that a parent has, oldest first; the last so many."""
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        asked = select(_C.body).where(_C.tenant == self.tenant, _C.kind.in_(kinds), _C.parent == parent)
        if ref is not None:
            asked = asked.where(_C.ref == ref)
        asked = asked.order_by(_C.seq.desc() if last is not None else _C.seq).limit(last)
        bodies = [from_json(row[0]) for row in (await self.connection.execute(asked)).all()]
        return bodies[::-1] if last is not None else bodies

    async def page(
        self,
        kinds: str | Collection[str],
        page: Page,
        *,
        parent: str = "",
        ref: str | None = None,
        status: str | None = None,
        shown: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: body,
    ) -> dict[str, Any]:
        """The list envelope: objects in the order in which they were added, which no clock can blur.

        Raises:
            ApiError: a cursor is none of this list (404).
        """
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        listed = [_C.tenant == self.tenant, _C.kind.in_(kinds), _C.parent == parent]
        asked = select(_C.body).where(*listed)
        if ref is not None:
            asked = asked.where(_C.ref == ref)
        if status is not None:
            asked = asked.where(_C.status == status)
        ascending = page.order == "asc"
        for cursor, above in ((page.after, ascending), (page.before, not ascending)):
            if cursor is not None:
                at = await self._place(cursor, listed, kinds[0])
                asked = asked.where(_C.seq > at if above else _C.seq < at)
        backwards = page.before is not None and page.after is None  # the ones next to the cursor
        asked = asked.order_by(_C.seq if ascending != backwards else _C.seq.desc()).limit(page.limit + 1)
        rows = (await self.connection.execute(asked)).all()
        bodies = [shown(from_json(row[0])) for row in rows[: page.limit]]
        if backwards:
            bodies.reverse()
        return {
            "object": "list",
            "data": bodies,
            "first_id": bodies[0]["id"] if bodies else None,
            "last_id": bodies[-1]["id"] if bodies else None,
            "has_more": len(rows) > page.limit,
        }

    async def _place(self, id: str, listed: list[ColumnElement[bool]], noun: str) -> int:
        row: Row[Any] | None = (await self.connection.execute(select(_C.seq).where(*listed, _C.id == id))).first()
        if row is None:
            raise missing(noun, id)
        return int(row[0])

    def _this(self, kind: str, id: str, parent: str | None = None) -> list[ColumnElement[bool]]:
        own = [_C.tenant == self.tenant, _C.kind == kind, _C.id == id]
        return own if parent is None else [*own, _C.parent == parent]


def is_locked(error: IntegrityError) -> bool:
    """Whether an object could not be added because its thread has an active run."""
    return "one_active" in str(error.orig) or ("agentkit_objects.parent" in str(error.orig))


def _encoded(value: Any) -> str:
    try:
        return to_json(value, inf_nan_mode="constants").decode()
    except (ValueError, UnicodeError) as error:
        raise ApiError(f"The request holds what cannot be stored as JSON in Unicode: {error}.") from None

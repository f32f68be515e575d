"""What is asked of many threads at once, for people who look around."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json
from sqlalchemy import func, select

from agentkit.server.errors import missing

from .objects import Objects, Page
from .tables import OBJECTS

_C = OBJECTS.c
_HEAD = 2000
"""How much of a message is read to see how it begins."""


async def glimpses(objects: Objects, threads: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How each of these threads begins, and which run it had last: `{"message", "run"}`, None where there is none."""
    here, first, last = OBJECTS.alias(), OBJECTS.alias(), OBJECTS.alias()
    of = [first.c.tenant == objects.tenant, first.c.kind == "message", first.c.parent == here.c.id]
    head = select(func.substr(first.c.body, 1, _HEAD)).where(*of).order_by(first.c.seq).limit(1)
    runs = [last.c.tenant == objects.tenant, last.c.kind == "run", last.c.parent == here.c.id]
    newest = select(last.c.seq).where(*runs).order_by(last.c.seq.desc()).limit(1)
    asked = select(here.c.id, head.scalar_subquery(), newest.scalar_subquery())
    asked = asked.where(here.c.tenant == objects.tenant, here.c.kind == "thread", here.c.id.in_(threads))
    rows = (await objects.connection.execute(asked)).all()
    chosen = select(_C.seq, _C.id, _C.status).where(_C.seq.in_([row[2] for row in rows if row[2] is not None]))
    states = {row[0]: {"id": row[1], "status": row[2]} for row in (await objects.connection.execute(chosen)).all()}
    return {row[0]: {"message": row[1] and _begun(row[1]), "run": states.get(row[2])} for row in rows}


async def runs_of_all(objects: Objects, page: Page) -> dict[str, Any]:
    """The runs of all threads, newest first, as the list envelope.

    Raises:
        ApiError: the cursor is no run (404).
    """
    own = [_C.tenant == objects.tenant, _C.kind == "run"]
    places = select(_C.seq).where(*own)
    if page.after is not None:
        at = (await objects.connection.execute(select(_C.seq).where(*own, _C.id == page.after))).scalar()
        if at is None:
            raise missing("run", page.after)
        places = places.where(_C.seq < at)
    newest = places.order_by(_C.seq.desc()).limit(page.limit + 1).subquery()  # the index alone, without the bodies
    asked = select(_C.body).where(_C.seq.in_(select(newest.c.seq))).order_by(_C.seq.desc())
    rows = (await objects.connection.execute(asked, heavy=True)).all()
    bodies = [from_json(row[0]) for row in rows[: page.limit]]
    ends = {"first_id": bodies[0]["id"] if bodies else None, "last_id": bodies[-1]["id"] if bodies else None}
    return {"object": "list", "data": bodies, **ends, "has_more": len(rows) > page.limit}


def _begun(head: str) -> Any:
    return from_json(head, allow_partial="trailing-strings")

"""What is asked of the runs of all tenants together, and how one gets its thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from .database import Transaction
from .objects import Objects, is_locked
from .tables import OBJECTS

_C = OBJECTS.c
_MOST = 1000
_WORKER = "worker"
_KEPT_SECONDS = 3600


class ThreadLocked(Exception):
    """Another run has the thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A run, and whose it is."""

    tenant: str
    id: str
    worker: str


async def add_run(objects: Objects, run: Mapping[str, Any], worker: str) -> None:
    """Keep a new run, which has its thread from now on, and is a worker's to execute.

    Raises:
        ThreadLocked: another run has it; the transaction is of no use any more.
    """
    try:
        await objects.add("run", run, parent=run["thread_id"], ref=worker, active=True, expires=run["expires_at"])
    except IntegrityError as error:
        if is_locked(error):
            raise ThreadLocked from None
        raise


async def runs_due(connection: Transaction, now: int) -> Sequence[Found]:
    """Runs whose time is over, or that are to be cancelled."""
    return await _found(connection, or_(_C.expires <= now, _C.status == "cancelling"))


async def runs_wanted(connection: Transaction, ids: Sequence[str]) -> set[str]:
    """Those of some runs that are there, and have not been ended by anybody."""
    states = _C.status.in_(("queued", "in_progress", "requires_action"))
    found = set[str]()
    for start in range(0, len(ids), _MOST):
        asked = select(_C.id).where(_C.kind == "run", _C.active, states, _C.id.in_(ids[start : start + _MOST]))
        found |= {row[0] for row in (await connection.execute(asked)).all()}
    return found


async def say_alive(connection: Transaction, worker: str, until: int) -> None:
    """A worker lives, and will say so again before this time. Of those that are long dead nothing is kept."""
    await connection.execute(delete(OBJECTS).where(_C.kind == _WORKER, _C.expires < until - _KEPT_SECONDS))
    changed = update(OBJECTS).where(_C.kind == _WORKER, _C.id == worker).values(expires=until)
    if not (await connection.execute(changed)).rowcount:
        new = insert(OBJECTS).values(tenant="", kind=_WORKER, id=worker, body="{}", expires=until)
        await connection.execute(new)


async def runs_left(connection: Transaction, worker: str, now: int | None) -> Sequence[Found]:
    """Runs that are to be executed by nobody who lives: of all but this worker, or of those that are dead by now."""
    others = _C.ref != worker
    if now is not None:
        alive = select(_C.id).where(_C.kind == _WORKER, _C.expires > now)
        others = and_(others, _C.ref.not_in(alive))
    return await _found(connection, and_(others, _C.status.in_(("queued", "in_progress", "cancelling"))))


async def _found(connection: Transaction, which: ColumnElement[bool]) -> Sequence[Found]:
    asked = select(_C.tenant, _C.id, _C.ref).where(_C.kind == "run", _C.active, which).order_by(_C.seq).limit(_MOST)
    return [Found(tenant=row[0], id=row[1], worker=row[2]) for row in (await connection.execute(asked)).all()]

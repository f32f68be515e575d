"""What is asked of the runs of all tenants together, and how one gets its thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from .objects import Objects, is_locked
from .tables import OBJECTS

_C = OBJECTS.c
_MOST = 1000


class ThreadLocked(Exception):
    """Another run has the thread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A run, and whose it is."""

    tenant: str
    id: str


async def add_run(objects: Objects, run: Mapping[str, Any]) -> None:
    """Keep a new run, which has its thread from now on.

    Raises:
        ThreadLocked: another run has it; the transaction is of no use any more.
    """
    try:
        await objects.add("run", run, parent=run["thread_id"], active=True, expires=run["expires_at"])
    except IntegrityError as error:
        if is_locked(error):
            raise ThreadLocked from None
        raise


async def runs_due(connection: AsyncConnection, now: int) -> Sequence[Found]:
    """Runs whose time is over, or that are to be cancelled."""
    return await _found(connection, or_(_C.expires <= now, _C.status == "cancelling"))


async def runs_going(connection: AsyncConnection) -> Sequence[Found]:
    """Runs that somebody executes, or should."""
    return await _found(connection, _C.status.in_(("queued", "in_progress", "cancelling")))


async def _found(connection: AsyncConnection, which: ColumnElement[bool]) -> Sequence[Found]:
    asked = select(_C.tenant, _C.id).where(_C.kind == "run", _C.active, which).order_by(_C.seq).limit(_MOST)
    return [Found(tenant=row[0], id=row[1]) for row in (await connection.execute(asked)).all()]

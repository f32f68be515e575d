"""The passages of the files in vector stores: kept, and found by their words."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, cast, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.exc import IntegrityError

from .database import Database
from .objects import Objects
from .tables import CHUNKS, OBJECTS

STORE_FILE = "vector_store.file"
"""The kind of what a file is in a vector store: its parent is the store, its `ref` the batch that it came in."""
_C, _O = CHUNKS.c, OBJECTS.c
_ROWS = 200
"""Rows written at a time."""
_GIVEN = ("tenant", "store", "file", "number", "size", "text")
_TSVECTOR = "array_to_tsvector(CAST(:words AS text[]))"
_FTS_WORDS = text("INSERT INTO agentkit_words (rowid, store, words) VALUES (:id, :store, :words)")


class Overtaken(Exception):
    """Another process reads the same file."""


class Chunks:
    """A tenant's passages, in the transaction of its objects."""

    def __init__(self, objects: Objects) -> None:
        self._connection, self._tenant = objects.connection, objects.tenant
        self._is_sqlite = self._connection.is_sqlite

    async def add(self, store: str, file: str, passages: Sequence[tuple[str, Sequence[str]]], *, start: int) -> None:
        """Keep passages, each with the words by which it is found, from this number on.

        Raises:
            Overtaken: there is one of this number already.
        """
        for at in range(0, len(passages), _ROWS):
            rows: list[dict[str, Any]] = [
                {"tenant": self._tenant, "store": store, "file": file, "number": start + at + n}
                | {"size": len(passage.encode()), "text": passage, "words": sorted(set(words))}
                for n, (passage, words) in enumerate(passages[at : at + _ROWS])
            ]
            try:
                await (self._add_in_sqlite(rows) if self._is_sqlite else self._add_in_postgres(rows))
            except IntegrityError:
                raise Overtaken(f"{file} in {store}") from None

    async def _add_in_sqlite(self, rows: Sequence[Mapping[str, Any]]) -> None:
        told = insert(CHUNKS).returning(_C.id, _C.number)
        kept = await self._connection.execute(told, [{**row, "words": None} for row in rows])
        ids = {number: id for id, number in kept}
        index = [
            {"id": ids[row["number"]], "store": _token(row["store"]), "words": " ".join(row["words"])} for row in rows
        ]
        await self._connection.execute(_FTS_WORDS, index)

    async def _add_in_postgres(self, rows: Sequence[Mapping[str, Any]]) -> None:
        values: dict[str, Any] = {name: bindparam(name) for name in _GIVEN}
        await self._connection.execute(insert(CHUNKS).values(**values, words=text(_TSVECTOR)), rows)

    async def delete(self, store: str, file: str | None = None) -> None:
        """Forget the passages of a vector store, or those of one file in it."""
        await self._connection.execute(delete(CHUNKS).where(*self._of(store, file)), heavy=True)

    async def delete_file(self, file: str) -> None:
        """Take a file out of all vector stores."""
        within = [_O.tenant == self._tenant, _O.kind == STORE_FILE, _O.id == file]
        stores = (await self._connection.execute(select(_O.parent).where(*within))).scalars().all()
        await self._connection.execute(delete(OBJECTS).where(*within))
        for store in stores:
            await self.delete(store, file)

    async def texts(self, store: str, file: str) -> list[str]:
        """A file's passages, in order."""
        asked = select(_C.text).where(*self._of(store, file)).order_by(_C.number)
        return [row[0] for row in await self._connection.execute(asked)]

    async def usage(self, store: str) -> int:
        """The bytes of all passages of a vector store."""
        asked = select(func.coalesce(func.sum(_C.size), 0)).where(*self._of(store))
        return int((await self._connection.execute(asked)).scalar_one())

    async def counts(self, store: str, batch: str | None = None) -> Counter[str]:
        """How many files a vector store, or one batch of it, has in each state."""
        where = [_O.tenant == self._tenant, _O.kind == STORE_FILE, _O.parent == store]
        where += [] if batch is None else [_O.ref == batch]
        asked = select(_O.status, func.count()).where(*where).group_by(_O.status)
        return Counter({row[0]: row[1] for row in await self._connection.execute(asked)})

    async def find(
        self, stores: Sequence[str], words: Collection[str], *, files: Collection[str] | None, most: int
    ) -> list[tuple[str, str, str]]:
        """Passages with at least one of the words, those with the most of them first: store, file, text.

        Args:
            stores: Where to look.
            words: As they were told to `add`.
            files: The files to look in; all, if None.
            most: How many to give at most.
        """
        if not words or not stores or (files is not None and not files):
            return []
        where = [_C.tenant == self._tenant, _C.store.in_(stores)]
        where += [] if files is None else [_C.file.in_(files)]
        asked = select(_C.store, _C.file, _C.text).where(*where)
        found = self._in_sqlite(stores, words, asked) if self._is_sqlite else self._in_postgres(words, asked)
        return [(row[0], row[1], row[2]) for row in await self._connection.execute(found.limit(most), heavy=True)]

    def _in_sqlite(self, stores: Sequence[str], words: Collection[str], asked: Any) -> Any:
        tokens = " OR ".join(f'"{_token(store)}"' for store in stores)
        told = " OR ".join(f'"{word}"' for word in words)  # words are letters and digits only
        index = text("agentkit_words")
        fits = text("agentkit_words MATCH :told AND agentkit_words.rowid = agentkit_chunks.id")
        best = text("bm25(agentkit_words, 0.0, 1.0), agentkit_chunks.id")
        query = f"store : ({tokens}) AND words : ({told})"
        return asked.select_from(CHUNKS, index).where(fits.bindparams(told=query)).order_by(best)

    def _in_postgres(self, words: Collection[str], asked: Any) -> Any:
        told = cast(" | ".join(f"'{word}'" for word in words), TSQUERY)
        best = func.ts_rank(_C.words, told)
        return asked.where(_C.words.op("@@")(told)).order_by(best.desc(), _C.id)

    def _of(self, store: str, file: str | None = None) -> list[ColumnElement[bool]]:
        own = [_C.tenant == self._tenant, _C.store == store]
        return own if file is None else [*own, _C.file == file]


def _token(store: str) -> str:
    """A vector store's id as one word of the index."""
    return store.replace("_", "")


async def claim(database: Database, now: int, lease: int, most: int) -> list[tuple[str, str, str]]:
    """Files of all tenants that are to be read, and that nobody reads yet: tenant, store, file.

    They are this process's for so many seconds; after that, whoever asks next has them.
    """
    due = [_O.active, _O.kind == STORE_FILE, _O.status == "in_progress", _O.expires <= now]
    async with database.read() as connection:
        found = (await connection.execute(select(_O.seq).where(*due).order_by(_O.seq).limit(most))).scalars().all()
    if not found:
        return []
    taken = update(OBJECTS).where(_O.seq.in_(found), *due).values(expires=now + lease)
    async with database.write() as connection:
        rows = await connection.execute(taken.returning(_O.tenant, _O.parent, _O.id))
        return [(row[0], row[1], row[2]) for row in rows]


async def release(database: Database, tenant: str, store: str, file: str) -> None:
    """A file that this process has is to be read by another."""
    this = [_O.tenant == tenant, _O.kind == STORE_FILE, _O.parent == store, _O.id == file, _O.active]
    async with database.write() as connection:
        await connection.execute(update(OBJECTS).where(*this).values(expires=0))


async def release_all(database: Database) -> None:
    """Nobody reads any file: this process is the only one, and has only just begun."""
    async with database.write() as connection:
        await connection.execute(update(OBJECTS).where(_O.active, _O.kind == STORE_FILE).values(expires=0))


async def expired(database: Database, kind: str, now: int, most: int) -> list[tuple[str, str]]:
    """What of a kind, of all tenants, has expired: tenant, id."""
    due = [_O.active, _O.kind == kind, _O.expires <= now]
    async with database.read() as connection:
        rows = await connection.execute(select(_O.tenant, _O.id).where(*due).order_by(_O.seq).limit(most))
        return [(row[0], row[1]) for row in rows]

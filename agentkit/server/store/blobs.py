"""The bytes of files, a piece at a time: none is ever whole in memory."""

from collections.abc import AsyncIterator

from sqlalchemy import delete, func, insert, select

from .database import Database
from .objects import Objects
from .tables import BLOBS, OBJECTS

PIECE = 2**20
"""The bytes of a piece, at most."""
_C = BLOBS.c


class Blobs:
    """The bytes of all files. Whoever asks has made sure that the file is the tenant's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, file: str, number: int, data: bytes) -> None:
        """Keep one piece of a file."""
        async with self._database.write() as connection:
            await connection.execute(insert(BLOBS).values(file=file, number=number, data=data))

    async def pieces(self, file: str) -> AsyncIterator[bytes]:
        """A file's pieces in order; no connection is held while they are used.

        Raises:
            LookupError: the file was deleted meanwhile.
        """
        async with self._database.read() as connection:
            count = (await connection.execute(select(func.count()).where(_C.file == file))).scalar_one()
        for number in range(count):
            asked = select(_C.data).where(_C.file == file, _C.number == number)
            async with self._database.read() as connection:
                row = (await connection.execute(asked)).first()
            if row is None:
                raise LookupError(f"{file} was deleted while it was read")
            yield bytes(row[0])

    async def delete(self, *files: str) -> None:
        """Forget files' bytes."""
        async with self._database.write() as connection:
            await connection.execute(delete(BLOBS).where(_C.file.in_(files)))

    async def delete_strays(self) -> None:
        """Forget bytes of which no file was made, since the server was stopped: for a process that is the only one."""
        known = select(OBJECTS.c.id).where(OBJECTS.c.kind.in_(("file", "upload.part")))
        async with self._database.write() as connection:
            await connection.execute(delete(BLOBS).where(_C.file.not_in(known)))

    async def join(self, file: str, parts: list[str], *, within: Objects) -> None:
        """Make the pieces of several files those of one, in this order, as part of a transaction."""
        at = 0
        for part in parts:
            moved = BLOBS.update().where(_C.file == part).values(file=file, number=_C.number + at)
            at += (await within.connection.execute(moved)).rowcount

"""A file as a form: read piece by piece while it is sent, never whole in memory.

Source: RFC 7578.
"""

import mimetypes
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePath
from uuid import uuid4

import anyio

from agentkit.errors import ConfigError
from agentkit.messages import clean

Read = Callable[[int], Awaitable[bytes]]

_PIECE = 65_536
_IN_A_NAME = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file that is there to be sent."""

    name: str
    size: int
    """In bytes."""
    read: Read
    """`read(n)` gives the next bytes, n at most; none at the end."""


@asynccontextmanager
async def opened(file: str | Path | bytes, name: str | None) -> AsyncGenerator[Source]:
    """Open a file that is to be sent under its own name or another; closed when the block is left.

    Raises:
        ConfigError: there is no such file, it cannot be read, or it has no name.
    """
    if isinstance(file, bytes):
        if not name:
            raise ConfigError('bytes have no name, and servers go by its ending: pass name="report.txt"')
        yield Source(name=name, size=len(file), read=anyio.wrap_file(BytesIO(file)).read)
        return
    if not isinstance(file, str | Path):
        raise ConfigError(f"a file is given as a path or as bytes, not as {type(file).__name__!r}")
    if name == "":
        raise ConfigError(f"the name for the file {str(file)!r} is empty; leave it out for the file's own")
    try:
        kind = (await anyio.Path(file).stat()).st_mode  # before it is opened: a pipe would wait for its other end
        if not stat.S_ISREG(kind):
            raise ConfigError(f"{str(file)!r} is {'a directory' if stat.S_ISDIR(kind) else 'no regular file'}")
        stream = await anyio.open_file(file, "rb")
    except FileNotFoundError:
        raise ConfigError(f"there is no file {str(file)!r}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"the file {str(file)!r} cannot be read: {error}") from None
    try:
        size = await anyio.to_thread.run_sync(stream.wrapped.seek, 0, 2)
        await stream.seek(0)
        yield Source(name=name or Path(file).name, size=size, read=stream.read)
    finally:
        with anyio.CancelScope(shield=True):
            await stream.aclose()


@dataclass(kw_only=True, slots=True, eq=False)
class Form:
    """The body of one request, `multipart/form-data`: iterate over it once."""

    source: Source
    fields: Mapping[str, str]
    on_read: Callable[[int], object]
    """Called with the number of the file's bytes that have been handed to the connection, as it grows."""
    failure: Exception | None = None
    """What ended the iteration too early: HTTP clients show another exception instead."""
    _boundary: str = field(default_factory=lambda: uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        """What the request has to say about this body."""
        size = len(self._head) + self.source.size + len(self._tail)
        # The SDK takes no stream of a type that it wants to encode itself. It knows that type in small letters only,
        # servers know it in all (RFC 9110 8.3.1).
        return {"Content-Type": f"Multipart/form-data; boundary={self._boundary}", "Content-Length": str(size)}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            yield self._head
            done = 0
            while piece := await self.source.read(min(_PIECE, self.source.size - done) or 1):
                done += len(piece)
                if done > self.source.size:
                    break
                yield piece
                self.on_read(done)
            if done != self.source.size:
                raise ConfigError(f"the file {self.source.name!r} changed its size while it was sent; upload it again")
            yield self._tail
        except OSError as error:
            self.failure = ConfigError(f"the file {self.source.name!r} cannot be read: {error}")
            raise
        except Exception as error:
            self.failure = error
            raise

    @property
    def _head(self) -> bytes:
        parts = [
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in self.fields.items()
        ]
        name = clean(self.source.name).translate(_IN_A_NAME)
        parts.append(
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: {_type_of(name)}\r\n\r\n"
        )
        return "".join(parts).encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()


def _type_of(name: str) -> str:
    ending = PurePath(name).suffix  # alone: Python takes a name that begins with `data:` at its word
    return mimetypes.guess_type(f"file{ending}")[0] or "application/octet-stream"

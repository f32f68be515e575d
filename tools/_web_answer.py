"""The answer of a web server, read with a limit on everything: lines, headers, bytes as sent and bytes unpacked.

HTTP/1.1 as RFC 9112 has it, and strictly: what could be read in two ways is not read. There is one answer to a
connection, so nothing that comes after it matters.
"""

import re
import zlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import anyio
import anyio.abc

from ._web_address import shown

Headers: TypeAlias = Mapping[str, str]

_BLOCK = 65_536
_MAX_LINE = 16_384
_MAX_HEAD = 65_536
_MAX_MEMBERS = 100
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: .*)?")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;.*)?")


class Broken(Exception):
    """What a host sends cannot be read; why, in words."""


class Reader:
    """What comes from a connection: lines, then blocks."""

    def __init__(self, stream: anyio.abc.ByteReceiveStream) -> None:
        self.received = 0
        self.lines = 0
        """How many bytes were read as lines."""
        self._stream = stream
        self._buffer = bytearray()

    async def line(self) -> bytes:
        """The next line, without its end."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > _MAX_LINE:
                raise Broken(f"it sends a line of over {_MAX_LINE} bytes where there should be a short one")
            if not await self._more():
                raise Broken("it ends in the middle")
        self.lines += end + 1
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    async def block(self, most: int) -> bytes:
        """The next bytes, not more than that; none at the end."""
        if not self._buffer:
            await self._more()
        block = bytes(self._buffer[:most])
        del self._buffer[:most]
        return block

    async def _more(self) -> bool:
        try:
            data = await self._stream.receive(_BLOCK)
        except anyio.EndOfStream:
            return False
        self._buffer += data
        self.received += len(data)
        return True


async def read_head(answer: Reader) -> tuple[int, Headers]:
    """The status and the headers of the answer itself; what only announces it is skipped."""
    while True:
        found = _STATUS.fullmatch(await _line(answer))
        if found is None:
            raise Broken("it does not answer as a web server does")
        headers: dict[str, str] = {}
        while line := await _line(answer):
            header = _HEADER.fullmatch(line)
            if header is None:
                raise Broken("its headers are not as they should be")
            name, value = header[1].decode("ascii").lower(), _text(header[2])
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if int(found[1]) >= 200:
            return int(found[1]), headers


async def _line(answer: Reader) -> bytes:
    line = await answer.line()
    if answer.lines > _MAX_HEAD:
        raise Broken("its headers are endless")
    return line


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


class _Body:
    """The body as it was sent, block by block, without the marks of the chunks."""

    def __init__(self, answer: Reader, headers: Headers) -> None:
        self._answer = answer
        self._coding = headers.get("transfer-encoding", "").lower()
        self._left: int | None = 0
        if self._coding not in ("", "identity", "chunked"):
            raise Broken(f"it sends its answer as {shown(self._coding)}, which is not read here")
        if self._coding != "chunked":
            length = headers.get("content-length")
            if length is not None and not (length.isascii() and length.isdigit() and len(length) < 20):
                raise Broken("it says no length that can be read")
            self._left = None if length is None else int(length)

    async def block(self) -> bytes:
        """Some more of it; nothing at its end."""
        if self._coding == "chunked" and not self._left:
            self._left = await self._chunk()
        if self._left == 0:
            return b""
        block = await self._answer.block(_BLOCK if self._left is None else min(self._left, _BLOCK))
        if self._left is not None:
            if not block:
                raise Broken("it ends in the middle")
            self._left -= len(block)
            if self._coding == "chunked" and not self._left and await self._answer.line():
                raise Broken("its pieces are longer than it says")
        return block

    async def _chunk(self) -> int:
        """How long the next piece is; 0 for the end."""
        found = _CHUNK.fullmatch(await self._answer.line())
        if found is None:
            raise Broken("it does not say how long its pieces are")
        return int(found[1], 16)


async def read_body(answer: Reader, headers: Headers, most: int) -> tuple[bytes, bool]:
    """The body, decompressed, and whether that is all; it is not read beyond a number of bytes."""
    body, unpacked = _Body(answer, headers), _Unpacked(headers.get("content-encoding", "").lower())
    start, got = answer.received, bytearray()
    while block := await body.block():
        got += unpacked.feed(block, most + 1 - len(got))
        if len(got) > most or answer.received - start > 2 * most + _BLOCK:
            return bytes(got[:most]), False
    unpacked.end()
    return bytes(got), True


class _Unpacked:
    """gzip and deflate, undone as far as somebody asks for it."""

    def __init__(self, encoding: str) -> None:
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Broken(f"it packs its answer as {shown(encoding)}, which nobody asked for")
        self._packed = encoding not in ("", "identity")
        self._deflate = encoding == "deflate"
        self._members = 0
        self._now: Any = None

    def feed(self, data: bytes, most: int) -> bytes:
        """What these bytes become, and not more than `most` of it."""
        if not self._packed:
            return data[:most]
        got = b""
        try:
            while data and len(got) < most:
                if self._now is None:
                    if self._members and (self._deflate or data[0] != 0x1F):
                        break  # some servers pad what they packed
                    self._now = self._begun(data)
                got += self._now.decompress(data, most - len(got))
                data = self._now.unused_data
                if self._now.eof:
                    self._now = None
        except zlib.error:
            raise Broken("it sends packed data that is damaged") from None
        return got

    def end(self) -> None:
        if self._now is not None:
            raise Broken("it ends in the middle")

    def _begun(self, data: bytes) -> Any:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise Broken("it sends packed data in very many pieces")
        if not self._deflate:
            return zlib.decompressobj(zlib.MAX_WBITS | 16)
        # Some servers leave out the two bytes in front.
        plain = data[0] & 15 == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
        return zlib.decompressobj(zlib.MAX_WBITS if plain else -zlib.MAX_WBITS)

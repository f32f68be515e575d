"""Server-sent events: the bytes of a stream -> the data of its events. Pure.

Source: the event stream format of the HTML standard, https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, empty if it has none, and its data, lines joined by a line feed."""

    name: str
    data: bytes


class EventSplitter:
    """Cuts a byte stream into events, however it was cut into chunks on the way."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        """The pieces of a line that has not ended: joined when it has, since they may be many."""
        self._name = ""
        self._data: list[bytes] = []
        self._first = True
        self.untouched = True
        """Whether nothing has come yet."""
        self.any = False
        """Whether an event has come."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with this chunk. One the stream ends inside of is dropped, as the norm says."""
        events: list[Event] = []
        self.untouched = self.untouched and not chunk
        for line in self._lines(chunk):
            if line:
                self._field(line)
            elif self._data:
                events.append(Event(self._name, b"\n".join(self._data)))
                self._name, self._data, self.any = "", [], True
            else:
                self._name = ""
        return events

    def _lines(self, chunk: bytes) -> list[bytes]:
        held = bool(self._begun) and self._begun[-1].endswith(b"\r")
        if not (held or b"\n" in chunk or b"\r" in chunk):
            if chunk:
                self._begun.append(chunk)
            return []
        *lines, rest = self._cut(b"".join((*self._begun, chunk)))
        self._begun = [rest] if rest else []
        return lines

    def _cut(self, data: bytes) -> list[bytes]:
        if self._first and len(data) >= 3:
            self._first = False
            data = data.removeprefix(b"\xef\xbb\xbf")
        if data.endswith(b"\r"):  # its line feed may be the next chunk's first byte
            lines = _LINE_END.split(data[:-1])
            return [*lines[:-1], lines[-1] + b"\r"]
        return data.split(b"\n") if b"\r" not in data else _LINE_END.split(data)

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")

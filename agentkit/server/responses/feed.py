"""The events of a response that is made in the background, for all who watch it."""

from dataclasses import dataclass, field
from typing import Any

import anyio

from agentkit.server.event_stream import DONE, event
from agentkit.server.event_stream import Tell as Send


@dataclass(kw_only=True, slots=True)
class Feed:
    """What has been told so far, and that something new is."""

    events: list[dict[str, Any]]
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """In which it is made."""
    _more: anyio.Event = field(default_factory=anyio.Event)
    _is_closed: bool = False

    async def tell(self, told: dict[str, Any]) -> None:
        """Tell all who watch."""
        self.events.append(told)
        self._wake()

    def close(self) -> None:
        """Nothing follows."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = anyio.Event()

    async def follow(self, after: int, send: Send) -> None:
        """Watch from the event behind that of a number on, to the end."""
        place = 0
        while True:
            more = self._more
            while place < len(self.events):
                told = self.events[place]
                place += 1
                if told["sequence_number"] > after:
                    await send(event(told, told["type"]))
            if self._is_closed and place == len(self.events):
                break
            if more is self._more:
                await more.wait()
        await send(DONE)

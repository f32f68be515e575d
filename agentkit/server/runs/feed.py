"""The events of a run, from whoever runs it to the client that watches."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import anyio

from agentkit.server.event_stream import Tell, event

from .objects import without_results

_STEP = "thread.run.step."
_DONE = b"event: done\ndata: [DONE]\n\n"


class Feed:
    """What one client watches. It holds no run up, and what nobody watches any more is not kept.

    Args:
        with_results: Whether the client wants to read what searches have found.
    """

    def __init__(self, *, with_results: bool = False) -> None:
        self._with_results = with_results
        self._chunks = deque[bytes]()
        self._more = anyio.Event()
        self._is_closed = self._is_left = False

    def publish(self, name: str, data: Mapping[str, Any]) -> None:
        """Tell of something that has happened."""
        if self._is_left or self._is_closed:
            return
        if name.startswith(_STEP) and "step_details" in data and not self._with_results:
            data = without_results(data)
        self._add(event(dict(data), name))

    def close(self) -> None:
        """Nothing more will happen."""
        if not self._is_closed:
            self._add(_DONE)
            self._is_closed = True

    async def follow(self, tell: Tell) -> None:
        """Tell a client all of it."""
        try:
            while self._chunks or not self._is_closed:
                if not self._chunks:
                    await self._more.wait()
                    self._more = anyio.Event()
                while self._chunks:
                    await tell(self._chunks.popleft())
        finally:
            self._is_left = True
            self._chunks.clear()

    def _add(self, chunk: bytes) -> None:
        if not self._is_left:
            self._chunks.append(chunk)
        self._more.set()

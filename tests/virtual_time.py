"""Event loops whose time passes only when there is nothing else to do, and then at once: for what waits by the clock.

A test that uses them starts no threads: the loops would not wait for these.
"""

import asyncio
import selectors
from typing import Any

import anyio
import pytest
from trio.testing import MockClock


class _Impatient(selectors.DefaultSelector):
    """Instead of waiting for a while, it lets the loop's time pass."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self.passed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that begins at 1,000 seconds."""

    def __init__(self) -> None:
        self._clock = _Impatient()
        super().__init__(self._clock)

    def time(self) -> float:
        return 1000 + self._clock.passed


async def passes(seconds: float) -> None:
    """Let so much virtual time pass."""
    with anyio.move_on_after(seconds):
        await anyio.sleep_forever()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """In place of `conftest.anyio_backend`: import it into a file whose tests wait by the clock."""
    return virtual(request.param)


def virtual(backend: str) -> tuple[str, dict[str, Any]]:
    """A value of `anyio_backend`."""
    if backend == "asyncio":
        return "asyncio", {"loop_factory": VirtualLoop}
    return "trio", {"clock": MockClock(autojump_threshold=0)}


VIRTUAL = [pytest.param(virtual(backend), id=backend) for backend in ("asyncio", "trio")]
"""For one test: `@pytest.mark.parametrize("anyio_backend", VIRTUAL)`."""

"""The runs that go on in this process, and who watches them."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Literal

import anyio

from .feed import Feed

Why = Literal["cancelled", "expired"]


@dataclass(kw_only=True, slots=True, eq=False)
class Execution:
    """A run that goes on."""

    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: anyio.Event = field(default_factory=anyio.Event)
    why: Why | None = None
    """Why it is to end before its time."""


@dataclass(kw_only=True, slots=True)
class Going:
    """All that go on."""

    worker: str = field(default_factory=lambda: token_hex(12))
    """The process, as the others that share its database know it."""
    _executions: dict[str, Execution] = field(default_factory=dict)
    _feeds: dict[str, Feed] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Which."""
        return list(self._executions)

    def begin(self, run_id: str) -> Execution:
        """From now on it goes on, so that it can be stopped."""
        return self._executions.setdefault(run_id, Execution())

    @contextmanager
    def on(self, run_id: str) -> Generator[Execution]:
        """A run, while it goes on; who watches it is told the end."""
        execution = self.begin(run_id)
        try:
            yield execution
        finally:
            self._executions.pop(run_id, None)
            self.close(run_id)
            execution.ended.set()

    def stop(self, run_id: str, why: Why) -> Execution | None:
        """End a run before its time, if it goes on here."""
        execution = self._executions.get(run_id)
        if execution is not None:
            execution.why = execution.why or why
            execution.scope.cancel()
        return execution

    def watch(self, run_id: str, *, with_results: bool) -> Feed:
        """What a client is told of a run from now on, until it ends or waits for somebody."""
        feed = self._feeds[run_id] = Feed(with_results=with_results)
        return feed

    def feed(self, run_id: str) -> Feed | None:
        """Who watches a run."""
        return self._feeds.get(run_id)

    def close(self, run_id: str) -> None:
        """Nobody is told of a run any more."""
        if (feed := self._feeds.pop(run_id, None)) is not None:
            feed.close()

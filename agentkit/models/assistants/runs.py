"""One exchange with one run: it is begun or told results, followed to where it stops, and cancelled if it is left."""

import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlencode

import anyio

from agentkit.errors import ConnectionFailed, ModelError, ModelTimeout, RequestRejected, ServerFailed
from agentkit.hosted import FileSearch
from agentkit.models.base import Delta, ModelResponse
from agentkit.models.lenient import a_dict, a_str
from agentkit.models.sse import Event

from .content import calls_functions
from .decode import Turn, calls_asked, has_ended
from .encode import OPERATION, as_json, encode_outputs
from .ids import path
from .place import Results
from .wire import Wire, if_there

CANCEL_SECONDS = 5.0
"""How long to wait for a run to be cancelled."""
_NEWEST = 20
_ALL = 100
"""Messages and steps of one run: more than there are."""
_PASSAGES = "step_details.tool_calls[*].file_search.results[*].content"
_GIVEN_UP = frozenset({"expired", "cancelling", "cancelled"})
_LATE_SECONDS = 0.5
_REPORTED_SECONDS = 10.0
"""How long a run may go on after its stream has reported an error."""
_FIRST_WAIT = 0.05
"""Seconds between the first two looks at a run that is being cancelled."""
_LOOKS = (0.0, 0.1, 0.4)
"""Seconds before each look for a run that was asked for when its asker was cancelled."""


@dataclass(kw_only=True, slots=True)
class Exchange:
    """What a run says from when it is spoken to until it stops; leaving the block in mid-way cancels the run."""

    wire: Wire
    server: str
    turn: Turn
    tell: Callable[[Delta], Awaitable[None]]
    _expires: float | None = None
    """When the run expires, in seconds of this machine's clock."""
    _reported: ModelError | None = None
    """What has ended the stream, an `error` event for example."""
    _sought: Callable[[], Awaitable[bool | None]] | None = None
    """How to find a run that was asked for, as long as it is not known whether it has begun."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        with anyio.move_on_after(CANCEL_SECONDS, shield=True), suppress(ModelError):
            if self._sought is not None and not self.turn.id:
                for pause in _LOOKS:
                    await anyio.sleep(pause)
                    if await self._sought():
                        break
            if self.turn.id and not has_ended(self.turn.run):
                await cancel(self.wire, self.turn.thread, self.turn.id)

    async def begin(
        self, thread: str, body: dict[str, Any], others: set[str] | None, known: Callable[[], None]
    ) -> None:
        """Begin a run and follow it.

        Args:
            others: The runs that the thread has already, if nobody else begins runs there; None if that is not so.
            known: Called as soon as the server has the run.

        Raises:
            RequestRejected: it was refused.
            ModelError: it could not be begun, or was lost sight of.
        """
        operation = uuid.uuid4().hex
        whole = as_json({**body, "metadata": {**a_dict(body.get("metadata")), OPERATION: operation}})
        self.turn.thread = thread
        self._sought = partial(self._find, operation, others)
        where = path("threads", thread, "runs") + ("?" + urlencode(self._include) if self._include else "")
        try:
            await self.wire.persistently(
                lambda: self._listen(where, whole, known),
                found=self._sought,
            )
        except ModelError as error:
            if not error.retryable:
                self._sought = None
            raise
        known()
        await self._complete()

    async def submit(self, results: Results, *, sure: bool) -> bool:
        """Tell a run the results it waits for, and follow it; false if it waits for them no longer.

        Args:
            sure: Whether nobody can have told them before; if not, the run is looked at first, since servers that give
                the same ids to the calls of each round would take them for the next round's.

        Raises:
            ModelError: it could not be told, or was lost sight of.
        """
        place = results.place
        where = path("threads", place.thread, "runs", place.run)
        body = encode_outputs(results.outputs)
        self.turn.thread, self.turn.run = place.thread, {"id": place.run}
        told = {id for id, _ in results.outputs}
        self._expires = place.expires

        looked, refused = False, not sure

        async def found() -> bool | None:
            nonlocal looked
            run = await self.wire.get(where)
            if await self._still_asks(run, told, place.rounds):
                return None
            self._see(run)
            looked = True
            return True

        try:
            if sure or not await found():
                listen = partial(self._listen, f"{where}/submit_tool_outputs", body, nothing)
                await self.wire.persistently(listen, found=found)
        except RequestRejected as error:
            if error.status == 404:
                return False
            refused = True
            if error.status != 400 or not await found():
                raise
        if looked and self.turn.status in (_GIVEN_UP | {"failed"} if refused else _GIVEN_UP):
            return False
        await self._complete()
        return True

    async def follow(self, thread: str, run: dict[str, Any]) -> None:
        """Follow a run that somebody else has begun."""
        self.turn.thread = thread
        self._see(run)
        await self._complete()
        if self.turn.status == "requires_action":
            self.turn.rounds = max(0, await self._rounds() - 1)

    async def response(self) -> ModelResponse:
        """What the run has come to.

        Raises:
            ModelError: it has failed, or its answer cannot be used.
        """
        try:
            response = self.turn.response(self._expires, time.time(), self.server)
        except ModelError as error:
            self.wire.server.door().strike(error)
            raise
        for delta in self.turn.call_deltas(response.message):
            await self.tell(delta)
        return response

    async def _listen(self, where: str, body: bytes, known: Callable[[], None]) -> bool:
        """Send what makes the run go on, and read its events as far as they come.

        Raises:
            ModelError: it failed before anything was heard, so it may not have taken effect.
        """
        turn = self.turn
        try:
            async with self.wire.events(where, body) as events:
                async for event in events:
                    await self._tell(turn.feed(event.name, event.data))
                    self._note_expiry()
                    if turn.heard:
                        known()
                    if turn.settled:
                        await self._tell(await self._late_words(events))
                        return True
        except ModelError as error:
            if not turn.heard:
                raise
            self._reported = error
        if not turn.heard:
            raise ConnectionFailed("the server ended the stream before its first event")
        turn.broken = True
        return True

    async def _late_words(self, events: AsyncGenerator[Event]) -> list[Delta]:
        """What is still said of a message in a stream whose run has ended already; that does not take long."""
        late: list[Delta] = []
        with anyio.move_on_after(_LATE_SECONDS):
            while self.turn.mid_word and (event := await anext(events, None)) is not None:
                late += self.turn.feed(event.name, event.data)
        return late

    async def _complete(self) -> None:
        """Look at the run until it has stopped, and at what it has said where the stream left that out.

        Raises:
            ModelError: what the stream has reported, if the run does not stop soon after it.
        """
        turn, looked, began = self.turn, False, anyio.current_time()
        while not turn.settled or (turn.lacks_run and not looked):
            run, pause = await self.wire.look(self._where)
            turn.see_run(run)
            self._note_expiry()
            looked = turn.settled
            if not turn.settled:
                if isinstance(self._reported, ServerFailed) and anyio.current_time() > began + _REPORTED_SECONDS:
                    raise self._reported
                await anyio.sleep(pause)
        if not turn.lacks_words:
            return
        steps = await if_there(self.wire.newest(f"{self._where}/steps", _ALL, **self._include))
        for step in reversed(steps or []):
            await self._tell(turn.see_step(step))
        messages = path("threads", turn.thread, "messages")
        for message in _of_the_run(turn.id, await self.wire.newest(messages, _ALL, run_id=turn.id)):
            await self._tell(turn.see_message(message))

    @property
    def _include(self) -> dict[str, str]:
        """The query by which a file search shows the passages that it has found."""
        hosted = self.turn.request.tools.hosted
        return {"include[]": _PASSAGES} if any(isinstance(tool, FileSearch) for tool in hosted) else {}

    async def _tell(self, deltas: list[Delta]) -> None:
        for delta in deltas:
            await self.tell(delta)

    @property
    def _where(self) -> str:
        return path("threads", self.turn.thread, "runs", self.turn.id)

    def _see(self, run: dict[str, Any]) -> None:
        """The run was found by looking for it, so what it has said until now has not come."""
        self.turn.see_run(run)
        self.turn.broken = True
        self._note_expiry()

    def _note_expiry(self) -> None:
        """When the run is seen for the first time, it is new: both clocks are read at that moment."""
        if self._expires is None and self.turn.lifetime is not None:
            self._expires = time.time() + self.turn.lifetime

    async def _find(self, operation: str, others: set[str] | None) -> bool | None:
        """Whether a run that was asked for has begun all the same.

        It has our mark, or on a server that keeps no marks, it is the one that was not there before.
        """
        newest = await self.wire.newest(path("threads", self.turn.thread, "runs"), _NEWEST)
        marks = {a_str(run.get("id")): a_dict(run.get("metadata")).get(OPERATION) for run in newest}
        fresh = [id for id, mark in marks.items() if not mark and id not in others] if others is not None else []
        ours = [id for id, mark in marks.items() if mark == operation] or fresh
        for run in newest:
            if a_str(run.get("id")) in ours:
                self._see(run)
                return True
        return None

    async def _still_asks(self, run: dict[str, Any], told: set[str], rounds: int) -> bool:
        """Whether a run waits for these results still: not for others, nor for others with the same ids."""
        asked = {a_str(call.get("id")) for call in calls_asked(run)}
        return run.get("status") == "requires_action" and asked <= told and await self._rounds() <= rounds

    async def _rounds(self) -> int:
        """How often the run has asked for tool results."""
        try:
            return sum([calls_functions(step) async for step in self.wire.each(f"{self._where}/steps", "asc")])
        except RequestRejected:  # a server without steps
            return 0


def _of_the_run(run: str, newest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The run's messages, oldest first; of those that do not say whose they are, what was said since the user spoke."""
    users = (place for place, message in enumerate(newest) if message.get("role") == "user")
    since = next(users, len(newest))
    own = [m for place, m in enumerate(newest) if m.get("run_id") == run or (not m.get("run_id") and place < since)]
    return own[::-1]


async def cancel(wire: Wire, thread: str, run: str) -> dict[str, Any]:
    """Cancel a run, and wait for its end, but not for long; the run as it was seen last, nothing if it is gone.

    One that has ended before is left as it is, and so is one that waits for results on a server that does not cancel
    such runs: it will expire.

    Raises:
        ModelError: the server could not be asked.
    """
    where = path("threads", thread, "runs", run)
    seen: dict[str, Any] = {}
    with anyio.move_on_after(CANCEL_SECONDS) as scope:
        try:
            seen = await wire.persistently(lambda: wire.post(f"{where}/cancel"))
        except RequestRejected:
            pass  # it has ended, or is gone
        wait = _FIRST_WAIT
        while not has_ended(seen):
            found = await if_there(wire.look(where))
            if found is None:
                return {}
            seen, pause = found
            if has_ended(seen) or seen.get("status") == "requires_action":
                break
            await anyio.sleep(min(wait, pause))
            wait *= 2
    if scope.cancelled_caught and not seen:
        raise ModelTimeout(f"the server did not say within {CANCEL_SECONDS:g} seconds whether {run!r} is cancelled")
    return seen


def nothing() -> None:
    """Nobody waits to know."""

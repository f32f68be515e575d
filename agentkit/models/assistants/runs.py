"""One exchange with one run: it is begun or told results, followed to where it stops, and cancelled if it is left."""

import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

import anyio

from agentkit.errors import ConnectionFailed, ModelError, RequestRejected
from agentkit.hosted import FileSearch
from agentkit.models.base import Delta, ModelResponse
from agentkit.models.lenient import a_dict, a_str

from .content import calls_functions
from .decode import ENDED, Turn
from .encode import OPERATION, as_json, encode_outputs
from .persist import persistently
from .place import Results
from .wire import Wire, path

CANCEL_SECONDS = 5.0
"""How long to wait for a run to be cancelled."""
_NEWEST = 20
_ALL = 100
"""Messages and steps of one run: more than there are."""
_PASSAGES = "step_details.tool_calls[*].file_search.results[*].content"
_GIVEN_UP = frozenset({"expired", "cancelling", "cancelled"})
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
    _asked: tuple[str, str] | None = field(default=None)
    """The thread and the operation of a run that was asked for and is not known yet."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        with anyio.move_on_after(CANCEL_SECONDS, shield=True), suppress(ModelError):
            for pause in _LOOKS if self._asked and not self.turn.id else ():
                await anyio.sleep(pause)
                if await self._find(*(self._asked or ("", ""))):
                    break
            if self.turn.id and self.turn.status not in ENDED:
                await cancel(self.wire, self.turn.thread, self.turn.id)

    async def begin(self, thread: str, body: dict[str, Any], known: Callable[[], None]) -> None:
        """Begin a run and follow it; `known` is called as soon as the server has it.

        Raises:
            RequestRejected: it was refused.
            ModelError: it could not be begun, or was lost sight of.
        """
        operation = uuid.uuid4().hex
        whole = as_json({**body, "metadata": {**a_dict(body.get("metadata")), OPERATION: operation}})
        self._asked = thread, operation
        where = path("threads", thread, "runs") + ("?" + urlencode(self._include) if self._include else "")
        try:
            await persistently(
                lambda: self._listen(where, whole, known),
                found=lambda: self._find(thread, operation),
            )
        except ModelError as error:
            if not error.retryable:
                self._asked = None
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
        self.turn.run = {"id": place.run, "thread_id": place.thread}
        self._expires = place.expires

        looked, refused = False, not sure

        async def found() -> bool | None:
            nonlocal looked
            run = await self.wire.get(where)
            if run.get("status") == "requires_action" and await self._rounds(where) <= place.rounds:
                return None
            self._see(run)
            looked = True
            return True

        try:
            if sure or not await found():
                await persistently(lambda: self._listen(f"{where}/submit_tool_outputs", body, _nothing), found=found)
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

    async def follow(self, run: dict[str, Any]) -> None:
        """Follow a run that somebody else has begun."""
        self._see(run)
        await self._complete()
        if self.turn.status == "requires_action":
            self.turn.rounds = await self._rounds(self._where) - 1

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
                    for delta in turn.feed(event.name, event.data):
                        await self.tell(delta)
                    self._note_expiry()
                    if turn.heard:
                        known()
                    if turn.settled:
                        return True
        except ModelError:
            if not turn.heard:
                raise
        if not turn.heard:
            raise ConnectionFailed("the server ended the stream before its first event")
        turn.broken = True
        return True

    async def _complete(self) -> None:
        """Look at the run until it has stopped, and at what it has said where the stream left that out."""
        turn, looked = self.turn, False
        while not turn.settled or (turn.lacks_run and not looked):
            run, pause = await self.wire.look(self._where)
            turn.see_run(run)
            self._note_expiry()
            looked = turn.settled
            if not turn.settled:
                await anyio.sleep(pause)
        if not turn.lacks_words:
            return
        for step in reversed(await self.wire.newest(f"{self._where}/steps", _ALL, **self._include)):
            await self._tell(turn.see_step(step))
        messages = path("threads", turn.thread, "messages")
        for message in reversed(await self.wire.newest(messages, _ALL, run_id=turn.id)):
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

    async def _find(self, thread: str, operation: str) -> bool | None:
        """Whether a run that was asked for has begun all the same."""
        for run in await self.wire.newest(path("threads", thread, "runs"), _NEWEST):
            if a_dict(run.get("metadata")).get(OPERATION) == operation:
                self._see(run)
                return True
        return None

    async def _rounds(self, where: str) -> int:
        """How often the run has asked for tool results."""
        return sum(map(calls_functions, await self.wire.all(f"{where}/steps")))


async def cancel(wire: Wire, thread: str, run: str) -> dict[str, Any]:
    """Cancel a run and wait until it has ended; the run as it is then.

    One that has ended before is left as it is, and so is one that waits for results on a server that does not cancel
    such runs: it will expire.

    Raises:
        ModelError: the server could not be asked.
    """
    where = path("threads", thread, "runs", run)
    try:
        seen = await persistently(lambda: wire.post(f"{where}/cancel"))
    except RequestRejected:
        seen = {}
    while a_str(seen.get("status")) not in ENDED:
        seen, pause = await wire.look(where)
        if seen.get("status") == "requires_action":
            break
        if seen.get("status") not in ENDED:
            await anyio.sleep(pause)
    return seen


def _nothing() -> None:
    """Nobody waits to know."""

"""The threads that conversations are on: made, checked, added to, and cleared of other people's runs."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import anyio

from agentkit.errors import BadResponse, RequestRejected, SessionBusy
from agentkit.models.lenient import a_dict, a_str

from .decode import has_ended
from .encode import MARK, OPERATION, as_json, encode_thread
from .ids import is_id, path
from .place import Place, Words, digest_of, runs_in
from .runs import cancel
from .wire import Wire, if_there

OnActiveRun: TypeAlias = Literal["wait", "cancel", "raise"]

_BUSY = re.compile(r"already has an active run|while a run .* is active")
_TIP = 3
"""Newest runs to look at: where runs of one second are listed in any order, the newest may not come first."""
_NEWEST = 20


def is_busy(error: RequestRejected) -> bool:
    """Whether a thread takes nothing now, since a run is going on there."""
    return _BUSY.search(str(error)) is not None


async def make_thread(wire: Wire, resources: Mapping[str, Any] | None, metadata: Mapping[str, str]) -> str:
    """A new thread. If the answer is lost, there will be another one, with nothing in it."""
    body = encode_thread(resources, metadata)
    id = a_str((await wire.persistently(lambda: wire.post("/threads", body))).get("id"))
    if not is_id(id):
        raise BadResponse("the server has made a thread without an id: does it speak the Assistants wire?")
    return id


async def give_files(wire: Wire, thread: str, resources: Mapping[str, Any] | None) -> None:
    """Give a thread other files for the server's tools than those it has."""
    none: dict[str, Any] = {"file_search": {"vector_store_ids": []}, "code_interpreter": {"file_ids": []}}
    body = as_json({"tool_resources": none | dict(resources or {})})
    await wire.persistently(lambda: wire.post(path("threads", thread), body))


async def delete_thread(wire: Wire, thread: str) -> None:
    """Delete a thread, if agentkit has made it and it is still there."""
    where = path("threads", thread)
    found = await if_there(wire.get(where))
    if found is not None and a_dict(found.get("metadata")).get(MARK) == "thread":
        await wire.delete(where)


async def add_message(wire: Wire, thread: str, message: Mapping[str, Any]) -> None:
    """Add a message to a thread, once.

    Raises:
        RequestRejected: it was refused: `is_busy`, or it is none.
    """
    operation = uuid.uuid4().hex
    where = path("threads", thread, "messages")
    body = as_json({**message, "metadata": {OPERATION: operation}})

    async def found() -> dict[str, Any] | None:
        newest = await wire.newest(where, _NEWEST)
        return next((m for m in newest if a_dict(m.get("metadata")).get(OPERATION) == operation), None)

    await wire.persistently(lambda: wire.post(where, body), found=found)


async def holds(wire: Wire, words: Words, policy: OnActiveRun) -> bool:
    """Whether a thread still is what the conversation before these words says, so that they can be added to it.

    It is not if the history was changed on our side, or somebody has gone on from it: another process, a branch of the
    conversation, a run that was lost. What they have said is none of this conversation's, which then gets a thread of
    its own.

    Raises:
        SessionBusy: a run that this conversation does not know is going on there, and the policy is to raise.
    """
    place = words.place
    if place is None or digest_of(words.known, place.server) != place.digest:
        return False
    known = runs_in(words.known, place)
    newest = await if_there(wire.newest(path("threads", place.thread, "runs"), _TIP))
    if newest is None:
        return False
    strange = [run for run in newest if run.get("id") not in known]
    if policy != "wait" and any(not has_ended(run) for run in strange):
        await make_way(wire, place.thread, policy)
    return not strange


async def says_more(wire: Wire, place: Place) -> bool:
    """Whether a run has gone on after an answer, so that the thread has words that the conversation does not have."""
    messages = path("threads", place.thread, "messages")
    newest = await if_there(wire.newest(messages, _NEWEST, run_id=place.run))
    return newest is None or any(m.get("run_id") == place.run and m.get("id") not in place.seen for m in newest)


async def make_way(wire: Wire, thread: str, policy: OnActiveRun) -> bool:
    """Come to a state in which the thread has no active run, or had none for a moment; whether it had one.

    Raises:
        SessionBusy: it has one, and the policy is to raise.
    """
    active = await active_runs(wire, thread)
    for run in active:
        id = a_str(run.get("id"))
        if policy == "raise":
            raise SessionBusy(f"the thread {thread!r} has an active run, {id!r}: wait for it, or cancel it")
        if policy == "cancel":
            run = await cancel(wire, thread, id)
        pause = 0.0
        while run and not has_ended(run):
            await anyio.sleep(pause)
            run, pause = await wire.look(path("threads", thread, "runs", id))
    return bool(active)


async def active_runs(wire: Wire, thread: str) -> Sequence[dict[str, Any]]:
    """The runs that hold a thread: one, or none."""
    return [run for run in await wire.newest(path("threads", thread, "runs"), _TIP) if not has_ended(run)]

"""What was found is written into a server's database: with its old ids and times, and once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from agentkit.server.engine.log import LOGGED, MESSAGE
from agentkit.server.store import Database, Objects
from agentkit.server.threads import holder

from . import forms
from .exports import Export, Found, ThreadFound
from .report import Report
from .timeline import in_order, timeline

Progress = Callable[[int, int], object]
"""Is told how many of how many are done."""
_NOT_HERE = "(a picture that is not here: {})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """How an export is written.

    Args:
        database: Where to; it is open.
        tenant: Whose it will be.
        replaced: The new ids of files and vector stores, by their old ones.
        overwrite: Whether what is there already becomes what the export says.
        now: The time, in seconds.
    """

    database: Database
    tenant: str
    replaced: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    dry: bool = False
    """Whether all is checked, and nothing is kept."""
    now: int = 0

    async def write(self, export: Export, progress: Progress) -> Report:
        """Write all of it, a thread or an assistant at a time; each is there whole or not at all."""
        report = Report(left=list(export.left))
        works = [partial(_Writing.assistant, found=found) for found in export.assistants.values()]
        works += [partial(_Writing.thread, id=id, found=found) for id, found in export.threads.items()]
        for done, work in enumerate(works, 1):
            try:
                async with self.database.write() as connection:
                    await work(_Writing(how=self, objects=Objects(connection, self.tenant), report=report))
                    if self.dry:
                        raise _Undone
            except _Undone:
                pass
            progress(done, len(works))
        return report


class _Undone(Exception):
    """Nothing of this is kept."""


@dataclass(kw_only=True, slots=True)
class _Writing:
    """One transaction."""

    how: Import
    objects: Objects
    report: Report

    async def assistant(self, found: Found) -> None:
        body = self._formed(found, forms.assistant)
        if body is not None:
            await self._resources(body)
            await self._keep("assistant", body)

    async def thread(self, id: str, found: ThreadFound) -> None:
        told = found.thread or next(iter([*found.messages.values(), *found.runs.values(), *found.steps.values()]))
        whole = found.thread or Found(kind="thread", id=id, body={}, where=told.where)
        thread = self._formed(whole, forms.thread)
        if thread is None:
            inside = f"{len(found.messages)} messages, {len(found.runs)} runs"
            self.report.left.append(f"{whole.where}: so all that is on {id} is left out: {inside}")
            return
        messages = in_order(self._all(found.messages, partial(forms.message, thread_id=id)))
        runs = in_order(self._all(found.runs, partial(forms.run, thread_id=id)))
        by_run: dict[str, list[dict[str, Any]]] = {}
        for step in self._all(found.steps, partial(forms.step, thread_id=id)):
            by_run.setdefault(step["run_id"], []).append(step)
        steps = [step for each in by_run.values() for step in in_order(each)]
        if found.thread is None or not thread["created_at"]:
            thread["created_at"] = min((each["created_at"] for each in [*messages, *runs]), default=self.how.now)
        await self._resources(thread)
        await self._keep("thread", thread)
        await self._runs(found, runs, steps)
        for message in messages:
            await self._files_of(message)
        await self._log(found, thread, messages, steps)

    async def _runs(self, found: ThreadFound, runs: list[dict[str, Any]], steps: list[dict[str, Any]]) -> None:
        for run in runs:
            if found.runs[run["id"]].body.get("status") != run["status"]:
                self.report.notes.append(f"{run['id']}: had not ended; it is kept as expired")
            await self._keep("run", run, parent=run["thread_id"])
        known = {run["id"] for run in runs}
        for step in steps:
            if step["run_id"] in known or await self.objects.find("run", step["run_id"]) is not None:
                await self._keep("step", step, parent=step["run_id"])
            else:
                self._leave(found.steps[step["id"]], f"its run {step['run_id']} is not there; a model hears of it")

    async def _log(
        self, found: ThreadFound, thread: Mapping[str, Any], messages: list[dict[str, Any]], steps: list[dict[str, Any]]
    ) -> None:
        """The messages, and the calls between them; a thread that has gone on here is not added to."""
        id = thread["id"]
        entries = list(timeline(messages, steps))
        there = {entry["id"]: entry for entry in await self.objects.all(LOGGED, id)}
        went_on = there.keys() - {body["id"] for _, body in entries}
        is_held = went_on or (there and await holder(self.objects, id, self.how.now))
        for kind, body in entries:
            if body["id"] not in there and is_held:
                if kind == MESSAGE:
                    self._leave(found.messages[body["id"]], f"{id} has gone on here; its end is not the export's")
            elif kind == MESSAGE:
                await self._write(kind, body, there.get(body["id"]), parent=id, ref=body["run_id"] or "")
            elif body["id"] not in there:
                await self.objects.add(kind, body, parent=id)

    def _formed(self, found: Found, form: Callable[[Found], dict[str, Any]]) -> dict[str, Any] | None:
        try:
            return form(found)
        except forms.Unfit as error:
            self._leave(found, str(error))
            return None

    def _all(self, found: Mapping[str, Found], form: Callable[[Found], dict[str, Any]]) -> list[dict[str, Any]]:
        formed = (self._formed(each, form) for each in found.values())
        return [each for each in formed if each is not None]

    def _leave(self, found: Found, why: str) -> None:
        self.report.left.append(f"{found.where}: {found.kind} {found.id}: {why}")

    async def _keep(self, kind: str, body: dict[str, Any], *, parent: str = "") -> None:
        await self._write(kind, body, await self.objects.find(kind, body["id"], parent=parent), parent=parent)

    async def _write(
        self, kind: str, body: dict[str, Any], there: Mapping[str, Any] | None, *, parent: str, ref: str = ""
    ) -> None:
        if there is None:
            await self.objects.add(kind, body, parent=parent, ref=ref)
            self.report.taken[kind] += 1
        elif self.how.overwrite and there != body:
            await self.objects.put(kind, body, parent=parent, ref=ref)
            self.report.changed[kind] += 1
        else:
            self.report.there[kind] += 1

    async def _resources(self, body: dict[str, Any]) -> None:
        """The files and vector stores that are here."""
        for tool, name, kind in (
            ("code_interpreter", "file_ids", "file"),
            ("file_search", "vector_store_ids", "vector_store"),
        ):
            of = body["tool_resources"].get(tool, {})
            if of.get(name):
                here = [await self._here(kind, id, body["id"]) for id in of[name]]
                of[name] = [id for id in here if id is not None]

    async def _files_of(self, message: dict[str, Any]) -> None:
        attached = []
        for each in message["attachments"]:
            id = await self._here("file", each.get("file_id", ""), message["id"])
            attached += [] if id is None else [{"tools": [], **each, "file_id": id}]
        message["attachments"] = attached
        for n, part in enumerate(message["content"]):
            if part["type"] == "image_file":
                named = part["image_file"]["file_id"]
                part["image_file"]["file_id"] = id = await self._here("file", named, message["id"])
                if id is None:
                    text = {"value": _NOT_HERE.format(named), "annotations": []}
                    message["content"][n] = {"type": "text", "text": text}
            for cited in part["text"]["annotations"] if part["type"] == "text" else ():
                of = cited[cited["type"]]
                of["file_id"] = self.how.replaced.get(of["file_id"], of["file_id"])

    async def _here(self, kind: str, id: str, by: str) -> str | None:
        """The id under which a file or a vector store is known here."""
        new = self.how.replaced.get(id, id)
        if await self.objects.find(kind, new) is not None:
            return new
        self.report.notes.append(f"{by}: {kind.replace('_', ' ')} {new} is not here, and was left out of it")
        return None

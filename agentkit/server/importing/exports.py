"""The objects in a file that somebody has saved: the API's own, in whatever they were wrapped.

There was no common format. People saved single objects, pages of lists, arrays, JSON lines, threads with their
messages beside or inside them, and flat lines with one message each; some files are from version 1 of the API. So the
file is searched for objects, by what they say they are, by their ids, and by their fields.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json, to_json

from agentkit.errors import ConfigError

KINDS = {
    "assistant": "assistant",
    "thread": "thread",
    "thread.message": "message",
    "thread.run": "run",
    "thread.run.step": "step",
}
"""What objects call themselves, and what they are called here."""
_PREFIXES = {"asst_": "assistant", "thread_": "thread", "msg_": "message", "run_": "run", "step_": "step"}
_ELSEWHERE = {"file": "files", "vector_store": "vector stores", "vector_store.file": "vector stores"}
_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An object in a file."""

    kind: str
    id: str
    body: Mapping[str, Any]
    where: str
    """The file, and the place in it."""


@dataclass(kw_only=True, slots=True)
class ThreadFound:
    """A thread, and what was found of it, in the order of the files."""

    thread: Found | None = None
    messages: dict[str, Found] = field(default_factory=dict)
    runs: dict[str, Found] = field(default_factory=dict)
    steps: dict[str, Found] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Export:
    """All that was found."""

    assistants: dict[str, Found] = field(default_factory=dict)
    threads: dict[str, ThreadFound] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """What was left out, and why."""

    def read(self, name: str, data: bytes) -> None:
        """Add what a file holds.

        Raises:
            ConfigError: it is no JSON.
        """
        before = (len(self.left), self._count())
        for where, document in _documents(name, data):
            self._search(document, _Around(where=where))
        if (len(self.left), self._count()) == before:
            self.left.append(f"{name}: it holds no assistant, thread, message, run or step")

    def _count(self) -> int:
        inside = sum(len(each.messages) + len(each.runs) + len(each.steps) for each in self.threads.values())
        return len(self.assistants) + len(self.threads) + inside

    def _search(self, value: Any, around: "_Around") -> None:
        if isinstance(value, list):
            for n, each in enumerate(value):
                self._search(_parsed(each), around.at(f"[{n}]"))
        elif isinstance(value, dict):
            kind = _kind(value, around)
            if kind is None:
                self._search_inside(value, around.beside(value))
            elif kind in _ELSEWHERE:
                told = f"{_ELSEWHERE[kind]} are not imported; upload them again"
                self.left.append(f"{around.where}: {value.get('id')}: {told}")
            else:
                self._take(kind, value, around)

    def _search_inside(self, value: Mapping[str, Any], around: "_Around") -> None:
        for name, each in value.items():
            if isinstance(each, dict | list):
                here = around.at(f".{name}")
                self._search(each, replace(here, thread=name) if name.startswith("thread_") else here)

    def _take(self, kind: str, value: Mapping[str, Any], around: "_Around") -> None:
        body = _without_wrapping(kind, value)
        found = Found(kind=kind, id=_id(kind, body, around), body=body, where=around.where)
        if kind == "assistant":
            self.assistants.setdefault(found.id, found)
            return
        thread_id = found.id if kind == "thread" else body.get("thread_id") or around.thread
        if not isinstance(thread_id, str) or not thread_id:
            self.left.append(f"{found.where}: {kind} {found.id}: nothing says of which thread it is")
            return
        of = self.threads.setdefault(thread_id, ThreadFound())
        if kind == "thread":
            of.thread = of.thread or found
        else:
            {"message": of.messages, "run": of.runs, "step": of.steps}[kind].setdefault(found.id, found)
        inside = replace(around, thread=thread_id, run=found.id if kind == "run" else around.run)
        self._search_inside({name: body[name] for name in _INSIDE[kind] if name in body}, inside)


_INSIDE: Mapping[str, tuple[str, ...]] = {
    "thread": ("messages", "runs", "steps", "run_steps"),
    "run": ("steps", "run_steps"),
    "message": (),
    "step": (),
}
"""Where some keep other objects within an object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Around:
    """Where one is in a file."""

    where: str
    thread: str | None = None
    run: str | None = None
    is_deep: bool = False

    def at(self, step: str) -> "_Around":
        """One step deeper."""
        path = step if self.is_deep else f", {step.removeprefix('.')}"
        return replace(self, where=self.where + path, is_deep=True)

    def beside(self, value: Mapping[str, Any]) -> "_Around":
        """Within a wrapping that says of which thread or run its parts are."""
        thread, run = (
            named if isinstance(named := value.get(f"{noun}_id") or _id_of(value.get(noun)), str) else None
            for noun in ("thread", "run")
        )
        return replace(self, thread=thread or self.thread, run=run or self.run)


def _id_of(value: Any) -> Any:
    return value.get("id") if isinstance(value, dict) else value


def _kind(value: Mapping[str, Any], around: _Around) -> str | None:
    """What an object is; None if it is but a wrapping."""
    says, id = value.get("object"), value.get("id")
    if isinstance(says, str) and (says in KINDS or says in _ELSEWHERE):
        return KINDS.get(says, says)
    if says is not None:
        return None
    if isinstance(id, str):
        for prefix, kind in _PREFIXES.items():
            if id.startswith(prefix):
                return kind
    if "role" in value and ("content" in value or "text" in value):
        return "message"
    is_assistant = isinstance(value.get("model"), str) and ("instructions" in value or "tools" in value)
    return "assistant" if is_assistant and around.thread is None and "thread_id" not in value else None


def _without_wrapping(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    body = dict(value)
    if kind == "message":  # as in flat lines: thread_id, message_id, role, text, created_at
        body.setdefault("content", body.get("text"))
        if body.get("id") is None:
            body["id"] = body.get("message_id")
    return body


def _id(kind: str, body: Mapping[str, Any], around: _Around) -> str:
    """The object's id, or one made of what it says, so that it is the same the next time."""
    if isinstance(body.get("id"), str) and body["id"]:
        return str(body["id"])
    prefix = next(prefix for prefix, each in _PREFIXES.items() if each == kind)
    place = around.where if kind == "message" else ""
    told = to_json([body, around.thread, place], fallback=repr)
    return prefix + hashlib.sha256(told).hexdigest()[:24]


def _parsed(value: Any) -> Any:
    """An object that was saved as text within JSON is one all the same."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return from_json(value)
        except ValueError:
            return value
    return value


def _documents(name: str, data: bytes) -> Iterator[tuple[str, Any]]:
    encoding = next((told for mark, told in _ENCODINGS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise ConfigError(f"{name} is no text in UTF-8") from None
    try:
        yield name, from_json(text)
        return
    except ValueError as error:
        why = str(error)
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    documents = []
    for number, line in lines:
        try:
            documents.append((f"{name}, line {number}", from_json(line)))
        except ValueError as error:
            told = f"line {number}: {error}" if documents else why
            raise ConfigError(f"{name} is no JSON ({told}); what `print` shows of the SDK's objects is none") from None
    yield from documents

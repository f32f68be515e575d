"""Puts files on an Assistants server, and into the vector stores that its file search looks through.

Source: OpenAI's API reference, "Files" and "Vector stores".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args
from uuid import uuid4

import anyio

from agentkit.errors import ConfigError, ModelError, RequestRejected
from agentkit.messages import SearchHit, clean
from agentkit.models.http import Call, Server, masked
from agentkit.models.lenient import a_dict, a_str, an_int, dicts

from .answer import Answer, read_answer
from .encode import OPERATION, as_json, check_metadata
from .file_wire import (
    Chunks,
    FileInfo,
    Purpose,
    checked_ids,
    file_fields,
    file_info,
    read_new,
    search_hit,
    store_path,
)
from .ids import segment
from .multipart import Form, opened
from .persist import persistently
from .wire import HEADERS

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OnProgress: TypeAlias = Callable[[int, int], object]
"""`on_progress(done, total)`: `done` never falls, and is `total` in the last call, when all has succeeded."""

_LARGEST_FILE = 512 * 2**20
_FILES_OF_A_NEW_STORE = 500
_FILES_OF_A_BATCH = 2000
_FAILURES_TOLD = 100


class Files:
    """The files and the vector stores of a server that speaks the Assistants wire.

        files = Files()
        handbook = await files.upload("handbook.pdf")
        store = await files.create_store([handbook], name="handbook")
        clerk = Agent("assistants:gpt-5.5", tools=[FileSearch(stores=(store,))])

    A request whose answer is lost is sent again, up to four times. Nothing is done twice by it, but for an upload:
    then the first one may stay on the server as a file that nobody knows of.
    Nothing here has a time limit of its own; put `anyio.fail_after(seconds)` around it.

    Args:
        base_url: Where the server is, `http://localhost:8000/v1` for example; OPENAI_BASE_URL, or OpenAI itself.
        api_key: The key; OPENAI_API_KEY if not given.
        client: An `openai.AsyncOpenAI` or `AsyncAzureOpenAI` of your own, instead of the two above.
    """

    def __init__(
        self, *, base_url: str | None = None, api_key: str | None = None, client: "AsyncOpenAI | None" = None
    ) -> None:
        self.server = Server(base_url=base_url, api_key=api_key, client=client)

    @classmethod
    def of(cls, server: Server) -> "Files":
        """The files of a server that somebody else asks too: its limit on requests holds for both."""
        files = cls()
        files.server = server
        return files

    def __repr__(self) -> str:
        url = self.server.base_url
        return f"Files(base_url={url and masked(url)!r})"

    async def upload(
        self,
        file: str | Path | bytes,
        *,
        name: str | None = None,
        purpose: Purpose = "assistants",
        on_progress: OnProgress | None = None,
    ) -> str:
        """Put a file on the server; its id there. A path is read while it is sent, and never whole in memory.

        Args:
            file: A path, or the content itself.
            name: What the server calls it, and by whose ending it knows the file's type; the path's own if not given.
            purpose: What it is for.
            on_progress: Called with the bytes sent, and the file's bytes.

        Raises:
            ConfigError: there is no such file, it is empty or larger than 512 MB, it changed while it was sent, or
                the purpose is none.
            ModelError: the server refused it, or could not be reached.
        """
        if purpose not in get_args(Purpose):
            raise ConfigError(f"there is no purpose {purpose!r}; there are {', '.join(get_args(Purpose))}")
        progress = _Progress(on_progress)
        id, size = await persistently(lambda: self._upload(file, name, purpose, progress))
        progress.finish(size)
        return id

    async def read(self, file: str) -> bytes:
        """A file's content. OpenAI itself gives back only what its tools have written."""
        call = replace(_call("get", f"/files/{segment(file)}/content"), largest=_LARGEST_FILE)
        return await persistently(lambda: self.server.door().send(call, lambda body, _: body))

    async def info(self, file: str) -> FileInfo:
        """What the server knows of a file."""
        told = (await self._ask("get", f"/files/{segment(file)}")).data
        return file_info(told)

    async def delete(self, file: str) -> None:
        """Take a file from the server, and out of all vector stores.

        Raises:
            RequestRejected: it is not there.
        """
        await self._delete(f"/files/{segment(file)}")

    async def create_store(
        self,
        files: Sequence[str],
        *,
        name: str = "",
        expires_days: int | None = None,
        metadata: Mapping[str, str] = MappingProxyType({}),
        chunks: Chunks | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Make a vector store, and wait until all files can be searched; its id.

        Args:
            files: Ids of uploaded files.
            name: For people to read.
            expires_days: Days without use after which the server deletes it, from 1 to 365; it is kept if not given.
            metadata: Up to 14 pairs that the server keeps with it.
            chunks: How files are cut into passages, if not as the server does it by itself.
            on_progress: Called with the number of files that were processed, and of all.

        Raises:
            ConfigError: an argument is not what it may be.
            RequestRejected: files could not be processed; the message says which and why. The store is there, with
                the other files.
            ModelError: the server refused it, or could not be reached.
        """
        ids = checked_ids(files)
        check_metadata(metadata)
        if expires_days is not None and not 1 <= expires_days <= 365:
            raise ConfigError(f"expires_days={expires_days!r}: a vector store expires after 1 to 365 days")
        first = ids[:_FILES_OF_A_NEW_STORE]
        body = {
            "name": name or None,
            "expires_after": expires_days and {"anchor": "last_active_at", "days": expires_days},
            "metadata": {**metadata, OPERATION: uuid4().hex},
            **file_fields(first, chunks),
        }
        answer = await self._create(body)
        store, progress = a_str(answer.data["id"]), _Progress(on_progress)
        problems = await self._processed(store_path(store), answer, progress, 0, len(ids))
        problems += await self._add(store, ids, len(first), chunks, progress)
        _none(problems, store)
        progress.finish(len(ids))
        return store

    async def add_to_store(
        self, store: str, files: Sequence[str], *, chunks: Chunks | None = None, on_progress: OnProgress | None = None
    ) -> None:
        """Put more files into a vector store, and wait until they can be searched; see `create_store`."""
        ids, progress = checked_ids(files), _Progress(on_progress)
        _none(await self._add(store, ids, 0, chunks, progress), store)
        progress.finish(len(ids))

    async def search(self, store: str, query: str, *, max_results: int = 10) -> tuple[SearchHit, ...]:
        """The passages of a vector store that fit a query best, the best one first.

        Args:
            store: The vector store's id.
            query: What to look for, in words.
            max_results: The most passages, from 1 to 50.

        Raises:
            ConfigError: the query is empty, or the number is not from 1 to 50.
            ModelError: the server refused it, or could not be reached.
        """
        if not query.strip():
            raise ConfigError("the query is empty: say what to look for")
        if not 1 <= max_results <= 50:
            raise ConfigError(f"max_results={max_results!r}: a search gives from 1 to 50 passages")
        path = f"{store_path(store)}/search"
        page = await self._ask("post", path, {"query": clean(query), "max_num_results": max_results})
        return tuple(search_hit(found) for found in dicts(page.data.get("data")))

    async def delete_store(self, store: str) -> None:
        """Delete a vector store; its files stay on the server. See `delete`."""
        await self._delete(store_path(store))

    async def _upload(
        self, file: str | Path | bytes, name: str | None, purpose: Purpose, progress: "_Progress"
    ) -> tuple[str, int]:
        async with opened(file, name) as source:
            if not 0 < source.size <= _LARGEST_FILE:
                why = "is empty" if not source.size else f"has {source.size} bytes; {_LARGEST_FILE} are the most"
                raise ConfigError(f"the file {source.name!r} {why}")
            form = Form(
                source=source,
                fields={"purpose": purpose},
                on_read=lambda done: progress.tell(done, source.size),
            )
            call = Call(path="/files", body=form, headers={**HEADERS, **form.headers}, retries=0)
            try:
                answer = await self.server.door().send(call, read_new)
            except ModelError:
                if form.failure is not None:
                    raise form.failure from None
                raise
            return a_str(answer.data["id"]), source.size

    async def _create(self, body: Mapping[str, Any]) -> Answer:
        """A new vector store. If the answer is lost, it is known by its mark, among the newest ones."""

        async def found() -> Answer | None:
            page = await self._ask("get", "/vector_stores?limit=100&order=desc")
            for store in dicts(page.data.get("data")):
                if a_dict(store.get("metadata")).get(OPERATION) == body["metadata"][OPERATION] and a_str(
                    store.get("id")
                ):
                    return Answer(store, page.pause)
            return None

        call = _call("post", "/vector_stores", body)
        return await persistently(lambda: self.server.door().send(call, read_new), found=found)

    async def _add(
        self, store: str, ids: Sequence[str], start: int, chunks: Chunks | None, progress: "_Progress"
    ) -> list[str]:
        """Put files into a store, batch by batch; what went wrong. A file that is sent twice is in it once."""
        problems: list[str] = []
        batches = f"{store_path(store)}/file_batches"
        for at in range(start, len(ids), _FILES_OF_A_BATCH):
            call = _call("post", batches, file_fields(ids[at : at + _FILES_OF_A_BATCH], chunks))
            answer = await persistently(partial(self.server.door().send, call, read_new))
            batch = f"{batches}/{segment(answer.data['id'])}"
            problems += await self._processed(batch, answer, progress, at, len(ids))
        return problems

    async def _processed(self, path: str, answer: Answer, progress: "_Progress", before: int, total: int) -> list[str]:
        """Wait until the files of a store or of a batch are processed; what went wrong."""
        while True:
            status = a_str(answer.data.get("status"))
            counts = {kind: an_int(count) or 0 for kind, count in a_dict(answer.data.get("file_counts")).items()}
            progress.tell(before + sum(counts.get(kind, 0) for kind in ("completed", "failed", "cancelled")), total)
            if status != "in_progress":
                break
            await anyio.sleep(answer.pause)
            answer = await self._ask("get", path)
        problems = await self._failures(path, counts["failed"]) if counts.get("failed") else []
        if counts.get("cancelled"):
            problems.append(f"{counts['cancelled']} were cancelled")
        if not problems and status in {"failed", "cancelled", "expired"}:
            problems.append(f"{path!r} is {status}")
        return problems

    async def _failures(self, path: str, count: int) -> list[str]:
        page = await self._ask("get", f"{path}/files?filter=failed&limit={_FAILURES_TOLD}")
        failed = [file for file in dicts(page.data.get("data")) if file.get("status") == "failed"]
        reasons: dict[str, list[str]] = {}
        for file in failed:
            told = a_dict(file.get("last_error"))
            reason = f"{a_str(told.get('code')) or 'no reason given'}: {a_str(told.get('message'))}".strip(": ")
            reasons.setdefault(reason, []).append(repr(a_str(file.get("id"))))
        more = [f"{count - len(failed)} more"] if count > len(failed) else []
        return [f"{', '.join(ids)} ({reason})" for reason, ids in reasons.items()] + more

    async def _delete(self, path: str) -> None:
        await self._ask("get", path)  # raises if it is not there: from now on, a 404 means that it is gone
        try:
            await persistently(lambda: self.server.door().send(_call("delete", path), read_answer))
        except RequestRejected as error:
            if error.status != 404:
                raise

    async def _ask(self, method: Literal["get", "post"], path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send a request that does no harm if it is sent twice."""
        call = _call(method, path, body)
        return await persistently(lambda: self.server.door().send(call, read_answer))


class _Progress:
    """Tells how far something is, but nothing twice; that it is done, only once it is."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._told = 0

    def tell(self, done: int, total: int) -> None:
        if self._on_progress is not None and self._told < done < total:
            self._told = done
            self._on_progress(done, total)

    def finish(self, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(total, total)


def _call(method: Literal["get", "post", "delete"], path: str, body: Mapping[str, Any] | None = None) -> Call:
    encoded = as_json(body) if body is not None else None
    return Call(path=path, method=method, body=encoded, headers=HEADERS, retries=0)


def _none(problems: Sequence[str], store: str) -> None:
    if problems:
        told = "; ".join(problems)
        raise RequestRejected(f"files of the vector store {store!r} could not be processed: {told}")

"""Answers what is asked about files and vector stores.

A file that is put into a vector store is being processed when it is looked at for the first time, and is done at the
second look: as itself, among others, or in the counts of its store or batch. One whose content has `FAIL-PROCESSING`
in it fails.
Source: OpenAI's API reference, "Files" and "Vector stores".
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from agentkit.testing.http_server import Response, json_response
from agentkit.testing.refusal import Refusal, refuse

from . import strict_files
from .call import Call, Handler, Router
from .form import Field, read_form
from .passages import fits, passages, score
from .quirks import dress
from .store import Shelf, Store
from .thread_routes import known_query

FAIL_PROCESSING = b"FAIL-PROCESSING"
"""A file with this in its content cannot be searched."""

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_STATES = ("in_progress", "completed", "failed", "cancelled")
_AUTO = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
_PAGE = ("limit", "order", "after", "before")
_DAY = 86_400


@dataclass(kw_only=True, slots=True, eq=False)
class _VectorStore:
    object: dict[str, Any]
    files: Shelf
    batches: Shelf
    members: dict[str, list[str]] = field(default_factory=dict)
    """The files of each batch."""
    seen: set[str] = field(default_factory=set)
    """The files that were looked at since they were put in."""


class FileRoutes:
    """The endpoints under `/files` and `/vector_stores`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._files = store.shelf("file", missing="No such File object: {id}", deleted="file")
        self._contents: dict[str, bytes] = {}
        self._objects = store.shelf("vector store", deleted="vector_store.deleted")
        self._stores: dict[str, _VectorStore] = {}
        self.routes: dict[str, Handler] = {
            "POST /files": self._upload,
            "GET /files": self._list_files,
            "GET /files/{}": lambda call, id: deepcopy(self._files.get(id)),
            "DELETE /files/{}": self._delete_file,
            "GET /files/{}/content": lambda call, id: Response(
                headers={"content-type": "application/octet-stream"}, body=self.content(id)
            ),
            "POST /vector_stores": lambda call: self._polled(self.create_store(call.body or {})),
            "GET /vector_stores": self._list_stores,
            "GET /vector_stores/{}": self._show_store,
            "POST /vector_stores/{}": self._change_store,
            "DELETE /vector_stores/{}": self._delete_store,
            "POST /vector_stores/{}/search": self._search,
            "POST /vector_stores/{}/files": self._add_file,
            "GET /vector_stores/{}/files": self._list_store_files,
            "GET /vector_stores/{}/files/{}": self._show_file,
            "POST /vector_stores/{}/files/{}": self._change_file,
            "DELETE /vector_stores/{}/files/{}": lambda call, id, file: self._vector_store(id).files.delete(file),
            "GET /vector_stores/{}/files/{}/content": self._file_text,
            "POST /vector_stores/{}/file_batches": self._add_batch,
            "GET /vector_stores/{}/file_batches/{}": self._show_batch,
            "POST /vector_stores/{}/file_batches/{}/cancel": self._cancel_batch,
            "GET /vector_stores/{}/file_batches/{}/files": self._list_batch_files,
        }
        self._router = Router(self.routes)

    def answer(self, call: Call) -> Any:
        """What the call's handler says.

        Raises:
            Refusal: the request is not what it may be.
        """
        return self._router.answer(call)

    def add_file(self, filename: str, content: bytes, purpose: str = "assistants_output") -> dict[str, Any]:
        """Keep a file, as if a tool of the server had written it; the object that says so."""
        file: dict[str, Any] = {
            "id": self._store.new_id("file-"),
            "object": "file",
            "bytes": len(content),
            "created_at": self._store.now(),
            "expires_at": None,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        self._contents[file["id"]] = content
        return deepcopy(self._files.add(file))

    def content(self, file_id: str) -> bytes:
        """A file's bytes.

        Raises:
            Refusal: there is no such file (404).
        """
        return self._contents[self._files.get(file_id)["id"]]

    def create_store(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a vector store of what a request says.

        Raises:
            Refusal: no server could make it, or a file is not there.
        """
        if self._store.strict:
            strict_files.check_store(body)
        self._know(body.get("file_ids") or ())
        value: dict[str, Any] = {
            "id": self._store.new_id("vs_"),
            "object": "vector_store",
            "created_at": self._store.now(),
            "name": body.get("name") or "",
            "description": body.get("description"),
            "expires_after": body.get("expires_after"),
            "last_active_at": self._store.now(),
            "metadata": body.get("metadata") or {},
        }
        kept = _VectorStore(
            object=self._objects.add(value),
            files=self._store.shelf("file", deleted="vector_store.file.deleted"),
            batches=self._store.shelf("file batch"),
        )
        self._stores[value["id"]] = kept
        for file_id in body.get("file_ids") or ():
            self._put(kept, file_id, body)
        return self._shown_store(kept)

    def find(self, store_id: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The passages that fit the `query` of a search best; of equal ones, the older file's first.

        Raises:
            Refusal: there is no such vector store, or it has expired.
        """
        kept = self._vector_store(store_id)
        if self._shown_store(kept)["status"] == "expired":
            raise Refusal(f"Vector store {store_id} has expired.")
        kept.object["last_active_at"] = self._store.now()
        query = body["query"] if isinstance(body["query"], str) else " ".join(body["query"])
        least = (body.get("ranking_options") or {}).get("score_threshold") or 0
        found = [hit for hit in self._hits(kept, query, body.get("filters")) if hit["score"] and hit["score"] >= least]
        return sorted(found, key=lambda hit: -hit["score"])[: body.get("max_num_results") or 10]

    def _hits(self, kept: _VectorStore, query: str, wanted: Mapping[str, Any] | None) -> Iterable[dict[str, Any]]:
        for file in kept.files:
            if file["status"] != "completed" or not fits(file["attributes"], wanted):
                continue
            shown = {"file_id": file["id"], "filename": self._files.get(file["id"])["filename"]}
            for passage in passages(self._text(file["id"]), file["chunking_strategy"]):
                content = [{"type": "text", "text": passage}]
                rest = {"attributes": dict(file["attributes"]), "content": content}
                yield {**shown, "score": score(passage, query), **rest}

    def _upload(self, call: Call) -> dict[str, Any]:
        form = read_form(call.raw, call.headers.get("content-type", ""))
        extras = {"expires_after[anchor]", "expires_after[seconds]"}
        for name in form.keys() - {"file", "purpose", *extras}:
            raise Refusal(f"Unknown parameter: {name!r}.", param=name, code="unknown_parameter")
        for name in {"file", "purpose"} - form.keys():
            raise Refusal(f"Missing required parameter: {name!r}.", param=name, code="missing_required_parameter")
        filename, purpose = form["file"].filename, form["purpose"].content.decode("utf-8", "replace")
        if not filename:
            refuse("file", "expected a file with a name")
        if purpose not in _PURPOSES:
            refuse("purpose", f"expected one of {', '.join(_PURPOSES)}")
        if not form["file"].content:
            raise Refusal("File is empty.", param="file")
        seconds = _expiry(form) if extras & form.keys() else None
        file = self.add_file(filename, form["file"].content, purpose)
        expires_at = file["created_at"] + seconds if seconds else None
        return deepcopy(self._files.update(file["id"], {"expires_at": expires_at}))

    def _list_files(self, call: Call) -> dict[str, Any]:
        known_query(self._store, call, ("limit", "order", "after", "purpose"))
        purpose = call.query.get("purpose")
        return self._files.page(
            call.query, where=lambda file: purpose in {None, file["purpose"]}, usual=10_000, most=10_000
        )

    def _delete_file(self, call: Call, file_id: str) -> dict[str, Any]:
        answer = self._files.delete(file_id)
        del self._contents[file_id]
        for kept in self._stores.values():
            if file_id in kept.files:
                kept.files.delete(file_id)
        return answer

    def _list_stores(self, call: Call) -> dict[str, Any]:
        known_query(self._store, call, _PAGE)
        page = self._objects.page(call.query)
        return {**page, "data": [self._shown_store(self._stores[value["id"]]) for value in page["data"]]}

    def _show_store(self, call: Call, store_id: str) -> Response:
        kept = self._vector_store(store_id)
        self._look(kept, kept.files)
        return self._polled(self._shown_store(kept))

    def _change_store(self, call: Call, store_id: str) -> dict[str, Any]:
        kept, body = self._vector_store(store_id), call.body or {}
        if self._store.strict:
            strict_files.check_store_changes(body)
        empty: dict[str, Any] = {"name": "", "expires_after": None, "metadata": {}}
        kept.object.update({name: body[name] or usual for name, usual in empty.items() if name in body})
        return self._shown_store(kept)

    def _delete_store(self, call: Call, store_id: str) -> dict[str, Any]:
        answer = self._objects.delete(store_id)
        del self._stores[store_id]
        return answer

    def _search(self, call: Call, store_id: str) -> dict[str, Any]:
        body = call.body or {}
        if self._store.strict:
            strict_files.check_search(body)
        queries = [body["query"]] if isinstance(body["query"], str) else body["query"]
        page = {"object": "vector_store.search_results.page", "search_query": queries}
        return {**page, "data": self.find(store_id, body), "has_more": False, "next_page": None}

    def _add_file(self, call: Call, store_id: str) -> Response:
        kept, body = self._vector_store(store_id), call.body or {}
        if self._store.strict:
            strict_files.check_file(body)
        self._know([body["file_id"]])
        return self._polled(deepcopy(self._put(kept, body["file_id"], body)))

    def _list_store_files(self, call: Call, store_id: str) -> dict[str, Any]:
        kept = self._vector_store(store_id)
        self._look(kept, kept.files)
        return self._page(call, kept, [file["id"] for file in kept.files])

    def _show_file(self, call: Call, store_id: str, file_id: str) -> Response:
        kept = self._vector_store(store_id)
        self._look(kept, [kept.files.get(file_id)])
        return self._polled(deepcopy(kept.files.get(file_id)))

    def _change_file(self, call: Call, store_id: str, file_id: str) -> dict[str, Any]:
        file, body = self._vector_store(store_id).files.get(file_id), call.body or {}
        if self._store.strict:
            strict_files.check_attributes(body)
        file["attributes"] = body.get("attributes") or {}
        return deepcopy(file)

    def _file_text(self, call: Call, store_id: str, file_id: str) -> dict[str, Any]:
        file = self._vector_store(store_id).files.get(file_id)
        data = [
            {"type": "text", "text": passage} for passage in passages(self._text(file_id), file["chunking_strategy"])
        ]
        return {"object": "vector_store.file_content.page", "data": data, "has_more": False, "next_page": None}

    def _add_batch(self, call: Call, store_id: str) -> Response:
        kept, body = self._vector_store(store_id), call.body or {}
        if self._store.strict:
            strict_files.check_batch(body)
        files = body.get("files") or [{**body, "file_id": id} for id in body["file_ids"]]
        self._know(file["file_id"] for file in files)
        batch: dict[str, Any] = {
            "id": self._store.new_id("vsfb_"),
            "object": "vector_store.files_batch",
            "created_at": self._store.now(),
            "vector_store_id": store_id,
        }
        kept.batches.add(batch)
        kept.members[batch["id"]] = [self._put(kept, file["file_id"], file)["id"] for file in files]
        return self._polled(_shown_batch(kept, batch["id"]))

    def _show_batch(self, call: Call, store_id: str, batch_id: str) -> Response:
        kept = self._vector_store(store_id)
        self._look(kept, _members(kept, batch_id))
        return self._polled(_shown_batch(kept, batch_id))

    def _cancel_batch(self, call: Call, store_id: str, batch_id: str) -> dict[str, Any]:
        kept = self._vector_store(store_id)
        for file in _members(kept, batch_id):
            if file["status"] == "in_progress":
                file["status"] = "cancelled"
        return _shown_batch(kept, batch_id)

    def _list_batch_files(self, call: Call, store_id: str, batch_id: str) -> dict[str, Any]:
        kept = self._vector_store(store_id)
        self._look(kept, _members(kept, batch_id))
        return self._page(call, kept, kept.members[batch_id])

    def _page(self, call: Call, kept: _VectorStore, ids: Sequence[str]) -> dict[str, Any]:
        known_query(self._store, call, (*_PAGE, "filter"))
        wanted = call.query.get("filter")
        if wanted not in {None, *_STATES}:
            refuse("filter", f"expected one of {', '.join(_STATES)}")
        return kept.files.page(call.query, where=lambda file: file["id"] in ids and wanted in {None, file["status"]})

    def _vector_store(self, store_id: str) -> _VectorStore:
        return self._stores[self._objects.get(store_id)["id"]]

    def _know(self, file_ids: Iterable[str]) -> None:
        for file_id in file_ids:
            self._files.get(file_id)

    def _text(self, file_id: str) -> str:
        return self.content(file_id).decode("utf-8", "replace")

    def _put(self, kept: _VectorStore, file_id: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Put a file into a vector store; one that is there already is processed anew."""
        strategy = options.get("chunking_strategy") or _AUTO
        kept.seen.discard(file_id)
        kept.object["last_active_at"] = self._store.now()
        return kept.files.add(
            {
                "id": file_id,
                "object": "vector_store.file",
                "created_at": self._store.now(),
                "vector_store_id": kept.object["id"],
                "status": "in_progress",
                "last_error": None,
                "usage_bytes": 0,
                "attributes": options.get("attributes") or {},
                "chunking_strategy": deepcopy(_AUTO if strategy["type"] == "auto" else strategy),
            }
        )

    def _look(self, kept: _VectorStore, files: Iterable[dict[str, Any]]) -> None:
        """Somebody looks at these files; what was looked at before has been processed since."""
        for file in files:
            if file["status"] != "in_progress" or file["id"] not in kept.seen:
                kept.seen.add(file["id"])
            elif FAIL_PROCESSING in self.content(file["id"]):
                message = "The file could not be parsed because it is not valid."
                file.update(status="failed", last_error={"code": "invalid_file", "message": message})
            else:
                file.update(status="completed", usage_bytes=len(self.content(file["id"])))

    def _shown_store(self, kept: _VectorStore) -> dict[str, Any]:
        counts = _counts(kept.files)
        after = kept.object["expires_after"]
        expires_at = kept.object["last_active_at"] + after["days"] * _DAY if after else None
        status = "in_progress" if counts["in_progress"] else "completed"
        return {
            **deepcopy(kept.object),
            "usage_bytes": sum(file["usage_bytes"] for file in kept.files),
            "file_counts": counts,
            "status": "expired" if expires_at is not None and expires_at <= self._store.now() else status,
            "expires_at": expires_at,
        }

    def _polled(self, value: dict[str, Any]) -> Response:
        """An object that is asked for until it is done."""
        headers = {} if "no_poll_header" in self._store.quirks else {"openai-poll-after-ms": "1"}
        return json_response(dress(value, self._store.quirks), headers=headers)


def _members(kept: _VectorStore, batch_id: str) -> list[dict[str, Any]]:
    """The files of a batch that are still in the store."""
    kept.batches.get(batch_id)
    return [kept.files.get(id) for id in kept.members[batch_id] if id in kept.files]


def _shown_batch(kept: _VectorStore, batch_id: str) -> dict[str, Any]:
    counts = _counts(_members(kept, batch_id))
    done = "cancelled" if counts["cancelled"] else "completed"
    status = "in_progress" if counts["in_progress"] else done
    return {**kept.batches.get(batch_id), "status": status, "file_counts": counts}


def _counts(files: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counted = Counter(file["status"] for file in files)
    return {**{state: counted[state] for state in _STATES}, "total": counted.total()}


def _expiry(form: Mapping[str, Field]) -> int:
    """The seconds that a new file is kept."""
    anchor = form.get("expires_after[anchor]")
    if anchor is None or anchor.content != b"created_at":
        refuse("expires_after[anchor]", "expected 'created_at'")
    seconds = form.get("expires_after[seconds]")
    if seconds is None or not seconds.content.isdigit() or not 3600 <= int(seconds.content) <= 30 * _DAY:
        refuse("expires_after[seconds]", "expected a whole number from 3600 to 2592000")
    return int(seconds.content)

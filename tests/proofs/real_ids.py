"""A request of the SDK's tests, with real ids where it has made-up ones, and without what excludes each other."""

from dataclasses import dataclass, field
from typing import Any

from making import Maker

_NO_IDS = {"parameters", "output_schema", "metadata", "attributes"}
"""Fields in which nothing is an id, whatever its name."""
_NOT_WITH_RESPONSES = ("prompt", "previous_response_id", "background_options", "access_programs", "moderation")
_NOT_WITH_CHAT = ("functions", "function_call", "audio", "moderation", "web_search_options", "logit_bias", "prediction")


@dataclass(kw_only=True)
class Asked:
    """A request."""

    method: str
    path: list[str]
    query: list[tuple[str, str]]
    body: Any
    listed: list[str] = field(default_factory=list)
    """Two objects of the list that is asked for, the older first, to be its cursors."""

    @property
    def pages(self) -> bool:
        """Whether a page of a list is asked for."""
        return self.method == "GET" and bool(self.query)


async def make_real(asked: Asked, make: Maker) -> None:
    """Make what the request names, and name it."""
    if isinstance(asked.body, dict):
        asked.body = await _body(asked.body, make)
    await _KINDS[asked.path[0]](asked, make)
    asked.query = [_pair(asked, *pair) for pair in asked.query if pair[0] != "before" or len(asked.listed) > 1]


def _pair(asked: Asked, name: str, value: str) -> tuple[str, str]:
    match name, value:
        case "after", _ if asked.listed:
            return name, asked.listed[0]
        case "before", _ if asked.listed:
            return name, asked.listed[-1]
        case "filter", "in_progress":
            return name, "completed"  # as the cursors are
        case "limit", "0":
            return name, "2"
    return name, value


async def _body(value: Any, make: Maker) -> Any:
    if isinstance(value, list):
        return [await _body(each, make) for each in value]
    if not isinstance(value, dict):
        return value
    real = {name: each if name in _NO_IDS else await _field(name, each, make) for name, each in value.items()}
    if "vector_store_ids" in real:
        real.pop("vector_stores", None)  # a thread or an assistant has one at most
    return real


async def _field(name: str, value: Any, make: Maker) -> Any:
    match name:
        case "model" if isinstance(value, str):
            return make.model
        case "assistant_id":
            return await make.assistant()
        case "file_id":
            return await make.file()
        case "file_ids":
            return [await make.file() for _ in value]
        case "vector_store_ids":
            return [(await make.store())[0] for _ in value]
    return await _body(value, make)


async def _assistants(asked: Asked, make: Maker) -> None:
    if asked.path[1:]:
        asked.path[1] = await make.assistant()
    elif asked.pages:
        asked.listed = [await make.assistant(), await make.assistant()]


async def _threads(asked: Asked, make: Maker) -> None:
    path = asked.path
    if path[1:] in ([], ["runs"]):
        return
    thread = path[1] = await make.thread()
    match path[2:]:
        case ["messages"] if asked.pages:
            run = (await make.run(thread))["id"]
            asked.query = [(name, run if name == "run_id" else value) for name, value in asked.query]
            asked.listed = await make.ids(f"/threads/{thread}/messages")
            asked.listed = asked.listed[-1:]  # the run's
        case ["messages", _]:
            path[3] = await make.message(thread)
        case ["runs"] if asked.pages:
            asked.listed = [(await make.run(thread))["id"], (await make.run(thread))["id"]]
        case ["runs", _, "cancel" | "submit_tool_outputs" as what]:
            run = await make.waiting_run(thread)
            path[3] = run["id"]
            if what == "submit_tool_outputs":
                calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
                asked.body["tool_outputs"] = [{"tool_call_id": call["id"], "output": "output"} for call in calls]
        case ["runs", _, *steps]:
            path[3] = (await make.run(thread))["id"]
            if steps:
                asked.listed = await make.ids(f"/threads/{thread}/runs/{path[3]}/steps")
                path[5:] = asked.listed[: len(path[5:])]


async def _vector_stores(asked: Asked, make: Maker) -> None:
    path = asked.path
    match path[1:]:
        case []:
            if asked.pages:
                asked.listed = [(await make.store())[0], (await make.store())[0]]
        case [_, "files", *file]:
            path[1], asked.listed = await make.store(files=2)
            path[3:] = [*asked.listed[: len(file[:1])], *file[1:]]
        case [_, "file_batches"]:
            path[1], _ = await make.store()
            if "files" in asked.body:
                asked.body = {"files": asked.body["files"]}
            elif not asked.body:
                asked.body = {"file_ids": [await make.file()]}
        case [_, "file_batches", _, *files]:
            path[1], _ = await make.store()
            path[3] = await make.batch(path[1])
            if files == ["files"]:
                asked.listed = await make.ids(f"/vector_stores/{path[1]}/file_batches/{path[3]}/files")
        case [_, *_]:
            path[1], _ = await make.store()
    if ("filter", "in_progress") in asked.query:
        for file in asked.listed:
            await make.until(f"/vector_stores/{path[1]}/files/{file}", "completed")


async def _files(asked: Asked, make: Maker) -> None:
    if asked.path[1:]:
        asked.path[1] = await make.file()
    elif asked.pages:
        asked.listed = [await make.file(), await make.file()]
        asked.query = [(name, "assistants" if name == "purpose" else value) for name, value in asked.query]


async def _uploads(asked: Asked, make: Maker) -> None:
    if asked.path[1:]:
        upload = asked.path[1] = await make.upload()
        if asked.path[2:] == ["complete"]:
            part, total = await make.part(upload)
            asked.body |= {"part_ids": [part]} | ({"md5": total} if "md5" in asked.body else {})


async def _responses(asked: Asked, make: Maker) -> None:
    match asked.path[1:]:
        case [] | ["compact" | "input_tokens"]:
            body = asked.body = {"model": make.model, "input": "Hello", **(asked.body or {})}
            for name in _NOT_WITH_RESPONSES:
                body.pop(name, None)
            if body.get("max_tool_calls") == 0:
                body["max_tool_calls"] = 1
            if body.get("conversation"):
                body["conversation"] = await make.conversation()
            if body.get("prompt_cache_options"):
                body["prompt_cache_options"].pop("comparison_response_id", None)
        case [_, "cancel"]:
            asked.path[1] = await make.response(in_background=True)
        case [_]:
            # only what goes on in the background can be streamed again
            asked.path[1] = await make.response(in_background=("stream", "true") in asked.query)
        case [_, "input_items"]:
            asked.path[1] = await make.response()
            asked.listed = await make.ids(f"/responses/{asked.path[1]}/input_items")


async def _conversations(asked: Asked, make: Maker) -> None:
    path = asked.path
    if path[2:3] == ["items"] and asked.method != "POST":
        path[1] = await make.conversation(items=2)
        asked.listed = await make.ids(f"/conversations/{path[1]}/items")
        path[3:] = asked.listed[: len(path[3:])]
    elif path[1:]:
        path[1] = await make.conversation()


async def _models(asked: Asked, make: Maker) -> None:
    if asked.path[1:]:
        asked.path[1] = make.model


async def _chat(asked: Asked, make: Maker) -> None:
    path, body = asked.path, asked.body
    asked.query = [(name, make.model if name == "model" else value) for name, value in asked.query]
    if path[2:]:
        # the SDK's type of a stored message knows no role but this one
        path[2] = await make.completion("assistant" if path[3:] else "user")
        if path[3:] and asked.pages:
            asked.listed = await make.ids(f"/chat/completions/{path[2]}/messages")
    elif asked.pages:
        asked.listed = [await make.completion(), await make.completion()]
    elif body:
        for name in _NOT_WITH_CHAT:
            body.pop(name, None)
        if body.get("max_completion_tokens") == 0:
            body["max_completion_tokens"] = 16
            body.pop("max_tokens", None)
        if not body.get("stream"):
            body.pop("stream_options", None)


_KINDS = {
    "assistants": _assistants,
    "threads": _threads,
    "vector_stores": _vector_stores,
    "files": _files,
    "uploads": _uploads,
    "responses": _responses,
    "conversations": _conversations,
    "models": _models,
    "chat": _chat,
}

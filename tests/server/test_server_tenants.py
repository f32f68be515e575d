"""No tenant finds, changes or uses what is another's: every path of the server is tried with another tenant's ids."""

import re
from collections.abc import Awaitable, Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import serving

from agentkit.server.store.keys import Keys
from agentkit.testing import call

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SAID = {"role": "user", "content": "Hi."}
PICTURE = {"type": "image_file", "image_file": {"file_id": "{file_id}"}}
UPLOAD = {"bytes": 1, "filename": "a.txt", "mime_type": "text/plain", "purpose": "assistants"}
BODIES: dict[str, Any] = {
    "POST /threads/{thread_id}/messages": SAID,
    "POST /threads/{thread_id}/runs": {"assistant_id": "{assistant_id}"},
    "POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs": {
        "tool_outputs": [{"tool_call_id": "call_1", "output": "1"}]
    },
    "POST /vector_stores/{vector_store_id}/search": {"query": "mat"},
    "POST /vector_stores/{vector_store_id}/files": {"file_id": "{file_id}"},
    "POST /vector_stores/{vector_store_id}/files/{file_id}": {"attributes": {}},
    "POST /vector_stores/{vector_store_id}/file_batches": {"file_ids": ["{file_id}"]},
    "POST /conversations/{conversation_id}": {"metadata": {}},
    "POST /uploads/{upload_id}/complete": {"part_ids": ["part_1"]},
    "POST /conversations/{conversation_id}/items": {"items": [{"type": "message", **SAID}]},
}
"""What a request needs that has ids in its path."""
USES: list[tuple[str, Any]] = [
    ("/assistants", {"model": "m", "tool_resources": {"file_search": {"vector_store_ids": ["{vector_store_id}"]}}}),
    ("/assistants", {"model": "m", "tool_resources": {"code_interpreter": {"file_ids": ["{file_id}"]}}}),
    ("/threads", {"messages": [{**SAID, "attachments": [{"file_id": "{file_id}"}]}]}),
    (
        "/threads",
        {"messages": [{"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "{file_id}"}}]}]},
    ),
    ("/threads/runs", {"assistant_id": "{assistant_id}"}),
    ("/vector_stores", {"file_ids": ["{file_id}"]}),
    ("/responses", {"model": "m", "input": "Hi.", "conversation": "{conversation_id}"}),
    ("/responses", {"model": "m", "input": "Hi.", "conversation": "{thread_as_conversation}"}),
    ("/responses", {"model": "m", "input": "Hi.", "previous_response_id": "{response_id}"}),
]
"""Requests that name another tenant's objects in what they send."""

World = dict[str, str]
"""Ids of one tenant's objects, by the names that paths have for them."""


async def _posted(http: httpx.AsyncClient, path: str, body: Any = None) -> str:
    answer = await http.post(path, json=body or {})
    assert answer.status_code == 200, (path, answer.text)
    return str(answer.json().get("id") or answer.json()["data"][0]["id"])


async def _file(http: httpx.AsyncClient, world: World) -> str:
    file = {"file": ("a.txt", b"The key is under the mat.")}
    return str((await http.post("/files", files=file, data={"purpose": "assistants"})).json()["id"])


async def _run(http: httpx.AsyncClient, world: World) -> str:
    thread = f"/threads/{world['thread_id']}"
    run = await _posted(http, f"{thread}/runs", {"assistant_id": world["assistant_id"]})
    while (await http.get(f"{thread}/runs/{run}")).json()["status"] in ("queued", "in_progress"):
        pass
    return run


async def _step(http: httpx.AsyncClient, world: World) -> str:
    steps = await http.get(f"/threads/{world['thread_id']}/runs/{world['run_id']}/steps")
    return str(steps.json()["data"][0]["id"])


def _post(path: str, body: Any = None) -> Callable[[httpx.AsyncClient, World], Awaitable[str]]:
    return lambda http, world: _posted(http, _filled(path, world), _filled(body, world))


MAKE: dict[str, Callable[[httpx.AsyncClient, World], Awaitable[str]]] = {
    "assistant_id": _post("/assistants", {"model": "m", "tools": [FUNCTION]}),
    "thread_id": _post("/threads"),
    "message_id": _post("/threads/{thread_id}/messages", SAID),
    "file_id": _file,
    "vector_store_id": _post("/vector_stores"),
    "batch_id": _post("/vector_stores/{vector_store_id}/file_batches", {"file_ids": ["{file_id}"]}),
    "run_id": _run,
    "step_id": _step,
    "response_id": _post("/responses", {"model": "m", "input": "Hi."}),
    "conversation_id": _post("/conversations"),
    "upload_id": _post(
        "/uploads", {"bytes": 1, "filename": "a.txt", "mime_type": "text/plain", "purpose": "assistants"}
    ),
    "item_id": _post("/conversations/{conversation_id}/items", {"items": [{"type": "message", **SAID}]}),
}
"""How each kind of object is made, in this order."""
NOBODYS = {"model"}
"""What is in a path and is the same for all."""


def _filled(value: Any, world: World) -> Any:
    """A path or a body with ids in it."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda name: world.get(name[1], name[0]), value)
    if isinstance(value, dict):
        return {name: _filled(each, world) for name, each in value.items()}
    return [_filled(each, world) for each in value] if isinstance(value, list) else value


async def _asked(http: httpx.AsyncClient, method: str, path: str, body: Any) -> httpx.Response:
    if path.endswith("/parts"):
        return await http.post(path, files={"data": b"x"})
    return await http.request(method, path, json=None if method in ("GET", "DELETE") else body)


async def _world(http: httpx.AsyncClient, names: set[str]) -> World:
    world: World = {}
    for name, make in MAKE.items():
        if name in names:
            world[name] = await make(http, world)
    world["thread_as_conversation"] = world["thread_id"].replace("thread_", "conv_")
    return world


def _names(path: str) -> list[str]:
    return [name for name in re.findall(r"\{(\w+)\}", path) if name not in NOBODYS]


def _routes(app: Any) -> list[tuple[str, str]]:
    """All requests that the server knows, those that delete behind the others, and the deepest of these first."""
    paths = app.openapi()["paths"].items()
    routes = [(method.upper(), path.removeprefix("/v1")) for path, methods in paths for method in methods]
    return sorted(routes, key=lambda route: (route[0] == "DELETE", -len(route[1].split("/")) * (route[0] == "DELETE")))


def _mixtures(names: list[str], theirs: World, own: World) -> list[World]:
    """The ids of a path, of which at least one is another tenant's."""
    return [
        own | {name: theirs[name] for name in chosen}
        for size in range(1, len(names) + 1)
        for chosen in combinations(names, size)
    ]


async def test_no_path_leads_to_what_is_another_tenants(tmp_path: Path) -> None:
    """Not found, as if it were not there, whatever is asked of it; and its owner finds it as it was."""
    script = [[call("f")], "Hi.", [call("f")], "Hi.", *["More."] * 20]
    async with serving(tmp_path, script) as served:
        keys, routes = Keys(served.app.state.server.database), _routes(served.app)
        names = {name for _, path in routes for name in _names(path)}
        assert not names - MAKE.keys(), "say in MAKE how to make one, or in NOBODYS that it is the same for all"
        bearers = [{"authorization": f"Bearer {await keys.add(who, who, 1)}"} for who in ("theirs", "own")]
        async with (
            httpx.AsyncClient(base_url=served.base_url, headers=bearers[0]) as owner,
            httpx.AsyncClient(base_url=served.base_url, headers=bearers[1]) as other,
        ):
            theirs, own = await _world(owner, names), await _world(other, names)
            looked = [_filled(path, theirs) for method, path in routes if method == "GET"]
            before = [(await owner.get(path)).text for path in looked]
            leaks: list[Any] = []

            async def tried(method: str, path: str, body: Any) -> None:
                answer = await _asked(other, method, path, body)
                if answer.status_code != 404:
                    leaks.append((method, path, answer.status_code, answer.text))

            for method, path in routes:
                body = BODIES.get(f"{method} {path}", {})
                for world in _mixtures(_names(path), theirs, own):
                    await tried(method, _filled(path, world), _filled(body, world))
                if method == "GET" and not _names(path):
                    told = (await other.get(path)).text
                    leaks += [(path, id) for id in theirs.values() if id in told]
            for path, use in USES:
                if ("POST", path) in routes and theirs.keys() >= set(_names(str(use))):
                    await tried("POST", path, _filled(use, own | theirs))
            assert not leaks, leaks
            assert [(await owner.get(path)).text for path in looked] == before
            for method, path in routes:
                if _names(path):
                    body = _filled(BODIES.get(f"{method} {path}", {}), theirs)
                    answer = await _asked(owner, method, _filled(path, theirs), body)
                    assert answer.status_code in (200, 400), (method, path, answer.text)


async def test_a_search_finds_nothing_of_another_tenants(tmp_path: Path) -> None:
    """A model that is pointed at another tenant's vector store does not read in it."""
    tool = {"type": "file_search"}
    script = [[call("file_search", query="key")], "Nothing."]
    async with serving(tmp_path, script) as served:
        keys = Keys(served.app.state.server.database)
        bearers = [{"authorization": f"Bearer {await keys.add(who, who, 1)}"} for who in ("theirs", "own")]
        async with (
            httpx.AsyncClient(base_url=served.base_url, headers=bearers[0]) as owner,
            httpx.AsyncClient(base_url=served.base_url, headers=bearers[1]) as other,
        ):
            file = await _file(owner, {})
            store = await _posted(owner, "/vector_stores", {"file_ids": [file]})
            while (await owner.get(f"/vector_stores/{store}")).json()["status"] != "completed":
                pass
            found = await owner.post(f"/vector_stores/{store}/search", json={"query": "key"})
            assert "under the mat" in found.text
            body = {"model": "m", "input": "Where?", "include": ["file_search_call.results"]}
            answer = await other.post("/responses", json={**body, "tools": [{**tool, "vector_store_ids": [store]}]})
            assert answer.status_code in (200, 404)
            assert "under the mat" not in answer.text
            for request in served.app.state.server.settings.models["*"].requests:
                assert "under the mat" not in repr(request.messages)

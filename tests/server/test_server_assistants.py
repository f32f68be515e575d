"""Assistants: made, found, changed, listed and deleted, by the official SDK and in the words of the wire."""

from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from serving import Clock, Served, serving

from agentkit.testing import ScriptedModel

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
]

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look it up.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": ["string", "null"], "default": None}},
            "required": ["word"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
WHOLE: dict[str, Any] = {
    "model": "gpt-4o",
    "name": "Clerk",
    "description": "Looks things up.",
    "instructions": "Be brief.",
    "tools": [
        LOOK_UP,
        {"type": "code_interpreter"},
        {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": {"score_threshold": 0.5}}},
    ],
    "metadata": {"team": "north"},
    "temperature": 0.5,
    "top_p": 0.25,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object", "properties": {"a": {"default": None}}}},
    },
    "reasoning_effort": "low",
}


def raw(served: Served) -> httpx.AsyncClient:
    """A client that knows nothing of the API."""
    return httpx.AsyncClient(base_url=served.base_url)


async def test_an_assistant_is_what_was_asked_for(tmp_path: Path) -> None:
    """A newcomer's first request."""
    async with serving(tmp_path) as served, served.client() as client:
        made = await client.beta.assistants.create(model="gpt-4o", name="Clerk", tools=[])
        found = await client.beta.assistants.retrieve(made.id)
        assert found == made
        listed = await client.beta.assistants.list()
        assert [each.id for each in listed.data] == [made.id]


async def test_an_assistant_of_which_little_is_said_has_all_fields(tmp_path: Path) -> None:
    """Clients iterate `tools` and read `metadata` without looking first."""
    async with serving(tmp_path, clock=Clock()) as served, raw(served) as http:
        made = (await http.post("/assistants", json={"model": "gpt-4o", "name": None, "tools": None})).json()
        assert made.pop("id").startswith("asst_")
        assert made == {
            "object": "assistant",
            "created_at": 1_750_000_000,
            "model": "gpt-4o",
            "name": None,
            "description": None,
            "instructions": None,
            "tools": [],
            "tool_resources": {},
            "metadata": {},
            "temperature": 1.0,
            "top_p": 1.0,
            "response_format": "auto",
            "reasoning_effort": None,
        }


async def test_what_was_said_comes_back_as_it_was_said(tmp_path: Path) -> None:
    """Every field, every kind of tool, nulls within schemas included; what the API has no field for is passed over."""
    async with serving(tmp_path, code_interpreter=True) as served, raw(served) as http:
        made = (await http.post("/assistants", json={**WHOLE, "file_ids": ["file-1"]})).json()
        assert {name: made[name] for name in WHOLE} == WHOLE
        assert "file_ids" not in made
        assert (await http.get(f"/assistants/{made['id']}")).json() == made


async def test_a_change_leaves_what_it_does_not_name(tmp_path: Path) -> None:
    """Metadata is replaced as a whole, null takes a field back, and the rest stays."""
    async with serving(tmp_path, code_interpreter=True) as served, raw(served) as http:
        made = (await http.post("/assistants", json=WHOLE)).json()
        changes = {"metadata": {"a": "b"}, "description": None, "temperature": None, "tools": [], "model": None}
        changed = (await http.post(f"/assistants/{made['id']}", json=changes)).json()
        assert changed == made | {"metadata": {"a": "b"}, "description": None, "temperature": 1.0, "tools": []}
        assert (await http.post(f"/assistants/{made['id']}", json={})).json() == changed
        assert (await http.get(f"/assistants/{made['id']}")).json() == changed


async def test_a_deleted_assistant_is_gone(tmp_path: Path) -> None:
    """It is not found, changed, listed or deleted again."""
    async with serving(tmp_path) as served, served.client() as client:
        made = await client.beta.assistants.create(model="gpt-4o")
        gone = await client.beta.assistants.delete(made.id)
        assert (gone.id, gone.object, gone.deleted) == (made.id, "assistant.deleted", True)
        for asked in (
            client.beta.assistants.retrieve(made.id),
            client.beta.assistants.update(made.id, name="x"),
            client.beta.assistants.delete(made.id),
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                await asked
            assert caught.value.body == {
                "message": f"No assistant found with id '{made.id}'.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        assert (await client.beta.assistants.list()).data == []


async def test_all_pages_together_are_the_list(tmp_path: Path) -> None:
    """Assistants of one and the same second, paged by the SDK, forwards and backwards."""
    async with serving(tmp_path, clock=Clock()) as served, served.client() as client:
        made = [(await client.beta.assistants.create(model="gpt-4o")).id for _ in range(7)]
        assert [each.id async for each in client.beta.assistants.list(limit=3, order="asc")] == made
        assert [each.id async for each in client.beta.assistants.list(limit=2)] == made[::-1]
        before = await client.beta.assistants.list(limit=2, order="asc", before=made[4])
        assert [each.id for each in before.data] == made[2:4]


async def test_the_longest_that_is_allowed_is_taken(tmp_path: Path) -> None:
    """The limits themselves, in characters of any alphabet."""
    function = {"type": "function", "function": {"name": "f" * 64}}
    body = {
        "model": "gpt-4o",
        "name": "ß" * 256,
        "description": "漢" * 512,
        "instructions": "x" * 256_000,
        "metadata": {f"{n:064}": "é" * 512 for n in range(16)},
        "temperature": 2,
        "top_p": 0,
        "tools": [function, *[{"type": "file_search", "file_search": {"max_num_results": 50.0}}] * 127],
    }
    async with serving(tmp_path) as served, raw(served) as http:
        assert (await http.post("/assistants", json=body)).status_code == 200


def _function(**said: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": said}]}


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("model", {"model": None}),
    ("model", {"model": ""}),
    ("model", {"model": 4}),
    ("name", {"name": "x" * 257}),
    ("description", {"description": "x" * 513}),
    ("instructions", {"instructions": "x" * 256_001}),
    ("temperature", {"temperature": 2.1}),
    ("temperature", {"temperature": True}),
    ("temperature", {"temperature": "1"}),
    ("top_p", {"top_p": -0.1}),
    ("reasoning_effort", {"reasoning_effort": "much"}),
    ("metadata", {"metadata": {str(n): "" for n in range(17)}}),
    ("metadata", {"metadata": {"k" * 65: ""}}),
    ("metadata", {"metadata": {"k": "v" * 513}}),
    ("metadata", {"metadata": {"k": 1}}),
    ("tools", {"tools": [{"type": "file_search"}] * 129}),
    ("tools", {"tools": {}}),
    ("tools", {"tools": [{"type": "retrieval"}]}),
    ("tools", {"tools": [{"type": "file_search", "file_search": {"max_num_results": 51}}]}),
    ("tools", {"tools": [{"type": "file_search", "file_search": {"max_num_results": 1.5}}]}),
    ("tools", {"tools": [{"type": "file_search", "file_search": {"ranking_options": {"score_threshold": 2}}}]}),
    ("tools", _function(description="no name")),
    ("tools", _function(name="look up")),
    ("tools", _function(name="f" * 65)),
    ("tools", _function(name="f\n")),
    ("tools", _function(name="f", parameters={"type": "string"})),
    ("tools", _function(name="f", parameters=[])),
    ("tools", _function(name="f", parameters={"properties": {"a": 1}})),
    ("tools", _function(name="f", strict="yes")),
    ("response_format", {"response_format": "json"}),
    ("response_format", {"response_format": {"type": "json_schema"}}),
    ("response_format", {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}}),
    ("tool_resources", {"tool_resources": {"code_interpreter": {"file_ids": ["f"] * 21}}}),
    ("tool_resources", {"tool_resources": {"file_search": {"vector_store_ids": ["a", "b"]}}}),
    ("tool_resources", {"tool_resources": {"file_search": {"vector_store_ids": ["a"], "vector_stores": [{}]}}}),
    ("tool_resources", {"tool_resources": {"file_search": {"vector_stores": [{}, {}]}}}),
]


async def test_what_cannot_be_an_assistant_is_refused_by_name(tmp_path: Path) -> None:
    """Each limit of the API; the error says which parameter is wrong, and nothing is kept."""
    async with serving(tmp_path) as served, raw(served) as http:
        for param, wrong in WRONG:
            answer = await http.post("/assistants", json={"model": "gpt-4o", **wrong})
            error = answer.json()["error"]
            assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), wrong
            assert error["param"].startswith(param), error
            assert error["message"].startswith(f"Invalid '{param}"), error
        assert (await http.get("/assistants")).json()["data"] == []


async def test_a_refused_change_changes_nothing(tmp_path: Path) -> None:
    """The same limits hold for changes."""
    async with serving(tmp_path) as served, raw(served) as http:
        made = (await http.post("/assistants", json={"model": "gpt-4o"})).json()
        for _, wrong in WRONG[1:-2]:  # null takes back, and changes make no stores
            assert (await http.post(f"/assistants/{made['id']}", json={"name": "x", **wrong})).status_code == 400, wrong
        assert (await http.get(f"/assistants/{made['id']}")).json() == made


async def test_a_model_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """Not first when the assistant is run."""
    async with serving(tmp_path, models={"gpt-4o": ScriptedModel([])}) as served, served.client() as client:
        made = await client.beta.assistants.create(model="gpt-4o")
        for asked in (
            client.beta.assistants.create(model="gpt-9"),
            client.beta.assistants.update(made.id, model="gpt-9"),
        ):
            with pytest.raises(openai.NotFoundError) as caught:
                await asked
            assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


async def test_a_server_that_runs_no_code_says_so(tmp_path: Path) -> None:
    """An assistant that could never use its tool is not made."""
    async with serving(tmp_path) as served, served.client() as client:
        with pytest.raises(openai.BadRequestError, match="`agentkit serve --code-interpreter`"):
            await client.beta.assistants.create(model="gpt-4o", tools=[{"type": "code_interpreter"}])

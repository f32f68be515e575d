"""The OpenAPI document: what a client's generator, or a reader, is told of the server."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from documented import the_document
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from serving import serving

from agentkit.server.routes import ROUTERS

REFUSALS = {"400", "401", "403", "404", "405", "409", "413", "429", "500", "502", "503", "504"}


@pytest.fixture
def document() -> dict[str, Any]:
    """The document of a server."""
    return the_document()


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What can be asked of the server."""
    paths = document["paths"].items()
    return [(f"{method} {path}", operation) for path, methods in paths for method, operation in methods.items()]


def test_each_path_of_the_api_is_described(document: dict[str, Any]) -> None:
    """No path below /v1 is left out, and none is answered without a schema."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    offered = {f"{method.lower()} /v1{route.path_format}" for route in routes for method in route.methods}
    assert offered
    assert {name for name, _ in operations(document)} == offered


def test_each_operation_says_what_it_answers_and_how_it_refuses(document: dict[str, Any]) -> None:
    """An answer with a schema, and every refusal with the error envelope; 422, which FastAPI would tell of, is none."""
    for name, operation in operations(document):
        answers = operation["responses"]
        assert set(answers) == {"200"} | REFUSALS, name
        assert all(content["schema"] for content in answers["200"]["content"].values()), name
        for status in REFUSALS:
            assert answers[status] == {"$ref": f"#/components/responses/{status}"}, name
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])
    refusal = document["components"]["responses"]["404"]["content"]["application/json"]["schema"]
    assert refusal == {"$ref": "#/components/schemas/error"}


def test_lists_objects_and_what_was_deleted_are_told_apart(document: dict[str, Any]) -> None:
    """A page of assistants, an assistant, and the note that it is gone; an item that is taken out leaves a talk."""

    def answer(operation: str) -> Any:
        return dict(operations(document))[operation]["responses"]["200"]["content"]["application/json"]["schema"]

    def of(name: str) -> dict[str, str]:
        return {"$ref": f"#/components/schemas/{name}"}

    assert answer("get /v1/assistants")["properties"]["data"]["items"] == of("assistant")
    assert answer("get /v1/assistants/{assistant_id}") == answer("post /v1/assistants") == of("assistant")
    assert answer("delete /v1/assistants/{assistant_id}") == of("deleted")
    assert answer("post /v1/threads/{thread_id}/runs/{run_id}/cancel") == of("thread.run")
    assert answer("post /v1/conversations/{conversation_id}/items")["properties"]["data"]["items"] == of("item")
    assert answer("delete /v1/conversations/{conversation_id}/items/{item_id}") == of("conversation")


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: dict[str, Any]) -> None:
    """What a generator follows is there, and is JSON Schema of the version that OpenAPI 3.1 uses."""

    def references(node: Any) -> set[str]:
        if isinstance(node, list):
            return {found for each in node for found in references(each)}
        if not isinstance(node, dict):
            return set()
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own | {found for each in node.values() for found in references(each)}

    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_limits_are_spelled_as_json_schema_spells_them(document: dict[str, Any]) -> None:
    """A number that has to be 1 at least says so by `minimum`, whichever way it is checked."""
    days = document["components"]["schemas"]["StoreExpiry"]["properties"]["days"]
    assert (days["minimum"], days["maximum"], days["type"]) == (1, 365, "integer")


def test_what_can_be_streamed_says_so(document: dict[str, Any]) -> None:
    """Runs, responses and chat completions have server-sent events beside JSON."""
    streamed = {
        name
        for name, operation in operations(document)
        if "text/event-stream" in operation["responses"]["200"]["content"]
    }
    assert streamed == {
        "post /v1/threads/runs",
        "post /v1/threads/{thread_id}/runs",
        "post /v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
        "post /v1/responses",
        "get /v1/responses/{response_id}",
        "post /v1/chat/completions",
    }


def test_every_operation_takes_a_key(document: dict[str, Any]) -> None:
    """Bearer tokens, everywhere."""
    assert document["security"] == [{"key": []}]
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}
    assert not any("security" in operation for _, operation in operations(document))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_method_that_a_path_does_not_have_is_told_which_it_has(tmp_path: Path) -> None:
    """All of them, as HTTP asks; each of our routes knows its own only."""
    async with serving(tmp_path) as served, httpx.AsyncClient() as client:
        answer = await client.put(f"{served.base_url}/assistants")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
        assert answer.json()["error"]["type"] == "invalid_request_error"

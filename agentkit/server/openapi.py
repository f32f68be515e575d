"""What the server's OpenAPI document says beyond what the handlers' signatures do: answers, refusals, keys."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

_OBJECTS = {
    "/assistants": "assistant",
    "/threads": "thread",
    "/threads/messages": "thread.message",
    "/threads/runs": "thread.run",
    "/threads/runs/steps": "thread.run.step",
    "/files": "file",
    "/uploads": "upload",
    "/uploads/parts": "upload.part",
    "/vector_stores": "vector_store",
    "/vector_stores/files": "vector_store.file",
    "/vector_stores/files/content": "vector_store.file_content.page",
    "/vector_stores/file_batches": "vector_store.files_batch",
    "/vector_stores/file_batches/files": "vector_store.file",
    "/vector_stores/search": "vector_store.search_results.page",
    "/chat/completions": "chat.completion",
    "/chat/completions/messages": "chat.completion.message",
    "/responses": "response",
    "/responses/compact": "response.compaction",
    "/responses/input_items": "item",
    "/responses/input_tokens": "response.input_tokens",
    "/conversations": "conversation",
    "/conversations/items": "item",
    "/models": "model",
}
"""What is answered on which path, without the ids in it and without what is done there."""
_ACTIONS = re.compile(r"/(cancel|complete|submit_tool_outputs)$")
_FIELDS = {
    "assistant": "id created_at name description model instructions tools metadata",
    "thread": "id created_at tool_resources metadata",
    "thread.message": "id created_at thread_id role content attachments assistant_id run_id metadata",
    "thread.run": "id created_at thread_id assistant_id status required_action last_error expires_at started_at "
    "cancelled_at failed_at completed_at model instructions tools usage metadata",
    "thread.run.step": "id created_at thread_id assistant_id run_id status type step_details last_error usage",
    "file": "id created_at bytes filename purpose",
    "upload": "id created_at bytes filename purpose status expires_at",
    "upload.part": "id created_at upload_id",
    "vector_store": "id created_at name status usage_bytes file_counts last_active_at metadata",
    "vector_store.file": "id created_at vector_store_id status usage_bytes last_error",
    "vector_store.file_content.page": "data has_more",
    "vector_store.files_batch": "id created_at vector_store_id status file_counts",
    "vector_store.search_results.page": "search_query data has_more",
    "chat.completion": "id created model choices",
    "response": "id created_at model status output error incomplete_details tools metadata",
    "response.compaction": "id created_at output usage",
    "response.input_tokens": "input_tokens",
    "conversation": "id created_at metadata",
    "model": "id created owned_by",
}
"""The fields that each object always has, besides `object`."""
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_TYPES: Mapping[str, Any] = {
    "id": {"type": "string"},
    "created": {"type": "integer"},
    "created_at": {"type": "integer"},
    "status": {"type": "string"},
    "has_more": {"type": "boolean"},
    "data": {"type": "array"},
    "metadata": _TEXTS,
}
_OWN: Mapping[str, Any] = {
    "item": {"type": "object", "required": ["id", "type"]},
    "chat.completion.message": {"type": "object", "required": ["id", "role", "content"]},
}
"""Objects that do not say in `object` what they are."""
_REFUSALS = {
    400: "The request is not as it has to be, or what it names is not in a state for it.",
    401: "There is no API key, or it is none of this server's.",
    403: "The request comes from a web page or to a host name that the server does not know.",
    404: "There is no such object or model.",
    405: "The path does not have this method.",
    409: "Something else has changed the object at the same time.",
    413: "The request is too large.",
    429: "The key has asked too often.",
    500: "The server, or the model, has failed.",
    502: "The model's server has failed.",
    503: "The server does not answer now; try again later.",
    504: "The model has taken too long.",
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
}
_LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
"""What pydantic calls a limit that is looked at after a validator of ours, and what JSON Schema does."""


def describe(app: FastAPI) -> None:
    """Have the application's document say what its answers are."""
    generate, made = app.openapi, dict[str, Any]()

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_spelled(generate()))
            _complete(made)
        return made

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    parts = document["components"]
    schemas = parts["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= {"error": _ERROR, "deleted": _object(None, "id deleted"), **_OWN}
    schemas |= {name: _object(name, fields) for name, fields in _FIELDS.items()}
    parts["responses"] = {str(status): _refusal(why) for status, why in _REFUSALS.items()}
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = {"description": "What was asked for.", "content": _content(method, path, operation, schemas)}
            refusals = {str(status): {"$ref": f"#/components/responses/{status}"} for status in _REFUSALS}
            operation["responses"] = {"200": answer, **refusals}
            operation["tags"] = [path.split("/")[2]]


def _spelled(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_spelled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        _LIMITS.get(name, name) if isinstance(value, int | float) else name: _spelled(value)
        for name, value in schema.items()
    }


def _content(method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    if path.endswith("/files/{file_id}/content") and "vector_stores" not in path:
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    content = {"application/json": {"schema": _answer(method, path)}}
    if _can_stream(operation, schemas):
        content["text/event-stream"] = {"schema": _EVENT}
    return content


def _answer(method: str, path: str) -> dict[str, Any]:
    where = _ACTIONS.sub("", re.sub(r"/\{[^}]*\}", "", path.removeprefix("/v1")))
    name = _OBJECTS[where]
    is_list = method == "get" and not path.endswith("}") and not name.endswith(".page")
    if is_list or (method, where) == ("post", "/conversations/items"):
        return _list(name)
    if method == "delete":
        name = "conversation" if where == "/conversations/items" else "deleted"
    return {"$ref": f"#/components/schemas/{name}"}


def _can_stream(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> bool:
    if any(parameter["name"] == "stream" for parameter in operation.get("parameters", ())):
        return True
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return "stream" in schemas.get(body.get("$ref", "").rpartition("/")[2], {}).get("properties", ())


def _object(name: str | None, fields: str) -> dict[str, Any]:
    properties = {field: _TYPES[field] for field in fields.split() if field in _TYPES}
    own = {"type": "string"} if name is None else {"const": name}
    return {"type": "object", "required": ["object", *fields.split()], "properties": {"object": own, **properties}}


def _list(name: str) -> dict[str, Any]:
    data = {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}
    listed = {"object": {"const": "list"}, "data": data}
    return {"type": "object", "required": ["object", "data"], "properties": listed}


def _refusal(why: str) -> dict[str, Any]:
    return {"description": why, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}}

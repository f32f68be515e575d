"""Compares the server's answers with its OpenAPI document."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from agentkit.server import ServerSettings
from agentkit.server.app import create_app


@cache
def the_document() -> dict[str, Any]:
    """The document of a server, which is not begun."""
    return create_app(ServerSettings()).openapi()


@cache
def checks_answers() -> Callable[[Any], None]:
    """A hook for an HTTP client: an answer that is not as the document says is an error."""
    document = the_document()
    paths = sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
    known = [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path) + "$"), methods) for path, methods in paths]

    def check(response: Any) -> None:
        path, method = response.request.url.path, response.request.method.lower()
        told = next(methods[method] for pattern, methods in known if pattern.match(path) and method in methods)
        answer = told["responses"][str(response.status_code)]
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        kind = response.headers["content-type"].partition(";")[0]
        schema = {**answer["content"][kind]["schema"], "components": document["components"]}
        if kind == "application/json":
            response.read()
            Draft202012Validator(schema).validate(response.json())

    return check

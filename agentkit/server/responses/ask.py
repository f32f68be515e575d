"""A request of Responses -> a piece of work. Pure, but for the pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.server.catalog import Catalog
from agentkit.server.engine import Work
from agentkit.server.engine.log import Picture, instructions_in, messages_of
from agentkit.server.errors import ApiError
from agentkit.server.functions import check_depth, functions_of, narrowed
from agentkit.server.wire.responses import CreateResponse


async def work_of(
    body: CreateResponse, log: Sequence[Mapping[str, Any]], catalog: Catalog, tenant: str, picture: Picture
) -> Work:
    """What is to be done.

    Raises:
        ApiError: there is no such model, tool or picture.
    """
    given = body.given()
    tools: list[Mapping[str, Any]] = given.get("tools", [])
    choice, tools = _chosen(given.get("tool_choice"), tools)
    check_depth(tools, "tools")
    hosted = [tool for tool in tools if tool["type"] != "function"]
    verbosity = given.get("text", {}).get("verbosity")
    return Work(
        model=body.model,
        tenant=tenant,
        instructions="\n\n".join(filter(None, [body.instructions, *instructions_in(log)])),
        history=await messages_of(log, picture),
        functions=functions_of([tool for tool in tools if tool["type"] == "function"]),
        hosted=hosted,
        resources=_resources(hosted),
        seconds=catalog.settings.run_seconds,
        schema=_schema(given.get("text", {}).get("format", {})),
        output_tokens=body.max_output_tokens if hosted or catalog.is_agent(body.model) else None,
        settings=catalog.sampling(
            body.model,
            temperature=body.temperature,
            top_p=body.top_p,
            max_tokens=body.max_output_tokens,
            reasoning_effort=given.get("reasoning", {}).get("effort"),
            tool_choice=choice,
            parallel_tool_calls=body.parallel_tool_calls,
            extra={} if verbosity is None else {"verbosity": verbosity},
        ),
    )


def _schema(form: Mapping[str, Any]) -> Mapping[str, Any] | None:
    check_depth(form, "text.format")
    if form.get("type") == "json_schema":
        schema: Mapping[str, Any] = form["schema"]
        return schema
    return {"type": "object"} if form.get("type") == "json_object" else None


def _resources(hosted: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    resources: dict[str, list[str]] = {}
    for tool in hosted:
        if tool["type"] == "file_search":
            resources["vector_store_ids"] = list(tool["vector_store_ids"])
        elif isinstance(tool["container"], Mapping):
            resources["file_ids"] = list(tool["container"].get("file_ids", ()))
    return resources


def _chosen(choice: Any, tools: list[Mapping[str, Any]]) -> tuple[str | None, list[Mapping[str, Any]]]:
    """Which tool is to be called, and which may be."""
    if not isinstance(choice, Mapping):
        return choice, tools
    named = [{**tool, "name": _name(tool)} for tool in tools]
    if choice["type"] != "allowed_tools":
        return _name(choice), narrowed(named, [_name(choice)], keep=True)
    return choice["mode"], narrowed(named, [_name(each) for each in choice["tools"]])


def _name(tool: Mapping[str, Any]) -> str:
    """By which the model calls a tool."""
    if tool["type"] == "function" and "name" not in tool:
        raise ApiError("Missing required parameter: 'tool_choice.tools[].name'.", param="tool_choice")
    return str(tool["name"] if tool["type"] == "function" else tool["type"])

"""`/responses`."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from agentkit.server.desk import At, Included, Listed
from agentkit.server.event_stream import EventStream, unless_gone
from agentkit.server.failures import failure
from agentkit.server.responses import Responses
from agentkit.server.wire.responses import Compact, CountTokens, CreateResponse

router = APIRouter()
_ONE = "/responses/{response_id}"


@router.post("/responses", response_model=None)
async def create(body: CreateResponse, at: At, request: Request) -> dict[str, Any] | Response:
    """Make a response; a client that leaves ends it, unless it is made in the background."""
    responses = at.server.part(Responses)
    making = await responses.prepare(at.tenant, body)
    if body.background:
        shown = dict(making.response)
        feed = responses.begin(making)
        return EventStream(lambda tell: feed.follow(-1, tell)) if body.stream else shown
    if body.stream:
        return EventStream(lambda tell: responses.stream(making, tell))
    told = await unless_gone(request.receive, lambda: responses.make(making))
    return told or Response(status_code=499)


@router.post("/responses/input_tokens")
async def count_input_tokens(body: CountTokens, at: At) -> dict[str, Any]:
    """Estimate how many tokens a request takes."""
    tokens = await at.server.part(Responses).count(at.tenant, body)
    return {"object": "response.input_tokens", "input_tokens": tokens}


@router.post("/responses/compact", response_model=None)
async def compact(body: Compact, at: At, request: Request) -> dict[str, Any] | Response:
    """Make a conversation short; a client that leaves ends it."""
    responses = at.server.part(Responses)
    try:
        told = await unless_gone(request.receive, lambda: responses.compact(at.tenant, body))
    except Exception as error:
        raise failure(error) from error
    return told or Response(status_code=499)


@router.get(_ONE, response_model=None)
async def get_response(
    response_id: str,
    at: At,
    include: Included = [],  # noqa: B006
    stream: bool = False,
    starting_after: int = -1,
) -> dict[str, Any] | Response:
    """A response, or its events."""
    responses = at.server.part(Responses)
    found = await responses.get(at.tenant, response_id, include)
    if not stream:
        return found
    return EventStream(lambda tell: responses.watch(at.tenant, response_id, starting_after, tell))


@router.delete(_ONE)
async def delete(response_id: str, at: At) -> dict[str, Any]:
    """Delete a response."""
    await at.server.part(Responses).delete(at.tenant, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post(_ONE + "/cancel")
async def cancel(response_id: str, at: At) -> dict[str, Any]:
    """Cancel a response that is made in the background."""
    return await at.server.part(Responses).cancel(at.tenant, response_id)


@router.get(_ONE + "/input_items")
async def list_input_items(
    response_id: str,
    at: At,
    page: Listed,
    include: Included = [],  # noqa: B006
) -> dict[str, Any]:
    """List what a response was given."""
    return await at.server.part(Responses).input_items(at.tenant, response_id, page, include)

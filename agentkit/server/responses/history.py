"""What was said before a response."""

from typing import Any

from agentkit.server.errors import ApiError
from agentkit.server.store import Objects

from .items import Entry
from .objects import GOING, RESPONSE

_MOST = 10_000


async def find_response(objects: Objects, id: str) -> dict[str, Any]:
    """A response.

    Raises:
        ApiError: there is none (404).
    """
    found = await objects.find(RESPONSE, id)
    if found is None:
        raise ApiError(f"Response with id '{id}' not found.", status=404)
    return found


async def log_before(objects: Objects, previous_id: str) -> list[Entry]:
    """The conversation that ends with a response: its input and output, and those of all responses before it.

    Raises:
        ApiError: one of them is not there, or not at its end.
    """
    pieces: list[list[Entry]] = []
    at: str | None = previous_id
    while at is not None and len(pieces) < _MOST:
        response = await objects.find(RESPONSE, at)
        if response is None:
            raise ApiError(
                f"Previous response with id '{at}' not found.",
                status=404,
                param="previous_response_id",
                code="previous_response_not_found",
            )
        if response["status"] in GOING:
            raise ApiError(f"Previous response with id '{at}' is still going on.", param="previous_response_id")
        kept = await objects.private(RESPONSE, at)
        pieces.append([*kept["input"], *kept["output"]])
        at = response["previous_response_id"]
    return [entry for piece in reversed(pieces) for entry in piece]

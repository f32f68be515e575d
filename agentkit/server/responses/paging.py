"""A part of a list that is kept as a whole. Pure."""

from collections.abc import Sequence
from typing import Any

from agentkit.server.errors import ApiError
from agentkit.server.store import Page


def paged(items: Sequence[dict[str, Any]], page: Page) -> dict[str, Any]:
    """The list envelope, for items that are given oldest first.

    Raises:
        ApiError: a cursor is none of this list (404).
    """
    listed = list(items) if page.order == "asc" else list(reversed(items))
    ids = [each["id"] for each in listed]
    for cursor in (page.after, page.before):
        if cursor is not None and cursor not in ids:
            raise ApiError(f"Item with id '{cursor}' not found.", status=404)
    begin = ids.index(page.after) + 1 if page.after is not None else 0
    end = ids.index(page.before) if page.before is not None else len(ids)
    there = listed[begin:end]
    backwards = page.before is not None and page.after is None
    data = there[-page.limit :] if backwards else there[: page.limit]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else "",
        "last_id": data[-1]["id"] if data else "",
        "has_more": len(there) > len(data),
    }

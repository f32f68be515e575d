"""Files and vector stores of assistants, threads and messages: found where they are named, made where asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.server.files import VectorStores
from agentkit.server.store import Objects


async def kept(given: Mapping[str, Any], objects: Objects, now: int, stores: VectorStores) -> dict[str, Any]:
    """`tool_resources` as they are kept: the stores that were asked for have become ids.

    Raises:
        ApiError: a file or a store is not there (404).
    """
    resources: dict[str, Any] = {name: dict(value) for name, value in given.items()}
    await know_files(objects, resources.get("code_interpreter", {}).get("file_ids", ()))
    search = resources.get("file_search", {})
    for store_id in search.get("vector_store_ids", ()):
        await objects.get("vector_store", store_id, noun="vector store")
    for spec in search.pop("vector_stores", ()):
        search["vector_store_ids"] = [await stores.make(objects, spec, now)]
    return resources


async def know_files(objects: Objects, ids: Sequence[str]) -> None:
    """Make sure that files are there.

    Raises:
        ApiError: one is not (404).
    """
    for file_id in ids:
        await objects.get("file", file_id)

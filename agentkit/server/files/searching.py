"""A search in vector stores: passages by their words, files by their attributes."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from agentkit.server.engine import Hit
from agentkit.server.errors import ApiError
from agentkit.server.store import Objects
from agentkit.server.store.chunks import STORE_FILE, Chunks

from .keeping import FILE
from .vector_stores import STORE, is_expired
from .words import scores, wanted

_CANDIDATES = 100
"""Passages that the database gives, of which the best are taken."""
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is looked for."""

    queries: Sequence[str]
    most: int = 10
    """How many passages to give."""
    least: float = 0.0
    """The score that a passage must have."""
    filters: Mapping[str, Any] | None = None
    """What the attributes of its file must be."""


async def search(objects: Objects, stores: Sequence[str], question: Question, now: int) -> list[Hit]:
    """The passages that fit best, the best first.

    Raises:
        ApiError: a vector store is not there (404), or has expired.
    """
    for store in stores:
        if is_expired(await objects.get(STORE, store, noun="vector store"), now):
            raise ApiError(f"Vector store {store} has expired.", param="vector_store_id")
    files = None if question.filters is None else await _fitting(objects, stores, question.filters)
    words = wanted(question.queries)
    found = await Chunks(objects).find(stores, words, files=files, most=_CANDIDATES)
    told = await anyio.to_thread.run_sync(scores, words, [text for _, _, text in found])
    ranked = sorted(zip(told, range(len(found)), strict=True), key=lambda each: -each[0])
    hits: list[Hit] = []
    for score, n in ranked:
        if len(hits) == question.most or score < question.least:
            break
        hit = await _hit(objects, score, *found[n])
        if hit is not None and (files is None or hit.file_id in files):
            hits.append(hit)
    return hits


async def _hit(objects: Objects, score: float, store: str, file: str, text: str) -> Hit | None:
    described = await objects.find(FILE, file)
    within = await objects.find(STORE_FILE, file, parent=store)
    if described is None or within is None or within["status"] != "completed":
        return None
    name, attributes = described["filename"], within["attributes"]
    return Hit(file_id=file, filename=name, score=round(score, 4), text=text, attributes=attributes)


async def _fitting(objects: Objects, stores: Sequence[str], filters: Mapping[str, Any]) -> set[str]:
    return {
        file["id"]
        for store in stores
        for file in await objects.all(STORE_FILE, store)
        if fits(file["attributes"], filters)
    }


def fits(attributes: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether attributes are what a filter wants; one that is missing, or of another type, fits `ne` and `nin` only."""
    kind = wanted["type"]
    if kind in ("and", "or"):
        each = (fits(attributes, inner) for inner in wanted["filters"])
        return all(each) if kind == "and" else any(each)
    there, value = attributes.get(wanted["key"]), wanted["value"]
    if kind in ("in", "nin"):
        return any(_is_like(there, one) and bool(there == one) for one in value) is (kind == "in")
    if kind == "ne":
        return not (_is_like(there, value) and bool(there == value))
    return _is_like(there, value) and bool(_COMPARED[kind](there, value))


def _is_like(one: Any, other: Any) -> bool:
    """Whether two values can be compared: both text, both numbers or both booleans."""
    return one is not None and _sort(one) == _sort(other)


def _sort(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__

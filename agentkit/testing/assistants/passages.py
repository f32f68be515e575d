"""A search by words: texts are cut into passages, and those come first that share the most words with the query."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_WORD = re.compile(r"\w+")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, values: value in values,
    "nin": lambda value, values: value not in values,
}
COMPARISONS = tuple(_COMPARISONS)
"""The types of filters that look at one attribute."""


def passages(text: str, strategy: Mapping[str, Any]) -> Iterator[str]:
    """A text in pieces that overlap, as a chunking strategy of the type `static` says; a word counts as a token."""
    size, overlap = strategy["static"]["max_chunk_size_tokens"], strategy["static"]["chunk_overlap_tokens"]
    words = list(re.finditer(r"\S+", text))
    for start in range(0, max(len(words) - overlap, 1) if words else 0, size - overlap):
        last = words[min(start + size, len(words)) - 1]
        yield text[words[start].start() : last.end()]


def score(passage: str, query: str) -> float:
    """How much of the query's words the passage has, from 0 to 1."""
    wanted = set(_WORD.findall(query.lower()))
    return len(wanted & set(_WORD.findall(passage.lower()))) / max(len(wanted), 1)


def fits(attributes: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether a file's attributes are what a filter wants; one that is missing fits `ne` and `nin` only."""
    if wanted is None:
        return True
    if wanted["type"] in {"and", "or"}:
        combined = all if wanted["type"] == "and" else any
        return combined(fits(attributes, inner) for inner in wanted["filters"])
    try:
        return _COMPARISONS[wanted["type"]](attributes[wanted["key"]], wanted["value"])
    except (KeyError, TypeError):
        return wanted["type"] in {"ne", "nin"}

"""What a strict server refuses in requests about vector stores.

Source: OpenAI's published OpenAPI document, and its API reference, "Vector stores".
"""

from collections.abc import Collection, Mapping
from typing import Any

from agentkit.testing.refusal import a_string, an_array, an_object, known, refuse

from .passages import COMPARISONS
from .strict import check_metadata

_RANKERS = ("none", "auto", "default-2024-11-15")


def check_store(body: Mapping[str, Any]) -> None:
    """Refuse a vector store that could not be made."""
    given = _given(body, {"name", "description", "file_ids", "expires_after", "chunking_strategy", "metadata"})
    _check_described(given)
    if given.get("file_ids"):
        _check_ids(given["file_ids"], most=500)
    if "chunking_strategy" in given:
        if not given.get("file_ids"):
            refuse("chunking_strategy", "there are no 'file_ids' to cut into passages")
        _check_chunking(given["chunking_strategy"])


def check_store_changes(body: Mapping[str, Any]) -> None:
    """Refuse changes of a vector store."""
    _check_described(_given(body, {"name", "expires_after", "metadata"}))


def check_file(body: Mapping[str, Any], where: str = "") -> None:
    """Refuse a file that could not be put into a vector store."""
    prefix = f"{where}." if where else ""
    given = _given(an_object(body, where), {"file_id", "attributes", "chunking_strategy"}, where)
    a_string(given.get("file_id"), f"{prefix}file_id")
    _check_options(given, prefix)


def check_attributes(body: Mapping[str, Any]) -> None:
    """Refuse changes of a file in a vector store."""
    known(body, {"attributes"}, "")
    if "attributes" not in body:
        refuse("attributes", "they are missing", code="missing_required_parameter")
    _check_options(_given(body, {"attributes"}), "")


def check_batch(body: Mapping[str, Any]) -> None:
    """Refuse several files that could not be put into a vector store together."""
    given = _given(body, {"file_ids", "files", "attributes", "chunking_strategy"})
    if ("file_ids" in given) == ("files" in given):
        refuse("file_ids", "give either 'file_ids' or 'files'")
    if "file_ids" in given:
        _check_ids(given["file_ids"], most=2000)
        _check_options(given, "")
        return
    known(given, {"files"}, "")
    for n, file in enumerate(an_array(given["files"], "files", most=2000)):
        check_file(file, f"files[{n}]")


def check_search(body: Mapping[str, Any]) -> None:
    """Refuse a search."""
    given = _given(body, {"query", "filters", "max_num_results", "ranking_options", "rewrite_query"})
    query = given.get("query")
    for text in an_array(query, "query") if isinstance(query, list) else [query]:
        if not a_string(text, "query"):
            refuse("query", "it is empty", code="empty_string")
    _whole(given.get("max_num_results", 10), "max_num_results", least=1, most=50)
    if not isinstance(given.get("rewrite_query", False), bool):
        refuse("rewrite_query", "expected a boolean", code="invalid_type")
    ranking = _given(
        an_object(given.get("ranking_options", {}), "ranking_options"), {"ranker", "score_threshold"}, "ranking_options"
    )
    if ranking.get("ranker", "auto") not in _RANKERS:
        refuse("ranking_options.ranker", f"expected one of {', '.join(_RANKERS)}")
    least = ranking.get("score_threshold", 0)
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
        refuse("ranking_options.score_threshold", "expected a number from 0 to 1")
    if "filters" in given:
        _check_filter(given["filters"], "filters")


def _check_described(given: Mapping[str, Any]) -> None:
    for name in ("name", "description"):
        if name in given:
            a_string(given[name], name, longest=512)
    if "metadata" in given:
        check_metadata(given["metadata"], "metadata")
    if "expires_after" in given:
        after = _given(an_object(given["expires_after"], "expires_after"), {"anchor", "days"}, "expires_after")
        if after.get("anchor") != "last_active_at":
            refuse("expires_after.anchor", "expected 'last_active_at'")
        _whole(after.get("days"), "expires_after.days", least=1, most=365)


def _check_options(given: Mapping[str, Any], prefix: str) -> None:
    if "chunking_strategy" in given:
        _check_chunking(given["chunking_strategy"], f"{prefix}chunking_strategy")
    attributes = an_object(given.get("attributes", {}), f"{prefix}attributes")
    if len(attributes) > 16:
        refuse(f"{prefix}attributes", "16 pairs are allowed", code="object_above_max_properties")
    for key, value in attributes.items():
        a_string(key, f"{prefix}attributes", longest=64)
        if not isinstance(value, int | float):
            a_string(value, f"{prefix}attributes.{key}", longest=512)


def _check_chunking(strategy: Any, where: str = "chunking_strategy") -> None:
    kind = an_object(strategy, where).get("type")
    if kind == "auto":
        known(strategy, {"type"}, where)
        return
    if kind != "static":
        refuse(f"{where}.type", "expected 'auto' or 'static'")
    known(strategy, {"type", "static"}, where)
    sizes = an_object(strategy.get("static"), f"{where}.static")
    known(sizes, {"max_chunk_size_tokens", "chunk_overlap_tokens"}, f"{where}.static")
    _whole(sizes.get("max_chunk_size_tokens"), f"{where}.static.max_chunk_size_tokens", least=100, most=4096)
    half = sizes["max_chunk_size_tokens"] // 2
    _whole(sizes.get("chunk_overlap_tokens"), f"{where}.static.chunk_overlap_tokens", least=0, most=half)


def _check_filter(wanted: Any, where: str) -> None:
    kind = an_object(wanted, where).get("type")
    if kind in ("and", "or"):
        known(wanted, {"type", "filters"}, where)
        for n, inner in enumerate(an_array(wanted.get("filters"), f"{where}.filters")):
            _check_filter(inner, f"{where}.filters[{n}]")
        return
    if kind not in COMPARISONS:
        refuse(f"{where}.type", f"expected one of {', '.join(COMPARISONS)}, and, or")
    known(wanted, {"type", "key", "value"}, where)
    a_string(wanted.get("key"), f"{where}.key")
    value = wanted.get("value")
    if isinstance(value, list) != (kind in ("in", "nin")) or not isinstance(value, str | int | float | list):
        refuse(f"{where}.value", "expected an array for 'in' and 'nin', else a string, a number or a boolean")


def _check_ids(ids: Any, *, most: int) -> None:
    for n, id in enumerate(an_array(ids, "file_ids", most=most)):
        a_string(id, f"file_ids[{n}]")


def _whole(value: Any, where: str, *, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        refuse(where, f"expected a whole number from {least} to {most}", code=None)


def _given(body: Mapping[str, Any], names: Collection[str], where: str = "") -> dict[str, Any]:
    """What is given, without the fields that are null; no other fields than these."""
    given = {name: value for name, value in body.items() if value is not None}
    known(given, names, where)
    return given

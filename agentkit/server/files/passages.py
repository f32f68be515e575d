"""Text -> passages that overlap, as a chunking strategy says.

A token is counted as up to four letters or digits of a word, one other character, or one character of Chinese,
Japanese or Korean. That is a plain rule which needs no model's vocabulary, and comes close to most for English.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

AUTO: Mapping[str, Any] = {
    "type": "static",
    "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400},
}
"""What `{"type": "auto"}` stands for."""

_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_PIECE = re.compile(rf"[{_WIDE}]|[^\s{_WIDE}]{{1,32}}")
_RUN = re.compile(r"[^\W_]+")


class _Piece(NamedTuple):
    start: int
    end: int
    tokens: int


def tokens(text: str) -> int:
    """How many tokens a text is counted as."""
    return sum(piece.tokens for piece in _pieces(text))


def passages(text: str, strategy: Mapping[str, Any]) -> Iterator[str]:
    """The passages of a text. One ends with a paragraph or a sentence, if one ends in its last quarter."""
    size, overlap = strategy["static"]["max_chunk_size_tokens"], strategy["static"]["chunk_overlap_tokens"]
    window: list[_Piece] = []
    held = 0
    for piece in _pieces(text):
        while window and held + piece.tokens > size:
            end = _end(text, window)
            yield text[window[0].start : window[end - 1].end]
            window = window[_again(window, end, overlap) :]
            held = sum(each.tokens for each in window)
        window.append(piece)
        held += piece.tokens
    if window:
        yield text[window[0].start : window[-1].end]


def _pieces(text: str) -> Iterator[_Piece]:
    for match in _PIECE.finditer(text):
        word = match.group()
        runs = [len(run) for run in _RUN.findall(word)]
        yield _Piece(match.start(), match.end(), sum(math.ceil(run / 4) for run in runs) + len(word) - sum(runs))


def _end(text: str, window: list[_Piece]) -> int:
    """How many of these pieces the passage takes."""
    least = max(len(window) * 3 // 4, 1)
    sentence = 0
    for n in range(len(window) - 1, least - 1, -1):
        if "\n\n" in text[window[n - 1].end : window[n].start]:
            return n
        if not sentence and text[window[n - 1].end - 1] in ".!?。！？\n":  # noqa: RUF001
            sentence = n
    return sentence or len(window)


def _again(window: list[_Piece], end: int, overlap: int) -> int:
    """The first piece of this passage that the next one has too."""
    first, shared = end, 0
    while first > 1 and shared + window[first - 1].tokens <= overlap:
        first -= 1
        shared += window[first].tokens
    return first

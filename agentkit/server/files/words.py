"""Text -> the words by which it is found, and how well a passage fits a query.

The words are made here and not in the database, so that SQLite and PostgreSQL find the same: in lower case, without
accents and common endings; of Chinese, Japanese and Korean, pairs of characters.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_WIDE}]+|[^\W_{_WIDE}]+")
_IS_WIDE = re.compile(rf"[{_WIDE}]")
_LONGEST = 64
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("s", ""))
_K1, _B = 1.2, 0.75
"""BM25's usual weights of how often a word is said, and of how long the passage is."""


def words(text: str) -> Iterator[str]:
    """The words of a text, in order, as they are indexed."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    for match in _WORD.finditer(unicodedata.normalize("NFC", plain)):
        word = match.group()
        if not _IS_WIDE.match(word):
            yield _stem(word)[:_LONGEST]
        elif len(word) == 1:
            yield word
        else:
            yield from (first + second for first, second in pairwise(word))


def wanted(queries: Sequence[str], most: int = 64) -> list[str]:
    """The words to look for: those that everybody always says are left out, if there are others."""
    said = list(dict.fromkeys(word for query in queries for word in words(query)))
    return ([word for word in said if word not in _COMMON] or said)[:most]


def scores(query: Sequence[str], passages: Sequence[str]) -> list[float]:
    """How well each passage fits, from 0 to 1: BM25, as a share of what a passage could reach that says it all.

    A word counts by how few of these passages have it; they are all that have any, or the best of many.
    """
    said = [Counter(words(passage)) for passage in passages]
    lengths = [max(count.total(), 1) for count in said]
    usual = sum(lengths) / max(len(lengths), 1)
    weights = {}
    for word in query:
        having = sum(word in count for count in said)
        weights[word] = math.log(1 + (len(said) - having + 0.5) / (having + 0.5))
    most = sum(weights.values()) * (_K1 + 1)
    if not most:
        return [0.0] * len(said)
    return [
        min(sum(weights[word] * _said(count[word], length / usual) for word in query) / most, 1.0)
        for count, length in zip(said, lengths, strict=True)
    ]


def _said(times: int, length: float) -> float:
    return times * (_K1 + 1) / (times + _K1 * (1 - _B + _B * length))


def _stem(word: str) -> str:
    """Without the commonest English endings: both sides lose them, so little harm is done to other languages."""
    if len(word) > 3 and not word.endswith(("ss", "us", "is")):
        for ending, instead in _ENDINGS:
            if word.endswith(ending):
                word = word[: -len(ending)] + instead
                break
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 4 else word


_COMMON = frozenset(
    words(
        "a about after all also am an and any are as at be been but by can could did do does for from had has "
        "have he her his how i if in into is it its just me more my no not of on or our out she should so some "
        "such than that the their them then there these they this to up was we were what when where which who "
        "whom whose why will with would you your s t"
    )
)
"""What everybody always says in English, as it is indexed."""

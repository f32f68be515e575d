"""Text tools: counts, places and differences that are right to the letter, in time that is bounded."""

import random
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import ToolFailed
from agentkit.tools.text import compare_texts, count_text, find_text, replace_text


@pytest.mark.parametrize(
    ("text", "characters", "words", "lines", "sentences"),
    [
        ("", 0, 0, 0, 0),
        ("   ", 3, 0, 1, 0),
        ("one", 3, 1, 1, 1),
        ("Hello world. How are you?\nFine", 30, 6, 2, 3),
        ("a\nb\n", 4, 2, 2, 2 - 1),
        ("a\n\nb", 4, 2, 3, 1),
        ('He said "Go!" Then he left...', 29, 6, 1, 2),
        ("Pi is 3.14, e.g. here", 21, 5, 1, 2),
        ("你好。再见！", 6, 1, 1, 2),  # noqa: RUF001
        ("naïve café 🙂", 12, 3, 1, 1),
    ],
)
def test_counts(text: str, characters: int, words: int, lines: int, sentences: int) -> None:
    """Words are what spaces separate, and a text that does not end in a full stop ends in a sentence all the same."""
    told = count_text(text)
    assert (told["characters"], told["words"], told["lines"], told["sentences"]) == (
        characters,
        words,
        lines,
        sentences,
    )


def test_spaces_can_be_left_out_of_the_count() -> None:
    """Limits on texts are given both ways."""
    assert count_text(" a b\tc\n")["characters_without_spaces"] == 3


def test_letters_are_found_and_counted() -> None:
    """The question every language model gets wrong."""
    told = find_text("strawberry", "r")
    assert told["count"] == 3
    assert [match["column"] for match in told["matches"]] == [3, 8, 9]


def test_a_match_is_shown_with_its_place() -> None:
    """Line and column as in an editor, and the words around it on that line only."""
    told = find_text("first line\nsecond line here\n", "line h")
    assert told == {"count": 1, "shown": 1, "matches": [{"line": 2, "column": 8, "text": "second line here"}]}
    assert find_text("a\nb\nc", "b\nc")["matches"] == [{"line": 2, "column": 1, "text": "b\nc"}]


def test_case_can_be_ignored() -> None:
    """Also where a capital has two small letters, the columns stay right."""
    assert find_text("Ab aB", "AB")["count"] == 0
    assert find_text("Ab aB", "AB", ignore_case=True)["count"] == 2
    [match] = find_text("İİ Straße ÉTÉ", "été", ignore_case=True)["matches"]
    assert match == {"line": 1, "column": 11, "text": "İİ Straße ÉTÉ"}


@settings(deadline=None)
@given(st.text("ab\n", max_size=300), st.text("ab\n", min_size=1, max_size=3))
def test_what_is_found_is_there(text: str, query: str) -> None:
    """The count is Python's own, and each place holds the query."""
    told = find_text(text, query)
    matches = told["matches"]
    assert isinstance(matches, list)
    assert told["count"] == text.count(query)
    assert len(matches) == min(text.count(query), 50)
    for match in matches:
        lines = text.split("\n")
        start = sum(len(line) + 1 for line in lines[: int(match["line"]) - 1]) + int(match["column"]) - 1
        assert text.startswith(query, start)


@settings(deadline=None)
@given(st.text("ab ", max_size=99), st.text("ab ", min_size=1, max_size=3), st.text(max_size=3))
def test_replacing_is_plain(text: str, old: str, new: str) -> None:
    """Everywhere, once each, and nothing in the words has a special meaning; if there is nothing, it is said."""
    if old in text:
        assert replace_text(text, old, new) == {"count": text.count(old), "text": text.replace(old, new)}
    else:
        with pytest.raises(ToolFailed, match="does not occur in the text"):
            replace_text(text, old, new)


def test_patterns_are_only_text() -> None:
    """A pattern that would take for ever as a regular expression is just looked for."""
    assert find_text("a" * 100, "(a+)+$")["count"] == 0
    assert replace_text("1+1=2 \\1", "1+1", "\\1")["text"] == "\\1=2 \\1"


def test_differences_are_told_word_by_word() -> None:
    """Line breaks do not count, and each change names its line in the first text."""
    assert compare_texts("the quick brown fox\njumps over", "the slow fox jumps  over it") == {
        "similarity": 0.667,
        "count": 2,
        "changes": [
            {"line": 1, "first": "quick brown", "second": "slow"},
            {"line": 2, "first": "", "second": "it"},
        ],
    }


@pytest.mark.parametrize(
    ("first", "second", "similarity", "count"),
    [
        ("", "", 1, 0),
        ("a b", "a\nb", 1, 0),
        ("", "a", 0, 1),
        ("a", "", 0, 1),
        ("a b", "c d", 0, 1),
        ("1 0 " * 500, "2 " + "1 0 " * 500, 1, 1),
        ("x " * 3000, "x " * 2999, 1, 1),
    ],
)
def test_similarity(first: str, second: str, similarity: float, count: int) -> None:
    """From 0 to 1, also for texts of few different words, on which difflib's shortcut finds nothing in common."""
    told = compare_texts(first, second)
    assert (told["similarity"], told["count"]) == (pytest.approx(similarity, abs=0.001), count)


WORDS = st.lists(st.sampled_from("abc"), max_size=12)


@settings(deadline=None, max_examples=300)
@given(WORDS, WORDS)
def test_the_changes_are_all_there_is_and_no_more(first: list[str], second: list[str]) -> None:
    """As few words as can be, by the textbook table of longest common subsequences, and on the line they stand on."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    told = compare_texts("\n".join(first), " ".join(second))
    longest = 2 * table[-1][-1] / (len(first) + len(second)) if first or second else 1
    assert told["similarity"] == pytest.approx(longest, abs=0.001)
    assert isinstance(told["changes"], list)
    gone = [word for change in told["changes"] for word in str(change["first"]).split()]
    new = [word for change in told["changes"] for word in str(change["second"]).split()]
    assert (len(first) - len(gone), len(second) - len(new)) == (table[-1][-1], table[-1][-1])
    assert Counter(first) - Counter(gone) == Counter(second) - Counter(new)
    for change in told["changes"]:
        if change["first"]:
            assert first[int(change["line"]) - 1] == str(change["first"]).split()[0]


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: count_text("a" * 1_000_001), "longer than 1000000 characters"),
        (lambda: find_text("a" * 1_000_001, "a"), "longer than 1000000 characters"),
        (lambda: find_text("a", ""), "query is empty"),
        (lambda: replace_text("a", "", "b"), "does not occur"),
        (lambda: replace_text("a" * 999_999, "a", "b" * 999_999), "would be longer than 1000000"),
        (lambda: compare_texts("a " * 5001, "a"), "5001 words, the most is 5000"),
        (lambda: compare_texts("a " * 900, "b " * 900), "differ in more than 1000 words"),
    ],
)
def test_what_is_too_much_is_refused_in_words(work: Callable[[], object], said: str) -> None:
    """Before the work, and with what to do instead."""
    with pytest.raises(ToolFailed, match=said):
        work()


some = random.Random(1)
WORST = {
    "full stops": lambda: count_text("." * 10**6),
    "full-width stops": lambda: count_text("。" * 10**6),
    "nearly the query": lambda: find_text("a" * 10**6, "a" * 500_000 + "b", ignore_case=True),
    "a million matches": lambda: find_text("\n" * 10**6, "\n"),
    "nothing in common": lambda: compare_texts("a " * 5000, "b " * 5000),
    "all alike": lambda: compare_texts("a " * 5000, "b " + "a " * 4500),
    "two words at random": lambda: compare_texts(*(" ".join(some.choices("ab", k=5000)) for _ in range(2))),
}


@pytest.mark.parametrize("work", WORST.values(), ids=WORST)
def test_the_worst_texts_take_bounded_time(work: Callable[[], object]) -> None:
    """Measured at up to a quarter of a second of processor time; ten times that would be a defect."""
    start = time.thread_time()
    try:
        work()
    except ToolFailed:
        pass
    assert time.thread_time() - start < 2.5

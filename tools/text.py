"""Text: counting, finding, replacing and comparing to the letter, which models are bad at.

What to find is plain text and never a pattern: a pattern that a model wrote could run for ever.
"""

from difflib import SequenceMatcher

from agentkit import ToolFailed, tool

_MAX_CHARS = 1_000_000
_MAX_WORDS = 2_000
_MAX_SHOWN = 50
_EXCERPT = 60


@tool
def count_text(text: str) -> dict[str, int]:
    """Count the characters, words, lines and sentences of a text.

    Args:
        text: The text to count.
    """
    _limited(text)
    spaced = text
    for mark in "。！？":  # noqa: RUF001 - sentences end with these, and no space follows
        spaced = spaced.replace(mark, f"{mark} ")
    words = spaced.split()
    ends = [word.rstrip("\"')]}»”’").endswith((".", "!", "?", "…", "。", "！", "？")) for word in words]  # noqa: RUF001
    return {
        "characters": len(text),
        "characters_without_spaces": len("".join(text.split())),
        "words": len(text.split()),
        "lines": len(text.removesuffix("\n").split("\n")) if text else 0,
        "sentences": sum(ends) + (bool(ends) and not ends[-1]),
    }


@tool
def find_text(text: str, query: str, ignore_case: bool = False) -> dict[str, int | list[dict[str, int | str]]]:
    """Count how often some words or letters occur in a text, and show where.

    Args:
        text: The text to search.
        query: The exact words or letters to find.
        ignore_case: Whether capitals and small letters are the same.
    """
    _limited(text)
    if not query:
        raise ToolFailed("query is empty; write the words or letters to find")
    searched, wanted = (_folded(text), _folded(query)) if ignore_case else (text, query)
    matches: list[dict[str, int | str]] = []
    at, line, line_start = searched.find(wanted), 1, 0
    while at >= 0 and len(matches) < _MAX_SHOWN:
        line += text.count("\n", line_start, at)
        line_start = text.rfind("\n", 0, at) + 1
        matches.append({"line": line, "column": at - line_start + 1, "text": _excerpt(text, at, at + len(query))})
        at = searched.find(wanted, at + len(wanted))
    return {"count": searched.count(wanted), "shown": len(matches), "matches": matches}


@tool
def replace_text(text: str, old: str, new: str) -> dict[str, int | str]:
    """Replace words or letters everywhere in a text.

    Args:
        text: The text to change.
        old: The exact words or letters to replace.
        new: What to put in their place; empty to remove them.
    """
    count = text.count(old) if old else 0
    if not count:
        raise ToolFailed(f"{old[:_EXCERPT]!r} does not occur in the text; copy it exactly, capitals and spaces too")
    if len(text) + count * (len(new) - len(old)) > _MAX_CHARS:
        raise ToolFailed(f"the result would be longer than {_MAX_CHARS} characters; replace in a shorter text")
    return {"count": count, "text": text.replace(old, new)}


@tool
def compare_texts(first: str, second: str) -> dict[str, float | int | list[dict[str, int | str]]]:
    """Tell how similar two texts are, from 0 to 1, and which words differ. Spaces and line breaks do not count.

    Args:
        first: One text, or the older.
        second: The other text, or the newer.
    """
    a, b = _words(first), _words(second)
    # Without its `autojunk` a text of few different words takes minutes to compare.
    matcher = SequenceMatcher(None, [word for word, _ in a], [word for word, _ in b], autojunk=True)
    changes: list[dict[str, int | str]] = [
        {"line": [*a, ("", 1)][start][1], "first": _joined(a[start:end]), "second": _joined(b[begin:stop])}
        for kind, start, end, begin, stop in matcher.get_opcodes()
        if kind != "equal"
    ]
    return {"similarity": round(matcher.ratio(), 3), "count": len(changes), "changes": changes[:_MAX_SHOWN]}


def _limited(text: str) -> None:
    if len(text) > _MAX_CHARS:
        raise ToolFailed(f"the text is longer than {_MAX_CHARS} characters; give it in parts")


def _folded(text: str) -> str:
    """Without case, letter by letter, so that every letter keeps its place (some have two small letters)."""
    return "".join(small if len(small := letter.casefold()) == 1 else letter for letter in text)


def _excerpt(text: str, start: int, end: int) -> str:
    """The match and what stands around it on its line."""
    before = text[max(0, start - _EXCERPT) : start].rpartition("\n")[2]
    after = text[end : end + _EXCERPT].partition("\n")[0]
    return before + text[start:end][:_EXCERPT] + after


def _words(text: str) -> list[tuple[str, int]]:
    """The words, each with the line it stands on."""
    words = [(word, number) for number, line in enumerate(text.split("\n"), start=1) for word in line.split()]
    if len(words) > _MAX_WORDS:
        raise ToolFailed(f"one text has {len(words)} words, the most is {_MAX_WORDS}; compare them in parts")
    return words


def _joined(words: list[tuple[str, int]]) -> str:
    text = " ".join(word for word, _ in words)
    return text if len(text) <= 2 * _EXCERPT else f"{text[:_EXCERPT]} ... {text[-_EXCERPT:]}"

"""Text: counting, finding, replacing and comparing to the letter, which models are bad at.

What to find is plain text and never a pattern: a pattern that a model wrote could run for ever.
"""

from agentkit import ToolFailed, tool

_MAX_CHARS = 1_000_000
_MAX_WORDS = 5_000
_MAX_CHANGES = 1_000
_MAX_SHOWN = 50
_EXCERPT = 60


@tool(effects="read")
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


@tool(effects="read")
def find_text(text: str, query: str, ignore_case: bool = False) -> dict[str, int | list[dict[str, int | str]]]:
    """Find a word or letter in a text: how many there are, and where.

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


@tool(effects="read")
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


@tool(effects="read")
def compare_texts(first: str, second: str) -> dict[str, float | int | list[dict[str, int | str]]]:
    """Tell how similar two texts are, from 0 to 1, and which words differ. Spaces and line breaks do not count.

    Args:
        first: One text, or the older.
        second: The other text, or the newer.
    """
    a, b = _words(first), _words(second)
    common = _common([word for word, _ in a], [word for word, _ in b])
    changes: list[dict[str, int | str]] = []
    at_a = at_b = 0
    for in_a, in_b in [*common, (len(a), len(b))]:
        if at_a < in_a or at_b < in_b:
            line = a[min(at_a, len(a) - 1)][1] if a else 1
            changes.append({"line": line, "first": _joined(a[at_a:in_a]), "second": _joined(b[at_b:in_b])})
        at_a, at_b = in_a + 1, in_b + 1
    similarity = 2 * len(common) / (len(a) + len(b)) if a or b else 1.0
    return {"similarity": round(similarity, 3), "count": len(changes), "changes": changes[:_MAX_SHOWN]}


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


def _common(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """The places, in `a` and `b`, of the words that both have in the same order, as many as there can be.

    E. Myers, An O(ND) Difference Algorithm and Its Variations, 1986. `rows[n][removed]` is how far into `a` one comes
    with n changes, of which `removed` leave out a word of `a` and the others put in one of `b`.
    """
    rows: list[list[int]] = []
    for changes in range(_MAX_CHANGES + 1):
        row: list[int] = []
        for removed in range(changes + 1):
            x = _step(rows, removed)[0]
            y = x + changes - 2 * removed
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            row.append(x)
            if (x, y) == (len(a), len(b)):
                return _path(rows, removed, x)
        rows.append(row)
    raise ToolFailed(f"the texts differ in more than {_MAX_CHANGES} words; compare shorter parts")


def _step(rows: list[list[int]], removed: int) -> tuple[int, int]:
    """Where the next change starts from, at best: the place in `a`, and how many words were left out before it."""
    if not rows:
        return 0, 0
    row = rows[-1]
    if removed == len(row) or (removed and row[removed - 1] >= row[removed]):
        return row[removed - 1] + 1, removed - 1
    return row[removed], removed


def _path(rows: list[list[int]], removed: int, x: int) -> list[tuple[int, int]]:
    """The common words on the way back from the end."""
    places: list[tuple[int, int]] = []
    for changes in range(len(rows), -1, -1):
        start, before = _step(rows[:changes], removed)
        y = x + changes - 2 * removed
        places += [(x - n, y - n) for n in range(1, x - start + 1)]
        removed, x = before, rows[changes - 1][before] if changes else 0
    return places[::-1]


def _joined(words: list[tuple[str, int]]) -> str:
    text = " ".join(word for word, _ in words)
    return text if len(text) <= 2 * _EXCERPT else f"{text[:_EXCERPT]} ... {text[-_EXCERPT:]}"

"""Search: finding the passages in a folder's text files that fit some words best.

`load_tools("search")` searches the process's current directory, `Search("./docs").tools` any folder. Where `files`
finds each place with the exact words, this finds other forms of the words too, and the best places first.

The index is SQLite's FTS5, in a temporary file without a name: nothing is written into the folder, and nothing is left
when the process ends, however it ends. Before each search it takes up which files are new, gone or changed (by size
and times). Links, hidden files and folders, and what is not text are left out.

Words are compared without their endings (as in English), capitals and accents. Scripts that put no space between words
are indexed letter by letter and looked up in pairs.
"""

import re
import sqlite3
import threading
import time
import unicodedata
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agentkit import ToolFailed, tool

from ._folder import MAX_FILE_SIZE, files, text_of, visible

_MAX_INDEXED = 50_000_000
_MAX_TERMS = 32
_MAX_RANKED = 100
_MAX_FOUND = 8
_MAX_OF_ONE_FILE = 3
_MAX_LINES = 5
_MAX_LINE = 200
_PASSAGE = 800
_PIECES = re.compile(r".{1,2000}(?!\w)|.{1,2000}")  # of an endless line, with no word cut in two if that can be
_UNSURE_SECONDS = 2  # two changes within the finest time that a file system tells cannot be told apart

_TABLE = """
CREATE VIRTUAL TABLE passages USING fts5(path, body, line UNINDEXED, tokenize="porter unicode61 remove_diacritics 2");
INSERT INTO passages(passages, rank) VALUES ('rank', 'bm25(0.5, 1.0)');
PRAGMA cache_size = -16000;
"""
_HIT, _GAP = "\x02", "\u200b"
_DROPPED = {ord(_HIT): None, ord(_GAP): None, 0: None}
_NO_SPACES = (  # Thai to Myanmar, Khmer, Han, Kana, Hangul
    "\u0e00-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_COMMON = re.compile(
    "(?i)(a|an|and|are|as|at|be|by|can|do|does|for|from|how|i|if|in|is|it|its|me|my|not|of|on|or|that|the|their|there"
    "|this|to|was|we|what|when|where|which|who|why|will|with|you|your)[?.!,]?"
)
_LETTER, _RUN = re.compile(f"[{_NO_SPACES}]"), re.compile(f"([{_NO_SPACES}]+)")


@dataclass(frozen=True, eq=False)
class Search:
    """A tool that searches the text files of one folder: `Agent(tools=Search("./docs").tools)`."""

    folder: str | Path
    """If it is relative, it starts from the current directory at the time of each call."""
    _index: "_Index" = field(default_factory=lambda: _Index(), init=False, repr=False)

    @property
    def tools(self) -> list[Callable[..., str]]:
        """The tool, for an agent."""
        return [self.search_files]

    @tool(effects="read", trusted=False)
    def search_files(self, query: str) -> str:
        """Search all files for the passages that fit some words best.

        Args:
            query: The words, in any order; "in quotes" for what must be there just so, begin* for other endings.
        """
        expression = _expression(query)
        passages, complete = self._index.find(self.folder, expression)
        seen: Counter[str] = Counter()
        found = []
        for passage in passages:
            seen[passage.path] += 1
            if seen[passage.path] <= _MAX_OF_ONE_FILE:
                found.append(_shown(passage))
        notes = [] if len(found) <= _MAX_FOUND else [f"[the best {_MAX_FOUND}; for others, write more or rarer words]"]
        notes += [] if complete else ["[the folder is too large, not all of it was searched]"]
        return "\n\n".join([*(found[:_MAX_FOUND] or ["[nothing found]"]), *notes])


class _Passage(NamedTuple):
    path: str
    line: int
    """The number of its first line."""
    body: str
    """With a mark before each word that was found."""


class _Known(NamedTuple):
    """A file as it is in the index."""

    state: tuple[int, ...] | None
    """What changes when the file does; None if that is not sure."""
    digest: int
    size: int
    rows: range


_NOTHING = _Known((), 0, 0, range(0))


class _Index:
    """The passages of a folder's files, for one search at a time; others wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: dict[str, _Known] = {}
        self.next_row = 1
        self.database: sqlite3.Connection | None = None

    def find(self, folder: str | Path, expression: str) -> tuple[list[_Passage], bool]:
        """The best passages first, and whether all files were searched."""
        with self.lock:
            try:
                database = self.database or self._opened()
                complete = self._take_up(database, folder)
                rows = database.execute(
                    "SELECT path, line, highlight(passages, 1, ?, '') FROM passages WHERE passages MATCH ?"
                    " ORDER BY rank, rowid LIMIT ?",
                    (_HIT, expression, _MAX_RANKED),
                ).fetchall()
            except sqlite3.Error as error:
                raise ToolFailed(f"the search index does not work here ({error}); tell the user") from None
        return [_Passage(*row) for row in rows], complete

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect("", check_same_thread=False)
        weakref.finalize(self, database.close)
        database.executescript(_TABLE)
        self.database = database
        return database

    def _take_up(self, database: sqlite3.Connection, folder: str | Path) -> bool:
        """Bring the index to what the files are now; whether all of them are in it."""
        found, complete = files(folder, ".", hidden=False)
        known, row, now = dict(self.known), self.next_row, time.time()
        with database:
            for path in known.keys() - {path for path, _ in found}:
                _forget(database, known.pop(path))
            room = _MAX_INDEXED - sum(file.size for file in known.values())
            for path, info in found:
                state = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
                old = known.get(path, _NOTHING)
                if old.state == state:
                    continue
                if info.st_size > room + old.size:
                    complete = False
                    continue
                text = text_of(folder, path) if info.st_size <= MAX_FILE_SIZE else None
                sure = state if max(info.st_mtime, info.st_ctime) < now - _UNSURE_SECONDS else None
                if path in known and old.digest == hash(text):
                    known[path] = old._replace(state=sure)
                    continue
                _forget(database, old)
                rows = [(place, visible(path), *passage) for place, passage in enumerate(_passages(text or ""), row)]
                database.executemany("INSERT INTO passages(rowid, path, line, body) VALUES (?, ?, ?, ?)", rows)
                known[path] = _Known(sure, hash(text), len(text or ""), range(row, row + len(rows)))
                room += old.size - known[path].size
                row += len(rows)
        self.known, self.next_row = known, row
        return complete


def _forget(database: sqlite3.Connection, file: _Known) -> None:
    database.execute("DELETE FROM passages WHERE rowid >= ? AND rowid < ?", (file.rows.start, file.rows.stop))


def _passages(text: str) -> Iterator[tuple[int, str]]:
    """Pieces of a text, some lines each, ending at an empty line if they can; with the number of the first line."""
    lines: list[str] = []
    first, size = 1, 0
    for number, line in enumerate(unicodedata.normalize("NFC", text).translate(_DROPPED).split("\n"), start=1):
        for piece in _PIECES.findall(line) or [""]:
            if size and size + len(piece) > (_PASSAGE if piece.strip() else _PASSAGE // 2):
                yield first, _spaced("\n".join(lines))
                first, lines, size = number, [], 0
            lines.append(piece)
            size += len(piece) + 1
    if "".join(lines).strip():
        yield first, _spaced("\n".join(lines))


def _spaced(text: str) -> str:
    return _RUN.sub(lambda run: f"{_GAP}{_GAP.join(run[0])}{_GAP}", text)


def _expression(query: str) -> str:
    """What was asked for, in FTS5's language: each word in quotes, where nothing of it means anything else."""
    asked = unicodedata.normalize("NFC", query.encode("utf-8", "replace").decode()).translate(_DROPPED)
    needed: list[str] = []
    wanted: list[str] = []
    words = re.findall(r'"([^"]*)"|([^\s"]+)', asked)
    common = all(_COMMON.fullmatch(word) for _, word in words if word)  # then they are what is meant
    for quoted, word in words:
        if _says(quoted):
            needed.append(_term(quoted))
        for part in _RUN.split(word) if common or not _COMMON.fullmatch(word) else ():
            if _LETTER.match(part):
                wanted += [_term(part[place : place + 2]) for place in range(max(1, len(part) - 1))]
            elif _says(part):
                wanted += _begun(part.rstrip("*")) if part.endswith("*") else [_term(part)]
    needed, wanted = list(dict.fromkeys(needed))[:_MAX_TERMS], list(dict.fromkeys(wanted))[:_MAX_TERMS]
    if not needed and not wanted:
        raise ToolFailed("there are no words in the query; write what the passage may say")
    if not needed:
        return " OR ".join(wanted)
    return " AND ".join([*needed, f"({' OR '.join([needed[0], *wanted])})"])


def _begun(word: str) -> list[str]:
    """All words that begin so: as they are in the index without their endings, some are shorter than this."""
    return [f"{_term(word)}*", *(_term(word[:end]) for end in range(max(3, len(word) - 4), len(word)))]


def _says(text: str) -> bool:
    return any(letter.isalnum() for letter in text)


def _term(text: str) -> str:
    return f'"{_spaced(text)}"'


def _shown(passage: _Passage) -> str:
    """Where the most of a passage's hits are, with file and line."""
    lines = passage.body.replace(_GAP, "").split("\n")
    hits = [line.count(_HIT) for line in lines]
    start = max(
        range(len(lines)), key=lambda place: (sum(hits[place : place + _MAX_LINES]) * bool(hits[place]), -place)
    )
    shown = [_around(line) for line in lines[start : start + _MAX_LINES]]
    return "\n".join([f"{passage.path}:{passage.line + start}", *shown]).rstrip()


def _around(line: str) -> str:
    start = max(0, line.find(_HIT) - _MAX_LINE // 4) if len(line) > _MAX_LINE else 0
    return line.replace(_HIT, "")[start : start + _MAX_LINE].rstrip()


search_files = Search(".").search_files

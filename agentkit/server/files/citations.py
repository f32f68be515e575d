"""The marks that a model puts behind what it has read in a file, and what clients are told of them."""

import re
from collections.abc import Iterator
from typing import Any

from agentkit.server.engine import Findings, Hit

_MARK = re.compile(r"【(?:\d{1,9}:)?(\d{1,9})†[^【】\n]{0,300}】")
_UNFIT = re.compile(r"[【】†\s]+")


def mark(number: int, filename: str) -> str:
    """How a model cites a passage: `【1†house.txt】`."""
    return f"【{number}†{_UNFIT.sub(' ', filename)[:100].strip()}】"


def citations(text: str, findings: Findings) -> list[dict[str, Any]]:
    """The marks in a text, as Assistants spell them; places are counted in code points. Those of nothing are none.

    A link to a file that a script has written is one too: `sandbox:/mnt/data/sales.csv`.
    """
    passages = [(start, end, "file_citation", hit.file_id) for start, end, hit in _cited(text, findings)]
    files = [(start, end, "file_path", file_id) for start, end, file_id in _linked(text, findings)]
    return [
        {"type": kind, "text": text[start:end], "start_index": start, "end_index": end, kind: {"file_id": file_id}}
        for start, end, kind, file_id in sorted([*passages, *files])
    ]


def response_citations(text: str, findings: Findings) -> list[dict[str, Any]]:
    """The marks in a text, as Responses spell them."""
    passages: list[dict[str, Any]] = [
        {"type": "file_citation", "file_id": hit.file_id, "filename": hit.filename, "index": start}
        for start, _, hit in _cited(text, findings)
    ]
    files: list[dict[str, Any]] = [
        {"type": "file_path", "file_id": file_id, "index": start} for start, _, file_id in _linked(text, findings)
    ]
    return sorted([*passages, *files], key=lambda each: each["index"])


def _cited(text: str, findings: Findings) -> Iterator[tuple[int, int, Hit]]:
    for match in _MARK.finditer(text):
        number = int(match.group(1))
        if 1 <= number <= len(findings.cited):
            yield match.start(), match.end(), findings.cited[number - 1]


def _linked(text: str, findings: Findings) -> Iterator[tuple[int, int, str]]:
    if findings.written:
        longest_first = sorted(findings.written, key=len, reverse=True)
        for match in re.finditer("sandbox:(" + "|".join(map(re.escape, longest_first)) + ")", text):
            yield match.start(), match.end(), findings.written[match.group(1)]

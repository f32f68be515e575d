"""Folders for the tests of the file tools, with ways out to a secret that lies beside them."""

from collections.abc import Callable
from pathlib import Path

from agentkit import ToolFailed

SECRET = "the treasure is under the old oak"


def house_in(top: Path) -> Path:
    """A folder with files and links, beside a secret."""
    root = top / "root"
    (root / "docs" / "deep").mkdir(parents=True)
    (root / "notes.txt").write_text("first line\nsecond line\n", encoding="utf-8")
    (root / "docs" / "guide.md").write_text("# Guide\nRead the notes.\n", encoding="utf-8")
    (top / "secret").mkdir()
    (top / "secret" / "key.txt").write_text(SECRET, encoding="utf-8")
    (root / "file-link").symlink_to(top / "secret" / "key.txt")
    (root / "folder-link").symlink_to(top / "secret")
    (root / "up-link").symlink_to("..")
    (root / "inside-link").symlink_to("notes.txt")
    (root / "docs" / "round").symlink_to(".")
    return root


def outcome(work: Callable[[], str]) -> str:
    """What the model gets to read, a result or an error."""
    try:
        return work()
    except ToolFailed as error:
        return f"failed: {error}"

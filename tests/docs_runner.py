"""Runs a page of documentation the way its reader would, and says where it does not print what it shows.

    python tests/docs_runner.py PAGE        in a folder where the page may write its files

What a page's blocks are, by the word after their backticks:

- `python` runs; the blocks of a page run in order and share their names. A bare `await` is fine, as in a notebook.
- `console` holds lines that begin with `$ `, which a shell runs, and below each what it prints.
- `text` right after a `python` block is what that prints, to the letter; if it raises, the last line is the error, as
  in a traceback. A block that prints nothing has none.
- Any block with `title="NAME"` is a file of that name, written and not run.
- `json` and `toml` are read, so that at least they parse. A block with no word is a drawing.

Spans of time (`12 ms`, `1.4 s`), moments, weekdays and ids of 32 hex digits are not compared.
`<!-- not run: REASON -->` above a block leaves it out.
"""

import ast
import json
import re
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from difflib import unified_diff
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import CodeType, ModuleType

import anyio

from agentkit.testing import no_real_models

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>[^\n]+?) -->\n+)?"
    r'^```(?P<language>\w*)(?: title="(?P<title>[^"\n]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_VARIES = (
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), "<span of time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([+-]\d\d:\d\d|Z)?"), "<moment>"),
    (re.compile(r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b"), "<weekday>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
)
_SESSION_SECONDS = 120
_EACH_COMMAND = "{command}\nstatus=$?; printf '\\0'; (exit $status)\n"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    line: int
    """Where its text begins in the page."""
    language: str
    title: str
    text: str
    not_run: str
    """Why it is left out, if it is."""
    shown: str
    """The output that stands below it."""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page; those that show another's output are with that one."""
    matches = list(_BLOCK.finditer(page))
    if len(matches) * 2 != len(re.findall(r"^\s*```", page, re.MULTILINE)):
        raise ValueError("a block has no end, or one of its ends is indented")
    shown: dict[int, str] = {}
    for before, match in pairwise([None, *matches]):
        if match and match["language"] == "text" and not match["title"]:
            if not before or before["language"] != "python" or page[before.end() : match.start()].strip():
                raise ValueError(f"no block prints this: {match['text']!r}")
            shown[before.start()] = match["text"]
    for match in matches:
        if match["language"] != "text" or match["title"]:
            yield Block(
                line=page.count("\n", 0, match.start("text")) + 1,
                language=match["language"],
                title=match["title"] or "",
                text=match["text"],
                not_run=match["reason"] or "",
                shown=shown.get(match.start(), ""),
            )


def run_page(path: Path) -> list[str]:
    """Run a page; each thing that is not as the page says, in words."""
    page = _Page(path)
    problems = []
    with redirect_stdout(page.out):
        for block in blocks(path.read_text(encoding="utf-8")):
            if not block.not_run:
                for shown, printed in page.outcomes(block):
                    if same(shown) != same(printed):
                        both = same(shown).splitlines(), same(printed).splitlines()
                        lines = unified_diff(*both, "shown", "printed", lineterm="")
                        problems.append("\n".join([f"{path}:{block.line}:", *lines]))
    return problems


def same(text: str) -> str:
    """The text without what varies from run to run."""
    for pattern, name in _VARIES:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class _Page:
    """A page that is being run: its names, and what it prints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.out = StringIO()
        """One for the page, since a block may hold on to it."""
        self.module = sys.modules["__main__"] = ModuleType("__main__")  # where pickle and pydantic look for its classes

    def outcomes(self, block: Block) -> Iterator[tuple[str, str]]:
        """What a block shows, and what it prints."""
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            yield block.shown, self._printed(block)
        elif block.language == "console":
            yield block.text, _session(block.text)
        elif block.language in _READERS:
            _READERS[block.language](block.text)
        elif block.language:
            raise ValueError(f"{self.path}:{block.line}: nobody reads blocks of {block.language!r}")

    def _printed(self, block: Block) -> str:
        source = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's own lines
        before = self.out.tell()
        try:
            self._run(compile(source, str(self.path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        except Exception as error:
            if not block.shown or not block.shown.strip().splitlines()[-1].startswith(_name(error)):
                raise
            self.out.write("".join(traceback.format_exception_only(error)))
        return self.out.getvalue()[before:]

    def _run(self, code: CodeType) -> None:
        running = eval(code, vars(self.module))
        if running is not None:  # there is an `await` in it
            anyio.run(lambda: running)


_READERS: Mapping[str, Callable[[str], object]] = {"json": json.loads, "toml": tomllib.loads}


def _name(error: Exception) -> str:
    return traceback.format_exception_only(error)[-1].partition(":")[0].strip()


def _session(shown: str) -> str:
    """What a terminal shows when these commands are typed into it."""
    commands = re.findall(r"^\$ (.*(?:\\\n.*)*)$", shown, re.MULTILINE)
    script = "".join(_EACH_COMMAND.format(command=command) for command in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=_SESSION_SECONDS,
        check=False,
    )
    printed = done.stdout.split("\0")
    return "\n".join(f"$ {command}\n{out}".rstrip() for command, out in zip(commands, printed, strict=False))


if __name__ == "__main__":
    with no_real_models():
        faults = run_page(Path(sys.argv[1]))
    print("\n\n".join(faults))
    sys.exit(bool(faults))

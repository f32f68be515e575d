"""`agentkit migrate`: what was saved of the Assistants API, into a server's database or into an agent's file."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agentkit import ConfigError
from agentkit.server.importing.exports import Export

from .failures import FAILED, OK
from .options import MigrateOptions
from .serve import require_packages
from .text import safe

if TYPE_CHECKING:
    from agentkit.server.importing.exports import Found
    from agentkit.server.importing.report import Report
    from agentkit.server.importing.writing import Progress

_ENDINGS = (".json", ".jsonl", ".ndjson")
_SHOWN = 20


def migrate(options: MigrateOptions) -> int:
    """Import, or write an agent file; returns the exit code.

    Raises:
        ConfigError: a file, the database or an option cannot be used.
    """
    export = Export()
    for path in _paths(options.files):
        try:
            export.read(str(path), path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if options.to is not None:
        return _write_agent(_chosen(export, options.assistant), Path(options.to), overwrite=options.overwrite)
    require_packages()
    report = anyio.run(_import, export, options)
    if options.as_json:
        counts = {"taken": report.taken, "overwritten": report.changed, "there": report.there}
        print(json.dumps({**counts, "left": report.left, "notes": report.notes}, indent=2))
    else:
        _show(report, is_dry=options.dry_run)
    return FAILED if report.left else OK


async def _import(export: Export, options: MigrateOptions) -> "Report":
    from agentkit.server.importing.writing import Import
    from agentkit.server.store import Database

    database = Database(options.database)
    await database.open()
    try:
        how = Import(
            database=database,
            tenant=options.tenant,
            replaced=_replaced(options.replace or ()),
            overwrite=options.overwrite,
            dry=options.dry_run,
            now=int(time.time()),
        )
        with _bar() as progress:
            return await how.write(export, progress)
    finally:
        await database.close()


def _paths(named: list[str]) -> Iterator[Path]:
    for each in named:
        path = Path(each)
        if not path.is_dir():
            yield path
            continue
        inside = sorted(found for found in path.rglob("*") if found.suffix in _ENDINGS and found.is_file())
        if not inside:
            raise ConfigError(f"the folder {each!r} has no files that end in {', '.join(_ENDINGS)}")
        yield from inside


def _replaced(given: "list[str] | tuple[()]") -> Mapping[str, str]:
    pairs = [each.partition("=") for each in given]
    for old, is_pair, new in pairs:
        if not (old and is_pair and new):
            raise ConfigError(f"--replace {old!r}: write OLD=NEW, as in file-abc=file-123")
    return {old: new for old, _, new in pairs}


@contextmanager
def _bar() -> "Iterator[Progress]":
    """Shows how far it is, on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("importing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(report: "Report", *, is_dry: bool) -> None:
    if is_dry:
        print("this was tried, and nothing was kept:")
    for line in report.lines():
        print(line)
    for told, lines in (("not as it was", report.notes), ("left out", report.left)):
        if lines:
            print(f"{told}:")
            for line in lines[:_SHOWN]:
                print(f"  {safe(line)}")
            if len(lines) > _SHOWN:
                print(f"  and {len(lines) - _SHOWN:,} more; --json has them all")


def _chosen(export: Export, named: str | None) -> "Found":
    fit = [each for each in export.assistants.values() if named is None or named in (each.id, each.body.get("name"))]
    if len(fit) == 1:
        return fit[0]
    there = ", ".join(export.assistants) or "none"
    if not fit:
        raise ConfigError(f"there is no such assistant in these files; there are: {there}")
    raise ConfigError(f"there are {len(fit)} assistants that could be meant; choose with --assistant ID: {there}")


def _write_agent(found: "Found", path: Path, *, overwrite: bool) -> int:
    from agentkit.server.importing.agent_files import agent_files
    from agentkit.server.importing.forms import Unfit, assistant

    tools_path = path.with_name(f"{path.stem}_tools.py")
    try:
        files = agent_files(assistant(found), tools_path.name)
    except Unfit as error:
        raise ConfigError(f"{found.where}: {found.id}: {error}") from None
    written = {path: files.toml} | ({} if files.tools is None else {tools_path: files.tools})
    for each in written:
        if each.exists() and not overwrite:
            raise ConfigError(f"{str(each)!r} is there already; --overwrite writes over it")
    for each, text in written.items():
        try:
            each.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{str(each)!r} cannot be written: {error.strerror}") from None
        print(f"written: {safe(str(each))}")
    for note in files.notes:
        print(f"  {safe(note)}")
    return OK

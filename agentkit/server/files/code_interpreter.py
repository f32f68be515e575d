"""`code_interpreter`: the tool with which a model runs Python, in a sandbox, on the files it was given."""

import base64
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from agentkit import Context, Tool, ToolFailed
from agentkit import tool as offered
from agentkit.server.desk import Server
from agentkit.server.engine import Findings, Work
from agentkit.server.errors import ApiError

from .keeping import Files

FOLDER = "/mnt/data"
_SECONDS = 30.0
_MEMORY = 200_000_000
_SHOWN = 20_000
_MAX_CODE = 100_000
_READ = 20 * 2**20
"""Bytes of files that a script may read."""
_WRITTEN = 20 * 2**20
"""Bytes of files that it may write."""
_MOST_WRITTEN = 20
_STARTING = 30.0
_LINE = 40 * 2**20
_AT_ONCE = 4
_SCRIPT = str(Path(__file__).with_name("run_script.py"))
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


class CodeInterpreter:
    """The tool, for all work of a server; see `HostedTool`."""

    type = "code_interpreter"

    def __init__(self, server: Server) -> None:
        self._server = server

    def tool(self, spelled: Mapping[str, Any], work: Work) -> Tool:
        """See `HostedTool.tool`."""
        if not self._server.settings.code_interpreter:
            raise ApiError(
                "This server runs no code for models: start it with --code-interpreter to have the tool "
                "'code_interpreter', or leave the tool out.",
                param="tools",
                code="unsupported_tool",
            )
        container = spelled.get("container")
        own = container.get("file_ids") if isinstance(container, Mapping) else None
        ids = [*(own or ()), *work.resources.get("file_ids", ())]
        return Tool.of(_Interpreter(self._server, work, ids).code_interpreter)


class _Interpreter:
    """The tool in one run: what a script has written, the next one can read."""

    def __init__(self, server: Server, work: Work, ids: list[str]) -> None:
        self._server, self._work, self._ids = server, work, list(dict.fromkeys(ids))
        self._files: dict[str, bytes] | None = None

    @offered(effects="read", trusted=False, concurrency=_AT_ONCE, sequential=True)
    async def code_interpreter(self, code: str, ctx: Context[Findings]) -> str:
        """Run a Python script, to work something out or to work on files. You get back what it prints.

        The user's files are in /mnt/data: open them by their whole path, as in open("/mnt/data/sales.csv"); a script
        that prints os.listdir("/mnt/data") shows which there are. A file that you write there is kept for the user.
        There are no packages besides a part of the standard library (json, csv, re, math, datetime, collections,
        itertools, random), no network, no yield, and no classes with a base. No variable is kept for the next script.

        Args:
            code: The script.
        """
        if len(code) > _MAX_CODE:
            raise ToolFailed(f"the script has {len(code)} characters; {_MAX_CODE} are allowed")
        before = await self._readable()
        request = {
            "code": code,
            "files": {path: base64.b64encode(data).decode() for path, data in before.items()},
            "seconds": _SECONDS,
            "memory": _MEMORY,
            "shown": _SHOWN,
            "written": _WRITTEN,
            **_interpreter(),
        }
        logs, written = await _run(request)
        outputs: list[Mapping[str, Any]] = [{"type": "logs", "logs": logs}]
        told = [logs.rstrip() or "[it printed nothing]"]
        for path, data in written.items():
            before[path] = data
            kept = await Files(server=self._server).keep(
                self._work.tenant, PurePosixPath(path).name, "assistants_output", _once(data)
            )
            ctx.deps.written[path] = kept["id"]
            told.append(f"[{path} is kept; tell the user of it as [{kept['filename']}](sandbox:{path})]")
            if path.lower().endswith(_PICTURES):
                outputs.append({"type": "image", "image": {"file_id": kept["id"]}})
        ctx.deps.outputs[ctx.call_id] = outputs
        return "\n".join(told)

    async def _readable(self) -> dict[str, bytes]:
        """The files that a script can read, by their paths in it."""
        if self._files is None:
            self._files, left = {}, _READ
            files = Files(server=self._server)
            for id in self._ids:
                async with self._server.read(self._work.tenant) as objects:
                    file = await files.get(objects, id)
                left -= file["bytes"]
                if left < 0:
                    raise ToolFailed(f"the files have more than {_READ} bytes, which no script can read")
                name = re.sub(r"[/\\\x00-\x1f]", "_", file["filename"]).strip(".") or id
                name = name if f"{FOLDER}/{name}" not in self._files else f"{id}-{name}"
                self._files[f"{FOLDER}/{name}"] = await files.data(self._work.tenant, id)
        return self._files


async def _run(request: Mapping[str, Any]) -> tuple[str, dict[str, bytes]]:
    """What a script prints, and what it writes."""
    printed, end = "", dict[str, Any](broken="it took too long")
    with anyio.move_on_after(_STARTING + _SECONDS):
        async with _started() as process:
            assert process.stdin is not None
            assert process.stdout is not None
            lines = BufferedByteReceiveStream(process.stdout)
            try:
                await process.stdin.send(json.dumps(request).encode() + b"\n")
                while "print" in (end := _message(await lines.receive_until(b"\n", _LINE))):
                    printed += str(end["print"])[: _SHOWN - len(printed)]
            except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError, anyio.DelimiterNotFound):
                end = {"broken": "it took too much memory or time"}
    if "broken" in end:
        raise ToolFailed(f"the script was ended: {end['broken']}\n{printed}".rstrip())
    if len(printed) >= _SHOWN:
        printed += f"\n[cut: it printed more than {_SHOWN} characters]\n"
    said = str(end.get("value") or end.get("error") or "")
    files = end.get("files")
    written = list(files.items())[:_MOST_WRITTEN] if isinstance(files, dict) else []
    return printed + said, {str(path): base64.b64decode(data) for path, data in written}


def _message(line: bytes) -> dict[str, Any]:
    """What the process says; whoever breaks out of the interpreter can still only write lines."""
    with suppress(ValueError, RecursionError):
        message = json.loads(line)
        if isinstance(message, dict) and message:
            return message
    return {"broken": "its process sent what means nothing"}


@asynccontextmanager
async def _started() -> AsyncGenerator[Process]:
    """A process that waits for a script; it and all that it has started end with the block."""
    command = [sys.executable, "-I", "-S", "-X", "utf8", _SCRIPT]
    start = partial(anyio.open_process, command, stderr=subprocess.DEVNULL, start_new_session=os.name == "posix")
    environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    process: Any = None
    with anyio.CancelScope(shield=True):
        process = await start(env=environment, cwd=os.sep)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        with anyio.move_on_after(5, shield=True):
            await process.aclose()


def _interpreter() -> dict[str, Any]:
    """Where the process finds the library, and the library its program; neither is loaded here."""
    found = importlib.util.find_spec("pydantic_monty")
    walls = importlib.util.find_spec("agentkit.tools._monty")
    binary = os.environ.get("MONTY_BIN") or shutil.which("monty", path=sysconfig.get_path("scripts"))
    binary = binary or shutil.which("monty")
    if found is None or found.origin is None or walls is None or walls.origin is None or binary is None:
        raise ToolFailed("scripts cannot be run here; tell the user to `pip install pydantic-monty`")
    return {
        "paths": [str(Path(found.origin).parents[1])],
        "monty": walls.origin,
        "binary": str(Path(binary).resolve()),
    }


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data

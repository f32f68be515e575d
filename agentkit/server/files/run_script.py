"""The process that a model's script runs in: started by path, for one script, and imported by nobody.

It gives up what the kernel lets it give up, as the tool `python` does (`tools/_monty.py`), and has the `monty`
interpreter run the script in yet another process, with files that are in memory only. It speaks JSON, a line for each
message:

    in   {"code", "files": {path: base64}, "monty", "paths", "binary", "seconds", "memory", "shown", "written"}
    out  {"print"}, then one of {"value", "files"}, {"error", "files"}, {"broken"}
"""

import base64
import importlib
import importlib.util
import json
import sys
from collections.abc import Mapping
from typing import Any

_MAX_REQUEST = 64 * 2**20
_SPARE = 200_000_000
"""Bytes that the files may take besides the script's values."""


class _Printed:
    """What the script prints, as far as it is shown. A script that prints more goes on until its time is over."""

    def __init__(self, shown: int) -> None:
        self._left = shown

    def __call__(self, stream: str, text: str) -> None:
        if self._left > 0:
            _send({"print": text[: self._left]})
        self._left -= len(text)


def _send(message: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


def _module(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("agentkit_monty", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _changed(files: Any, before: Mapping[str, bytes], most: int) -> dict[str, str]:
    """The files that the script has written, as far as there is room for them."""
    told: dict[str, str] = {}
    for file in files:
        if file.deleted:
            continue
        content = file.read_content()
        data = content.encode("utf-8", "replace") if isinstance(content, str) else bytes(content)
        if before.get(str(file.path)) != data and len(data) <= most:
            most -= len(data)
            told[str(file.path)] = base64.b64encode(data).decode()
    return told


def _ran(request: Mapping[str, Any], monty: Any) -> dict[str, Any]:
    before = {path: base64.b64decode(data) for path, data in request["files"].items()}
    system = monty.OSAccess([monty.MemoryFile(path, _as_read(data)) for path, data in before.items()])
    limits: Any = {
        "max_feed_duration_secs": request["seconds"],
        "max_memory": request["memory"],
        "max_suspensions": 100_000,
        "max_total_sleep_secs": 1.0,
    }
    pool = monty.Monty(binary_path=request["binary"], min_processes=1, max_processes=1)
    with pool, pool.checkout(limits=limits) as session:
        try:
            value = session.feed_run(request["code"], os=system, print_callback=_Printed(request["shown"]))
            end = {"value": "" if value is None else str(value)[: request["shown"]]}
        except (monty.MontyRuntimeError, monty.MontySyntaxError) as error:
            end = {"error": error.display("traceback")[-request["shown"] :]}
    return {**end, "files": _changed(system.files, before, request["written"])}


def _as_read(data: bytes) -> str | bytes:
    """Text where it is text: so both `read_text` and `read_bytes` give what they should."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def main() -> None:
    """Run the script that comes in."""
    request = json.loads(sys.stdin.buffer.readline(_MAX_REQUEST))
    sys.path += request["paths"]
    monty = importlib.import_module("pydantic_monty")
    for later in ("csv", "decimal", "tomllib"):  # what it imports when it is too late to read a file
        importlib.import_module(later)
    _module(request["monty"]).confine(request["binary"], request["seconds"], request["memory"] + _SPARE)
    try:
        _send(_ran(request, monty))
    except monty.MontyCrashedError as error:
        _send({"broken": "it took too long" if error.timed_out else "it broke the interpreter"})
    except (monty.MontyError, RecursionError, MemoryError, OSError, ValueError) as error:
        _send({"broken": type(error).__name__})


if __name__ == "__main__":
    main()

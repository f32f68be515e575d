"""Python: the model writes one script, with your other tools as functions in it, instead of asking for ten calls.

`load_tools("python")` gives the tool as it is, `Python(seconds=20, may_call=["units_left"]).tools` one with limits.

It needs `pip install pydantic-monty`: an interpreter for a part of Python, written in Rust, that has no way to a file,
a socket or a program. That alone is never called secure here: it runs in processes of its own, without environment,
which have given up what the kernel lets them give up (`_monty.py`), and which end with the call at the latest.

What a script calls, agentkit calls: every limit, policy, approval and span of that tool holds.
"""

import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, is_dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from agentkit import Context, ToolError, ToolFailed, tool

_AT_ONCE = 8
_MAX_CODE = 100_000
_MAX_SHOWN = 20_000
_MAX_LINE = 4_000_000
_STARTING = 30.0  # seconds that a busy machine may take to start two processes
_END_SECONDS = 5.0

_OUTSIDE = "there are no files, no network, no environment and no other programs here, only your tools"
_SIMPLER = "this is a smaller Python; write it in a simpler way"
_HINTS = {
    # a part of an error -> what to do about it; the first one that fits
    "No module named": "there are: asyncio, base64, binascii, bisect, collections, copy, csv, dataclasses, datetime, "
    "decimal, functools, hashlib, itertools, json, math, random, re, time, tomllib, typing, unicodedata",
    "computed for longer than": "do less in one script, or in fewer steps",
    "would take more than": "work on less at a time",
    "not supported in this environment": _OUTSIDE,
    "Permission denied": _OUTSIDE,
    "module 'os' has no": _OUTSIDE,
    "module 'sys' has no": _OUTSIDE,
    "support yield": "build a list and return it",
    "class inheritance": "write functions and dicts, or a class without a base",
    "'del' statement": "leave it out",
    "support async": "of async there are async def, await and asyncio.gather",
    "module 'asyncio' has no": "of asyncio there are gather and run",
    "gather() does not": "gather takes only what is to be awaited; catch exceptions within an async def",
    "cannot suspend": "call the tool in a loop or a comprehension, not through map, filter or key=",
    "'coroutine'": "a script that awaits one call must await each of them",
    "can't be awaited": "a script that awaits one call must await each of them",
    "does not yet support": _SIMPLER,
    "has no attribute '__": _SIMPLER,
}


@dataclass(frozen=True, kw_only=True)
class Python:
    """A tool that runs the model's scripts: `Agent(tools=[units_left, *Python(seconds=20).tools])`."""

    seconds: float = 5
    """How long a script may compute. The time in which it waits for tools does not count."""
    memory: int = 100_000_000
    """How many bytes its values may take."""
    calls: int = 100
    """How many calls of tools it may make."""
    may_call: Collection[str] | None = None
    """Names of the tools that it may call. None for all of the agent's that need no approval, are not declared
    destructive, and have no secret arguments or results."""
    kernel: bool = False
    """Whether to refuse scripts where the kernel cannot deny files and sockets to them: on all but Linux."""

    def __post_init__(self) -> None:
        for name in ("seconds", "memory", "calls"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Python({name}={getattr(self, name)!r}): must be a number above 0")
        if isinstance(self.may_call, str):
            raise ValueError(f"Python(may_call={self.may_call!r}): must be a list of names")

    @property
    def tools(self) -> list[Callable[..., Any]]:
        """The tool, for an agent."""
        return [self.run_python]

    @tool(concurrency=_AT_ONCE)
    async def run_python(self, code: str, ctx: Context[Any]) -> str:
        """Run a Python script in which your other tools are functions: to make many calls, or to work on their results.

        Call a tool by its name, as in left = units_left(sku="A-1"); it gives plain data, and raises an exception if it
        fails. To call several at the same time, import asyncio and await them together, as in
        a, b = await asyncio.gather(units_left(sku="A-1"), units_left(sku="B-2")).
        You get back what the script prints, and the value of its last line. There are no files, no network and no
        packages, no yield and no classes with a base. Nothing is kept for the next script.

        Args:
            code: The script.
        """
        if len(code) > _MAX_CODE:
            raise ToolFailed(f"the script has {len(code)} characters; {_MAX_CODE} are allowed")
        names, refused = self._callable(ctx)
        request = {
            "code": _unfenced(code),
            "names": list(names),
            "refused": refused,
            "seconds": self.seconds,
            "memory": self.memory,
            "shown": _MAX_SHOWN,
            "kernel": self.kernel,
        }
        async with _started(request) as process:
            script = _Script(process, ctx, names, self)
            end = await script.run(request)
        return script.told(end)

    def _callable(self, ctx: Context[Any]) -> tuple[dict[str, str], dict[str, str]]:
        """The tools that a script may call, by their names in it, and why it may not call the others."""
        names, refused = {}, {}
        for name, other in ctx.tools.items():
            inside = name.replace("-", "_")
            if name == ctx.tool:
                refused[inside] = "a script cannot run another"
            elif self.may_call is not None:
                if name in self.may_call:
                    names[inside] = name
            elif other.policy.approval is not False or other.policy.effects == "destructive":
                refused[inside] = "scripts may not do what needs approval; call it by itself"
            elif other.secret_result or other.arguments.secrets:
                refused[inside] = "scripts may not see its secrets; call it by itself"
            else:
                names[inside] = name
        return names, refused


run_python = Python().run_python


class _Script:
    """A script that is being run, seen from outside: what it has printed, and the calls it has made.

    What comes from its process is not trusted: whoever breaks out of the interpreter can still only write lines.
    """

    def __init__(self, process: Process, ctx: Context[Any], names: Mapping[str, str], limits: Python) -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, BufferedByteReceiveStream(process.stdout)
        self._turn = anyio.Lock()
        self._ctx, self._names, self._limits = ctx, names, limits
        self._printed = ""
        self._made = self._waiting = 0
        self._silence = anyio.CancelScope()
        self._fatal: BaseException | None = None

    async def run(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The last message of the process: what the script came to."""
        end: Mapping[str, Any] = {}
        async with anyio.create_task_group() as group:
            await self._send(request)
            while not end:
                message = await self._received()
                if "print" in message:
                    self._printed += str(message["print"])[: _MAX_SHOWN - len(self._printed)]
                elif "call" in message and self._made < self._limits.calls:
                    self._made += 1
                    self._waiting += 1
                    group.start_soon(self._called, message, group.cancel_scope)
                elif "call" in message:
                    end = {"broken": f"it made more than {self._limits.calls} calls; make fewer in one script"}
                else:
                    end = message
            if "broken" in end:
                group.cancel_scope.cancel()
        if self._fatal is not None:
            raise self._fatal
        return end

    def told(self, end: Mapping[str, Any]) -> str:
        """What the model reads.

        Raises:
            ToolFailed: the script did not come to its end.
        """
        printed = self._printed
        if len(printed) >= _MAX_SHOWN:
            printed += f"\n[cut: it printed more than {_MAX_SHOWN} characters; print only what you need]\n"
        if "value" not in end:
            words = f"the script ended: {end['broken']}" if "broken" in end else _words(end.get("error"), self._limits)
            raise ToolFailed(f"{words}\nBefore that it printed:\n{printed}" if printed else words)
        value = str(end["value"])
        if len(value) > _MAX_SHOWN:
            value = (
                f"{value[:_MAX_SHOWN]}\n[cut: it has more than {_MAX_SHOWN} characters; give back only what you need]"
            )
        if printed and value:
            return f"{printed.rstrip()}\nvalue of the last line: {value}"
        return printed.rstrip() or value or "[it printed nothing, and its last line has no value; print what you need]"

    async def _received(self) -> Mapping[str, Any]:
        message: object = {"broken": "it neither ended nor called a tool for too long"}
        try:
            with anyio.CancelScope(deadline=self._deadline()) as self._silence:
                message = json.loads(await self._stdout.receive_until(b"\n", _MAX_LINE))
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
            return {"broken": "its process has died; it computed for too long or took too much memory"}
        except (anyio.DelimiterNotFound, ValueError, RecursionError):
            return {"broken": "its process sent what cannot be read"}
        return message if isinstance(message, dict) and message else {"broken": "its process sent what means nothing"}

    def _deadline(self) -> float:
        """When a process that waits for no tool has to have said something."""
        return math.inf if self._waiting else anyio.current_time() + _STARTING + self._limits.seconds

    async def _called(self, message: Mapping[str, Any], scope: anyio.CancelScope) -> None:
        try:
            reply = await self._reply(message)
            self._waiting -= 1
            self._silence.deadline = self._deadline()
            await self._send({"id": message["call"], **reply})
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # kept: the task group would wrap it
            self._fatal = self._fatal or error
            scope.cancel()

    async def _reply(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            name = self._names[message["name"]]
            arguments = _named(message["args"], message["kwargs"], self._ctx.tools[name].parameters)
        except (LookupError, TypeError, AttributeError) as error:
            return {"error": ("TypeError", f"{message.get('name')}: {error}"[:500])}
        try:
            value = await self._ctx.call(name, arguments)
        except ToolError as error:
            return {"error": ("RuntimeError", str(error) or f"{name} failed")}
        try:
            text = json.dumps(value, default=_plain)
        except (TypeError, ValueError, RecursionError):
            return {"error": ("RuntimeError", f"what {name} gave is not plain data; a script cannot use it")}
        if len(text) > _MAX_LINE:
            return {"error": ("RuntimeError", f"what {name} gave has over {_MAX_LINE} characters; ask it for less")}
        return {"value": json.loads(text)}

    async def _send(self, message: Mapping[str, Any]) -> None:
        async with self._turn:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it has died, as its silence will say
                await self._stdin.send(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def _started(request: dict[str, Any]) -> AsyncGenerator[Process]:
    """A process that waits for a script; it and all that it has started end with the block."""
    request["paths"], request["binary"] = _interpreter()
    command = [sys.executable, "-I", "-S", "-X", "utf8", str(Path(__file__).with_name("_monty.py"))]
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
        with anyio.move_on_after(_END_SECONDS, shield=True):
            await process.aclose()


def _interpreter() -> tuple[list[str], str]:
    """Where the child finds the library, and the library its program; neither is loaded here."""
    found = importlib.util.find_spec("pydantic_monty")
    binary = os.environ.get("MONTY_BIN") or shutil.which("monty", path=sysconfig.get_path("scripts"))
    binary = binary or shutil.which("monty")
    if found is None or found.origin is None or binary is None:
        raise ToolFailed("scripts cannot be run here; tell the user to `pip install pydantic-monty`")
    return [str(Path(found.origin).parents[1])], str(Path(binary).resolve())


def _named(args: list[Any], kwargs: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name, those without one in the order of the tool's parameters."""
    parameters = list(schema.get("properties", ()))
    if len(args) > len(parameters):
        raise TypeError(
            f"takes {len(parameters)} arguments, {len(args)} were given; name them: {', '.join(parameters)}"
        )
    by_place = dict(zip(parameters, args, strict=False))
    if twice := by_place.keys() & kwargs.keys():
        raise TypeError(f"got several values for the argument {min(twice)!r}")
    return {**by_place, **kwargs}


def _plain(value: Any) -> object:
    """What a tool gave, as JSON can say it."""
    any_value: Any = value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return list(value)
    if hasattr(value, "model_dump"):
        return any_value.model_dump(mode="json")
    if hasattr(value, "isoformat"):
        return any_value.isoformat()
    if str(value) == object.__repr__(value):  # <object at 0x...>, which helps nobody
        raise TypeError("not plain data")
    return str(value)


def _words(error: Any, limits: Python) -> str:
    """A script's exception: where, what, and what to do about it."""
    told: dict[str, Any] = error if isinstance(error, dict) else {}
    message = f"{told.get('type')}: {told.get('message')}"
    if "feed time limit exceeded" in message:
        message = f"TimeoutError: it computed for longer than {limits.seconds:g} seconds"
    if "memory limit exceeded" in message:
        message = f"MemoryError: its values would take more than {limits.memory} bytes"
    source = str(told.get("source") or "").strip()
    place = f"line {told['line']}" + (f", `{source}`: " if source else ": ") if told.get("line") else ""
    came = f" (called from line {told['from']})" if told.get("from") != told.get("line") else ""
    hint = next((hint for part, hint in _HINTS.items() if part in message), "")
    return f"{place}{message}{came}" + (f"\n{hint[0].upper()}{hint[1:]}." if hint else "")


def _unfenced(code: str) -> str:
    """The script without the Markdown fence that some models put around it."""
    lines = code.strip().splitlines()
    return "\n".join(lines[1:-1]) if len(lines) > 1 and lines[0][:3] == lines[-1] == "```" else code

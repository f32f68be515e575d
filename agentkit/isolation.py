"""A function called in a process of its own, which can be killed: both sides, the one that asks and the one that does.

Each call starts a new process: nothing of an earlier call is left in it, and nothing of this one stays behind.
"""

import inspect
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeAlias

import anyio
from anyio.lowlevel import RunVar

from .errors import ToolDefinitionError, ToolFailed
from .results import named

Outcome: TypeAlias = tuple[bool, Any]
"""Whether the function has returned, and what; else what it has raised."""

WORKER_PROCESSES = 8
"""Calls that have a process at the same time in one event loop; more of them wait."""

_SERVE = "import sys; sys.path[:] = sys.argv[1:]; from agentkit.isolation import serve; serve()"
_SIZE_BYTES = 8

_processes: RunVar[anyio.CapacityLimiter] = RunVar("agentkit_tool_processes")
_importing = False
"""Whether this is such a process, and is only just importing the function's module."""


def check_isolated(function: Callable[..., Any], name: str) -> None:
    """Make sure that another process can find the function.

    Raises:
        ToolDefinitionError: it cannot, or the function is not sync.
    """
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise ToolDefinitionError(
            f"tool {name!r}: isolation='process' is for sync functions; an async one ends when it is cancelled, "
            "so leave isolation out"
        )
    if inspect.isgeneratorfunction(called):
        raise ToolDefinitionError(
            f"tool {name!r}: isolation='process' is not for generators, whose steps cannot leave the process; "
            "return the result at once, or leave isolation out"
        )
    if not inspect.isfunction(function) or not function.__qualname__.isidentifier():
        raise ToolDefinitionError(
            f"tool {name!r}: isolation='process' is for functions at the top of a module, others cannot be found from "
            "another process; move it there, or leave isolation out"
        )
    if _file(function.__module__) is None:
        raise ToolDefinitionError(
            f"tool {name!r}: isolation='process' needs a function that stands in a file, where another process can "
            "import it from; write it into one, or leave isolation out"
        )


async def invoke_in_process(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a sync function gives, in a process that is killed, with all it has started, when nobody waits any more.

    Arguments, result and exceptions travel by pickle. What the function prints goes to stderr. The span that is current
    here is current there.

    Raises:
        ToolFailed: the process has died, or what the function gave cannot leave it.
    """
    import pickle  # on first use, as all that is about processes: it costs a part of `import agentkit`

    from .telemetry.propagation import carried

    if _importing:  # else processes would start processes without end
        raise SystemExit(f"{function.__module__} runs an agent when it is imported; {_GUARD}")
    module = function.__module__
    package = getattr(sys.modules.get(module), "__package__", None)
    request = pickle.dumps(
        (module, _file(module), package, function.__qualname__, sys.argv, carried(), pickle.dumps((args, kwargs)))
    )
    try:
        limiter = _processes.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(WORKER_PROCESSES)
        _processes.set(limiter)
    async with limiter:
        reply = await _exchanged(request)
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])  # as the other process calls it
    returned, value = pickle.loads(reply)
    if returned:
        return value
    raise value


_GUARD = "put what starts it under `if __name__ == '__main__':`, since isolation='process' imports it once more"


def _file(module: str) -> str | None:
    file: str | None = getattr(sys.modules.get(module), "__file__", None)
    return file


async def _exchanged(request: bytes) -> bytes:
    """A new process's reply to a request; however this ends, the process has ended too."""
    import subprocess

    from anyio.streams.buffered import BufferedByteReceiveStream

    process = await anyio.open_process(
        [sys.executable, "-c", _SERVE, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send(len(request).to_bytes(_SIZE_BYTES, "big") + request)  # and left open: see `_watch`
        replies = BufferedByteReceiveStream(process.stdout)
        size = int.from_bytes(await replies.receive_exactly(_SIZE_BYTES), "big")
        return await replies.receive_exactly(size)
    except (anyio.BrokenResourceError, anyio.IncompleteRead):
        status = await process.wait()
        raise ToolFailed(f"the process that ran the tool has died ({_how(status)})") from None
    finally:
        if process.returncode is None:
            _kill(process.pid)
        with anyio.CancelScope(shield=True):
            await process.aclose()


def _kill(pid: int) -> None:
    import signal

    try:
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _how(status: int) -> str:
    import signal

    if status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{name}; it may have run out of memory" if name == "SIGKILL" else name


def serve() -> None:
    """In the other process: make the one call that is asked for on stdin, and write to stdout what it came to."""
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as replies:
        os.set_inheritable(requests.fileno(), False)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)  # neither the function nor what it starts may write into the reply
        request = requests.read(int.from_bytes(requests.read(_SIZE_BYTES), "big"))
        threading.Thread(target=_watch, args=(requests.fileno(),), daemon=True).start()
        reply = _reply(request)
        for printed in (sys.stdout, sys.stderr):
            with suppress(Exception):
                printed.flush()
        replies.write(len(reply).to_bytes(_SIZE_BYTES, "big") + reply)
    os._exit(0)  # whoever has asked does not wait for threads that the function has left


def _watch(requests: int) -> None:
    """End with whoever has asked: where that is killed, nobody else ends this, nor what the function has started."""
    import signal

    with suppress(OSError):
        os.read(requests, 1)  # nothing more is ever sent
    if sys.platform == "win32":
        os._exit(1)
    os.killpg(0, signal.SIGKILL)


def _reply(request: bytes) -> bytes:
    import pickle

    from .telemetry.propagation import taken_up

    module, file, package, name, sys.argv, span, arguments = pickle.loads(request)
    try:
        function = getattr(_imported(module, file, package), name)
        args, kwargs = pickle.loads(arguments)
        with taken_up(span):
            outcome: Outcome = True, function(*args, **kwargs)
    except BaseException as error:
        outcome = False, error
    try:
        reply = pickle.dumps(outcome)
        if not outcome[0]:
            pickle.loads(reply)  # an exception may take other arguments than it keeps
        return reply
    except Exception as error:
        return pickle.dumps((False, ToolFailed(_cannot_leave(*outcome, error))))


def _cannot_leave(returned: bool, value: Any, error: Exception) -> str:
    if returned:
        return f"the result, {named(value)}, cannot leave the tool's process: {error}; return text or plain data"
    return f"{type(value).__qualname__}: {value}"


def _imported(module: str, file: str | None, package: str | None) -> ModuleType:
    """A module by its name, or from its file if that does not find it, as with one given to `load_tools`."""
    global _importing
    from importlib import import_module

    _importing = True
    try:
        if module == "__main__":  # so that what stands under `if __name__ == "__main__":` is left out
            found = sys.modules["__main__"] = _from_file("__mp_main__", file, package)
            return found
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            return _from_file(module, file, package)
    finally:
        _importing = False


def _from_file(module: str, file: str | None, package: str | None) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(module, file)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no module {module!r} and no file of it", name=module)
    found = sys.modules[module] = module_from_spec(spec)
    found.__package__ = package
    spec.loader.exec_module(found)
    return found

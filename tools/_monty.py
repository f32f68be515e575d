"""The process a script of `python.py` runs in: started by path, for one script, and imported by nobody.

It gives up what it can before the script begins (`confine`), has the `monty` interpreter run the script in yet another
process, which inherits all that, and speaks JSON with whoever started it, a line for each message:

    in   {"code", "names", "refused", "paths", "binary", "seconds", "memory", "shown", "kernel"},
         then {"id", "value"} or {"id", "error"} for each call
    out  {"print"}, {"call", "name", "args", "kwargs"}, then one of {"value"}, {"error"}, {"broken"}

Whoever changes the numbers below: they are Linux's own, of landlock(7), seccomp(2), unshare(2) and capset(2).
"""

import ast
import ctypes
import datetime as dt
import importlib
import json
import os
import platform
import select
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

_MAX_ARGUMENTS = 1_000_000
_MAX_REPLY = 16_000_000
_SPARE = 1_000_000_000  # address space that the interpreters take besides the script's values
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_REFUSED_CALLS = (
    # Their numbers on x86_64 and aarch64: sockets, processes, sessions, namespaces and mounts, what changes a file
    # without opening it, and what has been a way out of other sandboxes.
    "socket 41 198, connect 42 203, bind 49 200, fork 57 -1, vfork 58 -1, ptrace 101 117, process_vm_readv 310 270, "
    "process_vm_writev 311 271, pidfd_getfd 438 438, setsid 112 157, setpgid 109 154, unshare 272 97, setns 308 268, "
    "chroot 161 51, mount 165 40, umount2 166 39, pivot_root 155 41, open_tree 428 428, fsopen 430 430, "
    "move_mount 429 429, fsmount 432 432, mount_setattr 442 442, open_by_handle_at 304 265, chmod 90 -1, fchmod 91 52, "
    "fchmodat 268 53, fchmodat2 452 452, chown 92 -1, fchown 93 55, lchown 94 -1, fchownat 260 54, utime 132 -1, "
    "utimes 235 -1, futimesat 261 -1, utimensat 280 88, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, "
    "io_uring_setup 425 425, io_uring_enter 426 426, userfaultfd 323 282, memfd_create 319 279, add_key 248 217, "
    "request_key 249 218, keyctl 250 219, bpf 321 280, perf_event_open 298 241, kexec_load 246 104, "
    "init_module 175 105, finit_module 313 273"
)


def confine(binary: str, seconds: float, memory: int) -> list[str]:
    """Give up what a script does not need, for this process and all it starts; the names of the walls that stand.

    A wall that this system does not have is left out. After it, this may be another process: one within namespaces.
    """
    walls = [name for name, stands in (("limits", _limit(seconds, memory)), ("namespaces", _unshare())) if stands]
    libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if libc:
        libc.prctl(38, 1, 0, 0, 0)  # no program gives more rights than this process has
        libc.syscall(_number(126, 91), struct.pack("II", 0x20080522, 0), bytes(24))  # no capabilities
        walls += ["files"] if _landlock(libc, binary) else []  # once for both: it also decides who may end whom
    ends, held = os.pipe()
    inside = "namespaces" not in walls or os.fork() == 0
    if "namespaces" in walls and inside:
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # end with the process outside, and all in here with this one
    if libc:
        walls += ["calls"] if _seccomp(libc) else []
    if not inside:
        os.close(1)
        os.close(held)
        watch = select.poll()
        watch.register(0, 0)  # whoever started this has died
        watch.register(ends, 0)  # the process inside has
        watch.poll()
        os._exit(0)
    return walls


def _number(x86_64: int, aarch64: int) -> int:
    return {"x86_64": x86_64, "aarch64": aarch64}.get(platform.machine(), -1)


def _limit(seconds: float, memory: int) -> bool:
    try:
        import resource
    except ImportError:
        return False
    for kind, limit in {
        "RLIMIT_CPU": int(seconds) + 2,
        "RLIMIT_AS": memory + _SPARE,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
    }.items():
        with suppress(OSError, ValueError, AttributeError):  # macOS refuses some
            resource.setrlimit(getattr(resource, kind), (limit, limit))
    return True


def _unshare() -> bool:
    """Leave the network, and the sight of other processes."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    user, rest = 0x10000000, 0x40000000 | 0x20000000 | 0x08000000 | 0x04000000  # network, processes, IPC, host name
    if libc.unshare(user | rest) and libc.unshare(rest):
        return False
    import resource

    with suppress(OSError, ValueError):  # counted for these namespaces alone; outside, it would count all of the user's
        most = 64 + 2 * (os.cpu_count() or 1)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    return True


def _landlock(libc: Any, binary: str) -> bool:
    """No file can be opened but the interpreter's own, no TCP port, and no process outside be signalled."""
    version = libc.syscall(444, None, 0, 1)
    if version < 1:
        return False
    files = (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1
    rules = struct.pack("QQQ", files, 3, 3)[: 8 + 8 * (version >= 4) + 8 * (version >= 6)]
    rule_set = libc.syscall(444, rules, len(rules), 0)
    run, read = 1, 4
    for path, allowed in {binary: run | read, **dict.fromkeys(_libraries(), read), **_loader(run | read)}.items():
        with suppress(OSError):
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            libc.syscall(445, rule_set, 1, struct.pack("=Qi", allowed, handle), 0)
            os.close(handle)
    stands = bool(libc.syscall(446, rule_set, 0) == 0)
    os.close(rule_set)
    return stands


def _mapped() -> set[str]:
    """The system libraries in this process, which are also the interpreter's."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/")}
    return {path for path in paths if os.path.basename(path).startswith(("ld-", "ld.", "libc.", "libc-", "libgcc_s"))}


def _libraries() -> set[str]:
    return {os.path.dirname(path) for path in _mapped()} | {"/etc/ld.so.cache"}


def _loader(allowed: int) -> Mapping[str, int]:
    return {path: allowed for path in _mapped() if os.path.basename(path).startswith(("ld-", "ld."))}


def _seccomp(libc: Any) -> bool:
    """The kernel's other doors: sockets of any kind, other processes, namespaces, mounts, keys, modules."""
    machine = platform.machine()
    if machine not in _MACHINES:
        return False
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, not_permitted, no_such_call = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
    steps = [(load, 0, 0, 4), (equal, 1, 0, _MACHINES[machine]), (give, 0, 0, kill), (load, 0, 0, 0)]
    if machine == "x86_64":
        steps += [(at_least, 0, 1, 0x40000000), (give, 0, 0, kill)]  # the same calls under other numbers
    for _, *numbers in map(str.split, _REFUSED_CALLS.split(", ")):
        steps += [(equal, 0, 1, _number(*map(int, numbers)) & 0xFFFFFFFF), (give, 0, 0, not_permitted)]
    steps += [(equal, 0, 1, _CLONE3), (give, 0, 0, no_such_call)]  # its flags cannot be read; clone() does the same
    steps += [(equal, 0, 4, _CLONE[machine]), (load, 0, 0, 16)]  # for namespaces it is refused, and for plain forks
    steps += [(any_bit, 1, 0, 0x7E020000), (any_bit, 1, 0, 0x14000), (give, 0, 0, not_permitted)]
    steps += [(give, 0, 0, allow)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    pointer = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(program))
    return bool(libc.prctl(22, 2, pointer, 0, 0) == 0)


class Script:
    """One script: run step by step, its calls passed on."""

    def __init__(self, request: Mapping[str, Any], send: Callable[[Mapping[str, Any]], None]) -> None:
        self.code: str = request["code"]
        self.names = {name: _stand_in(name) for name in request["names"]}
        self.refused: Mapping[str, str] = request["refused"]
        self.shown: int = request["shown"]
        self.send = send
        self.waits = _waits(self.code)
        self.unsent: dict[int, Mapping[str, Any]] = {}
        """Calls that the script has made and not yet waited for."""
        self.replies: dict[int, Mapping[str, Any]] = {}
        self.printed = 0

    def run(self, session: Any) -> Mapping[str, Any]:
        """The last message: what the script came to."""
        step = session.feed_start(self.code, print_callback=self.show)
        while hasattr(step, "resume"):
            step = self.answered(step)
        if self.unsent:
            names = ", ".join(sorted({str(call["name"]) for call in self.unsent.values()}))
            return {"error": {"type": "RuntimeError", "message": f"{names} was called but never awaited, so not run"}}
        return {"value": _as_text(step.output)[: self.shown + 1]}

    def show(self, stream: str, text: str) -> None:
        left = self.shown - self.printed
        self.printed += len(text)
        if left > 0:
            self.send({"print": text[:left]})

    def answered(self, step: Any) -> Any:
        """The next step of a script that has paused."""
        if hasattr(step, "pending_call_ids"):
            return step.resume(self.awaited(sorted(step.pending_call_ids)))
        if hasattr(step, "variable_name"):
            known = self.names.get(step.variable_name)
            return step.resume(value=known) if known else step.resume()
        if step.is_os_function:
            if step.function_name in ("system.sleep", "system.async_sleep"):
                return step.resume(_raised("RuntimeError", "a script cannot wait; nothing here changes with time"))
            return step.resume_not_handled()
        if step.function_name not in self.names:
            return step.resume(_raised("NameError", self.unknown(step.function_name)))
        try:
            call = {"call": step.call_id, "name": step.function_name, **_arguments(step.args, step.kwargs)}
        except ValueError as error:
            return step.resume(_raised("TypeError", f"{step.function_name}: {error}"))
        self.unsent[step.call_id] = call
        if self.waits:
            return step.resume({"future": ...})
        return step.resume(self.awaited([step.call_id])[step.call_id])

    def awaited(self, ids: "list[int]") -> dict[int, Any]:
        """The answers to those of these calls that are answered; to at least one."""
        for call in [self.unsent.pop(each) for each in ids if each in self.unsent]:
            self.send(call)
        while not self.replies.keys() & set(ids):
            reply = _received()
            self.replies[reply["id"]] = reply
        return {each: _settled(self.replies.pop(each)) for each in ids if each in self.replies}

    def unknown(self, name: str) -> str:
        if name in self.refused:
            return f"name {name!r} is not defined here: {self.refused[name]}"
        near = get_close_matches(name, self.names, n=3)
        known = f"did you mean {', '.join(near)}?" if near else f"the tools are: {', '.join(self.names) or 'none'}"
        return f"name {name!r} is not defined; {known}"


def _waits(code: str) -> bool:
    """Whether a script awaits what it calls; if it does so nowhere, a call gives its result at once."""
    try:
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.Await | ast.AsyncFunctionDef) or getattr(node, "is_async", 0) for node in nodes)


def _stand_in(name: str) -> Callable[..., None]:
    """What a tool is within the script, where it is not called but named."""

    def function() -> None: ...

    function.__name__ = name
    return function


def _arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps({"args": args, "kwargs": kwargs}, default=_moment, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"an argument is not plain data: {error}; pass text, numbers, lists and dicts") from None
    if len(text) > _MAX_ARGUMENTS:
        raise ValueError(f"the arguments have over {_MAX_ARGUMENTS} characters of JSON; pass less")
    data: dict[str, Any] = json.loads(text)
    return data


def _moment(value: object) -> str:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    raise TypeError(f"there is a {getattr(value, 'name', type(value).__name__)}")


def _as_text(value: object) -> str:
    """The value of the script's last expression, for the model."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError):
        return repr(value)


def _plain(value: Any) -> object:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return list(value)
    return getattr(value, "attributes", None) or repr(value)


def _raised(kind: str, message: str) -> dict[str, Any]:
    return {"exc_type": kind, "message": message}


def _settled(reply: Mapping[str, Any]) -> dict[str, Any]:
    return _raised(*reply["error"]) if "error" in reply else {"return_value": reply["value"]}


def _failed(error: Any) -> dict[str, Any]:
    """A script's exception, and where it was raised."""
    kind, _, message = error.display("type-msg").partition(": ")
    lines = [(frame.line, frame.source_line or "") for frame in error.traceback()]
    (first, _), (line, source) = (lines[0], lines[-1]) if lines else ((0, ""), (0, ""))
    told = {"type": kind[:100], "message": message[:2000], "line": line, "source": source[:200], "from": first}
    return {"error": told}


def _received() -> Any:
    line = sys.stdin.buffer.readline(_MAX_REPLY)
    if not line:
        os._exit(1)  # nobody waits for this any more
    return json.loads(line)


def _send(message: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    sys.set_int_max_str_digits(0)  # what a script may compute it may show; its time and memory are limited anyway
    request = _received()
    sys.path += request["paths"]
    import pydantic_monty

    for later in ("csv", "decimal", "tomllib"):  # what it imports when it is too late to read a file
        importlib.import_module(later)

    seconds, memory = request["seconds"], request["memory"]
    walls = confine(request["binary"], seconds, memory)
    if request["kernel"] and not {"files", "calls"} <= set(walls):
        return _send({"broken": "this machine's kernel offers too little to keep scripts in; tell the user"})
    limits: Any = {"max_feed_duration_secs": seconds, "max_memory": memory, "max_suspensions": 100_000}
    try:
        pool = pydantic_monty.Monty(binary_path=request["binary"], min_processes=1, max_processes=1)
        with pool, pool.checkout(limits=limits) as session:
            _send(Script(request, _send).run(session))
    except (pydantic_monty.MontyRuntimeError, pydantic_monty.MontySyntaxError) as error:
        _send(_failed(error))
    except pydantic_monty.MontyCrashedError as error:
        _send(
            {"broken": "it computed for too long" if error.timed_out else f"it broke the interpreter: {error}"[:1000]}
        )
    except (pydantic_monty.MontyError, RecursionError, MemoryError, OSError) as error:
        _send({"broken": f"{type(error).__name__}: {error}"[:1000]})


if __name__ == "__main__":
    main()

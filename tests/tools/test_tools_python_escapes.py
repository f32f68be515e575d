"""The `python` tool against scripts that want out, or want everything: they are refused in words, and leave nothing.

Two walls are tested apart. Scripts meet the interpreter, which knows no way out. Then a program that has no such
interpreter around it is put where the interpreter is, and the kernel refuses what it tries.
"""

import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

import agentkit.tools.python
from agentkit import Agent, ToolResult, tool
from agentkit.testing import ScriptedModel, call
from agentkit.tools.python import Python

CANARY = "canary-7f3a"
CHILD = Path(str(agentkit.tools.python.__file__)).with_name("_monty.py")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux: /proc, namespaces, Landlock, seccomp")


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no script may see."""
    monkeypatch.setenv("CANARY", CANARY)


@pytest.fixture
def anyio_backend() -> str:
    """What is tested here are processes; the loops are in `test_tools_python.py`."""
    return "asyncio"


async def told(code: str, python: Python | None = None, *tools: object) -> ToolResult:
    """What the model reads of a script."""
    model = ScriptedModel([[call("run_python", code=code)], "ok"])
    limits = python or Python(seconds=0.5, memory=50_000_000)
    with anyio.fail_after(30):
        result = await Agent(model, tools=[*tools, *limits.tools]).run("?")  # type: ignore[list-item]
    assert result.output == "ok"
    [message] = [message for message in result.messages if isinstance(message, ToolResult)]
    assert CANARY not in message.content
    return message


REFUSED = {
    "reaches for the machine": [
        ("open('/etc/passwd').read()", "there are no files"),
        ("open('/proc/self/environ').read()", "there are no files"),
        ("open('/proc/self/mem', 'wb')", "there are no files"),
        ("with open('x', 'w') as f:\n    f.write('1')", "there are no files"),
        ("from pathlib import Path\nPath('/proc/self/environ').read_text()", "there are no files"),
        ("from pathlib import Path\nlist(Path('/').iterdir())", "there are no files"),
        ("import os\nos.environ", "no environment"),
        ("import os\nos.getenv('CANARY')", "no environment"),
        ("import os\nos.listdir('/')", "there are no files"),
        ("import os\nos.system('id')", "no other programs"),
        ("import os\nos.fork()", "no other programs"),
        ("import os\nwhile True:\n    os.fork()", "no other programs"),
        ("import os\nos.kill(1, 9)", "no other programs"),
        ("import os\nos.execv('/bin/sh', ['sh'])", "no other programs"),
        ("import subprocess\nsubprocess.run('id')", "there are: asyncio"),
        ("import socket\nsocket.getaddrinfo('secret.example.com', 53)", "there are: asyncio"),
        ("import urllib.request", "there are: asyncio"),
        ("import http.client", "there are: asyncio"),
        ("import ctypes\nctypes.string_at(0)", "there are: asyncio"),
        ("import importlib", "there are: asyncio"),
        ("import builtins", "there are: asyncio"),
        ("import multiprocessing", "there are: asyncio"),
        ("import threading", "there are: asyncio"),
        ("import gc", "there are: asyncio"),
        ("import pickle\npickle.loads(b'cos\\nsystem\\n(S\"id\"\\ntR.')", "there are: asyncio"),
        ("import agentkit", "there are: asyncio"),
        ("__import__('os').system('id')", "NameError"),
        ("import sys\nsys._getframe()", "no environment"),
        ("import sys\nsys.modules['os']", "no environment"),
        ("input()", "NameError"),
        ("breakpoint()", "NameError"),
    ],
    "walks through the objects of the language": [
        ("().__class__.__bases__[0].__subclasses__()", "has no attribute"),
        ("''.__class__.__mro__", "has no attribute"),
        ("(lambda: 0).__globals__", "has no attribute"),
        ("(lambda: 0).__code__", "has no attribute"),
        ("print.__self__", "has no attribute"),
        ("getattr((), '__cl' + 'ass__')", "has no attribute"),
        ("'{0.__class__.__init__.__globals__}'.format('')", "has no attribute"),
        ("__builtins__", "NameError"),
        ("globals()['__builtins__']", "NameError"),
        ("vars()", "NameError"),
        ("eval('().__class__')", "has no attribute"),
        ("exec('import socket')", "there are: asyncio"),
        ("try:\n    1 / 0\nexcept Exception as e:\n    e.__traceback__.tb_frame", "has no attribute"),
        ("def f():\n    yield 1\nf().gi_frame", "build a list"),
        ("class E(Exception):\n    def __str__(self): return 'x' * 10 ** 9\nraise E()", "class without a base"),
        ("class M(type): pass", "class without a base"),
        ("import json\njson.loads = None", "Error"),
        ("class A:\n    def __getattr__(self, name): return open\nA().x('/etc/passwd')", "Error"),
    ],
    "takes all memory": [
        ("'x' * 10 ** 10", "work on less"),
        ("[0] * 10 ** 10", "work on less"),
        ("10 ** 10 ** 10", "work on less"),
        ("bytes(10 ** 10)", "work on less"),
        ("x = [1]\nwhile True:\n    x = x + x", "work on less"),
        ("x = {}\nfor n in range(10 ** 9):\n    x[n] = str(n)", "t"),
        ("f'{1:>10000000000}'", "work on less"),
        ("'%10000000000d' % 1", "work on less"),
        ("'{:10000000000}'.format(1)", "work on less"),
        ("'x'.ljust(10 ** 10)", "work on less"),
        ("1 << 10 ** 12", "work on less"),
        ("'a' * 10 ** 7 + 'b' * 10 ** 8", "work on less"),
        ("list(range(10 ** 10))", "work on less"),
        ("import itertools\nlist(itertools.count())", "t"),
        ("import itertools\nlist(itertools.product(range(1000), repeat=5))", "t"),
    ],
    "takes all time": [
        ("while True: pass", "it computed for"),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "it computed for"),
        ("x = 3\nfor n in range(40): x = x * x * x", "too"),
        ("sum(range(10 ** 12))", "it computed for"),
        ("import time\ntime.sleep(1000)", "a script cannot wait"),
        ("import asyncio\nawait asyncio.sleep(1000)", "a script cannot wait"),
        ("import re\nre.match('(a+)+$', 'a' * 5000 + 'b')\n1 / 0", ""),
        ("import re\nre.match('(' * 1000 + ')' * 1000, '')", "nested"),
        ("import json\njson.loads('[' * 10 ** 6)", "recursion"),
    ],
    "takes all of the stack": [
        ("def f(n): return f(n + 1)\nf(0)", "RecursionError"),
        ("f = lambda: f()\nf()", "RecursionError"),
        ("class A:\n    def __repr__(self): return repr(self)\nrepr(A())", "Recursion"),
        ("(" * 50_000, "nested"),
        ("-" * 50_000 + "1", "nested"),
        ("lambda: " * 10_000 + "1", "nested"),
        ("x = " + "[" * 5_000 + "]" * 5_000, "nested"),
        ("int('9' * 10 ** 6)", "4300"),
        ("raise SystemExit", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise MemoryError", "MemoryError"),
        ("\0", "Error"),
    ],
}


@pytest.mark.anyio
@pytest.mark.parametrize("wish", REFUSED)
async def test_a_script_that_wants_more_than_it_may_is_refused_in_words(wish: str) -> None:
    """Nothing of it happens, the process that asked lives on, and the model is told why, in a few lines."""
    codes = [code for code, _ in REFUSED[wish]]
    calls = [replace(call("run_python", code=code), id=str(number)) for number, code in enumerate(codes)]
    limits = Python(seconds=0.5 if "time" in wish else 20, memory=50_000_000)
    with anyio.fail_after(50):
        result = await Agent(ScriptedModel([calls, "ok"]), tools=limits.tools).run("?")
    messages = [message for message in result.messages if isinstance(message, ToolResult)]
    for (code, words), message in zip(REFUSED[wish], messages, strict=True):
        assert message.is_error, (code, message.content)
        assert words.lower() in message.content.lower(), code
        assert CANARY not in message.content, code
        assert len(message.content) < 2_000, code


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("while True: print('x' * 1000)", "it computed for"),
        ("print('x' * 40_000_000)\n1 / 0", "division by zero"),
        ("for n in range(10 ** 9): print(end='.')", "it computed for"),
        ("import sys\nwhile True: print('e', file=sys.stderr)", "it computed for"),
    ],
)
async def test_a_flood_of_output_is_cut(code: str, text: str) -> None:
    """What it printed before it was stopped is there, as far as it is read."""
    message = await told(code, Python(seconds=20 if "1 / 0" in code else 0.3))
    assert text in message.content.lower()
    assert len(message.content) < 21_000


@pytest.mark.anyio
@pytest.mark.parametrize(
    "code", ["a = []\nfor n in range(100_000): a = [a]\na", "a = []\na.append(a)\na", "open", "str"]
)
async def test_a_strange_last_value_harms_nobody(code: str) -> None:
    """Deep, endless, or no data at all: the model reads something short."""
    assert len((await told(code)).content) < 21_000


@pytest.mark.anyio
async def test_what_one_script_changes_no_other_sees() -> None:
    """Names, modules and classes are new each time."""
    assert (await told("import json\nx = 41\nx")).content == "41"
    assert "NameError" in (await told("x")).content


@on_linux
@pytest.mark.anyio
@pytest.mark.parametrize("end", ["1", "1 / 0", "while True: pass", "x = [1]\nwhile True: x = x + x", "look()\nlook()"])
async def test_nothing_of_a_script_outlives_its_call(end: str) -> None:
    """However it ends, its processes are gone, and they never had an environment to read."""
    handles: list[int] = []
    environments: list[bytes] = []

    @tool
    def look() -> int:
        for pid in descendants(os.getpid()):
            handles.append(os.pidfd_open(pid))
            environments.append(Path(f"/proc/{pid}/environ").read_bytes())
        return len(handles)

    await told(f"look()\n{end}", Python(seconds=0.3, memory=50_000_000, calls=2), look)
    assert len(handles) >= 2
    assert set(environments) == {b""}
    gone(handles)


@on_linux
@pytest.mark.anyio
async def test_a_cancelled_run_leaves_no_process() -> None:
    """Nor does one that is cancelled in the middle of a script that would never end."""
    handles: list[int] = []
    seen = anyio.Event()

    @tool
    async def look() -> None:
        handles.extend(os.pidfd_open(pid) for pid in descendants(os.getpid()))
        seen.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(told, "look()\nwhile True: pass", Python(seconds=600), look)
            await seen.wait()
            group.cancel_scope.cancel()
    gone(handles)


def descendants(pid: int, ours: bool = False) -> Iterator[int]:
    """The processes of scripts that a process has started, and those that they have."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="utf-8").split():
            if ours or CHILD.name.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                yield int(child)
                yield from descendants(int(child), ours=True)


def ticks(pid: int) -> int:
    """What a process has computed, in hundredths of a second."""
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11])


def gone(handles: list[int]) -> None:
    """Each of these processes ends; a very busy machine takes seconds for it."""
    for handle in handles:
        assert select.select([handle], [], [], 30)[0], "a process lives on"
        os.close(handle)


@on_linux
def test_a_killed_program_takes_its_scripts_with_it() -> None:
    """Nobody is left to stop them, so they must notice."""
    program = """
import anyio
from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call
from agentkit.tools.python import Python

@tool
def look() -> None:
    print("running", flush=True)

model = ScriptedModel([[call("run_python", code="look()\\nwhile True: pass")], "ok"])
anyio.run(Agent(model, tools=[look, *Python(seconds=600).tools]).run, "?")
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"running\n"
        pids = list(descendants(host.pid))
        handles = [os.pidfd_open(pid) for pid in pids]
        while ticks(pids[-1]) < 10:  # until the script is in its loop
            assert host.poll() is None
        host.kill()
    assert len(handles) >= 2
    gone(handles)


ATTACKS = {
    # what stands against it -> attempts, in Python without any interpreter around it
    "files": {
        "read": "open('/etc/passwd').read()",
        "environment": "open('/proc/self/environ').read()",
        "memory": "open('/proc/self/mem', 'wb')",
        "list": "os.listdir('/')",
        "write": "open('/tmp/escaped', 'w')",
        "make": "os.mkdir('/tmp/escaped')",
        "device": "open('/dev/null')",
        "run": "os.execv('/bin/true', ['true'])",
    },
    "calls": {
        "connect": "socket.socket().connect(('127.0.0.1', 9))",
        "DNS": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'q', ('127.0.0.1', 53))",
        "local socket": "socket.socket(socket.AF_UNIX)",
        "kernel socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "fork bomb": "[os.fork() or signal.pause() for _ in range(20)]",
        "program": "subprocess.run(['/bin/sh', '-c', 'id'])",
        "session": "os.setsid()",
        "memory file": "os.memfd_create('x')",
        "mode": "os.chmod(__file__, 0o777)",
        "debug": "call(101, 16, os.getppid(), 0, 0)",
        "namespace": "call(272, 0x10000000)",
        "namespace by clone": "call(56, 0x10000000 | 17, 0, 0, 0, 0)",
        "mount": "call(165, b'none', b'/', b'tmpfs', 0, 0)",
        "rings": "call(425, 1, 0)",
        "32-bit call": "call(0x40000000 | 41, 2, 1, 0)",
    },
    "namespaces": {
        "signal": f"os.kill({os.getpid()}, 0)",
        "everybody": "os.kill(-1, 0)",
    },
    "limits": {
        "memory": "len(bytearray(3 * 10 ** 9))",
        "handles": "[os.dup(1) for _ in range(200)]",
    },
}

PROGRAM = """
import ctypes, json, os, signal, socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
import _monty

libc = ctypes.CDLL(None, use_errno=True)

def call(*numbers):
    if libc.syscall(*numbers) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

__file__ = sys.argv[2]
code = compile(sys.argv[3], "attack", "eval")
walls = _monty.confine("/bin/true", 0.1, 100_000_000)
print(json.dumps(walls), flush=True)
try:
    eval(code)
    print("ALLOWED", flush=True)
except BaseException as error:
    print(type(error).__name__, flush=True)
"""


def attacked(attack: str, victim: Path) -> tuple[list[str], str]:
    """The walls that stand here, and how the kernel answered."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(CHILD.parent), str(victim), attack]
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=30, check=False, env={})
    walls, *answer = done.stdout.decode().splitlines()
    return json.loads(walls), "".join(answer)


@on_linux
@pytest.mark.parametrize(("wall", "attack"), [(wall, attack) for wall, each in ATTACKS.items() for attack in each])
def test_the_kernel_refuses_what_the_interpreter_might_let_through(wall: str, attack: str, tmp_path: Path) -> None:
    """Whoever breaks the interpreter has broken one wall of several."""
    victim = tmp_path / "victim"
    victim.touch(mode=0o600)
    walls, answer = attacked(ATTACKS[wall][attack], victim)
    if wall not in walls:
        pytest.skip(f"this kernel does not offer the wall {wall!r}; there are {walls}")
    assert answer in {"PermissionError", "MemoryError", "ProcessLookupError", "OSError", ""}  # "": killed at once
    assert victim.stat().st_mode & 0o777 == 0o600
    assert not Path("/tmp/escaped").exists()


@on_linux
def test_the_kernel_ends_what_computes_for_too_long() -> None:
    """Even where nobody watches it, and it cannot be talked to."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(CHILD.parent), "", "[0 for _ in iter(int, 1)]"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=30, check=False, env={})
    assert done.stdout.decode().count("\n") == 1  # the walls, and then no word


ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
import _monty
sys.platform = "elsewhere"  # where none of Linux's walls stands
_monty.main()
"""


@pytest.mark.parametrize(("kernel", "said"), [(False, {"value": "42"}), (True, "tell the user")])
def test_without_a_kernel_s_walls_a_script_runs_only_if_that_is_enough(kernel: bool, said: object) -> None:
    """`Python(kernel=True)` would rather run nothing; otherwise the interpreter's own wall stands alone."""
    found, binary = (
        importlib.util.find_spec("pydantic_monty"),
        shutil.which("monty", path=sysconfig.get_path("scripts")),
    )
    assert found is not None
    paths = [str(Path(str(found.origin)).parents[1])]
    request = {"code": "41 + 1", "names": [], "refused": {}, "seconds": 5, "memory": 50_000_000, "shown": 100}
    line = json.dumps({**request, "kernel": kernel, "paths": paths, "binary": binary}).encode() + b"\n"
    command = [sys.executable, "-I", "-S", "-c", ELSEWHERE, str(CHILD.parent)]
    done = subprocess.run(command, input=line, stdout=subprocess.PIPE, timeout=30, check=True, env={})
    answer = json.loads(done.stdout)
    assert answer == said or str(said) in answer["broken"]


@on_linux
@pytest.mark.anyio
async def test_with_them_a_script_that_needs_them_runs() -> None:
    """On Linux, that is."""
    message = await told("41 + 1", Python(kernel=True))
    if "offers too little" in message.content:
        pytest.skip("this kernel has no Landlock or no seccomp")
    assert message.content == "42"

"""The `python` tool: one script instead of ten calls, and each call in it is a call like any other."""

import datetime as dt
import json
import math
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel

import agentkit.tools.python
from agentkit import Agent, Context, Limits, Tool, ToolFailed, ToolResult, load_tools, tool
from agentkit.context import Secret
from agentkit.errors import SessionError
from agentkit.testing import ScriptedModel, call
from agentkit.tools.python import Python

pytestmark = pytest.mark.anyio


@tool
def units_left(sku: str, warehouse: str = "north") -> int:
    """Count the units of a product in stock."""
    return len(sku) * (2 if warehouse == "south" else 1)


async def ran(code: str, *tools: Any, python: Python | None = None, **run: Any) -> ToolResult:
    """What the model is told about a script; the run must go on and answer."""
    model = ScriptedModel([[call("run_python", code=code)], "ok"])
    result = await Agent(model, tools=[*tools, *(python or Python()).tools]).run("?", **run)
    assert result.output == "ok"
    [told] = [message for message in result.messages if isinstance(message, ToolResult)]
    return told


async def read(code: str, *tools: Any, **options: Any) -> str:
    """The text of a script that came to its end."""
    told = await ran(code, *tools, **options)
    assert not told.is_error, told.content
    return told.content


async def failed(code: str, *tools: Any, **options: Any) -> str:
    """The text of a script that did not."""
    told = await ran(code, *tools, **options)
    assert told.is_error, told.content
    return told.content


async def test_a_script_does_the_work_of_many_calls() -> None:
    """The model asks once; the tools are called one after the other, and what is left is the answer."""
    code = """
        total = 0
        for sku in ["a", "bb", "ccc"]:
            left = units_left(sku=sku)
            if left > 1:
                total += left
        print("more than one:", total)
    """
    lines = "\n".join(line.removeprefix("        ") for line in code.splitlines())
    assert await read(lines, units_left) == "more than one: 5"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("print(1)\nprint('two')", "1\ntwo"),
        ("'as it is'", "as it is"),
        ("{'a': [1, 2.5, None, True]}", '{"a": [1, 2.5, null, true]}'),
        ("print('x')\n[1]", "x\nvalue of the last line: [1]"),
        ("import datetime\n[datetime.date(2026, 3, 28), {1}, (2,)]", '["2026-03-28", [1], [2]]'),
        ("class P:\n    def __init__(self): self.x = 1\nP()", '{"x": 1}'),
        ("{(1, 2): 3}", "{(1, 2): 3}"),
        ("x = 1", "[it printed nothing, and its last line has no value; print what you need]"),
        ("```python\n1 + 1\n```", "2"),
        ("'é\\u2028'", "é\u2028"),
    ],
    ids=str,
)
async def test_what_a_script_prints_and_its_last_value_are_the_result(code: str, text: str) -> None:
    """What the model reads is short, and JSON where it is data."""
    assert await read(code) == text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("code", ["units_left('abc', 'south')", "units_left('abc', warehouse='south')"])
async def test_arguments_without_a_name_are_taken_in_the_tool_s_order(code: str) -> None:
    """A model that writes Python as it always does is understood."""
    assert await read(code, units_left) == "6"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "units_left(1, 2, 3)",
            "line 1, `units_left(1, 2, 3)`: TypeError: units_left: takes 2 arguments, 3 were given",
        ),
        ("units_left('a', sku='b')", "TypeError: units_left: got several values for the argument 'sku'"),
        ("units_left(sku={1})", "an argument is not plain data: there is a set"),
        ("units_left(sku=open)", "an argument is not plain data: there is a open"),
        ("units_left(sku=float('nan'))", "an argument is not plain data"),
        ("units_left(sku='a' * 1000000)", "the arguments have over 1000000 characters"),
        ("\nunits_left(size=1)", "line 2, `units_left(size=1)`: RuntimeError: The arguments do not fit 'units_left':"),
        ("unit_left(sku='a')", "name 'unit_left' is not defined; did you mean units_left?"),
        ("frobnicate()", "name 'frobnicate' is not defined; the tools are: units_left"),
        ("run_python(code='1')", "name 'run_python' is not defined here: a script cannot run another"),
        (
            "def f():\n    return 1 / 0\n\nf()",
            "line 2, `return 1 / 0`: ZeroDivisionError: division by zero (called from line 4)",
        ),
        ("print('so far')\n1 / 0", "ZeroDivisionError: division by zero\nBefore that it printed:\nso far"),
        ("x = (\n", "SyntaxError"),
        ("raise ValueError('mine')", "ValueError: mine"),
        ("x = units_left(sku='a')\nasync def f(): ...", "units_left was called but never awaited, so not run"),
        ("x = units_left(sku='a')\nawait units_left(sku='b')\nx + 1", "must await each of them"),
        ("list(map(units_left, ['a']))", "Call the tool in a loop or a comprehension, not through map"),
    ],
    ids=str,
)
async def test_a_mistake_is_told_with_its_line_and_the_way_out(code: str, words: str) -> None:
    """The model can mend its script without guessing."""
    assert words in await failed(code, units_left)


async def test_a_failing_tool_raises_an_exception_in_the_script() -> None:
    """A script can catch it and go on; uncaught, it is the script's failure, in the tool's own words."""

    @tool
    def price(sku: str) -> float:
        raise ToolFailed(f"nobody sells {sku}")

    caught = "try:\n    price(sku='x')\nexcept Exception as error:\n    print('caught:', error)"
    assert await read(caught, price) == "caught: nobody sells x"
    assert await failed("price(sku='x')", price) == "line 1, `price(sku='x')`: RuntimeError: nobody sells x"


async def test_calls_that_are_awaited_together_run_at_the_same_time() -> None:
    """All are in flight before any finishes."""
    waiting, everybody = [], anyio.Event()

    @tool
    async def meet(n: int) -> int:
        waiting.append(n)
        if len(waiting) == 5:
            everybody.set()
        await everybody.wait()
        return n * n

    with anyio.fail_after(30):
        text = await read("import asyncio\nawait asyncio.gather(*[meet(n=n) for n in range(5)])", meet)
    assert text == "[0, 1, 4, 9, 16]"
    assert sorted(waiting) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_script_may_await_within_its_own_functions() -> None:
    """`async def` and `asyncio.run` are Python as models know it."""
    code = "import asyncio\nasync def main():\n    return await units_left(sku='ab') + 1\nasyncio.run(main())"
    assert await read(code, units_left) == "3"


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Item(BaseModel):
    when: dt.date


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (Item(when=dt.date(2026, 3, 28)), {"when": "2026-03-28"}),
        ([Point(1)], [{"x": 1}]),
        (Colour.RED, "red"),
        ({"d": Decimal("0.10"), "p": Path("a/b")}, {"d": "0.10", "p": "a/b"}),
        (dt.datetime(2026, 3, 28, 14, 30), "2026-03-28T14:30:00"),
        ({"big": 10**30}, {"big": 10**30}),
        (None, None),
    ],
    ids=str,
)
async def test_a_script_gets_plain_data_of_whatever_a_tool_gives(value: Any, seen: Any) -> None:
    """No object of the program crosses into a script."""

    @tool
    def give() -> Any:
        return value

    assert json.loads(await read("import json\nprint(json.dumps(give()))", give)) == seen


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "value", [object(), 10**5000, "x" * 4_000_001, [object()]], ids=["object", "int", "long", "in"]
)
async def test_a_result_that_is_no_plain_data_is_an_error_in_the_script(value: Any) -> None:
    """It is said there, and the script can go on."""

    @tool
    def give() -> Any:
        return value

    text = await read("try:\n    give()\nexcept RuntimeError as error:\n    print(error)", give)
    assert text.startswith(("what give gave ", "the result"))


async def test_a_tool_s_own_policies_hold_within_a_script() -> None:
    """Its time limit, the run's limit of calls, and an approver's no: a script is no way around them."""

    @tool(timeout=0.05)
    async def slow() -> None:
        await anyio.sleep_forever()

    assert "slow took longer than 0.05 seconds" in await failed("slow()", slow)
    code = "for n in range(5):\n    print(units_left(sku='a' * n))"
    limited = Limits(tool_calls=3)
    model = ScriptedModel([[call("run_python", code=code)], "ok"])
    result = await Agent(model, tools=[units_left, *Python().tools], limits=limited).run("?")
    [told] = [message for message in result.messages if isinstance(message, ToolResult)]
    assert "this run may call at most 3 tools" in told.content
    assert told.content.endswith("printed:\n0\n1\n")


@tool(approval=True)
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


async def test_a_script_may_not_call_what_needs_approval_unless_it_is_named() -> None:
    """By default nobody is asked in the middle of a script; where the tool is named, somebody is asked each time."""
    asked: list[Mapping[str, Any]] = []

    async def approve(approval: Any) -> bool:
        asked.append(approval.arguments)
        return len(asked) < 2

    assert "scripts may not do what needs approval" in await failed("pay(amount=1)", pay, approve=approve)
    assert asked == []
    code = "print(pay(amount=1))\npay(amount=2)"
    told = await failed(code, pay, python=Python(may_call=["pay"]), approve=approve)
    assert "line 2, `pay(amount=2)`: RuntimeError: not run: the call was not approved" in told
    assert told.endswith("paid 1\n")
    assert asked == [{"amount": 1}, {"amount": 2}]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_by_default_a_script_may_not_destroy_nor_see_secrets() -> None:
    """What is declared destructive, or has a secret, is for single calls; `may_call` opens it."""

    @tool(effects="destructive")
    def drop() -> str:
        return "dropped"

    @tool
    def token() -> Annotated[str, Secret]:
        return "t0ken"

    @tool
    def login(password: Annotated[str, Secret]) -> str:
        return "in"

    for code, words in [("drop()", "approval"), ("token()", "secrets"), ("login(password='x')", "secrets")]:
        assert words in await failed(code, drop, token, login)
        assert await read(code, drop, token, login, python=Python(may_call=["drop", "token", "login"]))
    assert "name 'drop' is not defined" in await failed("drop()", drop, python=Python(may_call=["token"]))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_name_with_a_hyphen_has_an_underscore_in_scripts() -> None:
    """Tools of other systems are often called so, and Python cannot write it."""

    @tool(name="units-left")
    def left(sku: str) -> int:
        return 3

    assert await read("units_left(sku='a')", left) == "3"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_script_sees_the_tools_of_its_own_run() -> None:
    """Context and identity are the run's: `deps` arrives, and each inner call has an id of its own."""
    seen: list[tuple[str, str, str]] = []

    @tool
    def who(ctx: Context[str]) -> str:
        seen.append((ctx.deps, ctx.run_id, ctx.call_id))
        return ctx.deps

    assert await read("[who(), who()]", who, deps="alice") == '["alice", "alice"]'
    assert len({run for _, run, _ in seen}) == 1
    assert len({call_id for _, _, call_id in seen}) == 2


async def test_too_many_calls_end_the_script() -> None:
    """Even where the script catches whatever it can."""
    made: list[int] = []

    @tool
    def touch() -> None:
        made.append(1)

    code = "while True:\n    try:\n        touch()\n    except BaseException:\n        pass"
    told = await failed(code, touch, python=Python(calls=7))
    assert len(made) == 7
    assert told == "the script ended: it made more than 7 calls; make fewer in one script"


async def test_what_must_end_the_run_is_raised_bare() -> None:
    """An error that is not the tool's passes through the script, in no group."""

    class Broken:
        async def begin(self, effect: Any) -> Any:
            if effect.tool == "units_left":
                raise OSError("disk full")

        async def end(self, effect: Any) -> None: ...

    model = ScriptedModel([[call("run_python", code="units_left(sku='a')")], "ok"])
    with pytest.raises(SessionError, match="disk full"):
        await Agent(model, tools=[units_left, *Python().tools], journal=Broken()).run("?")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_time_for_tools_does_not_count_as_the_script_s() -> None:
    """A script that computes for a moment may wait longer than it may compute."""
    began = anyio.Event()

    @tool
    async def wait() -> int:
        began.set()
        with anyio.move_on_after(0.6):
            await anyio.sleep_forever()
        return 1

    assert await read("wait()", wait, python=Python(seconds=0.5)) == "1"


async def test_a_cancelled_run_ends_the_script_and_its_calls() -> None:
    """Whoever cancels waits for neither."""
    began, stopped = anyio.Event(), anyio.Event()

    @tool
    async def hang() -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(ran, "hang()", hang)
            await began.wait()
            group.cancel_scope.cancel()
    assert stopped.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_long_output_is_cut() -> None:
    """The model reads the beginning, and that there was more."""
    told = await read("for n in range(100000):\n    print('x' * 100)")
    assert told.endswith("[cut: it printed more than 20000 characters; print only what you need]")
    assert len(told) < 20_200
    told = await read("'y' * 30000")
    assert told == f"{'y' * 20000}\n[cut: it has more than 20000 characters; give back only what you need]"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_script_of_any_length_is_answered() -> None:
    """One that is too long is refused before anything is started."""
    assert "100000 are allowed" in await failed("#" * 100_001)
    assert await read("#" * 99_000 + "\n1") == "1"


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0}, {"memory": -1}, {"calls": 0}, {"seconds": math.nan}, {"may_call": "f"}]
)
def test_a_limit_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """When the tool is made, not when a model first uses it."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Python(**wrong)


def cmdline(pid: str) -> bytes:
    """How a process was started; nothing if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def children_of(task: Path) -> list[str]:
    """The processes that a thread has started; none if it has ended."""
    with suppress(OSError):
        return (task / "children").read_text(encoding="utf-8").split()
    return []


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.sweep)])
async def test_many_scripts_at_once_take_turns(count: int) -> None:
    """No more than eight have processes at a time, and all come to their end."""
    running: list[int] = []

    @tool
    def enter(n: int) -> int:
        children = {child for task in Path("/proc/self/task").iterdir() for child in children_of(task)}
        running.append(sum(b"_monty.py" in cmdline(child) for child in children))
        return n

    calls = [replace(call("run_python", code=f"enter(n={n}) * 2"), id=str(n)) for n in range(count)]
    limits = Limits(tool_concurrency=100)
    with anyio.fail_after(100):
        result = await Agent(ScriptedModel([calls, "ok"]), tools=[enter, *Python().tools], limits=limits).run("?")
    told = [message.content for message in result.messages if isinstance(message, ToolResult)]
    assert told == [str(n * 2) for n in range(count)]
    assert max(running) <= 8


def test_the_tool_can_be_loaded_by_name() -> None:
    """As every ready-made tool; the model is told what a script may do, and of one argument."""
    [loaded] = load_tools("python")
    spec = Tool.of(loaded)
    assert spec.name == "run_python"
    assert list(spec.parameters["properties"]) == ["code"]


def taken_over(folder: Path, says: str, waits: str = "30.0") -> Callable[..., Any]:
    """The tool, with another program in its process."""
    source = Path(str(agentkit.tools.python.__file__)).read_text(encoding="utf-8")
    assert "_STARTING = 30.0" in source
    (folder / "python.py").write_text(source.replace("_STARTING = 30.0", f"_STARTING = {waits}"), encoding="utf-8")
    (folder / "_monty.py").write_text(says, encoding="utf-8")
    [run_python] = load_tools(folder / "python.py")
    return run_python


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    "line",
    [
        b"not JSON\n",
        b"[" * 100_000 + b"\n",
        b"x" * 5_000_000,
        b"[1]\n",
        b"{}\n",
        b"",
        b"\xff\xfe\n",
        b'{"error": 3}\n',
        b'{"error": {"type": ["a"], "line": "x"}}\n',
        b'{"broken": "it says"}\n',
        b'{"call": 1}\n',
        b'{"call": 1, "name": "os.system", "args": [], "kwargs": {}}\n',
        b'{"call": 1, "name": "units_left", "args": 7, "kwargs": []}\n',
        b'{"call": [], "name": ["units_left"], "args": [], "kwargs": {"sku": "a"}}\n',
        b'{"print": ["a", 1]}\n',
    ],
    ids=lambda line: repr(line[:40]),
)
async def test_a_process_that_was_taken_over_can_say_nothing_that_harms(line: bytes, tmp_path: Path) -> None:
    """Whatever comes from it, the model is told that it makes no sense, and the run goes on."""
    evil = taken_over(tmp_path, f"import sys\nsys.stdin.readline()\nsys.stdout.buffer.write({line!r})\n")
    model = ScriptedModel([[call("run_python", code="1")], "ok"])
    with anyio.fail_after(30):
        result = await Agent(model, tools=[units_left, evil]).run("?")
    [told] = [message for message in result.messages if isinstance(message, ToolResult)]
    assert told.is_error
    assert len(told.content) < 1000


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("first", [b"", b'{"call": 1, "name": "units_left", "args": ["a"], "kwargs": {}}\n'])
async def test_a_process_that_falls_silent_is_not_waited_for(first: bytes, tmp_path: Path) -> None:
    """Neither from its beginning nor after it has had its answer; computing it may, for its seconds and a while."""
    said = f"import sys\nsys.stdout.buffer.write({first!r})\nsys.stdout.flush()\nsys.stdin.read()\n"
    silent = taken_over(tmp_path, said, waits="-4.5")
    model = ScriptedModel([[call("run_python", code="1")], "ok"])
    with anyio.fail_after(30):
        result = await Agent(model, tools=[units_left, silent]).run("?")
    [told] = [message for message in result.messages if isinstance(message, ToolResult)]
    assert told.content == "the script ended: it neither ended nor called a tool for too long"

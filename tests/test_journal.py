"""Effects are written down before and after, so that a crash loses none and repeats none."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from cancelling import ends_within
from virtual_time import VIRTUAL

from agentkit import (
    Agent,
    AssistantMessage,
    Context,
    Limits,
    Message,
    ModelRequest,
    ModelResponse,
    Session,
    ToolCall,
    ToolError,
    ToolResult,
    UserMessage,
    tool,
)
from agentkit.caller import DONE, INTERRUPTED
from agentkit.context import Secret
from agentkit.errors import JournalFailed, SessionConflict
from agentkit.executor import NOT_RUN
from agentkit.journal import Effect, FileJournal, Journal, MemoryJournal
from agentkit.messages import dump_messages, load_messages, unanswered
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio


class Logged:
    """A journal that says what happens to it, between what happens in the tools."""

    def __init__(self, log: list[str], *, failing: str = "") -> None:
        self.log, self.failing, self.kept = log, failing, MemoryJournal()

    async def begin(self, effect: Effect) -> Effect | None:
        self.log.append(f"begin {effect.tool} {effect.state}")
        if self.failing == "begin":
            raise OSError("disk full")
        return await self.kept.begin(effect)

    async def end(self, effect: Effect) -> None:
        self.log.append(f"end {effect.tool} {effect.state}")
        if self.failing == "end":
            raise OSError("disk full")
        if self.failing == "hang":
            await anyio.sleep_forever()
        await self.kept.end(effect)


class Desk:
    """Tools that end in all ways there are."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.reached = anyio.Event()

        @tool
        async def works(n: int = 0) -> int:
            self.log.append("works")
            return n

        @tool
        async def fails() -> None:
            self.log.append("fails")
            raise ValueError("no paper")

        @tool(timeout=0.01)
        async def slow() -> None:
            self.log.append("slow")
            await anyio.sleep_forever()

        @tool
        async def waits() -> None:
            self.log.append("waits")
            self.reached.set()
            await anyio.sleep_forever()

        @tool
        async def stops() -> None:
            self.log.append("stops")
            raise KeyboardInterrupt("now")

        @tool(effects="read")
        async def looks() -> int:
            self.log.append("looks")
            return 1

        @tool
        async def odd() -> object:
            self.log.append("odd")
            return object()

        self.tools = [works, fails, slow, waits, stops, looks, odd]

    async def run(self, name: str, journal: Journal | None = None) -> list[ToolResult]:
        agent = Agent(ScriptedModel([[call(name)], "ok"]), tools=self.tools, journal=journal or Logged(self.log))
        result = await agent.run("?")
        return [m for m in result.messages if isinstance(m, ToolResult)]


@pytest.mark.parametrize(
    ("name", "state"), [("works", "completed"), ("fails", "completed"), ("odd", "completed"), ("slow", "unknown")]
)
async def test_a_call_is_written_down_before_it_begins_and_after_it_has_ended(name: str, state: str) -> None:
    """As attempted; then as completed, if it ended by itself, with what the model was told."""
    desk = Desk()
    journal = Logged(desk.log)
    [result] = await desk.run(name, journal)
    assert desk.log == [f"begin {name} attempted", name, f"end {name} {state}"]
    [effect] = journal.kept.effects.values()
    assert effect.result is not None
    assert (effect.result.content, effect.result.is_error) == (result.content, result.is_error)


async def test_what_only_looks_is_not_written_down() -> None:
    """Nobody needs to know whether it happened."""
    desk = Desk()
    await desk.run("looks")
    assert desk.log == ["looks"]


async def test_a_search_for_tools_is_no_effect() -> None:
    """Nor are calls that are not made: of unknown tools, or denied ones."""
    from agentkit.tool_search import ToolSearch

    desk = Desk()
    calls = [call("search_tools", query="works"), call("nothing")]
    agent = Agent(ScriptedModel([calls, "ok"]), tools=[ToolSearch(tools=desk.tools)], journal=Logged(desk.log))
    await agent.run("?")
    assert desk.log == []


async def test_a_cancelled_call_is_of_unknown_outcome() -> None:
    """It is written down although the run is being cancelled."""
    desk = Desk()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(desk.run, "waits")
            await desk.reached.wait()
            group.cancel_scope.cancel()
    assert desk.log == ["begin waits attempted", "waits", "end waits unknown"]


async def test_a_call_that_ends_the_program_is_of_unknown_outcome() -> None:
    """Ctrl-C included."""
    desk = Desk()
    with pytest.raises(KeyboardInterrupt, match="now"):
        await desk.run("stops")
    assert desk.log == ["begin stops attempted", "stops", "end stops unknown"]


@pytest.mark.parametrize("beside", [[], [call("works")]])
async def test_nothing_is_done_that_cannot_be_written_down(beside: list[ToolCall]) -> None:
    """The journal fails before the call: the tool is not run, the run ends, and its history says so."""
    desk = Desk()
    session = Session("s")
    agent = Agent(
        ScriptedModel([[call("works"), *beside]]), tools=desk.tools, journal=Logged(desk.log, failing="begin")
    )
    with pytest.raises(JournalFailed, match="the journal failed with OSError: disk full") as caught:
        await agent.run("?", session=session)
    assert "works" not in desk.log
    history = caught.value.history
    assert unanswered(history) == ()
    assert {m.content for m in history if isinstance(m, ToolResult)} == {NOT_RUN}
    assert (await session.store.load("s")).messages == tuple(history)


async def test_a_run_ends_if_it_cannot_be_written_down_how_a_call_has_ended() -> None:
    """The session is stored all the same: the next run does not ask for the same effect again."""
    desk, session = Desk(), Session("s")
    agent = Agent(ScriptedModel([[call("works")]]), tools=desk.tools, journal=Logged(desk.log, failing="end"))
    with pytest.raises(JournalFailed) as caught:
        await agent.run("?", session=session)
    told = [m for m in caught.value.history if isinstance(m, ToolResult)]
    assert [(m.content, m.is_error) for m in told] == [(INTERRUPTED, True)]
    assert (await session.store.load("s")).messages == tuple(caught.value.history)


async def test_a_journal_that_fails_does_not_hide_ctrl_c() -> None:
    """What must end the program ends it, with a note."""
    desk = Desk()
    with pytest.raises(KeyboardInterrupt, match="now") as caught:
        await desk.run("stops", Logged(desk.log, failing="end"))
    assert "disk full" in caught.value.__notes__[0]


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_journal_that_hangs_does_not_hold_up_a_run_that_is_cancelled() -> None:
    """Not for more than seconds: the note is given up, and what is there says `attempted`, which is safe."""
    desk = Desk()
    journal = Logged(desk.log, failing="hang")
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(desk.run, "waits", journal)
            await desk.reached.wait()
            group.cancel_scope.cancel()
    assert [effect.state for effect in journal.kept.effects.values()] == ["attempted"]


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_journal_that_does_not_answer_ends_the_run() -> None:
    """Though the call itself has ended well: it is not written down."""
    desk = Desk()
    with pytest.raises(JournalFailed, match="did not answer"):
        await desk.run("works", Logged(desk.log, failing="hang"))


async def test_a_journal_that_fails_in_a_call_inside_a_call_ends_the_run() -> None:
    """The outer tool has no say in that, and is not tried again."""
    desk = Desk()
    tries: list[int] = []

    @tool(effects="read", retries=3)
    async def outer(ctx: Context[None]) -> Any:
        tries.append(1)
        return await ctx.call("works", {})

    agent = Agent(
        ScriptedModel([[call("outer")]]), tools=[*desk.tools, outer], journal=Logged(desk.log, failing="begin")
    )
    with pytest.raises(JournalFailed):
        await agent.run("?")
    assert (tries, desk.log) == ([1], ["begin works attempted"])


@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_all_attempts_of_a_call_are_one_effect() -> None:
    """Begun once, and ended with what the last attempt came to."""
    desk = Desk()
    tries: list[int] = []

    @tool(retries=2, idempotent=True)
    async def shaky() -> str:
        tries.append(1)
        if len(tries) < 2:
            raise ValueError("not yet")
        return "done"

    journal = Logged(desk.log)
    await Agent(ScriptedModel([[call("shaky")], "ok"]), tools=[shaky], journal=journal).run("?")
    assert desk.log == ["begin shaky attempted", "end shaky completed"]
    assert [e.result.content for e in journal.kept.effects.values() if e.result] == ["done"]


class Bank:
    """Tools that can be asked how often they were really called."""

    def __init__(self) -> None:
        self.paid: list[str] = []

        @tool
        async def pay(to: str) -> dict[str, str]:
            self.paid.append(to)
            return {"paid": to}

        @tool(idempotent=True)
        async def put(to: str) -> str:
            self.paid.append(to)
            return f"put {to}"

        @tool
        async def whisper(to: str) -> Annotated[str, Secret]:
            self.paid.append(to)
            return f"hush {to}"

        @tool
        async def through(to: str, ctx: Context[None]) -> str:
            try:
                return f"{await ctx.call('pay', {'to': to})!r}"
            except ToolError as error:
                return f"caught {error}"

        self.tools = [pay, put, whisper, through]

    async def resume(self, history: Sequence[Message], journal: Journal, **given: Any) -> str:
        """What the model is told when a paused run is taken up."""
        agent = Agent(ScriptedModel(["ok"]), tools=self.tools, journal=journal, **given)
        with anyio.fail_after(10):
            result = await agent.run(None, history=load_messages(dump_messages(history)))
        [told] = [m for m in result.messages if isinstance(m, ToolResult)]
        return told.content


def paused(name: str, key: str = "r1:c1", **arguments: Any) -> list[Message]:
    """A history that ends in a call without a result."""
    asked = replace(call(name, **(arguments or {"to": "ada"})), key=key)
    return [UserMessage(content="Pay Ada."), AssistantMessage(tool_calls=(asked,))]


async def test_a_completed_call_is_not_made_again() -> None:
    """A run that is taken up gets the recorded result; errors too."""
    bank, journal = Bank(), MemoryJournal()
    for _ in range(3):
        assert await bank.resume(paused("pay"), journal) == '{"paid":"ada"}'
    assert bank.paid == ["ada"]
    assert await bank.resume(paused("pay", key="r2:c1"), journal) == '{"paid":"ada"}'
    assert bank.paid == ["ada"] * 2


async def test_a_recorded_result_answers_the_call_that_is_asked_now() -> None:
    """A server may have given the call another id since; the key is what counts."""
    bank, journal = Bank(), MemoryJournal()
    await bank.resume(paused("pay"), journal)
    renamed = AssistantMessage(tool_calls=(replace(call("pay", to="ada"), id="call_9", key="r1:c1"),))
    agent = Agent(ScriptedModel(["ok"]), tools=bank.tools, journal=journal)
    result = await agent.run(None, history=[UserMessage(content="Pay Ada."), renamed])
    assert result.messages[2] == ToolResult(call_id="call_9", name="pay", content='{"paid":"ada"}')
    assert bank.paid == ["ada"]


async def test_of_an_attempted_call_nobody_knows_so_it_is_not_made_again() -> None:
    """The model is told; it can look, or ask."""
    bank, journal = Bank(), MemoryJournal()
    await journal.begin(Effect.of(paused("pay")[1].tool_calls[0], "r1:c1"))  # type: ignore[union-attr]
    assert await bank.resume(paused("pay"), journal) == INTERRUPTED
    assert bank.paid == []


@pytest.mark.parametrize("state", ["attempted", "unknown"])
async def test_what_may_be_called_twice_is_called_again(state: Any) -> None:
    """And how that ends is written down."""
    bank, journal = Bank(), MemoryJournal()
    effect = Effect.of(paused("put")[1].tool_calls[0], "r1:c1")  # type: ignore[union-attr]
    journal.effects["r1:c1"] = replace(effect, state=state)
    assert await bank.resume(paused("put"), journal) == "put ada"
    assert journal.effects["r1:c1"].state == "completed"
    assert await bank.resume(paused("put"), journal) == "put ada"
    assert bank.paid == ["ada"]


async def test_a_key_stands_for_one_call_and_no_other() -> None:
    """A history that somebody has changed does not get the result of what was asked before, nor run under its key."""
    bank, journal = Bank(), MemoryJournal()
    await bank.resume(paused("pay"), journal)
    for other in (paused("pay", to="eve"), paused("put")):
        assert "another call of pay had the same key" in await bank.resume(other, journal)
    assert bank.paid == ["ada"]


async def test_a_secret_result_is_not_kept_and_the_call_not_repeated() -> None:
    """The model is told that it is done, which is true."""
    bank, journal = Bank(), MemoryJournal()
    assert await bank.resume(paused("whisper"), journal) == "hush ada"
    assert "hush" not in repr(journal.effects)
    assert await bank.resume(paused("whisper"), journal) == DONE
    assert bank.paid == ["ada"]


async def test_a_call_inside_a_call_is_not_made_again_either() -> None:
    """Its key follows from that of the outer one: where the outer call may be made again, the inner one is found."""
    bank, journal = Bank(), MemoryJournal()
    first = await bank.resume(paused("through"), journal)
    assert sorted(journal.effects) == ["r1:c1", "r1:c1.1"]
    del journal.effects["r1:c1"]  # as if the process had died between the two
    assert "ada" in await bank.resume(paused("through"), journal)
    assert bank.paid == ["ada"]
    assert "ada" in first


async def test_a_call_inside_a_call_gets_the_whole_of_what_is_recorded() -> None:
    """Not what the model was shown of it."""
    bank, journal = Bank(), MemoryJournal()
    inner = Effect.of(ToolCall(id="", name="pay", arguments='{"to":"ada"}'), "r1:c1.1")
    shown = ToolResult(call_id="", name="pay", content="pa…", full="paid ada in full")
    journal.effects["r1:c1.1"] = replace(inner, state="completed", result=shown)
    assert await bank.resume(paused("through"), journal) == "'paid ada in full'"
    assert bank.paid == []


async def test_a_run_that_was_cut_off_goes_on_where_it_was() -> None:
    """In one process: the session is stored before the calls are made, and the keys in it find what was done."""
    bank, journal, session = Bank(), MemoryJournal(), Session("s")

    class Dies:
        """A store whose process dies once an answer with calls is stored."""

        async def load(self, session_id: str) -> Any:
            return await session.store.load(session_id)

        async def append(self, session_id: str, messages: Sequence[Message], *, revision: int) -> int:
            if any(isinstance(m, ToolResult) for m in messages):
                raise SystemExit("the process is gone")
            return await session.store.append(session_id, messages, revision=revision)

    agent = Agent(ScriptedModel([[call("pay", to="ada")]]), tools=bank.tools, journal=journal)
    with pytest.raises(SystemExit):
        await agent.run("Pay Ada.", session=Session("s", Dies()))
    assert bank.paid == ["ada"]
    result = await replace(agent, model=ScriptedModel(["Done."])).run(None, session=session)
    assert [m.content for m in result.messages if isinstance(m, ToolResult)] == ['{"paid":"ada"}']
    assert bank.paid == ["ada"]


async def test_two_runs_that_take_up_the_same_call_make_it_once() -> None:
    """Whoever comes second is told that it is being made, or gets its result."""
    bank, journal = Bank(), MemoryJournal()
    answers: list[str] = []

    async def one() -> None:
        answers.append(await bank.resume(paused("pay"), journal))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(one)
    assert bank.paid == ["ada"]
    assert '{"paid":"ada"}' in answers
    assert set(answers) <= {'{"paid":"ada"}', INTERRUPTED}


def journals(folder: Path) -> list[Any]:
    return [MemoryJournal(), FileJournal(folder / "j.db")]


async def test_every_journal_keeps_the_first_and_what_became_of_it(tmp_path: Path) -> None:
    """Also if the very same record is begun twice."""
    effect = Effect(key="k", tool="pay", arguments="a")
    result = ToolResult(call_id="c", name="pay", content="paid \u2028 \u00e9 " * 1000, full="all of it")
    for journal in journals(tmp_path):
        assert await journal.begin(effect) is None
        assert await journal.begin(effect) == effect
        assert await journal.begin(replace(effect, tool="other")) == effect
        await journal.end(replace(effect, state="completed", result=result))
        assert await journal.begin(effect) == replace(effect, state="completed", result=result)


async def test_a_file_outlives_whoever_has_opened_it(tmp_path: Path) -> None:
    """Its effects are there for the next one, in the order in which they began."""
    first = FileJournal(tmp_path / "j.db")
    for n in range(20):
        await first.begin(Effect(key=f"k{(n * 7) % 20}", tool="t", arguments="a"))
    first.close()
    first.close()
    second = FileJournal(str(tmp_path / "j.db"))
    assert [effect.key for effect in second.read()] == [f"k{(n * 7) % 20}" for n in range(20)]
    assert await first.begin(Effect(key="k0", tool="t", arguments="a")) is not None  # opened again
    first.close()
    second.close()


async def test_a_file_that_is_no_journal_ends_the_run_with_its_name(tmp_path: Path) -> None:
    """Damaged, of another kind, a folder, or in a folder that is not there: nothing is done, and the file is left."""
    damaged, empty, folder = tmp_path / "damaged.db", tmp_path / "other.db", tmp_path / "folder"
    damaged.write_bytes(b"this is no database " * 1000)
    with sqlite3.connect(empty) as other:
        other.execute("CREATE TABLE effects (something TEXT)")
    other.close()
    folder.mkdir()
    for path in (damaged, empty, folder, tmp_path / "nowhere" / "j.db"):
        bank = Bank()
        with pytest.raises(JournalFailed, match=path.name) as caught:
            await bank.resume(paused("pay"), FileJournal(path))
        assert str(caught.value).count("journal failed") <= 1
        assert bank.paid == []
    assert damaged.read_bytes() == b"this is no database " * 1000
    with pytest.raises(JournalFailed, match=r"damaged\.db"):
        FileJournal(damaged).read()


async def test_a_journal_that_may_not_be_written_ends_the_run(tmp_path: Path) -> None:
    """Nothing is done that cannot be written down."""
    FileJournal(tmp_path / "j.db").read()
    os.chmod(tmp_path / "j.db", 0o400)
    os.chmod(tmp_path, 0o500)
    bank = Bank()
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere, as root may")
        with pytest.raises(JournalFailed, match=r"j\.db"):
            await bank.resume(paused("pay"), FileJournal(tmp_path / "j.db"))
        assert bank.paid == []
    finally:
        os.chmod(tmp_path, 0o700)


async def test_a_result_that_cannot_be_read_back_ends_the_run(tmp_path: Path) -> None:
    """Somebody has changed the file: the call is not made again by guessing."""
    bank, journal = Bank(), FileJournal(tmp_path / "j.db")
    await bank.resume(paused("pay"), journal)
    journal.close()
    with sqlite3.connect(tmp_path / "j.db") as other:
        other.execute("UPDATE effects SET result = 'half a resu'")
    other.close()
    with pytest.raises(JournalFailed):
        await bank.resume(paused("pay"), journal)
    assert bank.paid == ["ada"]
    journal.close()


async def test_an_effect_that_has_gone_from_the_file_is_missed(tmp_path: Path) -> None:
    """Somebody has emptied the journal while a tool was running: that is not passed over."""
    journal = FileJournal(tmp_path / "j.db")

    @tool
    async def empties() -> None:
        with sqlite3.connect(tmp_path / "j.db") as other:
            other.execute("DELETE FROM effects")
        other.close()

    with pytest.raises(JournalFailed, match="has lost the effect"):
        await Agent(ScriptedModel([[call("empties")]]), tools=[empties], journal=journal).run("?")
    journal.close()


async def test_a_file_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    """Another process is writing while this one opens it: SQLite itself would give up at once."""
    other = sqlite3.connect(tmp_path / "j.db", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE other (something TEXT)")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO other VALUES ('x')")
    journal, begun = FileJournal(tmp_path / "j.db"), list[Effect | None]()

    async def begin() -> None:
        begun.append(await journal.begin(Effect(key="k", tool="t", arguments="a")))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(begin)
            await anyio.wait_all_tasks_blocked()
            assert begun == []
            other.execute("COMMIT")
    assert begun == [None]
    other.close()
    journal.close()


async def test_what_has_begun_is_on_the_disk(tmp_path: Path) -> None:
    """SQLite is told to wait for the disk with each effect, so that a power cut loses none."""
    journal = FileJournal(tmp_path / "j.db")
    await journal.begin(Effect(key="k", tool="t", arguments="a"))
    assert journal._connection is not None
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    journal.close()


async def test_an_agents_tools_at_once_share_a_file(tmp_path: Path) -> None:
    """A hundred effects, each written down once, by its own key."""
    bank, journal = Bank(), FileJournal(tmp_path / "j.db")
    calls = [call("put", to=str(n)) for n in range(100)]
    agent = Agent(ScriptedModel([calls, "ok"]), tools=bank.tools, journal=journal, limits=Limits(tool_concurrency=50))
    result = await agent.run("?")
    assert all(not m.is_error for m in result.messages if isinstance(m, ToolResult))
    effects = journal.read()
    assert len({effect.key for effect in effects}) == len(effects) == 100
    assert {effect.state for effect in effects} == {"completed"}
    assert all(effect.key.startswith(f"{result.run_id}:") for effect in effects)
    journal.close()


BEGIN = """
import sys, anyio
from agentkit.journal import Effect, FileJournal
journal = FileJournal(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
async def main():
    for n in range(20):
        earlier = await journal.begin(Effect(key=f"k{n}", tool="t", arguments="a"))
        print(n, earlier is None, flush=True)
anyio.run(main)
"""


def test_of_eight_processes_that_begin_an_effect_one_does(tmp_path: Path) -> None:
    """On a file that none of them has made before."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(tmp_path / "j.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    assert [errors for _, errors in ended] == [""] * 8
    lines = [line for said, _ in ended for line in said.splitlines()]
    assert Counter(lines) == {**{f"{n} True": 1 for n in range(20)}, **{f"{n} False": 7 for n in range(20)}}


def test_a_process_that_is_killed_in_the_middle_of_a_tool_is_gone_on_from(tmp_path: Path) -> None:
    """kill -9, and another process takes up the session: what was completed is known, what was begun is not made
    again unless it may be, and the model is told which is which.
    """
    program = [sys.executable, str(Path(__file__).with_name("journal_program.py")), str(tmp_path)]
    first = subprocess.Popen([*program, "hang"], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert {first.stdout.readline() for _ in range(3)} == {"hung eve\n", "paid ada\n", "set bob\n"}
        while not any(effect.state == "completed" for effect in _effects(tmp_path / "journal.db")):
            assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
    second = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert second.stdout.splitlines() == ["pay: paid ada", f"hang: {INTERRUPTED}", "repeat: set bob"], second.stderr
    assert sorted((tmp_path / "done").read_text(encoding="utf-8").splitlines()) == [
        "hung eve",
        "paid ada",
        "set bob",
        "set bob",
    ]


def _effects(path: Path) -> list[Effect]:
    journal = FileJournal(path)
    try:
        return journal.read()
    finally:
        journal.close()


class Halting(MemoryJournal):
    """Where a run can be cancelled before and after each note."""

    async def begin(self, effect: Effect) -> Effect | None:
        await anyio.lowlevel.checkpoint()
        known = await super().begin(effect)
        await anyio.lowlevel.checkpoint()
        return known

    async def end(self, effect: Effect) -> None:
        await anyio.lowlevel.checkpoint()
        await super().end(effect)
        await anyio.lowlevel.checkpoint()


class Steps:
    """Two tools, of which one calls the other, that count what they have begun and ended."""

    def __init__(self) -> None:
        self.ran, self.ended = Counter[str](), Counter[str]()

    @tool
    async def act(self, n: int, ctx: Context[None]) -> int:
        self.ran[ctx.idempotency_key] += 1
        await anyio.lowlevel.checkpoint()
        if n == 0:
            await ctx.call("inner", {})
        await anyio.lowlevel.checkpoint()
        self.ended[ctx.idempotency_key] += 1
        return n

    @tool
    async def inner(self, ctx: Context[None]) -> str:
        self.ran[ctx.idempotency_key] += 1
        await anyio.lowlevel.checkpoint()
        self.ended[ctx.idempotency_key] += 1
        return "in"


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_a_run_with_a_journal_can_be_cancelled_at_every_checkpoint(kind: str, tmp_path: Path) -> None:
    """For N = 1, 2, 3 ... until a run ends before the cancellation: session, journal and world agree, and a run that
    takes up the session makes no call twice.
    """
    whole, n = False, 0
    while not whole:
        n += 1 if kind == "memory" else max(1, n // 8)  # a thread's work takes very many checkpoints
        steps = Steps()
        ran, ended = steps.ran, steps.ended
        journal: Any = Halting() if kind == "memory" else FileJournal(tmp_path / f"{n}.db")
        session = Session(f"s{n}")
        script = [[call("act", n=0), call("act", n=1)], [call("act", n=2)], "done"]
        agent = Agent(ScriptedModel(script), tools=[steps.act, steps.inner], journal=journal)
        whole = await ends_within(n, partial(agent.run, "Go.", session=session))
        effects = {e.key: e for e in (journal.read() if kind == "file" else journal.effects.values())}
        for key, count in ran.items():
            assert count == 1, n
            assert key in effects, n
            assert effects[key].state == ("completed" if ended[key] else "unknown"), (n, key)
        stored = (await session.store.load(session.id)).messages
        told = {m.call_id: m for m in stored if isinstance(m, ToolResult)}
        for asked in (c for m in stored if isinstance(m, AssistantMessage) for c in m.tool_calls):
            if asked.id in told:
                assert told[asked.id].is_error == (not ended[asked.key]), (n, asked)
                assert (told[asked.id].content == NOT_RUN) <= (asked.key not in ran), (n, asked)
        before = Counter(ran)
        with anyio.fail_after(20):
            await replace(agent, model=ScriptedModel(["ok"])).run(None, session=session) if stored else None
        assert all(ran[key] == count for key, count in before.items()), n
        if kind == "file":
            journal.close()
    assert n > 12


async def test_two_runs_of_one_session_do_not_both_pay() -> None:
    """The second one conflicts before it calls: with a journal, an answer is stored before its calls are made."""
    bank, session, ends = Bank(), Session("s"), list[str]()
    asking, both = list[int](), anyio.Event()

    class Together(ScriptedModel):
        """Answers once both runs have loaded the session."""

        async def generate(self, request: ModelRequest, on_delta: Any = None) -> ModelResponse:
            asking.append(1)
            if len(asking) == 2:
                both.set()
            await both.wait()
            return await super().generate(request, on_delta)

    async def one() -> None:
        model = Together([[call("pay", to="ada")], "ok"])
        try:
            await Agent(model, tools=bank.tools, journal=MemoryJournal()).run("Pay Ada.", session=session)
            ends.append("paid")
        except SessionConflict:
            ends.append("conflict")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(one)
            group.start_soon(one)
    assert sorted(ends) == ["conflict", "paid"]
    assert bank.paid == ["ada"]

"""Runs that wait for somebody: as JSON, in another process, days later; and nothing happens that nobody said yes to."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentkit import (
    Agent,
    AssistantMessage,
    Context,
    Limits,
    MemoryStore,
    RunResult,
    Secret,
    Session,
    Tool,
    ToolCall,
    ToolDefinitionError,
    ToolResult,
    Usage,
    UserMessage,
    tool,
)
from agentkit.approval import Approval
from agentkit.errors import ApprovalRefused, ConfigError, LimitExceeded, RunPaused, SessionConflict
from agentkit.events import ApprovalNeeded, ToolFinished
from agentkit.journal import FileJournal, MemoryJournal
from agentkit.messages import unanswered
from agentkit.paused import Answered, Approved, Denied, Pause, PausedRun, Spent, Waiting
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio

GOLDEN = Path(__file__).parent / "golden" / "paused_run_1.json"


class Bank:
    """An agent with tools of which one needs a yes and one is run elsewhere, and what has been paid."""

    def __init__(self, *script: Any, **given: Any) -> None:
        self.paid: list[tuple[str, int]] = []

        @tool(approval=True, effects="external")
        async def pay(to: str, amount: int = 1) -> str:
            """Pay."""
            self.paid.append((to, amount))
            await anyio.lowlevel.checkpoint()
            return f"paid {amount}"

        @tool(effects="read")
        def look() -> str:
            """Look."""
            return "seen"

        @tool(elsewhere=True)
        def ask_boss(question: str) -> str:
            """Ask the boss."""
            raise AssertionError("it is run elsewhere")

        self.model = ScriptedModel([*script, "Done.", "Done."])
        self.agent = Agent(self.model, name="clerk", tools=[pay, look, ask_boss], **given)

    async def pauses(self, **given: Any) -> PausedRun:
        """The pause to which a run comes, as another process would read it."""
        result = await self.agent.run("Go.", **{"approve": "pause", **given})
        assert result.paused is not None
        return PausedRun.from_json(result.paused.to_json())


def told(result: RunResult[str]) -> dict[str, str]:
    return {m.call_id: m.content for m in result.messages if isinstance(m, ToolResult)}


PAY = [call("pay", to="ada", amount=5)]


async def test_a_run_pauses_where_somebody_is_needed_and_goes_on_days_later() -> None:
    """The other calls of the answer are run at once; a denial and an answer from elsewhere reach the model."""
    bank = Bank([call("pay", to="ada", amount=5), call("look"), call("ask_boss", question="?"), call("pay", to="eve")])
    result = await bank.agent.run("Go.", approve="pause")
    assert (result.stopped_by, told(result), bank.paid) == ("paused", {"call_look": "seen"}, [])
    with pytest.raises(RunPaused, match="waits for pay, ask_boss, pay"):
        _ = result.output
    assert result.paused is not None
    paused = PausedRun.from_json(result.paused.to_json())
    assert paused == result.paused
    assert [(each.call_id, each.kind) for each in paused.waiting] == [
        ("call_pay", "approval"),
        ("call_ask_boss", "elsewhere"),
        ("call_pay_2", "approval"),
    ]
    answers = {"call_pay": Approved(), "call_ask_boss": Answered({"may": True}), "call_pay_2": Denied("not her")}
    result = await bank.agent.resume(paused, answers)
    assert result.output == "Done."
    assert bank.paid == [("ada", 5)]
    assert told(result) == {
        "call_look": "seen",
        "call_pay": "paid 5",
        "call_ask_boss": '{"may":true}',
        "call_pay_2": "not her",
    }
    assert (result.run_id, result.paused, result.stopped_by) == (paused.run_id, None, None)


PROGRAM = """
import sys
import anyio
from agentkit import Agent, tool
from agentkit.journal import FileJournal
from agentkit.paused import Approved, PausedRun
from agentkit.testing import ScriptedModel, call

@tool(approval=True, effects="external")
def pay(to: str, amount: int = 1) -> str:
    return f"paid {amount} to {to}"

async def main():
    if sys.argv[1] == "begin":
        agent = Agent(ScriptedModel([[call("pay", to="ada", amount=5)]]), tools=[pay])
        print((await agent.run("Go.", approve="pause")).paused.to_json())
    else:
        journal = FileJournal(sys.argv[2]) if len(sys.argv) > 2 else None
        agent = Agent(ScriptedModel(["Done."]), tools=[pay], journal=journal)
        result = await agent.resume(PausedRun.from_json(sys.stdin.read()), {"call_pay": Approved()})
        print(result.messages[2].content, result.output)

anyio.run(main)
"""


def test_another_process_goes_on_and_only_one(tmp_path: Path) -> None:
    """All that it needs is the JSON and the same agent; of two that share a journal, the second is refused."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")

    def run(*words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(program), *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=100)

    begun = run("begin").stdout
    with ThreadPoolExecutor() as threads:
        both = list(threads.map(lambda _: run("end", str(tmp_path / "journal.db"), given=begun), range(2)))
    assert sorted(each.stdout for each in both) == ["", "paid 5 to ada Done.\n"]
    assert sum("ApprovalRefused: this pause has been answered before" in each.stderr for each in both) == 1


GOLDEN_RUN = PausedRun(
    run_id="r1",
    agent="clerk",
    number=2,
    messages=(
        UserMessage(content="Go.", untrusted=True),
        AssistantMessage(tool_calls=(ToolCall(id="c1", name="pay", arguments='{"to":"ada"}', key="r1:1.0"),)),
    ),
    spent=Spent(
        usage=Usage(input_tokens=10, output_tokens=5),
        iterations=1,
        tool_calls=1,
        calls={"pay": 1},
        tokens=15,
        input_tokens=10,
        output_tokens=5,
        cost=0.25,
    ),
    waiting=(
        Waiting(
            call_id="c1",
            tool="pay",
            kind="approval",
            digest="d" * 64,
            fingerprint="f" * 64,
            asked_at=1_800_000_000.5,
            expires_at=1_800_604_800.5,
            shown={"to": "ada", "pin": "***"},
            tainted=True,
        ),
    ),
)


def test_the_form_of_a_paused_run_stays_readable() -> None:
    """What was written by the first agentkit that could pause is read by this one, and written so again."""
    written = GOLDEN.read_text(encoding="utf-8")
    assert PausedRun.from_json(written) == GOLDEN_RUN
    assert json.loads(GOLDEN_RUN.to_json()) == json.loads(written)
    assert [call.key for call in unanswered(PausedRun.from_json(written).messages)] == ["r1:1.0"]


def damaged(**changes: Any) -> str:
    whole = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return json.dumps({**whole, **changes})


NONSENSE = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "newer": damaged(version=2),
    "no version": damaged(version="1"),
    "another field": damaged(extra=1),
    "a class": damaged(run_id={"__class__": "os.system"}),
    "a pickle": b"\x80\x04\x95\x00",
    "not UTF-8": b'{"version":1,"\xff":1}',
    "a million lists": "[" * 1_000_000,
    "no number": damaged(number="2"),
    "another role": damaged(messages=[{"role": "system", "content": "x"}]),
    "an end that never comes": damaged(waiting=[{**json.loads(GOLDEN.read_text())["waiting"][0], "expires_at": 1e999}]),
    "another kind": damaged(waiting=[{**json.loads(GOLDEN.read_text())["waiting"][0], "kind": "free"}]),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_what_is_no_paused_run_is_refused_in_words(name: str) -> None:
    """Closed data: nothing else is read out of it, and nothing that it holds is run or repeated."""
    with pytest.raises(ApprovalRefused, match=r"this is no paused run|update agentkit") as caught:
        PausedRun.from_json(NONSENSE[name])
    assert len(str(caught.value)) < 300


async def test_changed_arguments_are_checked_and_the_model_told() -> None:
    """The call is made with them, and its result says so, so that both agree."""
    bank = Bank(PAY)
    paused = await bank.pauses()
    with pytest.raises(ApprovalRefused, match=r"changed arguments do not fit: .*\n- amount: "):
        await bank.agent.resume(paused, {"call_pay": Approved(arguments={"to": "ada", "amount": "much"})})
    result = await bank.agent.resume(paused, {"call_pay": Approved(arguments={"to": "ada", "amount": 2})})
    assert bank.paid == [("ada", 2)]
    assert told(result)["call_pay"] == (
        "Whoever approved this call has changed its arguments; "
        'it was made with {"to": "ada", "amount": 2}, and came to:\npaid 2'
    )


async def test_changed_arguments_that_are_secret_are_not_told() -> None:
    """Nor are those shown to whoever is asked."""

    @tool(approval=True)
    def log_in(user: str, pin: Annotated[str, Secret]) -> str:
        raise ValueError(f"wrong pin {pin}")

    agent = Agent(ScriptedModel([[call("log_in", user="ada", pin="1234")], "Done."]), tools=[log_in])
    paused = (await agent.run("Go.", approve="pause")).paused
    assert paused is not None
    assert paused.waiting[0].shown == {"user": "ada", "pin": "***"}
    result = await agent.resume(paused, {"call_log_in": Approved(arguments={"user": "ada", "pin": "7777"})})
    assert "7777" not in repr(result.messages)
    assert "7777" not in repr(Approved(arguments={"pin": "7777"}))
    assert "1234" not in repr(paused)


def changed(paused: PausedRun, **fields: Any) -> PausedRun:
    return replace(paused, waiting=(replace(paused.waiting[0], **fields), *paused.waiting[1:]))


def with_arguments(paused: PausedRun, arguments: str, name: str = "pay") -> PausedRun:
    [asked] = [m for m in paused.messages if isinstance(m, AssistantMessage)]
    calls = tuple(replace(c, arguments=arguments, name=name) if c.id == "call_pay" else c for c in asked.tool_calls)
    return replace(paused, messages=tuple(replace(m, tool_calls=calls) if m is asked else m for m in paused.messages))


YES = {"call_pay": Approved()}
REFUSED: dict[str, tuple[Any, Any, str]] = {
    # what is done to the pause, what is answered, and what whoever resumes is told
    "nothing is answered": (None, {}, "answers= says nothing"),
    "no mapping": (None, [Approved()], "answers= says nothing"),
    "another call": (
        None,
        {"call_x": Approved()},
        "no call 'call_x' waits in this run; those that wait are 'call_pay'",
    ),
    "a call that was run": (None, {"call_look": Approved()}, "no call 'call_look' waits"),
    "a word": (None, {"call_pay": "yes"}, "is no answer"),
    "true": (None, {"call_pay": True}, "is no answer"),
    "a result for a call that is made here": (None, {"call_pay": Answered("paid")}, "pay is run here"),
    "a result without a JSON form": (
        None,
        {"call_ask_boss": Answered(object())},
        "ask_boss: the answer cannot be told",
    ),
    "arguments without one": (None, {"call_pay": Approved(arguments={"to": object()})}, "have no JSON form"),
    "arguments that are none": (None, {"call_pay": Approved(arguments=["ada"])}, "."),  # type: ignore[arg-type]
    "a yes to a call that is made elsewhere": (None, {"call_ask_boss": Approved()}, "ask_boss is run elsewhere"),
    "one good and one bad": (None, {**YES, "call_ask_boss": Approved()}, "ask_boss is run elsewhere"),
    "more money": (lambda p: with_arguments(p, '{"to":"ada","amount":5000}'), YES, "its arguments were changed"),
    "no object": (lambda p: with_arguments(p, "[]"), YES, "pay: "),
    "another tool": (lambda p: with_arguments(p, "{}", "look"), YES, "no tool 'look' any more, or the run had none"),
    "another digest": (lambda p: changed(p, digest="0" * 64), YES, "its arguments were changed"),
    "a yes to something else": (None, {"call_pay": Approved(digest="0" * 64)}, "its arguments were changed"),
    "another run": (lambda p: replace(p, run_id="f" * 32), YES, "its arguments were changed"),
    "another agent": (lambda p: replace(p, agent="boss"), YES, "one of the agent 'boss', not of 'clerk'"),
    "a kind that it is not": (
        lambda p: changed(p, kind="elsewhere"),
        {"call_pay": Answered("paid")},
        "is not what it was",
    ),
    "a tool that was other": (lambda p: changed(p, fingerprint="0" * 64), YES, "pay is not what it was"),
    "a call less": (lambda p: replace(p, waiting=p.waiting[:1]), YES, "one was changed"),
    "no conversation": (lambda p: replace(p, messages=()), YES, "one was changed"),
    "too late": (lambda p: changed(p, expires_at=p.waiting[0].asked_at), YES, "comes too late"),
    "another's session": (lambda p: replace(p, session="eve"), YES, "belongs to the session 'eve'"),
    "no paused run": (lambda p: p.to_json(), YES, "is no PausedRun"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_an_answer_that_cannot_be_used_is_refused_and_nothing_is_done(name: str) -> None:
    """In plain words; the pause is not used up by it, and can still be answered well."""
    change, answers, words = REFUSED[name]
    bank = Bank([*PAY, call("look"), call("ask_boss", question="?")])
    paused = await bank.pauses()
    with pytest.raises(ApprovalRefused, match=words):
        await bank.agent.resume(change(paused) if change else paused, answers)
    assert (bank.paid, len(bank.model.requests)) == ([], 1)
    result = await bank.agent.resume(paused, {"call_pay": Approved(), "call_ask_boss": Answered("yes")})
    assert (result.output, bank.paid) == ("Done.", [("ada", 5)])


async def test_a_tool_that_has_changed_meanwhile_is_asked_about_again() -> None:
    """A yes was said to what the tool was; its conversation, run anew, asks once more."""
    bank = Bank(PAY)
    paused = await bank.pauses()

    @tool(approval=True, effects="destructive")
    def pay(to: str, amount: int = 1) -> str:
        """Pay."""
        return "paid all"

    other = Agent(ScriptedModel(["Done."]), name="clerk", tools=[pay])
    with pytest.raises(ApprovalRefused, match="pay is not what it was when the call was asked about; ask again"):
        await other.resume(paused, YES)
    again = (await other.run(None, history=paused.messages, approve="pause")).paused
    assert again is not None
    assert (again.waiting[0].call_id, again.run_id != paused.run_id) == ("call_pay", True)


async def test_how_the_arguments_are_spelt_does_not_matter() -> None:
    """The order of keys and white space are not what somebody has said yes to."""
    bank = Bank(PAY)
    paused = with_arguments(await bank.pauses(), ' { "amount": 5, "to": "ada" } ')
    assert (await bank.agent.resume(paused, {"call_pay": Approved(digest=paused.waiting[0].digest)})).output == "Done."
    assert bank.paid == [("ada", 5)]


async def test_a_no_is_taken_even_if_it_comes_late() -> None:
    """Nothing comes of it, so nothing has to be in order but the call itself."""
    bank = Bank(PAY)
    paused = await bank.pauses(approve=Pause(expires=1, clock=lambda: 1000.0))
    late = Pause(clock=lambda: 1001.0)
    with pytest.raises(ApprovalRefused, match="comes too late"):
        await bank.agent.resume(paused, YES, approve=late)
    result = await bank.agent.resume(paused, {"call_pay": Denied()}, approve=late)
    assert told(result) == {"call_pay": "not run: the call was not approved"}


@pytest.mark.parametrize(
    ("pause", "lasts"), [("pause", 604_800.0), (Pause(expires=60), 60.0), (Pause(expires=None), None)]
)
async def test_a_yes_is_good_for_a_week_unless_somebody_says_otherwise(pause: Any, lasts: float | None) -> None:
    """By the clock of whoever asked."""
    bank = Bank(PAY)
    [waiting] = (await bank.pauses(approve=pause)).waiting
    assert waiting.expires_at == (None if lasts is None else waiting.asked_at + lasts)


async def test_a_yes_in_time_is_one_to_the_last_moment() -> None:
    """What has expired has expired, and not before."""
    bank = Bank(PAY)
    paused = await bank.pauses(approve=Pause(expires=10, clock=lambda: 1000.0))
    result = await bank.agent.resume(paused, YES, approve=Pause(clock=lambda: 1009.9))
    assert (result.output, bank.paid) == ("Done.", [("ada", 5)])


@pytest.mark.parametrize("expires", [0, -1, float("nan"), float("inf")])
def test_a_pause_of_no_length_is_refused(expires: float) -> None:
    """Where it is written."""
    with pytest.raises(ConfigError, match=r"Pause\(expires="):
        Pause(expires=expires)


async def test_calls_without_an_answer_go_on_waiting() -> None:
    """The run pauses again; how long a call has waited counts from when it was first asked about."""
    bank = Bank([call("pay", to="ada"), call("pay", to="bo"), call("ask_boss", question="?")])
    first = await bank.pauses(approve=Pause(clock=lambda: 1000.0))
    result = await bank.agent.resume(first, {"call_pay_2": Approved()}, approve=Pause(clock=lambda: 2000.0))
    assert (told(result), bank.paid) == ({"call_pay_2": "paid 1"}, [("bo", 1)])
    second = result.paused
    assert second is not None
    assert (second.number, second.waiting) == (2, (first.waiting[0], first.waiting[2]))
    with pytest.raises(ApprovalRefused, match="answered before"):
        await bank.agent.resume(first, {"call_pay": Approved()}, approve=Pause(clock=lambda: 2000.0))
    answers = {"call_pay": Approved(), "call_ask_boss": Answered("yes")}
    result = await bank.agent.resume(second, answers, approve=Pause(clock=lambda: 2000.0))
    assert (result.output, bank.paid) == ("Done.", [("bo", 1), ("ada", 1)])


async def test_whoever_resumes_may_have_somebody_to_ask() -> None:
    """Then the calls without an answer are asked about at once, as in any run."""
    bank = Bank([call("pay", to="ada"), call("pay", to="eve")])
    paused = await bank.pauses()

    async def approve(asked: Approval) -> bool:
        return asked.arguments["to"] != "eve"

    result = await bank.agent.resume(paused, YES, approve=approve)
    assert (result.output, bank.paid) == ("Done.", [("ada", 1)])
    assert told(result)["call_pay_2"] == "not run: the call was not approved"


async def test_what_was_spent_stays_spent() -> None:
    """Model calls, tool calls and tokens of before the pause count after it."""
    bank = Bank(PAY, [call("look")], limits=Limits(iterations=3, tool_calls=2))
    paused = await bank.pauses()
    assert (paused.spent.iterations, paused.spent.tool_calls, paused.spent.tokens) == (1, 1, 15)
    result = await bank.agent.resume(paused, YES)
    assert (result.iterations, result.tool_calls, result.usage.total_tokens) == (3, 2, 45)
    bank = Bank(PAY, [call("look")], limits=Limits(iterations=2))
    paused = await bank.pauses()
    with pytest.raises(LimitExceeded, match="2 iterations"):
        await bank.agent.resume(paused, YES)


async def test_nobody_is_asked_about_what_a_limit_refuses() -> None:
    """A call above the limit is refused when it is asked for, and one below it still may be made after the pause."""
    bank = Bank([call("pay", to=name) for name in ("ada", "bo", "eve")], limits=Limits(tool_calls=2))
    result = await bank.agent.run("Go.", approve="pause")
    assert result.paused is not None
    assert [each.call_id for each in result.paused.waiting] == ["call_pay", "call_pay_2"]
    assert list(told(result)) == ["call_pay_3"]
    await bank.agent.resume(result.paused, {"call_pay": Approved(), "call_pay_2": Approved()})
    assert sorted(bank.paid) == [("ada", 1), ("bo", 1)]


@pytest.mark.parametrize("arguments", [{}, {"to": 3}, {"to": "ada", "amount": "much"}, {"x": 1}])
async def test_nobody_is_asked_about_a_call_that_cannot_be_made(arguments: dict[str, Any]) -> None:
    """Arguments that do not fit are the model's business alone, here and elsewhere; so is a tool that is not there."""
    bank = Bank([call("pay", **arguments), call("ask_boss", **arguments), call("nothing")])
    result = await bank.agent.run("Go.", approve="pause")
    assert result.output == "Done."
    assert "do not fit 'pay'" in told(result)["call_pay"]
    assert "do not fit 'ask_boss'" in told(result)["call_ask_boss"]


async def test_a_session_has_the_conversation_and_the_pause_refers_to_it() -> None:
    """It need not be carried twice; a session that has gone on in between cannot be taken up."""
    store = MemoryStore()
    bank = Bank([*PAY, call("look")])
    paused = await bank.pauses(session=Session("s", store))
    assert (paused.messages, paused.session) == ((), "s")
    stored = (await store.load("s")).messages
    assert [each.id for each in unanswered(stored)] == ["call_pay"]
    with pytest.raises(ApprovalRefused, match=r"belongs to the session 's'; give session="):
        await bank.agent.resume(paused, YES)
    with pytest.raises(ApprovalRefused, match="belongs to the session 's'"):
        await bank.agent.resume(paused, YES, session=Session("t", store))
    result = await bank.agent.resume(paused, YES, session=Session("s", store))
    assert (result.output, bank.paid) == ("Done.", [("ada", 5)])
    assert (await store.load("s")).messages == result.messages
    with pytest.raises(SessionConflict, match="has gone on"):
        await bank.agent.resume(paused, YES, session=Session("s", store))
    assert bank.paid == [("ada", 5)]


async def test_a_session_may_go_on_without_an_answer() -> None:
    """A new run closes the waiting call; then a late answer is refused, and leaves the session as it is."""
    store = MemoryStore()
    bank = Bank(PAY)
    paused = await bank.pauses(session=Session("s", store))
    await bank.agent.run("Never mind.", session=Session("s", store))
    before = await store.load("s")
    with pytest.raises(SessionConflict):
        await bank.agent.resume(paused, YES, session=Session("s", store))
    assert (await store.load("s"), bank.paid) == (before, [])


async def test_a_refused_answer_leaves_a_session_as_it_is() -> None:
    """The run still waits there."""
    store = MemoryStore()
    bank = Bank(PAY)
    paused = await bank.pauses(session=Session("s", store))
    before = await store.load("s")
    with pytest.raises(ApprovalRefused):
        await bank.agent.resume(paused, {"call_pay": Answered(1)}, session=Session("s", store))
    assert await store.load("s") == before


@pytest.mark.parametrize("kept", ["session", "memory journal", "file journal", "process"])
async def test_of_many_that_answer_at_once_one_is_heard(kept: str, tmp_path: Path) -> None:
    """The call is made once: a session's revision sees to that, or the journal, or else the process itself."""
    journals = [FileJournal(tmp_path / "j.db") for _ in range(2)] if kept == "file journal" else [MemoryJournal()]
    session = Session("s") if kept == "session" else None
    bank = Bank(PAY)
    clerks = [replace(bank.agent, journal=each) for each in journals] if "journal" in kept else [bank.agent]
    first = await clerks[0].run("Go.", approve="pause", session=session)
    assert first.paused is not None
    paused, refused = first.paused, list[str]()

    async def answer(clerk: Agent[str]) -> None:
        try:
            await clerk.resume(PausedRun.from_json(paused.to_json()), YES, session=session)
        except (ApprovalRefused, SessionConflict) as error:
            refused.append(type(error).__name__)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(answer, clerks[number % len(clerks)])
    assert (bank.paid, len(refused)) == ([("ada", 5)], 19)
    for journal in journals:
        if isinstance(journal, FileJournal):
            journal.close()


@pytest.mark.parametrize("journal", [True, False])
async def test_a_pause_that_is_numbered_anew_is_no_other(journal: bool) -> None:
    """Whoever changes the JSON cannot have a call made again: each is good once, too."""
    bank = Bank([*PAY, call("pay", to="bo")], journal=MemoryJournal() if journal else None)
    paused = await bank.pauses()
    await bank.agent.resume(paused, YES)
    with pytest.raises(ApprovalRefused, match="answered before"):
        await bank.agent.resume(replace(paused, number=7), {**YES, "call_pay_2": Denied()})
    assert bank.paid == [("ada", 5)]


async def test_a_broken_resume_does_not_make_the_yes_good_again() -> None:
    """It was used up when it was taken up: what came of it is in the history, and is not done twice."""
    bank = Bank(PAY)
    bank.model.script[1] = RuntimeError("gone")
    paused = await bank.pauses()
    with pytest.raises(RuntimeError, match="gone"):
        await bank.agent.resume(paused, YES)
    with pytest.raises(ApprovalRefused, match="answered before"):
        await bank.agent.resume(paused, YES)
    assert bank.paid == [("ada", 5)]


async def test_the_watcher_of_a_run_hears_that_somebody_is_needed() -> None:
    """Whether the run pauses, or somebody is asked at once; calls that wait have not begun."""
    for approve, asked in (("pause", 1), (lambda question: True, 1), (None, 0)):
        bank = Bank([*PAY, call("look")])
        async with bank.agent.stream("Go.", approve=approve) as run:
            events = [event async for event in run]
        assert [e.call.name for e in events if isinstance(e, ApprovalNeeded)] == ["pay"] * asked
        finished = {e.call.name for e in events if isinstance(e, ToolFinished)}
        assert finished == ({"look"} if approve == "pause" else {"look", "pay"})


async def test_a_call_that_a_tool_makes_cannot_wait() -> None:
    """The tool would have to wait with it; it is told so, and nothing is done."""
    bank = Bank([call("order"), call("delegate")])

    @tool
    async def order(ctx: Context[None]) -> Any:
        return await ctx.call("pay", {"to": "ada"})

    @tool
    async def delegate(ctx: Context[None]) -> Any:
        return await ctx.call("ask_boss", {"question": "?"})

    agent = replace(bank.agent, tools=[*bank.agent.registry, order, delegate])
    result = await agent.run("Go.", approve="pause")
    assert told(result) == {
        "call_order": "not run: pay needs somebody's approval, and the run cannot wait for it here",
        "call_delegate": "not run: ask_boss is run elsewhere, and nobody waits for that here",
    }
    assert bank.paid == []


async def test_calls_that_share_an_id_cannot_wait() -> None:
    """An answer goes by the id, and would be one for both."""
    twins = tuple(ToolCall(id="a", name="pay", arguments=f'{{"to":"{to}"}}') for to in ("ada", "eve"))
    bank = Bank(AssistantMessage(tool_calls=twins))
    result = await bank.agent.run("Go.", approve="pause")
    assert (result.output, bank.paid) == ("Done.", [])


@pytest.mark.parametrize("approve", [None, lambda asked: True])
async def test_a_run_that_does_not_pause_waits_for_nobody_elsewhere(approve: Any) -> None:
    """The model is told, and the function's body never runs."""
    bank = Bank([call("ask_boss", question="?")])
    result = await bank.agent.run("Go.", approve=approve)
    assert told(result) == {"call_ask_boss": "not run: ask_boss is run elsewhere, and nobody waits for that here"}


CHOOSE = Tool.elsewhere(
    "choose",
    "Let the user choose.",
    {
        "type": "object",
        "properties": {
            "options": {"type": "array", "items": {"$ref": "#/$defs/Option"}},
            "mode": {"enum": ["one", "many"]},
            "most": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["options"],
        "$defs": {"Option": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}},
    },
)
MISFITS = {
    "{}": "- options: is missing",
    '{"options": 3}': "- options: must be of type array",
    '{"options": [{"id": 3}]}': "- options[0].id: must be of type string",
    '{"options": [{}]}': "- options[0].id: is missing",
    '{"options": [], "mode": "all"}': '- mode: must be one of ["one", "many"]',
    '{"options": [], "most": "x"}': "- most: fits none of its choices",
    '{"options": [], "x": 1}': "- x: there is no such argument",
    '{"options": [], "options": []}': "options",
    "[]": "- the whole: must be of type object",
}


async def test_a_tool_elsewhere_may_be_a_schema_alone() -> None:
    """A front end's tools have no function here."""
    agent = Agent(ScriptedModel([[call("choose", options=[{"id": "a"}], most=None)], "Done."]), tools=[CHOOSE])
    paused = (await agent.run("Go.", approve="pause")).paused
    assert paused is not None
    assert paused.waiting[0].shown == {"options": [{"id": "a"}], "most": None}
    assert told(await agent.resume(paused, {"call_choose": Answered(["a"])})) == {"call_choose": '["a"]'}


@pytest.mark.parametrize("arguments", MISFITS)
async def test_arguments_for_elsewhere_are_checked_here(arguments: str) -> None:
    """What does not fit the schema goes back to the model, and to nobody else."""
    asked = AssistantMessage(tool_calls=(ToolCall(id="a", name="choose", arguments=arguments),))
    result = await Agent(ScriptedModel([asked, "Done."]), tools=[CHOOSE]).run("Go.", approve="pause")
    assert result.output == "Done."
    assert MISFITS[arguments] in told(result)["a"]


@pytest.mark.parametrize("parameters", [{}, {"type": "string"}, {"type": "object", "properties": []}])
def test_a_tool_elsewhere_takes_an_object(parameters: dict[str, Any]) -> None:
    """Any other schema is refused where it is written."""
    with pytest.raises(ToolDefinitionError, match="must be the JSON Schema of an object"):
        Tool.elsewhere("choose", "Choose.", parameters)


@pytest.mark.parametrize("option", [{"timeout": 3}, {"approval": True}, {"rate": "1/day"}, {"errors": "hide"}])
def test_what_is_not_run_here_has_no_policy_for_that(option: dict[str, Any]) -> None:
    """An option that would do nothing is refused, and named."""
    with pytest.raises(ToolDefinitionError, match=f"{next(iter(option))}= would do nothing"):

        @tool(elsewhere=True, **option)
        def look() -> None: ...


async def test_hundreds_of_runs_wait_and_go_on() -> None:
    """Each with its own answer."""
    bank = Bank()
    paid = bank.paid

    async def one(number: int) -> None:
        model = ScriptedModel([[call("pay", to="ada", amount=number)], "Done."])
        agent = replace(bank.agent, model=model)
        paused = (await agent.run("Go.", approve="pause")).paused
        assert paused is not None
        await agent.resume(paused, {"call_pay": Approved() if number % 2 else Denied()})

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(300):
                group.start_soon(one, number)
    assert sorted(amount for _, amount in paid) == list(range(1, 300, 2))


@pytest.mark.parametrize("n", range(25))
async def test_cancelled_at_any_checkpoint_a_pause_is_taken_up_or_still_there(n: int) -> None:
    """Wherever a run that goes on is cancelled: the call is made at most once, and the session says what happened."""
    session = Session("s", _Slow())
    bank = Bank([*PAY, call("look")])
    paused = await bank.pauses(session=session)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: bank.agent.resume(paused, YES, session=session))
            for _ in range(n):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    stored = (await session.store.load("s")).messages
    results = {m.call_id: m for m in stored if isinstance(m, ToolResult)}
    if "call_pay" in results:
        assert unanswered(stored) == ()
        assert (results["call_pay"].content == "paid 5") <= (bank.paid == [("ada", 5)])
        with pytest.raises(SessionConflict):
            await bank.agent.resume(paused, YES, session=session)
    else:
        assert ([each.id for each in unanswered(stored)], bank.paid) == (["call_pay"], [])
        again = await bank.agent.run(None, session=session, approve=lambda asked: True)
        assert (again.output, bank.paid) == ("Done.", [("ada", 5)])
    assert len(bank.paid) <= 1


class _Slow(MemoryStore):
    """A store with a checkpoint before and after it does something."""

    async def append(self, *given: Any, **more: Any) -> int:
        await anyio.lowlevel.checkpoint()
        revision = await super().append(*given, **more)
        await anyio.lowlevel.checkpoint()
        return revision


class Approvals(RuleBasedStateMachine):
    """Whatever is done with a paused run: a call is made if, and only if, somebody said yes to it, in time, once."""

    @initialize(amounts=st.lists(st.integers(1, 3), min_size=1, max_size=3), journal=st.booleans(), kept=st.booleans())
    def begin(self, amounts: list[int], journal: bool, kept: bool) -> None:
        self.bank = Bank([call("pay", to=f"n{n}", amount=amount) for n, amount in enumerate(amounts)])
        self.agent = replace(self.bank.agent, journal=MemoryJournal() if journal else None)
        self.session = Session("s") if kept else None
        self.now = 1000.0
        self.allowed: list[tuple[str, int]] = []
        self.old: list[PausedRun] = []
        result = anyio.run(lambda: self.agent.run("Go.", approve=self.pause, session=self.session))
        assert result.paused is not None
        self.paused: PausedRun | None = result.paused

    @property
    def pause(self) -> Pause:
        return Pause(expires=100, clock=lambda: self.now)

    def resume(self, paused: PausedRun, answers: Any) -> RunResult[str] | None:
        try:
            return anyio.run(lambda: self.agent.resume(paused, answers, session=self.session, approve=self.pause))
        except (ApprovalRefused, SessionConflict):
            return None

    def sent(self, waiting: Waiting) -> tuple[str, int]:
        return waiting.shown["to"], waiting.shown["amount"]

    @precondition(lambda self: self.paused is not None)
    @rule(words=st.lists(st.sampled_from(["yes", "no", "changed", None]), min_size=3, max_size=3))
    def answer(self, words: list[str | None]) -> None:
        assert self.paused is not None
        answers: dict[str, Any] = {}
        allowed = []
        for word, waiting in zip(words, self.paused.waiting, strict=False):
            to, amount = self.sent(waiting)
            if word == "yes":
                answers[waiting.call_id] = Approved(digest=waiting.digest)
                allowed.append((to, amount))
            elif word == "changed":
                answers[waiting.call_id] = Approved(arguments={"to": to, "amount": amount + 10})
                allowed.append((to, amount + 10))
            elif word == "no":
                answers[waiting.call_id] = Denied("no")
        result = self.resume(self.paused, answers)
        is_late = self.now >= 1100 and bool(allowed)
        assert (result is None) == (is_late or not answers)
        if result is not None:
            self.allowed += allowed
            self.old.append(self.paused)
            self.paused = result.paused

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        paused = data.draw(st.sampled_from(self.old))
        number = data.draw(st.sampled_from([paused.number, 77]))
        again = replace(paused, number=number)
        waiting = {each.call_id for each in self.paused.waiting} if self.paused else set()
        assert self.resume(again, {i.call_id: Approved() for i in paused.waiting if i.call_id not in waiting}) is None

    @precondition(lambda self: self.paused is not None)
    @rule(how=st.sampled_from(["arguments", "digest", "run", "number", "kind"]))
    def tamper(self, how: str) -> None:
        assert self.paused is not None
        paused, first = self.paused, self.paused.waiting[0]
        answers: dict[str, Any] = {first.call_id: Approved(digest=first.digest)}
        match how:
            case "arguments" if not self.session:
                paused = with_arguments_of(paused, first.call_id)
            case "digest":
                paused = changed(paused, digest="0" * 64)
            case "run":
                paused = replace(paused, run_id="another")
            case "kind":
                paused, answers = changed(paused, kind="elsewhere"), {first.call_id: Answered("paid")}
            case _:
                paused, answers = replace(paused, number=77), {"call_x": Approved()}
        assert self.resume(paused, answers) is None

    @rule(seconds=st.sampled_from([1.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def nothing_else_was_paid(self) -> None:
        if hasattr(self, "bank"):
            assert self.bank.paid == self.allowed


def with_arguments_of(paused: PausedRun, call_id: str) -> PausedRun:
    """The pause with another sum in one call."""
    [asked] = [m for m in paused.messages if isinstance(m, AssistantMessage)]
    calls = tuple(replace(c, arguments='{"to":"eve","amount":999}') if c.id == call_id else c for c in asked.tool_calls)
    return replace(paused, messages=tuple(replace(m, tool_calls=calls) if m is asked else m for m in paused.messages))


TestApprovals = Approvals.TestCase
TestApprovals.settings = settings(max_examples=25, stateful_step_count=8, deadline=None)

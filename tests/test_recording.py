"""Runs that are written down, played back, and compared."""

import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest

from agentkit import Agent, ConfigError, Context, LimitExceeded, Limits, Session, ToolFailed, tool
from agentkit.context import Secret
from agentkit.errors import ModelTimeout, RateLimited, ReplayDiverged, RunTimeout, SessionError
from agentkit.events import TextDelta
from agentkit.messages import AssistantMessage, ImagePart, TextPart, ToolCall, Usage, UserMessage
from agentkit.models.assistants import AssistantsBackend
from agentkit.models.base import ModelResponse, ModelSettings
from agentkit.models.chat import ChatBackend
from agentkit.paused import Approved
from agentkit.recording import Recorder, Replay, first_difference, read_recording, replay
from agentkit.sessions import MemoryStore, Stored
from agentkit.testing import AssistantsServer, ChatServer, ScriptedModel, call, nothing_left_behind

pytestmark = pytest.mark.anyio

GOLDEN = Path(__file__).parent / "recordings" / "format_1.jsonl"
SCRIPT: list[Any] = [[call("units_left", sku="A-1"), call("units_left", sku="B-2")], "Three of A-1."]


@tool
def units_left(sku: str) -> int:
    """Count the units of a product in stock."""
    if sku == "A-1":
        return 3
    raise ToolFailed(f"there is no product {sku}")


@tool(name="units_left", description="Count the units of a product in stock.")
def blowing_up(sku: str) -> int:
    raise AssertionError("a replay calls no tool")


@tool(name="units_left", description="Guess.")
def guess(sku: str) -> int:
    return 7


class Untouchable(MemoryStore):
    """A store that must not be spoken to."""

    async def load(self, session_id: str) -> Stored:
        raise AssertionError("a replay loads nothing")

    async def append(self, session_id: str, messages: Any, *, revision: int) -> int:
        raise AssertionError("a replay stores nothing")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


@pytest.fixture
def clerk() -> Agent:
    return Agent(ScriptedModel(SCRIPT), name="clerk", instructions="Be kind.", tools=[units_left])


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(path).splitlines()]


def write(path: Path, *changed: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in changed), encoding="utf-8")


def last(request: Any) -> Any:
    return request.messages[-1]


async def diverged(agent: Agent[Any], path: Path) -> ReplayDiverged:
    with pytest.raises(ReplayDiverged) as caught:
        await replay(agent, path)
    return caught.value


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_run_over_http_replays_when_the_server_is_gone(path: Path, streamed: bool) -> None:
    """Item 9: no model, no tool, no store is touched; the result is the same to the last message."""
    async with ChatServer(SCRIPT) as server:
        backend = ChatBackend("m", base_url=server.base_url, api_key="sk-canary-4711")
        agent = Agent(backend, name="clerk", tools=[units_left])
        async with agent.stream("Any?", session=Session("alice"), steps=Recorder(path)) as run:
            recorded = await run.finish()
    again = replace(agent, tools=[blowing_up])
    session = Session("alice", Untouchable())
    if streamed:
        async with again.stream("Any?", session=session, steps=Replay(path)) as run:
            pieces = [event.text async for event in run if isinstance(event, TextDelta)]
        replayed = run.result
        assert "".join(pieces) == "Three of A-1."
        assert len(pieces) > 1
    else:
        replayed = await again.run("Any?", session=session, steps=Replay(path))
    assert replace(replayed, run_id="", trace_id=None) == replace(recorded, run_id="", trace_id=None)
    assert replace(await replay(again, path), run_id="", trace_id=None) == replace(recorded, run_id="", trace_id=None)
    assert "sk-canary" not in text(path)


async def test_a_recording_says_what_happened_and_is_private(path: Path, clerk: Agent) -> None:
    """A line for the run, for each step and for the end; nobody else may read it."""
    await clerk.run("Any?", steps=Recorder(path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    run, *steps, end = lines(path)
    assert run["agentkit_recording"] == 1
    assert (run["agent"], run["model"]["provider"], run["prompt"]["content"]) == ("clerk", "scripted", "Any?")
    assert sorted(step["step"] for step in steps) == [1, 2, 3, 4]
    assert (end["output"], end["usage"]["input_tokens"], end["tool_calls"]) == ("Three of A-1.", 20, 2)
    first, *_, last = read_recording(path).steps
    assert first.given["instructions"] == last.given["instructions"] == "Be kind."
    assert [message["role"] for message in last.given["messages"]] == ["user", "assistant", "tool", "tool"]


async def test_a_long_conversation_is_written_once(path: Path) -> None:
    """A recording grows with the conversation and not with its square."""
    script = [[call("units_left", sku="A-1")]] * 60 + ["Done."]
    agent = Agent(ScriptedModel(script), tools=[units_left], instructions="x" * 1000, limits=Limits(iterations=100))
    await agent.run("y" * 1000, steps=Recorder(path))
    assert len(text(path)) < 100_000
    assert len(read_recording(path).steps[-1].given["messages"]) == 121
    assert (await replay(agent, path)).output == "Done."


@pytest.mark.parametrize(
    ("change", "step", "field", "recorded", "now"),
    [
        ({"instructions": "Be rude."}, "step 1 (model)", "instructions", '"Be kind."', '"Be rude."'),
        (
            {"tools": [guess]},
            "step 1 (model)",
            "tools.units_left.description",
            '"Count the units of a product in stock."',
            '"Guess."',
        ),
        ({"tools": []}, "step 1 (model)", "tools.units_left", '{"description": "Count', "nothing"),
        ({"settings": ModelSettings(temperature=0.0)}, "step 1 (model)", "settings.temperature", "nothing", "0.0"),
        ({"output": int}, "step 1 (model)", "output", "null", '{"name":'),
        ({"limits": Limits(iterations=1)}, "step 2 (tool:units_left)", "name", "tool:units_left", "LimitExceeded"),
    ],
)
async def test_the_first_divergence_is_told(
    path: Path, clerk: Agent, change: Any, step: str, field: str, recorded: str, now: str
) -> None:
    """Item 9: which step, which field, what it was and what it is."""
    await clerk.run("Any?", steps=Recorder(path))
    error = await diverged(replace(clerk, **change), path)
    assert (error.step, error.field) == (step, field)
    assert error.recorded.startswith(recorded)
    assert error.now.startswith(now)


async def test_another_prompt_is_told_with_the_place_where_it_parts(path: Path, clerk: Agent) -> None:
    """Of long texts, what is shown is the piece where they differ."""
    await clerk.run("a" * 5000 + "b" + "c" * 5000, steps=Recorder(path))
    with pytest.raises(ReplayDiverged) as caught:
        await clerk.run("a" * 5000 + "X" + "c" * 5000, steps=Replay(path))
    assert caught.value.field == "messages[0].content"
    assert "aab" in caught.value.recorded
    assert "aaX" in caught.value.now
    assert len(str(caught.value)) < 1000


async def test_a_message_more_or_less_is_told(path: Path) -> None:
    """By its place, and that there was nothing."""
    agent = Agent(ScriptedModel(["Hello."]))
    await agent.run("Any?", steps=Recorder(path))
    with pytest.raises(ReplayDiverged) as caught:
        await agent.run("More?", history=[UserMessage(content="Any?")], steps=Replay(path))
    assert (caught.value.field, caught.value.recorded) == ("messages[1]", "nothing")
    assert caught.value.now == '{"content": "More?", "role": "user"}'


async def test_a_switch_is_not_a_number(path: Path) -> None:
    """True and 1 are one in Python, and two in JSON."""
    agent = Agent(ScriptedModel(["Hello."]), settings=ModelSettings(extra={"logprobs": 1}))
    await agent.run("Any?", steps=Recorder(path))
    error = await diverged(replace(agent, settings=ModelSettings(extra={"logprobs": True})), path)
    assert (error.field, error.recorded, error.now) == ("settings.extra.logprobs", "1", "true")


async def test_steps_that_are_left_over_are_a_divergence(path: Path, clerk: Agent) -> None:
    """A run that ends sooner than the recorded one has not done the same."""
    await clerk.run("Any?", steps=Recorder(path))
    run, *steps, end = lines(path)
    extra = {**next(step for step in steps if step["step"] == 4), "step": 5}
    write(path, run, *steps, extra, end)
    error = await diverged(clerk, path)
    assert (error.step, error.recorded, error.now) == ("step 5 (model)", "model", "the end of the run")


async def test_steps_beyond_the_end_are_a_divergence(path: Path, clerk: Agent) -> None:
    """A run that goes on where the recorded one had ended."""
    await clerk.run("Any?", steps=Recorder(path))
    run, *steps, end = lines(path)
    write(path, run, *(step for step in steps if step["step"] < 4), end)
    error = await diverged(clerk, path)
    assert (error.step, error.recorded, error.now) == ("step 4 (model)", "the end of the run", "model")


async def test_an_error_of_the_model_is_raised_again(path: Path) -> None:
    """Errors are values: the same class, words and attributes."""
    failure = RateLimited("slow down", retry_after=2.5, status=429, request_id="r1")
    failure.spent = Usage(input_tokens=7)
    agent = Agent(ScriptedModel([failure]))
    with pytest.raises(RateLimited) as recorded:
        await agent.run("?", steps=Recorder(path))
    with pytest.raises(RateLimited) as caught:
        await replay(agent, path)
    error = caught.value
    assert (str(error), error.retry_after, error.status, error.request_id) == ("slow down", 2.5, 429, "r1")
    assert error.usage == recorded.value.usage == Usage(input_tokens=7)


async def test_an_error_with_two_parents_is_raised_again(path: Path) -> None:
    """One that is a TimeoutError too."""
    agent = Agent(ScriptedModel([ModelTimeout("too slow", status=504)]))
    with pytest.raises(ModelTimeout):
        await agent.run("?", steps=Recorder(path))
    with pytest.raises(ModelTimeout, match="too slow") as caught:
        await replay(agent, path)
    assert caught.value.status == 504


async def test_an_error_of_an_unknown_class_is_one_of_its_name(path: Path) -> None:
    """A store's own exception, whose class the replaying program need not have."""

    class DiskFull(OSError):
        """Known only here."""

    class Full(MemoryStore):
        async def append(self, session_id: str, messages: Any, *, revision: int) -> int:
            raise DiskFull(28, "no space")

    agent = Agent(ScriptedModel(["Hello."]))
    with pytest.raises(SessionError) as recorded:
        await agent.run("?", session=Session("a", Full()), steps=Recorder(path))
    with pytest.raises(SessionError) as caught:
        await replay(agent, path)
    assert str(caught.value) == str(recorded.value)
    assert "DiskFull" in str(caught.value)


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_what_must_end_a_run_ends_its_replay(path: Path, fatal: type[BaseException]) -> None:
    """Beside a call that was cancelled by it, which waits for the same end."""

    @tool
    async def leave() -> None:
        raise fatal(3)

    @tool
    async def wait() -> None:
        await anyio.sleep_forever()

    agent = Agent(ScriptedModel([[call("wait"), call("leave")]]), tools=[leave, wait])
    with pytest.raises(fatal):
        await agent.run("?", steps=Recorder(path))
    with pytest.raises(fatal) as caught:
        await replay(agent, path)
    assert caught.value.args == (3,)
    assert [step.cancelled for step in read_recording(path).steps] == [False, True, False]


async def test_secrets_are_not_in_the_recording(path: Path) -> None:
    """Secret arguments and results are `***`, wherever they come up again, and the replay goes through with that."""

    @tool
    def log_in(user: str, pin: Annotated[str, Secret]) -> Annotated[str, Secret]:
        """Log in."""
        return f"session-for-{pin}"

    told = ScriptedModel([
        [call("log_in", user="ann", pin="canary-12345")],
        lambda request: f"You are in: {last(request).content}, canary-12345",
    ])  # fmt: skip
    agent = Agent(told, tools=[log_in], settings=ModelSettings(extra={"api_key": "canary-12345", "user": "u1"}))
    result = await agent.run("Log me in.", session=Session("a"), steps=Recorder(path))
    assert "canary-12345" in result.output
    written = text(path)
    assert "canary" not in written
    assert "ann" in written
    assert "u1" in written
    replayed = await replay(agent, path)
    assert replayed.output == "You are in: ***, ***"
    [asked] = [m for m in replayed.messages if isinstance(m, AssistantMessage) and m.tool_calls]
    assert json.loads(asked.tool_calls[0].arguments) == {"user": "ann", "pin": "***"}


async def test_a_secret_that_was_said_before_does_not_part_the_replay(path: Path) -> None:
    """In an argument of the same answer that is not declared secret, in the instructions, and by the user."""

    @tool
    def log_in(pin: Annotated[str, Secret]) -> str:
        """Log in."""
        return "in"

    @tool(sequential=True)
    def note(text: str) -> str:
        """Take a note."""
        return "noted"

    script: Any = [
        [call("note", text="pin canary-777"), call("log_in", pin="canary-777"), call("note", text="after")],
        "In.",
    ]
    agent = Agent(ScriptedModel(script), tools=[log_in, note], instructions="Not canary-777, ever.")
    await agent.run("My pin is canary-777.", steps=Recorder(path))
    lines_with_it = [line for line in lines(path) if "canary" in json.dumps(line)]
    assert [line.get("step") for line in lines_with_it] == [None, 1]  # what the user and the program have said
    assert "canary" not in json.dumps(lines_with_it[1]["result"])
    assert (await replay(agent, path)).output == "In."
    error = await diverged(replace(agent, instructions="Never."), path)
    assert error.field == "instructions"


async def test_secret_arguments_that_are_no_json_are_hidden_whole(path: Path) -> None:
    """What cannot be taken apart may hold the secret anywhere."""

    @tool
    def log_in(pin: Annotated[str, Secret]) -> str:
        """Log in."""
        return "in"

    bad: Any = [ToolCall(id="1", name="log_in", arguments='{"pin": "canary-12')]
    agent = Agent(ScriptedModel([bad, "No."]), tools=[log_in])
    await agent.run("?", steps=Recorder(path))
    assert "canary" not in text(path)
    assert (await replay(agent, path)).output == "No."


async def test_what_inner_runs_spend_is_spent_in_the_replay(path: Path) -> None:
    """Agents within tools are not run again, and the run's usage is what it was."""
    inner = Agent(ScriptedModel([[call("units_left", sku="A-1")], "Three."]), name="stock", tools=[units_left])
    outer = Agent(
        ScriptedModel([[call("stock", prompt="A-1?")], "Three, they say."]),
        tools=[inner.as_tool(description="Knows the stock.")],
    )
    recorded = await outer.run("?", steps=Recorder(path))
    replayed = await replay(outer, path)
    assert replayed.usage == recorded.usage == Usage(input_tokens=40, output_tokens=20)
    assert (replayed.iterations, replayed.tool_calls) == (recorded.iterations, recorded.tool_calls) == (4, 2)


async def test_calls_at_the_same_time_are_matched_by_their_order(path: Path) -> None:
    """Not by the order in which they end: that is in the recording, and the replay does not care."""
    turns = [anyio.Event() for _ in range(8)]

    @tool
    async def nth(n: int) -> int:
        """Wait for the one after it."""
        if n < 7:
            await turns[n + 1].wait()
        turns[n].set()
        return n * n

    agent = Agent(ScriptedModel([[call("nth", n=n) for n in range(8)], "Done."]), tools=[nth])
    recorded = await agent.run("?", steps=Recorder(path))
    run, *steps, end = lines(path)
    assert sorted(step["step"] for step in steps) == list(range(1, 11))
    for order in (steps, sorted(steps, key=lambda step: -step["step"])):
        write(path, run, *order, end)
        assert (await replay(agent, path)).messages == recorded.messages


async def test_a_history_and_parts_are_replayed(path: Path) -> None:
    """What was said before is part of the recording where there is no session."""
    agent = Agent(ScriptedModel(["First.", "Second."]))
    first = await agent.run("One")
    prompt = (TextPart(text="Two"), ImagePart(url="https://example.com/a.png"))
    second = await agent.run(prompt, history=first.messages, steps=Recorder(path))
    assert (await replay(agent, path)).messages == second.messages
    assert isinstance(second.messages[2], UserMessage)


async def test_a_structured_output_replays(path: Path) -> None:
    """The recorded text is parsed anew."""
    agent = Agent(ScriptedModel(["no number", '{"value": 42}', "42"]), output=int)
    recorded = await agent.run("?", steps=Recorder(path))
    assert (await replay(agent, path)).output == recorded.output == 42


async def test_another_outcome_is_a_divergence(path: Path) -> None:
    """The same steps may come to something else, since the agent makes something else of them."""
    agent = Agent(ScriptedModel([[call("units_left", sku="A-1")]]), tools=[units_left], limits=Limits(iterations=1))
    with pytest.raises(LimitExceeded):
        await agent.run("?", steps=Recorder(path))
    error = await diverged(replace(agent, limits=Limits(iterations=1, on_limit="partial")), path)
    assert (error.step, error.field, error.recorded, error.now) == ("the end", "end", '"error"', '"result"')


async def test_a_run_that_was_stopped_replays_to_the_same_stop(path: Path) -> None:
    """A limit is reached again, and said in the same way."""
    agent = Agent(ScriptedModel([[call("units_left", sku="A-1")]]), tools=[units_left], limits=Limits(iterations=1))
    with pytest.raises(LimitExceeded):
        await agent.run("?", steps=Recorder(path))
    with pytest.raises(LimitExceeded) as caught:
        await replay(agent, path)
    assert caught.value.which == "iterations"


async def test_a_cancelled_step_ends_the_replay(path: Path) -> None:
    """The recording of a run that was cancelled ends there, and says so."""

    @tool
    async def wait() -> None:
        """Wait."""
        scope.cancel()
        await anyio.sleep_forever()

    agent = Agent(ScriptedModel([[call("wait")]]), tools=[wait])
    async with nothing_left_behind():
        with anyio.CancelScope() as scope:
            await agent.run("?", steps=Recorder(path))
    recording = read_recording(path)
    assert recording.end == {**(recording.end or {}), "end": "cancelled"}
    assert recording.steps[-1].cancelled
    error = await diverged(agent, path)
    assert (error.step, error.recorded) == ("step 2 (tool:wait)", "nothing: the run was cancelled")


async def test_a_replay_replays_one_run(path: Path, clerk: Agent) -> None:
    """A second run would begin in the middle."""
    await clerk.run("Any?", steps=Recorder(path))
    steps = Replay(path)
    await clerk.run("Any?", steps=steps)
    with pytest.raises(ConfigError, match="replays one run"):
        await clerk.run("Any?", steps=steps)


async def test_a_recording_is_not_overwritten(path: Path, clerk: Agent) -> None:
    """A Recorder writes one run to a new file."""
    await clerk.run("Any?", steps=Recorder(path))
    before = text(path)
    with pytest.raises(ConfigError, match="is there already"):
        await clerk.run("Any?", steps=Recorder(path))
    assert text(path) == before


async def test_a_file_that_cannot_be_written_stops_the_run_first(tmp_path: Path, clerk: Agent) -> None:
    """Before a model is asked."""
    with pytest.raises(ConfigError, match="cannot be written"):
        await clerk.run("Any?", steps=Recorder(tmp_path / "no" / "run.jsonl"))
    assert isinstance(clerk.model, ScriptedModel)
    assert clerk.model.requests == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
async def test_a_full_disk_ends_the_run(path: Path, clerk: Agent) -> None:
    """A run that cannot be written down does not go on unseen."""

    @tool(name="units_left")
    def fill(sku: str) -> int:
        """Fill the disk, as far as the recording can tell."""
        own = next(int(fd) for fd in os.listdir("/proc/self/fd") if _leads_to(fd, path))
        with open("/dev/full", "ab", buffering=0) as full:
            os.dup2(full.fileno(), own)
        return 3

    agent = replace(clerk, model=ScriptedModel([[call("units_left", sku="A-1")], "Three."]), tools=[fill])
    with pytest.raises(ConfigError, match="No space left"):
        await agent.run("Any?", steps=Recorder(path))


def _leads_to(descriptor: str, path: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}") == str(path)
    except OSError:
        return False


KILLED = """
import os, signal, sys
from agentkit import Agent, tool
from agentkit.recording import Recorder
from agentkit.testing import ScriptedModel, call

@tool
def step(n: int) -> int:
    '''Go on.'''
    if n == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return n

script = [[call("step", n=n)] for n in range(4)] + ["Done."]
import anyio
anyio.run(lambda: Agent(ScriptedModel(script), tools=[step]).run("Go.", steps=Recorder(sys.argv[1])))
"""


@pytest.mark.parametrize("killed_at", [0, 2])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_killed_program_leaves_all_steps_that_had_ended(path: Path, killed_at: int) -> None:
    """kill -9: the recording ends at the last finished step, and a replay says where it breaks off."""
    command = [sys.executable, "-c", KILLED, str(path), str(killed_at)]
    assert (await anyio.run_process(command, check=False)).returncode == -signal.SIGKILL
    recording = read_recording(path)
    assert recording.end is None
    names = [step.name for step in recording.steps]
    assert names == ["model", *["tool:step", "model"] * killed_at]

    @tool(name="step", description="Go on.")
    def never(n: int) -> int:
        raise AssertionError("a replay calls no tool")

    error = await diverged(Agent(ScriptedModel([]), tools=[never]), path)
    assert error.step == f"step {len(names) + 1} (tool:step)"
    assert "breaks off" in error.recorded


def test_a_line_that_was_cut_is_left_out(path: Path, clerk: Agent) -> None:
    """Wherever: a recording can be read up to its last whole line."""
    anyio.run(lambda: clerk.run("Any?", steps=Recorder(path)))
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for length in range(first, len(data), 7):
        path.write_bytes(data[:length])
        whole = data[:length].count(b"\n")
        recording = read_recording(path)
        assert len(recording.steps) == min(whole - 1, 4)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no recording"),
        ("{}\n", "is no recording"),
        ("[]\n", "damaged in line 1"),
        ("not json\n", "damaged in line 1"),
        ('{"agentkit_recording": 2}\n', "is of format 2, and this agentkit knows format 1"),
        ('{"agentkit_recording": true}\n', "is of format True"),
        ('{"agentkit_recording": 1}\n{"step": "x", "name": "model", "given": {}}\n', "is damaged"),
        ('{"agentkit_recording": 1}\n{"step": 1}\n', "is damaged"),
        ('{"agentkit_recording": 1}\n{"step": 1, "name": "model", "given": {"kept": "x", "messages": 3}}\n', "damaged"),
        ('{"agentkit_recording": 1}\n' + "[" * 100_000 + "\n", "damaged in line 2"),
    ],
)
def test_what_is_no_recording_is_refused(path: Path, content: str, told: str) -> None:
    """With words that say why; also what a newer agentkit has written."""
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        read_recording(path)


def test_a_missing_file_is_refused(path: Path) -> None:
    """With its name."""
    with pytest.raises(ConfigError, match=r"run\.jsonl' cannot be read"):
        Replay(path)


async def test_a_recording_of_format_1_is_still_read() -> None:
    """A file that version 0.1.0 wrote: it replays with the agent of that time."""
    agent = Agent(ScriptedModel([]), name="clerk", instructions="Be kind.", tools=[blowing_up])
    result = await replay(agent, GOLDEN)
    assert result.output == "Three of A-1."
    assert result.usage == Usage(input_tokens=20, output_tokens=10)


async def test_two_runs_that_say_the_same_are_the_same(tmp_path: Path, clerk: Agent) -> None:
    """Ids, revisions and times differ from run to run, and are not compared."""

    def script() -> Iterator[Any]:
        for n in ("x", "y"):
            ask = ToolCall(id=f"id-{n}", name="units_left", arguments='{"sku": "A-1"}')
            yield [
                ModelResponse(message=AssistantMessage(tool_calls=(ask,)), id=f"r-{n}"),
                ModelResponse(message=AssistantMessage(text="Three."), id=f"s-{n}"),
            ]

    for name, answers in zip("ab", script(), strict=True):
        agent = replace(clerk, model=ScriptedModel(answers))
        await agent.run("Any?", session=Session(name), steps=Recorder(tmp_path / name))
    assert first_difference(read_recording(tmp_path / "a"), read_recording(tmp_path / "b")) is None


async def test_where_two_runs_part_is_told(tmp_path: Path, clerk: Agent) -> None:
    """The answer before all that follows from it."""
    for name, words in (("a", "Three."), ("b", "Four.")):
        await replace(clerk, model=ScriptedModel([words])).run("Any?", steps=Recorder(tmp_path / name))
    found = first_difference(read_recording(tmp_path / "a"), read_recording(tmp_path / "b"))
    assert found is not None
    assert (found.step, found.field, found.one, found.other) == (
        "step 1 (model)",
        "result.message.text",
        '"Three."',
        '"Four."',
    )


async def test_runs_that_end_otherwise_part_at_the_end(tmp_path: Path) -> None:
    """The same steps, and another outcome."""
    for on_limit in ("raise", "partial"):
        limits = Limits(iterations=1, on_limit=on_limit)
        agent = Agent(ScriptedModel([[call("units_left", sku="A-1")]]), tools=[units_left], limits=limits)
        with suppress(LimitExceeded):
            await agent.run("?", steps=Recorder(tmp_path / on_limit))
    found = first_difference(read_recording(tmp_path / "raise"), read_recording(tmp_path / "partial"))
    assert found is not None
    assert found.step == "the end"


async def test_a_paused_run_and_its_resumption_replay(path: Path, tmp_path: Path) -> None:
    """Nobody is asked again, and a pause that is used up can be replayed as often as one likes."""

    @tool(approval=True)
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    agent = Agent(ScriptedModel([[call("pay", amount=1)], "Paid."]), name="payer", tools=[pay])
    paused = await agent.run("Pay.", approve="pause", steps=Recorder(path))
    assert paused.paused is not None
    assert (await replay(agent, path)).stopped_by == "paused"
    answers = {paused.paused.waiting[0].call_id: Approved()}
    resumed = tmp_path / "resumed.jsonl"
    result = await agent.resume(paused.paused, answers, steps=Recorder(resumed))
    for _ in range(2):
        again = await agent.resume(paused.paused, answers, steps=Replay(resumed))
        assert again.messages == result.messages
    with pytest.raises(ConfigError, match=r"give steps=Replay\(.* to Agent.resume"):
        await replay(agent, resumed)


async def test_a_hand_off_replays(path: Path) -> None:
    """Each agent's own instructions are compared."""

    def team(instructions: str, script: Any) -> Agent:
        other = Agent(ScriptedModel(script[1:]), name="b", description="B.", instructions=instructions)
        return Agent(ScriptedModel(script[:1]), name="a", instructions="I am a.", handoffs=[other])

    recorded = await team("I am b.", [[call("transfer_to_b")], "From b."]).run("?", steps=Recorder(path))
    replayed = await replay(team("I am b.", []), path)
    assert (replayed.output, replayed.agent) == (recorded.output, "b")
    error = await diverged(team("I am c.", []), path)
    assert (error.step, error.field) == ("step 3 (model)", "instructions")


async def test_a_server_that_holds_an_answer_is_not_spoken_to_in_a_replay(path: Path) -> None:
    """Releasing it is a step like any other."""
    async with AssistantsServer([[call("units_left", sku="A-1")]]) as server:
        backend = AssistantsBackend("m", base_url=server.base_url, api_key="k")
        agent = Agent(backend, tools=[units_left], limits=Limits(iterations=1))
        with pytest.raises(LimitExceeded):
            await agent.run("?", steps=Recorder(path))
    assert [step.name for step in read_recording(path).steps] == ["model", "release"]
    with pytest.raises(LimitExceeded):
        await replay(agent, path)


async def test_halves_of_characters_do_not_stop_a_recording(path: Path) -> None:
    """JSON does not take them; they are replaced, as in all that is stored."""
    agent = Agent(
        ScriptedModel([[ToolCall(id="1\ud800", name="units_left", arguments='{"sku": "\udfff"}')], "a\ud800b"])
    )
    agent = replace(agent, tools=[units_left])
    assert (await agent.run("p\ud800", steps=Recorder(path))).output == "a\ud800b"
    assert (await replay(agent, path)).output == "a\ufffdb"


async def test_what_has_no_json_form_ends_the_run(path: Path) -> None:
    """With words that say so: a backend's own state has to be JSON."""
    agent = Agent(ScriptedModel([AssistantMessage(text="x", state={"a": object()})]))
    with pytest.raises(ConfigError, match="no JSON form cannot be recorded"):
        await agent.run("?", steps=Recorder(path))


async def test_a_recorder_that_is_used_twice_at_once_keeps_to_its_first_run(path: Path) -> None:
    """The second run is refused, and the first is recorded whole."""
    recorder = Recorder(path)

    @tool
    async def again() -> str:
        """Use the recorder a second time."""
        with pytest.raises(ConfigError, match="is there already"):
            await Agent(ScriptedModel(["?"])).run("?", steps=recorder)
        return "refused"

    agent = Agent(ScriptedModel([[call("again")], "Done."]), tools=[again])
    recorded = await agent.run("?", steps=recorder)
    assert (await replay(agent, path)).messages == recorded.messages


async def test_a_hundred_runs_are_recorded_at_once(tmp_path: Path) -> None:
    """Each into its own file, and none is mixed up with another."""

    def answer(request: Any) -> Any:
        return request.messages[0].text.upper()

    agent = Agent(ScriptedModel([answer] * 100))

    async def one(n: int) -> None:
        await agent.run(f"run {n}", steps=Recorder(tmp_path / f"{n}.jsonl"))

    async with anyio.create_task_group() as group:
        for n in range(100):
            group.start_soon(one, n)
    for n in range(100):
        assert (await replay(agent, tmp_path / f"{n}.jsonl")).output == f"RUN {n}"


@pytest.mark.parametrize("calls", [1, 3])
async def test_a_run_that_ran_out_of_time_replays_at_once(path: Path, calls: int) -> None:
    """To the same end, without waiting for it."""
    agent = Agent(ScriptedModel([[call("wait")] * calls]), tools=[_wait], limits=Limits(seconds=0.05))
    with pytest.raises(RunTimeout) as recorded:
        await agent.run("?", steps=Recorder(path))
    assert read_recording(path).steps[-1].cancelled
    with pytest.raises(RunTimeout) as caught:
        await replay(replace(agent, limits=Limits(seconds=0.05, iterations=9)), path)
    assert str(caught.value) == str(recorded.value)
    partial = replace(agent, limits=Limits(seconds=0.05, on_limit="partial"))
    error = await diverged(partial, path)
    assert (error.step, error.field) == ("the end", "end")


async def test_a_time_limit_that_gives_what_there_is_replays(path: Path) -> None:
    """A result without an output, stopped by its seconds."""
    limits = Limits(seconds=0.05, on_limit="partial")
    agent = Agent(ScriptedModel([[call("wait")]]), tools=[_wait], limits=limits)
    assert (await agent.run("?", steps=Recorder(path))).stopped_by == "seconds"
    assert (await replay(agent, path)).stopped_by == "seconds"


@tool(name="wait")
async def _wait(ctx: Context) -> None:
    """Wait."""
    await anyio.sleep_forever()

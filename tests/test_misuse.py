"""What somebody new gets wrong at first: each mistake is named, and what to write in its place."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentkit import Agent, AssistantMessage, MemoryStore, Session, UserMessage, tool
from agentkit.errors import AgentError, ApprovalRefused, ConfigError, RunPaused, ToolDefinitionError
from agentkit.models.base import ModelInfo
from agentkit.paused import Approved, PausedRun
from agentkit.prices import Prices
from agentkit.recording import Recorder, replay
from agentkit.sessions import RedisStore
from agentkit.sse import sse
from agentkit.testing import ScriptedModel, call
from agentkit.window import Window

pytestmark = pytest.mark.anyio


def untyped(value: object) -> Any:
    """A value whose type no checker knows, as it comes out of somebody's own code."""
    return value


@tool(approval=True)
def refund() -> str:
    """Give money back."""
    return "done"


def agent(*answers: str) -> Any:
    return Agent(ScriptedModel(answers or ["Hello."]), name="clerk")


async def iterate(stream: Any) -> None:
    async for _ in stream:
        pass


async def watch_twice() -> None:
    stream = agent().stream("Hello?")
    for _ in range(2):
        async with stream as run:
            await run.finish()


async def enter(stream: Any) -> None:
    with stream:
        pass


async def await_it(stream: Any) -> None:
    await stream


async def sum_up_at_once() -> None:
    window = Window(messages=1, summarise=untyped(lambda messages: "what was said"))
    await window.fit([UserMessage(content="a"), AssistantMessage(text="b"), UserMessage(content="c")])


async def look_at_the_output_of_a_pause() -> None:
    model = ScriptedModel([[call("refund")]])
    result = await Agent(model, tools=[refund]).run("Refund it.", approve="pause")
    print(result.output)


MISTAKES: dict[str, tuple[Callable[[], Any], type[AgentError], str]] = {
    "a stream without its block": (lambda: iterate(agent().stream("Hi")), ConfigError, "`async with agent.stream"),
    "a stream in a plain block": (lambda: enter(agent().stream("Hi")), ConfigError, "`async with agent.stream"),
    "a stream that is awaited": (lambda: await_it(agent().stream("Hi")), ConfigError, "`async with agent.stream"),
    "a stream without its block as server-sent events": (
        lambda: iterate(sse(agent().stream("Hi"))),
        ConfigError,
        "`async with agent.stream",
    ),
    "a stream that is watched twice": (watch_twice, ConfigError, "call agent.stream(...) again"),
    "a session's id that is a number": (lambda: Session(untyped(5)), ConfigError, "session id 5: must be text"),
    "a session's store that is a URL": (
        lambda: Session("ada", untyped("sqlite:///x.db")),
        ConfigError,
        "the store is a text; give SqlStore(...)",
    ),
    "a session's store that is a class": (
        lambda: Session("ada", untyped(MemoryStore)),
        ConfigError,
        "must have `load` and `append`",
    ),
    "a history that is a result": (
        lambda: agent().run("Hi", history=object()),
        ConfigError,
        "history= is object; give messages",
    ),
    "a history that is text": (lambda: agent().run("Hi", history="Hello"), ConfigError, "history= is str"),
    "an agent among the tools": (lambda: Agent("chat:m", tools=[untyped(agent())]), ToolDefinitionError, "as_tool"),
    "a module's name among the tools": (
        lambda: Agent("chat:m", tools=[untyped("clock")]),
        ToolDefinitionError,
        "load_tools('clock')",
    ),
    "an output that is a value": (
        lambda: Agent("chat:m", output=untyped({"a": 1})),
        ConfigError,
        "output={'a': 1}: write a type",
    ),
    "a summary that is not async": (sum_up_at_once, ConfigError, "gave 'what was said': an async function"),
    "a script that is one text": (lambda: ScriptedModel("Hello."), ConfigError, "ScriptedModel([...])"),
    "a replay the wrong way round": (
        lambda: replay(untyped("run.jsonl"), untyped(agent())),
        ConfigError,
        "replay(agent, recording)",
    ),
    "a paused run that is read from a dict": (
        lambda: PausedRun.from_json(untyped({})),
        ApprovalRefused,
        "from_json was given dict",
    ),
    "a result where its pause is wanted": (
        lambda: agent().resume("a result", {"call_1": Approved()}),
        ApprovalRefused,
        "give result.paused",
    ),
    "a pause whose output is looked at": (
        look_at_the_output_of_a_pause,
        RunPaused,
        "the run waits for refund; go on with agent.resume(result.paused",
    ),
    "nothing to answer": (lambda: agent().run(None), ConfigError, "there is nothing to answer"),
    "nothing to answer in a new session": (
        lambda: agent().run(None, session=Session("ada")),
        ConfigError,
        "there is nothing to answer",
    ),
    "instructions that are a list": (
        lambda: Agent("chat:m", instructions=untyped(["Be kind."])),
        ConfigError,
        "instructions=['Be kind.']: must be text",
    ),
    "steps that are a path": (
        lambda: agent().run("Hi", steps="run.jsonl"),
        ConfigError,
        "write steps=Recorder('run.jsonl')",
    ),
    "steps that are a class": (
        lambda: agent().run("Hi", steps=Recorder),
        ConfigError,
        "write steps=Recorder(",
    ),
    "a model that is a class": (
        lambda: Agent(untyped(ScriptedModel)),
        ConfigError,
        'write "wire:model", or give a backend',
    ),
    "hand-offs that are one agent": (
        lambda: Agent("chat:m", handoffs=agent()),
        ConfigError,
        "write a list of agents",
    ),
    "hand-offs that are names": (
        lambda: Agent("chat:m", handoffs=untyped(["till"])),
        ConfigError,
        "write a list of agents",
    ),
    "a function that gives one agent to hand over to": (
        lambda: Agent(ScriptedModel(["Hi."]), handoffs=lambda: agent()).run("Hi"),
        ConfigError,
        "write a list of agents",
    ),
    "a run within nothing": (
        lambda: agent().run_within(None, "Hi"),
        ConfigError,
        "give the Context that a tool was called with",
    ),
    "an alias for a price that nobody knows": (
        lambda: Prices({"mine": "azure:nothing"}, listed=False).require(ModelInfo(provider="openai", model="mine")),
        ConfigError,
        "priced as 'azure:nothing'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_is_named_with_what_to_write_instead(mistake: str) -> None:
    """Nobody has to read agentkit to learn what it has not understood."""
    make, kind, words = MISTAKES[mistake]
    with pytest.raises(kind) as raised:
        made = make()
        if isinstance(made, Awaitable):
            await made
    assert words in str(raised.value)


def test_a_password_in_a_url_without_a_scheme_is_not_told() -> None:
    """A password in a URL is shown nowhere, also where the URL is none."""
    pytest.importorskip("redis", reason="RedisStore: pip install redis")
    with pytest.raises(ConfigError) as raised:
        RedisStore("ada:a-secret@localhost:6379")
    assert "RedisStore cannot use '***@localhost:6379'" in str(raised.value)


async def test_a_stream_is_left_with_what_its_block_raised() -> None:
    """The block of a watched run hides no error, and wraps none."""
    with pytest.raises(ZeroDivisionError):
        async with agent().stream("Hello?"):
            raise ZeroDivisionError

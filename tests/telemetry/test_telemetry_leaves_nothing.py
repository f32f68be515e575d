"""Runs that are cut short anywhere leave no span open, no context attached, and no call uncounted."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import anyio
import pytest
from cancelling import How, ends_within
from endings import LOCAL, PROMPT, Stage, add, fail, local
from exports import Memory
from norm import About, Facts, check
from opentelemetry import trace

from agentkit import Agent, tool
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.anyio
FACTS = Facts(
    agents={
        "clerk": replace(LOCAL, tools=True),
        "helper": About(in_process=True, ids=False, described=True, tools=True),
    },
    secrets=("sk-canary",),
)


@tool
async def wait(n: int) -> int:
    """Let others have their turn."""
    for _ in range(n):
        await anyio.lowlevel.checkpoint()
    return n


@tool
def in_a_thread(n: int) -> int:
    """Run in a thread."""
    return n


class Slow(ScriptedModel):
    """Lets others have their turn before each answer."""

    async def generate(self, *given: Any, **more: Any) -> Any:
        await wait(n=2)
        return await super().generate(*given, **more)


def slow(*script: Any) -> ScriptedModel:
    """A model by the name that all here have."""
    model = Slow(script)
    model.info = local().info
    return model


def clerk(memory: Memory) -> Agent[Any]:
    """An agent with tools of all kinds, another agent among them."""
    inner = slow([call("wait", n=2), call("fail", word="x")], "4")
    helper = Agent(inner, name="helper", description="Counts.", tools=[wait, fail], telemetry=memory.telemetry)
    model = slow(
        [call("wait", n=3), call("in_a_thread", n=1), call("fail", word="y")],
        [call("helper", prompt="2+2?"), call("add", a=1, b=2), call("add", a="x")],
        "Done.",
    )
    return Stage(memory.telemetry).clerk(model, wait, in_a_thread, fail, add, helper.as_tool())


class Left(Exception):
    """What whoever watches leaves with."""


async def watch(agent: Agent[Any], events: int, how: str) -> None:
    """Follow a run for so many events, and leave it."""
    if how == "closed":
        async with aclosing(followed(agent)) as following:
            async for _ in following:
                if (events := events - 1) < 0:
                    break
        return
    async with agent.stream(PROMPT) as run:
        async for _ in run:
            if (events := events - 1) < 0:
                if how == "raised":
                    raise Left
                break


async def followed(agent: Agent[Any]) -> Any:
    """A generator of the application's own around a run."""
    async with agent.stream(PROMPT) as run:
        async for event in run:
            yield event


async def cut_short(random: Random, plain: Memory, streamed: Memory, hows: tuple[How, ...]) -> None:
    """One run that ends somewhere."""
    kind = random.choice(("run", "watched", "left", "raised", "closed"))
    checkpoints, how, events = random.randrange(1, 60), random.choice(hows), random.randrange(12)
    work: Callable[[], Awaitable[Any]]
    if kind == "run":
        work = partial(clerk(plain).run, PROMPT)
    elif kind == "watched":
        work = partial(watch, clerk(streamed), 10_000, "left")
    else:
        work, checkpoints = partial(watch, clerk(streamed), events, kind), random.choice((checkpoints, 10_000))
    with suppress(Left):
        if checkpoints == 10_000:
            await work()
        else:
            await ends_within(checkpoints, work, how)


async def sweep(times: int, seed: int, hows: tuple[How, ...], caplog: pytest.LogCaptureFixture) -> None:
    """Many of them, one after the other and some side by side."""
    plain, streamed, random = Memory(), Memory(), Random(seed)
    with caplog.at_level(logging.WARNING):
        for _ in range(times // 2):
            await cut_short(random, plain, streamed, hows)
            assert plain.unended == streamed.unended == ()
            assert not trace.get_current_span().get_span_context().is_valid
        async with anyio.create_task_group() as group:
            for _ in range(times - times // 2):
                group.start_soon(cut_short, random, plain, streamed, hows)
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")]
    assert logged == []
    for memory, is_streamed in ((plain, False), (streamed, True)):
        exports = memory.exports()
        assert check(exports, replace(FACTS, streamed=is_streamed)).all == ()
        assert {span.operation for span in exports.spans} == {"invoke_agent", "chat", "execute_tool"}
        assert any(span.status == "ERROR" for span in exports.of("invoke_agent"))


def ways(backend: str) -> tuple[How, ...]:
    """How a run can be cancelled there."""
    return ("scope", "task", "twice") if backend == "asyncio" else ("scope",)


async def test_runs_that_are_cut_short_leave_no_span_and_no_context(
    anyio_backend_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Sixty of them, and what was exported is as the norm has it; the whole sweep has a thousand."""
    await sweep(60, 7, ways(anyio_backend_name), caplog)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_thousand_runs_that_are_cut_short_leave_no_span_and_no_context(
    seed: int, anyio_backend_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The same, a thousand times."""
    await sweep(1000, seed, ways(anyio_backend_name), caplog)

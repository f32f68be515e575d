"""Hundreds of runs that start at once: they begin in turns, and the event loop goes on in between."""

from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from agentkit import Agent
from agentkit.telemetry import Telemetry
from agentkit.testing import ScriptedModel
from agentkit.turns import AT_ONCE

pytestmark = pytest.mark.anyio


class _Begun(SpanProcessor):
    """Counts the runs that have made something: a span is the first that a run makes."""

    def __init__(self) -> None:
        self.runs = 0

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.runs += span.name.startswith("invoke_agent")


async def test_a_run_waits_for_its_turn_before_it_makes_anything() -> None:
    """Of 200 runs that start at once, not even the spans are made in one go: others get their turns in between."""
    begun = _Begun()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(begun)
    agent = Agent(ScriptedModel(["Hello."] * 200), telemetry=Telemetry(tracer_provider=provider))
    seen = [0]
    async with anyio.create_task_group() as group:
        for _ in range(200):
            group.start_soon(agent.run, "Hi")
        while begun.runs < 200:
            await anyio.lowlevel.checkpoint()
            seen.append(begun.runs)
    at_a_time = [later - earlier for earlier, later in pairwise(seen)]
    assert max(at_a_time) <= 2 * AT_ONCE  # trio puts the tasks of a turn in any order: two turns may come as one


async def test_a_run_that_is_cancelled_while_it_waits_for_its_turn_leaves_it_to_others() -> None:
    """It has asked no model, and those behind it get on."""
    model = ScriptedModel(["Hello."] * 200)
    done = 0

    async def run(scope: anyio.CancelScope) -> None:
        nonlocal done
        with scope:
            await Agent(model).run("Hi")
            done += 1

    scopes = [anyio.CancelScope() for _ in range(200)]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(run, scope)
            await anyio.lowlevel.checkpoint()
            for scope in scopes[1::2]:
                scope.cancel()
        await Agent(model).run("after")
    assert 100 <= done < 200
    assert len(model.requests) <= done + 1 + AT_ONCE

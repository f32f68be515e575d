"""What is captured of runs, from the agent to the span: whole conversations, and no secret on any span of them."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from exports import Memory

from agentkit import Agent, Secret, tool
from agentkit.telemetry.content import Content
from agentkit.testing import ScriptedModel, call

PIN = "canary-pin-8841"


@tool
def log_in(user: str, pin: Annotated[str, Secret]) -> str:
    """Log in."""
    return f"hello {user}"


@tool
def look_up(sku: str) -> dict[str, Any]:
    """Look a product up."""
    return {"sku": sku, "by": f"somebody with {PIN}"}


CALLS = [call("log_in", user="ada", pin=PIN), call("look_up", sku="A-1")]


@pytest.mark.anyio
async def test_no_span_or_event_of_a_run_shows_a_secret_argument() -> None:
    """Not that of the tool, not that of another tool that has read it, not that of the run whose answer repeats it."""
    memory = Memory(content="span_and_event")
    model = ScriptedModel([CALLS, f"Your pin is {PIN}."])
    clerk = Agent(model, name="clerk", instructions="Be kind.", tools=[log_in, look_up], telemetry=memory.telemetry)
    await clerk.run("Log me in.")
    exports = memory.exports()
    for each in (*exports.spans, *exports.logs):
        assert PIN not in repr(each.attributes), each.name
    [run] = exports.of("invoke_agent")
    assert json.loads(run.attributes["gen_ai.output.messages"])[0]["parts"] == [
        {"type": "text", "content": "Your pin is ***."}
    ]
    shown = {
        span.attributes["gen_ai.tool.name"]: dict(_content(span.attributes)) for span in exports.of("execute_tool")
    }
    assert shown == {
        "log_in": {"arguments": {"user": "ada", "pin": "***"}, "result": "hello ada"},
        "look_up": {"arguments": {"sku": "A-1"}, "result": {"sku": "A-1", "by": "somebody with ***"}},
    }


def _content(attributes: Any) -> Iterator[tuple[str, Any]]:
    for name in ("arguments", "result"):
        yield name, json.loads(attributes[f"gen_ai.tool.call.{name}"])


@pytest.mark.anyio
async def test_a_redact_that_fails_stops_no_run_and_shows_nothing() -> None:
    """The spans are there, without content."""
    memory = Memory(content=Content(events=True, redact=lambda text: str(1 / 0)))
    result = await Agent(ScriptedModel([CALLS, "ok"]), tools=[log_in, look_up], telemetry=memory.telemetry).run(
        "otters"
    )
    assert result.output == "ok"
    exports = memory.exports()
    assert len(exports.spans) == 5
    assert len(exports.logs) == 2
    assert "otters" not in repr([each.attributes for each in (*exports.spans, *exports.logs)])

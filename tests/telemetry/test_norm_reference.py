"""What OpenTelemetry's own library for such spans exports passes our checker: the norm is not what we made of it."""

from typing import Any

import pytest
from exports import Exports, Memory
from norm import About, Facts, check

types = pytest.importorskip("opentelemetry.util.genai.types", reason="`pip install opentelemetry-util-genai==1.3b0`")
NOT_SENT = ("inference_calls", "tool_calls", "gen_ai.client.operation.exception")
"""What that version does not send yet."""
MODES = {
    "NO_CONTENT": (False, False),
    "SPAN_ONLY": (True, False),
    "EVENT_ONLY": (False, True),
    "SPAN_AND_EVENT": (True, True),
}
SERVER = {"request_model": "m", "server_address": "127.0.0.1", "server_port": 80}


def run(memory: Memory) -> Exports:
    """A model call, a tool call, and a model call that fails."""
    from opentelemetry.util.genai.handler import TelemetryHandler

    handler = TelemetryHandler(
        memory.tracers,
        memory.meters,
        memory.loggers,
        instrumentation_scope_name="agentkit",
        instrumentation_scope_version="1",
    )
    adds = types.FunctionToolDefinition(name="add", description="Adds.", parameters={"type": "object"})

    def asked(invocation: Any) -> Any:
        invocation.input_messages = [types.InputMessage("user", [types.TextPart("otters")])]
        invocation.system_instruction = [types.TextPart("Be kind.")]
        invocation.tool_definitions = [adds]
        return invocation

    with asked(handler.invoke_local_agent(request_model="m", agent_name="clerk")) as agent:
        with asked(handler.inference("openai", **SERVER)) as chat:
            says = [types.ToolCallRequestPart({"a": 1}, "add", "c1")]
            chat.output_messages = [types.OutputMessage("assistant", says, "tool_call")]
            chat.response_id, chat.response_model_name, chat.finish_reasons = "r1", "m", ["tool_calls"]
            chat.input_tokens, chat.output_tokens = 3, 4
            chat.attributes["openai.api.type"] = "chat_completions"
        with handler.tool("add", tool_type="function", agent_name="clerk") as tool:
            tool.tool_call_id, tool.tool_description = "c1", "Adds."
            tool.arguments, tool.tool_result = {"a": 1}, "otters"
        with pytest.raises(ValueError), asked(handler.inference("openai", **SERVER)) as chat:
            chat.attributes["openai.api.type"] = "chat_completions"
            raise ValueError("down")
        agent.input_tokens, agent.output_tokens, agent.finish_reasons = 3, 4, ["tool_calls"]
    return memory.exports()


@pytest.mark.parametrize("mode", MODES)
def test_the_official_library_passes(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, kinds, parents, levels, buckets and content are as it has them; only what it does not send is missing."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    on_spans, on_events = MODES[mode]
    facts = Facts(
        agents={"clerk": About(instructed=True, tools=True)},
        said=("otters",),
        content_on_spans=on_spans,
        content_on_events=on_events,
        events=on_events,
    )
    found = check(run(Memory()), facts).all
    assert [each for each in found if not any(name in each for name in NOT_SENT)] == []
    assert {name for name in NOT_SENT if any(name in each for each in found)} == set(NOT_SENT)

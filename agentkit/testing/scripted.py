"""A model that says what the test wrote."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeAlias

from pydantic_core import to_json

from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage, ToolCall, Usage, call_ids
from agentkit.models.base import ModelInfo, ModelRequest, ModelResponse, OnDelta, TextDelta, ToolCallDelta

Answer: TypeAlias = "str | Sequence[ToolCall] | AssistantMessage | ModelResponse | Exception"


def call(name: str, /, **arguments: Any) -> ToolCall:
    """A tool call for a script: `call("units_left", sku="A-1")`. Its id is `call_` and the tool's name."""
    return ToolCall(id=f"call_{name}", name=name, arguments=to_json(arguments).decode())


class ScriptedModel:
    """A model backend for tests: it gives the answers of a script, one per request, and remembers the requests.

    An answer is a text, a list of tool calls, a message, a whole response, an exception (which is raised), or a
    function of the request that gives one of these.

    Raises:
        AssertionError: there are more requests than answers.
        ConfigError: the script is one text.
    """

    def __init__(self, script: "Sequence[Answer | Callable[[ModelRequest], Answer]]") -> None:
        if isinstance(script, str):
            raise ConfigError(f"ScriptedModel({script!r:.60}): write a list of answers, ScriptedModel([...])")
        self.script = list(script)
        self.requests: list[ModelRequest] = []
        """The requests so far."""
        self.info = ModelInfo(provider="scripted", model="scripted", in_process=True)

    async def generate(self, request: ModelRequest, on_delta: OnDelta | None = None) -> ModelResponse:
        """The script's next answer; see `ModelBackend`."""
        turn = len(self.requests)
        self.requests.append(request)
        assert turn < len(self.script), f"the script has {len(self.script)} answers, and this is request {turn + 1}"
        entry = self.script[turn]
        response = _response(entry(request) if callable(entry) else entry, request)
        if on_delta is not None:
            await _tell(response.message, on_delta)
        return response


def _response(answer: Answer, request: ModelRequest) -> ModelResponse:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, ModelResponse):
        return answer
    if isinstance(answer, str):
        answer = AssistantMessage(text=answer)
    elif not isinstance(answer, AssistantMessage):
        answer = AssistantMessage(tool_calls=_with_own_ids(answer, call_ids(request.messages)))
    usage = Usage(input_tokens=10, output_tokens=5)
    reason = "tool_calls" if answer.tool_calls else "stop"
    return ModelResponse(message=answer, finish_reason=reason, usage=usage, model="scripted")


def _with_own_ids(calls: Sequence[ToolCall], taken: set[str]) -> tuple[ToolCall, ...]:
    """The calls, each with an id that no other call of the conversation has, as a provider would give them."""
    named = []
    for each in calls:
        ids = (each.id if n == 1 else f"{each.id}_{n}" for n in count(1))
        own = next(id for id in ids if id not in taken)
        taken.add(own)
        named.append(replace(each, id=own))
    return tuple(named)


async def _tell(message: AssistantMessage, on_delta: OnDelta) -> None:
    for word in re.findall(r"\s*\S+\s*", message.text):
        await on_delta(TextDelta(text=word))
    for index, each in enumerate(message.tool_calls):
        await on_delta(ToolCallDelta(index=index, name=each.name, arguments=each.arguments, id=each.id))

"""Asks the script what the model says: a run's conversation goes in as a Chat Completions request would have it."""

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import from_json, to_json

from agentkit.errors import ConfigError
from agentkit.messages import AssistantMessage
from agentkit.testing import chat_wire
from agentkit.testing.reply import Reply, Script, ScriptedReply, as_message, as_reply

from .state import Run, Turn

_PASSED_ON = (
    "response_format",
    "temperature",
    "top_p",
    "tool_choice",
    "parallel_tool_calls",
    "max_completion_tokens",
    "max_prompt_tokens",
    "reasoning_effort",
    "truncation_strategy",
    "metadata",
)


class ScriptedTurns:
    """The script, one reply per turn of the model over all threads.

    Raises:
        ConfigError: the script is not a sequence of replies, nor a function; or a reply has what is not for runs.
    """

    def __init__(self, script: Script) -> None:
        if isinstance(script, str | bytes) or not (callable(script) or isinstance(script, Sequence)):
            raise ConfigError(f"script must be a list of replies or a function, not {type(script).__name__}")
        self._script = script if callable(script) else tuple(_a_turn(reply) for reply in script)
        self._asked = 0

    def next(self, body: dict[str, Any]) -> ScriptedReply | Awaitable[ScriptedReply]:
        """What the script says to a request, or will have said once it is awaited."""
        self._asked += 1
        if callable(self._script):
            return self._script(body)
        if self._asked <= len(self._script):
            return self._script[self._asked - 1]
        over = f"The script has {len(self._script)} replies, and this is turn {self._asked}: add a reply to it."
        return Reply(status=500, error=over)


def request_of(run: Run) -> dict[str, Any]:
    """What the model is asked, in the form of a Chat Completions request."""
    instructions = run.object["instructions"]
    messages = [to_json({"role": "system", "content": instructions})] if instructions else []
    messages += [said.encoded for said in run.thread.said]
    body = {"model": run.object["model"], "messages": from_json(b"[" + b",".join(messages) + b"]")}
    functions = [tool for tool in run.object["tools"] if tool["type"] == "function"]
    if functions:
        body["tools"] = from_json(to_json(functions))
    body.update(thread_id=run.object["thread_id"], run_id=run.id, assistant_id=run.object["assistant_id"])
    return body | {name: run.object[name] for name in _PASSED_ON if run.object[name] is not None}


def turn_of(run: Run, body: dict[str, Any], scripted: ScriptedReply) -> Turn:
    """A reply of the script as the model's turn.

    Raises:
        ConfigError: it is not a reply, or has what is not for runs.
    """
    reply = _a_turn(scripted)
    message = as_message(reply.message)
    if "repeated_call_ids" in run.store.quirks:
        calls = tuple(replace(call, id=f"call_{n}") for n, call in enumerate(message.tool_calls))
        message = replace(message, tool_calls=calls)
    elif not isinstance(reply.message, AssistantMessage):
        message = replace(message, tool_calls=chat_wire.with_own_ids(message.tool_calls, body))
    return Turn(
        reply=reply, message=message, usage=chat_wire.count(body, message) if reply.usage is None else reply.usage
    )


def _a_turn(scripted: ScriptedReply) -> Reply:
    reply = as_reply(scripted)
    if reply.fault is not None or reply.body is not None:
        raise ConfigError("a run's turn is no HTTP answer: use on_request= for faults, and leave out fault= and body=")
    return reply
